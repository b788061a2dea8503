"""Decode NetFlow v5, NetFlow v9 and IPFIX datagrams into flow rows.

Written here because a datagram comes from whoever can reach the port: templates are
bounded (``netflow_templates``), every length is checked against what is there, and a record
always takes at least one byte, so that no datagram can cost more than its size. Field
numbers: https://www.iana.org/assignments/ipfix/ipfix.xhtml; v9 is RFC 3954, IPFIX RFC 7011.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.collect.netflow_gaps import Gaps
from guardian.collect.netflow_templates import FlowExportError, Templates
from guardian.collect.text_values import LAST_S

if TYPE_CHECKING:
    from guardian.collect.netflow_templates import Exporter, Fields, Template

_REVERSE = 29_305
"""The enterprise number of RFC 5103: the same fields for the way back."""
_VARIABLE = 0xFFFF
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the store's times are naive UTC
_V5 = struct.Struct("!4s4s4xHHIIIIHHxBBB")
_V5_RECORD_BYTES = 48
_UPTIME_MS = 1 << 32
"""A router counts the time since its start in 32 bits: after 49.7 days it begins at 0 again."""
_AHEAD_MS = 60_000
"""A time since the start that is further ahead of its datagram's is one of before that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    """When a datagram was sent, and how long its exporter had been up; None: nobody knows."""

    sent_ms: int
    uptime_ms: int | None = None

    def at(self, uptime_ms: int) -> float:
        """Return the seconds since 1970 of a time since the start."""
        if self.uptime_ms is None:
            return self.sent_ms / 1000
        ago_ms = (self.uptime_ms + _AHEAD_MS - uptime_ms) % _UPTIME_MS - _AHEAD_MS
        return (self.sent_ms - ago_ms) / 1000


