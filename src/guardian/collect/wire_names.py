"""Read what devices say of themselves: names, models and services.

Everything here was sent by a stranger: texts are cut and counted, and never trusted.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field

MAX_TEXT = 255
MAX_ITEMS = 40


@dataclass(slots=True, kw_only=True)
class Said:
    """What a message says of its sender."""

    name: str | None = None
    model: str | None = None
    mac: str | None = None
    ip: str | None = None
    detail: dict[str, object] = field(default_factory=dict)


def nothing(_data: bytes, _from_port: int) -> Said | None:
    """Read nothing."""
    return None


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")[:MAX_TEXT]
    return "".join(char if char.isprintable() else " " for char in text).strip()


_A, _PTR, _TXT, _AAAA, _SRV = 1, 12, 16, 28, 33


@dataclass(frozen=True, slots=True)
class _Record:
    """A resource record: whose, of which type, and where its data lies in the message."""

    owner: str
    rrtype: int
    begin: int
    end: int


def _records(data: bytes) -> list[_Record] | None:
    """Return the records of a DNS answer; None when it is a question.

    mDNS uses the top bit of the class for itself, which DNS libraries do not expect.

    Raises:
        IndexError: it is cut.
        ValueError: a name in it has no end.
        struct.error: it is cut.
    """
    _, flags, questions, answers, authorities, additional = struct.unpack_from(">6H", data)
    if not flags & 0x8000:
        return None
    at = 12
    for _ in range(min(questions, MAX_ITEMS)):
        _, at = _name(data, at)
        at += 4
    found: list[_Record] = []
    for _ in range(min(answers + authorities + additional, MAX_ITEMS)):
        owner, at = _name(data, at)
        rrtype, _, _, size = struct.unpack_from(">HHIH", data, at)
        at += 10
        found.append(_Record(owner, rrtype, at, min(at + size, len(data))))
        at += size
    return found


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Return the name at a place and where it ends; compression is followed, boundedly."""
    labels: list[str] = []
    after = 0
    for _ in range(128):
        size = data[at]
        if size >= 0xC0:
            after = after or at + 2
            at = ((size & 0x3F) << 8) | data[at + 1]
        elif size == 0:
            return ".".join(labels)[:MAX_TEXT], after or at + 1
        else:
            labels.append(_text(data[at + 1 : at + 1 + size]))
            at += 1 + size
    msg = "a name without an end"
    raise ValueError(msg)


def mdns(data: bytes, from_port: int) -> Said | None:
    """Read an mDNS answer (RFC 6762): host name, model of ``_device-info`` or TXT, services."""
    records = _records(data) if from_port == 5353 else None
    said = Said()
    services: set[str] = set()
    for record in records or ():
        owner = record.owner
        if record.rrtype in (_A, _AAAA):
            said.name = said.name or owner.removesuffix(".local")
        elif record.rrtype == _SRV:
            target, _ = _name(data, record.begin + 6)
            said.name = said.name or target.removesuffix(".local")
        elif record.rrtype == _PTR:
            services.add(owner)
        elif record.rrtype == _TXT:
            _texts(data[record.begin : record.end], said)
            services.add(owner[owner.find("._") + 1 :])
    kinds = sorted(service for service in services if service.startswith("_"))
    if kinds:
        said.detail["services"] = kinds
    return said if said.name or said.model or kinds else None


def _texts(data: bytes, said: Said) -> None:
    """Take the model and the name out of a TXT record's ``key=value`` strings."""
    values: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and len(values) < MAX_ITEMS:
        key, _, value = data[at + 1 : at + 1 + data[at]].partition(b"=")
        values.setdefault(key.lower(), value)
        at += 1 + data[at]
    model = next((values[key] for key in (b"md", b"model", b"ty") if values.get(key)), None)
    if model and said.model is None:
        said.model = _text(model)
    if values.get(b"fn"):
        said.detail["friendly_name"] = _text(values[b"fn"])


def llmnr(data: bytes, from_port: int) -> Said | None:
    """Read an LLMNR answer (RFC 4795): the name that its sender holds."""
    records = _records(data) if from_port == 5355 else None
    return Said(name=records[0].owner) if records else None


def nbns(data: bytes, from_port: int) -> Said | None:
    """Read a NetBIOS name registration or answer (RFC 1002)."""
    if from_port != 137 or len(data) < 46 or data[12] != 32:
        return None
    flags = (data[2] << 8) | data[3]
    opcode = (flags >> 11) & 15
    if opcode not in (5, 6, 8, 9) and not flags & 0x8000:  # registration, release, refresh
        return None
    pairs = data[13:45]
    if any(not 0x41 <= byte <= 0x50 for byte in pairs):
        return None
    raw = bytes(((pairs[n] - 0x41) << 4) | (pairs[n + 1] - 0x41) for n in range(0, len(pairs), 2))
    name = _text(raw[:15].rstrip(b" \x00"))
    group = len(data) >= 62 and data[-6] & 0x80  # the first bit of the record's NB_FLAGS
    if not name or name.startswith("*") or raw[15] not in (0x00, 0x20) or group:
        return None
    return Said(name=name)


