"""Tell the few kinds of frames by which devices show themselves, and read them.

ARP, neighbour discovery, DHCP, mDNS, LLMNR, NBNS and SSDP, by their bytes, because
dissecting (scapy: 0.4 ms a frame) is too slow for a capture. A frame that is not what it
claims to be is told apart from one that says nothing of a device.
"""

from __future__ import annotations

import ipaddress
import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.collect import wire_names

if TYPE_CHECKING:
    from collections.abc import Mapping

ETHERNET, LINUX_COOKED, LINUX_COOKED_2, RAW, RAW_4, RAW_6 = 1, 113, 276, 101, 228, 229
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_VLANS = (0x8100, 0x88A8, 0x9100)
_UDP, _ICMPV6, _HOP_BY_HOP = 17, 58, 0

PORTS = frozenset({67, 68, 137, 546, 547, 1900, 5353, 5355})
"""UDP ports of what is read: DHCP, NBNS, DHCPv6, SSDP, mDNS, LLMNR."""

KERNEL_FILTER = (
    "arp or (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) or "
    "(udp and (" + " or ".join(f"port {port}" for port in sorted(PORTS)) + "))"
)
"""The same choice for the kernel (pcap-filter(7)); frames with a VLAN tag need ``vlan and``."""

_MIN_NDP, _MAX_NDP = 133, 137


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one frame says of one device."""

    method: str
    mac: str | None
    ip: str | None
    name: str | None = None
    model: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A frame that detections look at as it is."""

    event_type: str
    src_ip: str | None
    dest_ip: str | None
    values: Mapping[str, object]

    def as_json(self) -> str:
        """Return the values as the store keeps them."""
        return json.dumps({self.event_type: self.values})