@dataclass(slots=True)
class Decoder:
    """Reads datagrams by the templates that came before."""

    templates: Templates = field(default_factory=Templates)
    gaps: Gaps = field(default_factory=Gaps)

    def decode(self, data: bytes, exporter: str) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the rows of a datagram and what of it could not be read."""
        problems: list[str] = []
        rows: list[dict[str, Any]] = []
        try:
            version = struct.unpack_from("!H", data)[0]
            if version == 5:
                _version_5(data, rows, problems)
                count, number, engine = struct.unpack_from("!2xH12xIH", data)
                self.gaps.saw((exporter, 5, engine), number, count)
            elif version in (9, 10):
                self._sets(data, exporter, version, rows, problems)
            else:
                problems.append(f"version {version} is not NetFlow v5, v9 or IPFIX")
        except FlowExportError as error:
            problems.append(str(error))
        except (struct.error, ValueError, OverflowError):
            problems.append("a datagram that is cut or damaged")
        return rows, problems

    def _sets(
        self, data: bytes, exporter: str, version: int, rows: list[dict[str, Any]], bad: list[str]
    ) -> None:
        if version == 9:
            _, _, uptime, seconds, number, domain = struct.unpack_from("!HHIIII", data)
            begin, clock = 20, _Clock(sent_ms=seconds * 1000, uptime_ms=uptime)
        else:
            _, size, seconds, number, domain = struct.unpack_from("!HHIII", data)
            begin, clock = 16, _Clock(sent_ms=seconds * 1000)
            data = data[:size]
        key = (exporter, version, domain)
        records = None
        try:
            records = self._records(key, data[begin:], clock, rows, bad)
        finally:
            self.gaps.saw(key, number, records)

    def _records(
        self, key: Exporter, data: bytes, clock: _Clock, rows: list[dict[str, Any]], bad: list[str]
    ) -> int | None:
        """Read the sets and return how many records they have; None: a template is not known."""
        at, records, unknown = 0, 0, False
        while at + 4 <= len(data):
            number, size = struct.unpack_from("!HH", data, at)
            if size < 4 or at + size > len(data):
                msg = "a set that is longer than its datagram"
                raise FlowExportError(msg)
            body = data[at + 4 : at + size]
            at += size
            if number in (0, 2):
                self.templates.learn(key, body, options=False)
            elif number in (1, 3):
                self.templates.learn(key, body, options=True)
            elif number >= 256:
                template = self.templates.known.get((*key, number))
                if template is None:
                    bad.append("flows whose template has not come yet")
                    unknown = True
                    continue
                found = _records(body, template)
                records += len(found)
                for fields in found:
                    if template.options:
                        self.templates.note_options(key, fields)
                    else:
                        rate = self.templates.rate(key, fields)
                        _take(fields, self._clock(key, fields, clock), rate, rows, bad)
        return None if unknown else records

    def _clock(self, exporter: Exporter, fields: Fields, clock: _Clock) -> _Clock:
        """Return the clock of a record: IPFIX says by a field of its own when it was started."""
        if clock.uptime_ms is None and ((0, 22) in fields or (0, 21) in fields):
            started_ms = self.templates.started_ms(exporter, fields)
            if started_ms is not None and started_ms < clock.sent_ms + _AHEAD_MS:
                return _Clock(sent_ms=clock.sent_ms, uptime_ms=clock.sent_ms - started_ms)
        return clock


def _take(
    fields: Fields, clock: _Clock, rate: int, rows: list[dict[str, Any]], bad: list[str]
) -> None:
    """Read one record. One that cannot be takes no other with it, and is counted."""
    try:
        row = _row(fields, clock)
    except FlowExportError as error:
        bad.append(str(error))
    else:
        if row is not None:
            rows.append(_scaled(row, rate))


def _records(body: bytes, template: Template) -> list[Fields]:
    least = max(1, sum(1 if size == _VARIABLE else size for _, _, size in template.fields))
    found: list[Fields] = []
    at = 0
    while at + least <= len(body):
        begin = at
        fields: Fields = {}
        for enterprise, kind, declared in template.fields:
            size = declared
            if declared == _VARIABLE:
                size = body[at] if at < len(body) else 0
                at += 1
                if size == 255:
                    size = struct.unpack_from("!H", body, at)[0]
                    at += 2
            if at + size > len(body):
                return found
            fields[(enterprise, kind)] = body[at : at + size]
            at += size
        if at == begin:
            break
        found.append(fields)
    return found


def _row(fields: Fields, clock: _Clock) -> dict[str, Any] | None:
    """Return a flow row; None for a record without addresses (options, counters)."""
    source = _address(fields, 8, 27)
    target = _address(fields, 12, 28)
    if source is None or target is None:
        return None
    proto = _number(fields, 4)
    start = _time(fields, (152, 154, 150), 22, clock)
    end = _time(fields, (153, 155, 151), 21, clock)
    icmp = _number(fields, 32)
    is_icmp = proto in (1, 58)
    row: dict[str, Any] = {
        "ts": min(start, end),
        "end_ts": max(start, end),
        "src_ip": source,
        "dest_ip": target,
        "src_port": None if is_icmp else _number(fields, 7),
        "dest_port": None if is_icmp else _number(fields, 11),
        "proto": _PROTOCOLS.get(proto or 0, str(proto)),
        "bytes_toserver": _first(fields, (0, 231), (0, 1), (0, 85)),
        "pkts_toserver": _first(fields, (0, 298), (0, 2), (0, 86)),
        "bytes_toclient": _first(fields, (0, 232), (_REVERSE, 1), (_REVERSE, 85)),
        "pkts_toclient": _first(fields, (0, 299), (_REVERSE, 2), (_REVERSE, 86)),
        "tcp_flags_ts": (_number(fields, 6) or 0) & 0xFF if proto == 6 else None,
    }
    reverse = fields.get((_REVERSE, 6))
    if proto == 6 and reverse:
        row["tcp_flags_tc"] = int.from_bytes(reverse) & 0xFF
    if is_icmp and icmp is not None:
        row["icmp_type"], row["icmp_code"] = icmp >> 8 & 0xFF, icmp & 0xFF
    for column, kinds in _MACS.items():
        macs = [mac for kind in kinds if len(mac := fields.get((0, kind), b"")) == 6 and any(mac)]
        if macs:
            row[column] = macs[0].hex(":")
    tags = [tag for kinds in _VLANS if (tag := _first(fields, *((0, kind) for kind in kinds)))]
    if tags:
        row["vlan"] = [tag & 0xFFF for tag in tags]
    return row


def _scaled(row: dict[str, Any], rate: int) -> dict[str, Any]:
    """Let the counters of a sampled flow stand for all its packets, as the router would count."""
    if rate > 1:
        for counter in ("bytes_toserver", "pkts_toserver", "bytes_toclient", "pkts_toclient"):
            if row.get(counter) is not None:
                row[counter] = min(row[counter] * rate, 0x7FFF_FFFF_FFFF_FFFF)
    return row


_MACS = {"src_mac": (56,), "dest_mac": (80, 57)}
_VLANS = ((243, 58), (245,))
"""The fields of a VLAN tag, the outer and the inner one, as the router received the packet."""
_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "IPv6-ICMP",
              132: "SCTP"}  # fmt: skip


def _number(fields: Fields, kind: int, enterprise: int = 0) -> int | None:
    raw = fields.get((enterprise, kind))
    return int.from_bytes(raw[:8]) & 0x7FFF_FFFF_FFFF_FFFF if raw else None


def _first(fields: Fields, *keys: tuple[int, int]) -> int | None:
    for enterprise, kind in keys:
        value = _number(fields, kind, enterprise)
        if value is not None:
            return value
    return None


def _address(fields: Fields, four: int, six: int) -> str | None:
    for kind, size in ((four, 4), (six, 16)):
        raw = fields.get((0, kind), b"")
        if len(raw) == size and any(raw):
            address = ipaddress.ip_address(raw)
            mapped = getattr(address, "ipv4_mapped", None)
            return str(mapped or address)
    return None


def _time(fields: Fields, kinds: tuple[int, int, int], uptime_kind: int, clock: _Clock) -> datetime:
    """Return a time of a record: absolute, or since the start, or else the export's own."""
    milli, micro, whole = kinds
    raw_micro = fields.get((0, micro), b"")
    if (value := _number(fields, milli)) is not None:
        return _at(value / 1000)
    if len(raw_micro) == 8:  # NTP's form: seconds since 1900 and a binary fraction
        seconds, fraction = struct.unpack("!II", raw_micro)
        return _at(seconds - 2_208_988_800 + fraction / 2**32)
    if (value := _number(fields, whole)) is not None:
        return _at(value)
    if (value := _number(fields, uptime_kind)) is not None:
        return _at(clock.at(value))
    return _at(clock.sent_ms / 1000)