def ssdp(data: bytes, _from_port: int) -> Said | None:
    """Read an SSDP announcement or answer: the server's name and what it offers."""
    head = data[:4096].split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    if not head[0].startswith((b"NOTIFY ", b"HTTP/1.1 200", b"M-SEARCH ")):
        return None
    fields = {
        name.strip().lower(): _text(value.strip())
        for name, found, value in (line.partition(b":") for line in head[1:MAX_ITEMS])
        if found
    }
    said = Said()
    for key in (b"server", b"nt", b"st", b"location", b"user-agent"):
        if fields.get(key) and fields[key] not in {"ssdp:all", "upnp:rootdevice"}:
            said.detail[key.decode().replace("-", "_")] = fields[key]
    if head[0].startswith(b"M-SEARCH "):
        said.detail.pop("st", None)  # what it looks for says nothing of what it is
    said.name = fields.get(b"x-friendly-name") or None
    said.model = fields.get(b"x-modelname") or None
    return said if said.detail or said.name else None


def dhcpv4(data: bytes) -> Said | None:
    """Read a DHCP message of a client (RFC 2131): its MAC, name and vendor class."""
    if len(data) < 240 or data[0] not in (1, 2) or data[236:240] != b"\x63\x82\x53\x63":
        return None
    said = Said()
    if data[1] == 1 and data[2] == 6 and any(data[28:34]):
        said.mac = data[28:34].hex(":")
    options = _options(data[240:])
    if 12 in options:
        said.name = _text(options[12].rstrip(b"\x00")) or None
    if 60 in options:
        said.detail["vendor_class"] = _text(options[60])
    if any(data[12:16]):  # an address that is only asked for is not held yet
        said.ip = str(ipaddress.IPv4Address(data[12:16]))
    return said


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 2 <= len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        size = data[at + 1]
        found[data[at]] = data[at + 2 : at + 2 + size]
        at += 2 + size
    return found


_DHCPV6 = {1: "solicit", 2: "advertise", 3: "request", 4: "confirm", 5: "renew", 6: "rebind",
           7: "reply", 8: "release", 9: "decline", 10: "reconfigure",
           11: "information-request"}  # fmt: skip


_REPLY = 7
_IA_NA, _IA_TA, _IAADDR = 3, 4, 5
_ETHERNET = b"\0\1"
_DUID_OF_LINK = {b"\0\1": 8, b"\0\3": 4}
"""Where the hardware address lies in an identifier made of one (RFC 8415, 11.2 and 11.4)."""
MAX_ASSIGNED = 8
"""Addresses read from one reply; a host asks for one or two."""


def dhcpv6(data: bytes) -> Said | None:
    """Read a DHCPv6 message (RFC 8415): its kind, the client's name and vendor class.

    Of a reply also the addresses that it assigns (``assigned``, with ``valid_s``).
    """
    if len(data) < 4 or data[0] not in _DHCPV6:
        return None
    said = Said(detail={"type": _DHCPV6[data[0]]})
    at = 4
    for _ in range(64):
        if at + 4 > len(data):
            break
        code, size = struct.unpack_from(">HH", data, at)
        body = data[at + 4 : at + 4 + size]
        if code == 1:
            said.detail["client_duid"] = body[:128].hex()
            said.mac = _duid_mac(body)
        elif code in (_IA_NA, _IA_TA) and data[0] == _REPLY:
            _assigned(body[12 if code == _IA_NA else 4 :], said)
        elif code == 2:
            said.detail["server_duid"] = body[:128].hex()
        elif code == 16 and len(body) > 6:
            said.detail["vendor_class"] = _text(body[6:])
        elif code == 39 and len(body) > 2:
            said.name = _fqdn(body[1:])
        elif code == 23:
            ends = range(16, len(body) + 1, 16)
            said.detail["dns_servers"] = [
                str(ipaddress.IPv6Address(body[end - 16 : end])) for end in ends
            ][:8]
        at += 4 + size
    return said


def _duid_mac(duid: bytes) -> str | None:
    """Return the hardware address that an identifier was made of (DUID-LLT, DUID-LL)."""
    if duid[2:4] != _ETHERNET or duid[:2] not in _DUID_OF_LINK:
        return None
    raw = duid[_DUID_OF_LINK[duid[:2]] :]
    return raw.hex(":") if len(raw) == 6 and any(raw) and not raw[0] & 1 else None


def _assigned(options: bytes, said: Said) -> None:
    """Add the addresses inside an IA_NA or IA_TA; one whose lifetime is over is taken back."""
    known = said.detail.get("assigned")
    found: list[str] = known if isinstance(known, list) else []
    at = 0
    while at + 4 <= len(options) and len(found) < MAX_ASSIGNED:
        code, size = struct.unpack_from(">HH", options, at)
        body = options[at + 4 : at + 4 + size]
        if code == _IAADDR and len(body) >= 24:
            _, valid_s = struct.unpack_from(">II", body, 16)
            if valid_s:
                found.append(str(ipaddress.IPv6Address(body[:16])))
                said.detail["valid_s"] = valid_s
        at += 4 + size
    if found:
        said.detail["assigned"] = found


def _fqdn(data: bytes) -> str | None:
    labels: list[str] = []
    at = 0
    while at < len(data) and 0 < data[at] < 64 and len(labels) < 10:
        labels.append(_text(data[at + 1 : at + 1 + data[at]]))
        at += 1 + data[at]
    return ".".join(labels)[:MAX_TEXT] or None