def locate(link: int, data: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return the EtherType of a frame and where its payload begins; (0, 0) when unknown."""
    if link == ETHERNET:
        at = begin + 14
        if at > end:
            return 0, 0
        kind = (data[at - 2] << 8) | data[at - 1]
        while kind in _VLANS and at + 4 <= end:
            at += 4
            kind = (data[at - 2] << 8) | data[at - 1]
        return kind, at
    if link in (RAW, RAW_4, RAW_6) and begin < end:
        return (_IPV6 if data[begin] >> 4 == 6 else _IPV4), begin
    if link == LINUX_COOKED and begin + 16 <= end:
        return (data[begin + 14] << 8) | data[begin + 15], begin + 16
    if link == LINUX_COOKED_2 and begin + 20 <= end:
        return (data[begin] << 8) | data[begin + 1], begin + 20
    return 0, 0


def wanted(link: int, data: bytes, begin: int, end: int) -> bool:
    """Tell by a few bytes whether a frame is one that is read."""
    kind, at = locate(link, data, begin, end)
    if kind == _IPV4 and end - at >= 28 and data[at + 9] == _UDP:
        at += (data[at] & 15) * 4
    elif kind == _IPV6 and end - at >= 48 and data[at + 6] == _UDP:
        at += 40
    elif kind == _IPV6 and end - at >= 48 and data[at + 6] == _ICMPV6:
        return _MIN_NDP <= data[at + 40] <= _MAX_NDP
    else:
        return kind == _ARP
    if at + 4 > end:
        return False
    source = (data[at] << 8) | data[at + 1]
    target = (data[at + 2] << 8) | data[at + 3]
    return source in PORTS or target in PORTS


def read(link: int, data: bytes) -> tuple[list[Seen], list[Raw]] | None:
    """Return what a frame says, which may be nothing; None when it is damaged."""
    kind, at = locate(link, data, 0, len(data))
    target, source = (_mac(data[0:6]), _mac(data[6:12])) if link == ETHERNET else (None, None)
    if link == LINUX_COOKED:
        source = _mac(data[6:12])
    elif link == LINUX_COOKED_2:
        source = _mac(data[12:18])
    try:
        if kind == _ARP:
            return _arp(data[at:], source, target)
        if kind == _IPV4:
            return _ipv4(data[at:], source)
        if kind == _IPV6:
            return _ipv6(data[at:], source, target)
    except (LookupError, ValueError, struct.error):
        return None
    return [], []


def _mac(raw: bytes) -> str | None:
    if len(raw) != 6 or not any(raw):
        return None
    return raw.hex(":")


def _address(raw: bytes) -> str | None:
    address = ipaddress.ip_address(raw)
    return None if address.is_unspecified else str(address)


def _arp(data: bytes, source: str | None, target: str | None) -> tuple[list[Seen], list[Raw]]:
    if len(data) < 28 or data[:6] != b"\x00\x01\x08\x00\x06\x04":
        return [], []
    opcode = (data[6] << 8) | data[7]
    sender, sender_ip = _mac(data[8:14]), _address(data[14:18])
    wanted_mac, wanted_ip = _mac(data[18:24]), _address(data[24:28])
    word = {1: "request", 2: "reply"}.get(opcode, str(opcode))
    values: dict[str, object] = {
        "opcode": word,
        "src_mac": sender,
        "src_ip": sender_ip,
        "dest_mac": wanted_mac,
        "dest_ip": wanted_ip,
        "eth_src": source,
        "eth_dst": target,
        "gratuitous": sender_ip is not None and sender_ip == wanted_ip,
    }
    seen: list[Seen] = []
    if sender is not None and sender_ip is not None:
        seen.append(Seen(method="arp", mac=sender, ip=sender_ip))
    return seen, [Raw(event_type="arp", src_ip=sender_ip, dest_ip=wanted_ip, values=values)]


def _ipv4(data: bytes, source: str | None) -> tuple[list[Seen], list[Raw]]:
    at = (data[0] & 15) * 4
    if at < 20 or data[9] != _UDP or ((data[6] << 8) | data[7]) & 0x1FFF:
        return [], []
    return _udp(data[at:], source, _address(data[12:16]))


def _ipv6(data: bytes, source: str | None, card: str | None) -> tuple[list[Seen], list[Raw]]:
    sender, target = _address(data[8:24]), _address(data[24:40])
    if data[6] == _UDP and struct.unpack_from(">HH", data, 40) in _DHCPV6:
        return _dhcpv6(data[40:], source, sender, target, card)
    if data[6] == _UDP:
        return _udp(data[40:], source, sender)
    if data[6] != _ICMPV6 or data[7] != 255:  # RFC 4861: anything else came from another link
        return [], []
    return _ndp(data[40:], source, sender, target)


_NDP_WORDS = {133: "rs", 134: "ra", 135: "ns", 136: "na", 137: "redirect"}


def _ndp(
    data: bytes, source: str | None, sender: str | None, target: str | None
) -> tuple[list[Seen], list[Raw]]:
    word = _NDP_WORDS[data[0]]
    values: dict[str, object] = {"type": word, "src_mac": source, "src_ip": sender}
    values["dest_ip"] = target
    options_at = {133: 8, 134: 16, 135: 24, 136: 24, 137: 40}[data[0]]
    options = _ndp_options(data[options_at:])
    about = _address(data[8:24]) if data[0] >= 135 else None
    if about is not None:
        values["target"] = about
    if data[0] == 134:
        values["hop_limit"], values["flags"] = data[4], data[5]
        values["router_lifetime_s"] = (data[6] << 8) | data[7]
    if data[0] == 136:
        values["override"] = bool(data[4] & 0x20)
        values["solicited"] = bool(data[4] & 0x40)
    mac = options.get("link_address")
    link = str(mac) if mac else source
    seen: list[Seen] = []
    if data[0] == 136 and about is not None:
        seen.append(Seen(method="ndp", mac=link, ip=about))
    elif sender is not None:
        detail: dict[str, object] = {"router": True} if data[0] == 134 else {}
        seen.append(Seen(method="ndp", mac=link, ip=sender, detail=detail))
    return seen, [Raw(event_type="ndp", src_ip=sender, dest_ip=target, values=values | options)]


def _ndp_options(data: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    prefixes: list[str] = []
    servers: list[str] = []
    at = 0
    while at + 8 <= len(data) and data[at + 1]:
        kind, size = data[at], data[at + 1] * 8
        body = data[at + 2 : at + size]
        if kind in (1, 2) and len(body) >= 6:
            found["link_address"] = _mac(body[:6])
        elif kind == 3 and len(body) >= 30:
            prefixes.append(f"{ipaddress.IPv6Address(body[14:30])}/{min(body[0], 128)}")
        elif kind == 25:
            ends = range(22, len(body) + 1, 16)
            servers += [str(ipaddress.IPv6Address(body[end - 16 : end])) for end in ends]
        at += size
    if prefixes:
        found["prefixes"] = prefixes
    if servers:
        found["dns_servers"] = servers
    return found


_DHCPV6 = ((546, 547), (547, 546), (547, 547))
"""From and to: a client's message, a server's, and what passes through a relay."""


def _dhcpv6(
    data: bytes, source: str | None, sender: str | None, target: str | None, card: str | None
) -> tuple[list[Seen], list[Raw]]:
    """Read what a client says, and which addresses a server's reply gives it."""
    said = wire_names.dhcpv6(data[8 : max(8, (data[4] << 8) | data[5])])
    if said is None:
        return [], []
    values = said.detail | {"src_mac": source, "src_ip": sender, "dest_ip": target}
    raw = Raw(event_type="dhcpv6", src_ip=sender, dest_ip=target, values=values)
    from_port, to_port = struct.unpack_from(">HH", data)
    if from_port == 546:
        return [_seen("dhcpv6", source, sender, said)], [raw]
    given = said.detail.pop("assigned", None)
    if not isinstance(given, list) or to_port != 546:
        return [], [raw]
    # The reply goes to the client's own card; where the link shows none, its identifier may.
    mac = card if card and not int(card[:2], 16) & 1 else said.mac
    return [_seen("dhcpv6", mac, ip, said) for ip in given], [raw]


def _udp(data: bytes, source: str | None, sender: str | None) -> tuple[list[Seen], list[Raw]]:
    from_port, to_port = (data[0] << 8) | data[1], (data[2] << 8) | data[3]
    body = data[8 : max(8, (data[4] << 8) | data[5])]
    ports = {from_port, to_port}
    if ports & {67, 68}:
        said = wire_names.dhcpv4(body)
        if said is None or from_port != 68:
            return [], []
        return [_seen("dhcp", said.mac or source, said.ip or sender, said)], []
    method, reader = next(
        (known for port, known in _NAMERS.items() if port in ports), ("", wire_names.nothing)
    )
    said = reader(body, from_port)
    if said is None or sender is None:
        return [], []
    return [_seen(method, source, sender, said)], []


def _seen(method: str, mac: str | None, ip: str | None, said: wire_names.Said) -> Seen:
    return Seen(method=method, mac=mac, ip=ip, name=said.name, model=said.model, detail=said.detail)


_NAMERS = {
    5353: ("mdns", wire_names.mdns),
    5355: ("llmnr", wire_names.llmnr),
    137: ("nbns", wire_names.nbns),
    1900: ("ssdp", wire_names.ssdp),
}