def _at(seconds: float) -> datetime:
    if not 0 <= seconds < LAST_S:
        msg = "a time that is none of an event"
        raise FlowExportError(msg)
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))


def _version_5(data: bytes, rows: list[dict[str, Any]], bad: list[str]) -> None:
    _, count, uptime, seconds, nanoseconds = struct.unpack_from("!HHIII", data)
    clock = _Clock(sent_ms=seconds * 1000 + nanoseconds // 1_000_000, uptime_ms=uptime)
    if len(data) < 24 + count * _V5_RECORD_BYTES:
        msg = "a datagram that is cut or damaged"
        raise FlowExportError(msg)
    sampling = struct.unpack_from("!H", data, 22)[0] & 0x3FFF  # the upper bits say how
    for number in range(count):
        record = _V5.unpack_from(data, 24 + number * _V5_RECORD_BYTES)
        source, target = record[:2]
        packets, size, first, last, sport, dport, flags, proto = record[4:12]
        fields: Fields = {
            (0, 8): source, (0, 12): target, (0, 2): packets.to_bytes(4), (0, 1): size.to_bytes(4),
            (0, 22): first.to_bytes(4), (0, 21): last.to_bytes(4), (0, 7): sport.to_bytes(2),
            (0, 11): dport.to_bytes(2), (0, 6): flags.to_bytes(1), (0, 4): proto.to_bytes(1),
        }  # fmt: skip
        if proto == 1:
            fields[(0, 32)] = dport.to_bytes(2)
        _take(fields, clock, sampling, rows, bad)


def paired(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the two directions of a conversation, which most exporters report apart.

    The side that spoke first is the client; a lone answer (from a port below 1024 to one
    above) is turned round, so that the client is the client there too.
    """
    waiting: dict[tuple[Any, ...], dict[str, Any]] = {}
    done: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda one: one["ts"]):
        side = (row["src_ip"], row["src_port"], row["dest_ip"], row["dest_port"], row["proto"])
        back = (side[2], side[3], side[0], side[1], side[4])
        first = waiting.pop(back, None) if row.get("bytes_toclient") is None else None
        if first is not None and row["ts"] <= first["end_ts"] + timedelta(seconds=60):
            first["bytes_toclient"] = row["bytes_toserver"]
            first["pkts_toclient"] = row["pkts_toserver"]
            first["tcp_flags_tc"] = row["tcp_flags_ts"]
            first["end_ts"] = max(first["end_ts"], row["end_ts"])
            continue
        done.append(row)
        if row.get("bytes_toclient") is None and row["src_port"] is not None:
            waiting[side] = row
    return [_finished(row) for row in done]


def _finished(row: dict[str, Any]) -> dict[str, Any]:
    source, target = row["src_port"], row["dest_port"]
    lone = row.get("bytes_toclient") is None
    if lone and source is not None and target is not None and source < 1024 <= target:
        for one, other in (("src_ip", "dest_ip"), ("src_port", "dest_port")):
            row[one], row[other] = row[other], row[one]
        row["bytes_toclient"], row["bytes_toserver"] = row["bytes_toserver"], None
        row["pkts_toclient"], row["pkts_toserver"] = row["pkts_toserver"], None
        row["tcp_flags_tc"], row["tcp_flags_ts"] = row["tcp_flags_ts"], None
        row["src_mac"], row["dest_mac"] = row.get("dest_mac"), row.get("src_mac")
    ends = ((row.get("tcp_flags_ts") or 0) | (row.get("tcp_flags_tc") or 0)) & 0x05
    if row.get("pkts_toclient"):
        row["state"] = "closed" if ends else "established"
    else:
        row["state"] = "new"
    row["reason"] = "netflow"
    return row
