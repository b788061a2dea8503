"""Cut conversations out of captures, into one pcap that a person can open.

The frames are chosen by their addresses, ports and times alone, without dissecting them, so
that a gigabyte of captures takes seconds. The result is a classic pcap with microseconds
(https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html).
"""

from __future__ import annotations

import ipaddress
import struct
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from guardian.collect import wire_frames
from guardian.collect.captures import MAX_FRAME_BYTES, DamagedError, frames
from guardian.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from guardian.model.conversation import Conversation

MAX_PORTS = 16
"""A pair with more ports than this is cut out whole: it is a scan, not a conversation."""
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_TCP, _UDP = 6, 17
_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_Key = tuple[bytes, bytes]
_Spans = dict[int | None, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What was cut out: how many packets and bytes, whether a limit ended it, and what failed."""

    packets: int = 0
    bytes: int = 0
    truncated: bool = False
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Choice:
    """The conversations, by what a frame shows of them."""

    pairs: dict[_Key, _Spans]
    ones: dict[bytes, _Spans]
    macs: dict[bytes, _Spans]

    def wanted(self, link: int, data: bytes, begin: int, end: int) -> bool:
        return bool(self.spans(link, data, begin, end))

    def holds(self, link: int, data: bytes, ts: float) -> bool:
        found = self.spans(link, data, 0, len(data))
        return any(since <= ts <= until for since, until in found)

    def spans(self, link: int, data: bytes, begin: int, end: int) -> list[tuple[float, float]]:
        """Return the times in which such a frame is one of the conversations'."""
        kind, at = wire_frames.locate(link, data, begin, end)
        found: list[tuple[float, float]] = []
        if self.macs and link == wire_frames.ETHERNET and end - begin >= 14:
            for mac in (data[begin : begin + 6], data[begin + 6 : begin + 12]):
                if mac in self.macs and wire_frames.wanted(link, data, begin, end):
                    found += self.macs[mac][None]
        if kind == _IPV4 and end - at >= 20:
            source, target = data[at + 12 : at + 16], data[at + 16 : at + 20]
            proto, ports_at = data[at + 9], at + (data[at] & 15) * 4
            if ((data[at + 6] << 8) | data[at + 7]) & 0x1FFF:
                proto = 0  # a later fragment has no ports
        elif kind == _IPV6 and end - at >= 40:
            source, target = data[at + 8 : at + 24], data[at + 24 : at + 40]
            proto, ports_at = data[at + 6], at + 40
        else:
            return found
        chosen = [
            spans
            for spans in (
                self.pairs.get((source, target) if source < target else (target, source)),
                self.ones.get(source),
                self.ones.get(target),
            )
            if spans
        ]
        if not chosen:
            return found
        ports: tuple[int, ...] = ()
        if proto in (_TCP, _UDP) and ports_at + 4 <= end:
            ports = struct.unpack_from(">HH", data, ports_at)
        for spans in chosen:
            for port in (None, *ports):
                found += spans.get(port, ())
        return found


def cut(
    captures: Iterable[Path],
    conversations: Sequence[Conversation],
    target: Path,
    *,
    max_packets: int,
    max_bytes: int,
    stop: Callable[[], bool] = lambda: False,
) -> Cut:
    """Write the packets of ``conversations`` in ``captures`` to ``target``, in the files' order.

    A damaged capture gives what came before the damage. ``stop`` is asked between captures.

    Raises:
        CollectorError: ``target`` cannot be written.
    """
    choice = _choice(conversations)
    packets = size = 0
    truncated = False
    problems: list[str] = []
    chosen_link: int | None = None
    try:
        with target.open("wb") as out:
            for capture in captures:
                if stop() or truncated:
                    truncated = True
                    break
                try:
                    for frame in frames(capture, choice.wanted):
                        if not choice.holds(frame.link, frame.data, frame.ts):
                            continue
                        if chosen_link is None:
                            chosen_link = frame.link
                            out.write(_head(frame.link))
                        if frame.link != chosen_link:
                            problems.append(f"{capture.name}: frames of another link type left out")
                            break
                        if packets >= max_packets or size + len(frame.data) > max_bytes:
                            truncated = True
                            break
                        out.write(_record(frame.ts, len(frame.data)))
                        out.write(frame.data)
                        packets, size = packets + 1, size + len(frame.data)
                except (DamagedError, OSError) as error:
                    problems.append(f"{capture.name}: {error}")
            if chosen_link is None:
                out.write(_head(wire_frames.ETHERNET))
    except OSError as error:
        msg = f"{target}: cannot be written: {error.strerror or error}"
        raise CollectorError(msg) from error
    return Cut(packets=packets, bytes=size, truncated=truncated, problems=tuple(problems[:5]))


def _head(link: int) -> bytes:
    return _HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, MAX_FRAME_BYTES, link)


def _record(ts: float, size: int) -> bytes:
    micros = round(ts * 1e6)
    return _RECORD.pack(micros // 1_000_000 & 0xFFFFFFFF, micros % 1_000_000, size, size)


def _choice(conversations: Sequence[Conversation]) -> _Choice:
    pairs: dict[_Key, _Spans] = defaultdict(lambda: defaultdict(list))
    ones: dict[bytes, _Spans] = defaultdict(lambda: defaultdict(list))
    macs: dict[bytes, _Spans] = defaultdict(lambda: defaultdict(list))
    for each in conversations:
        span = (
            each.since.replace(tzinfo=UTC).timestamp(),
            each.until.replace(tzinfo=UTC).timestamp(),
        )
        mac = _mac(each.a)
        if mac is not None:
            macs[mac][None].append(span)
            continue
        a = _packed(each.a)
        b = _packed(each.b) if each.b else None
        if a is None or (each.b and b is None):
            continue
        if b is None:
            ones[a][each.port].append(span)
        else:
            pairs[(a, b) if a < b else (b, a)][each.port].append(span)
    return _Choice(
        pairs={key: _widened(spans) for key, spans in pairs.items()},
        ones={key: _widened(spans) for key, spans in ones.items()},
        macs={key: _widened(spans) for key, spans in macs.items()},
    )


def _widened(spans: _Spans) -> _Spans:
    """Return the spans by port, each merged; for every port at once when there are many."""
    if len(spans) > MAX_PORTS:
        spans = {None: [span for each in spans.values() for span in each]}
    return {port: _merged(each) for port, each in spans.items()}


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for since, until in sorted(spans):
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(until, merged[-1][1]))
        else:
            merged.append((since, until))
    return merged


def _packed(address: str) -> bytes | None:
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return None


def _mac(text: str) -> bytes | None:
    if len(text) != 17 or text.count(":") != 5:
        return None
    try:
        return bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return None
