"""Rewrite captures whose link type Suricata cannot open, such as NFLOG or a mix of several.

Link types are those of https://www.tcpdump.org/linktypes.html. Only the outermost
header is exchanged for an Ethernet one without addresses; packets stay as they were.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ETHERNET = 1
NFLOG = 239
NULL, LOOP, PPPOE, LINUX_SLL = 0, 108, 51, 113
WIFI, WIFI_RADIOTAP, WIFI_PPI = 105, 127, 192
LINUX_SLL2 = 276
OPENED = frozenset({0, ETHERNET, 9, 12, 14, 101, 104, 113, 228, 229})
"""Link types that Suricata 7 opens itself, when a capture has only one of them."""

_RAW_IP = frozenset({12, 14, 101, 228, 229})
_MAX_BLOCK_BYTES = 1 << 20
_LOOKED_AT_BLOCKS = 64
_LONGEST_FRAME = 1 << 18
_NFULA_PAYLOAD = 9
_SNAP = b"\xaa\xaa\x03\x00\x00\x00"
_HEADER = bytes(12)  # no addresses: nobody's MAC is made up


def link_types(capture: Path) -> set[int]:
    """Return the link types that a capture announces; empty when it is no capture."""
    with capture.open("rb") as file:
        head = file.read(24)
        order = "<" if head[:1] in b"\xd4\x4d\x34" else ">"
        if head[:4] != b"\x0a\x0d\x0d\x0a":
            return (
                {struct.unpack(order + "I", head[20:24])[0] & 0xFFFF} if len(head) == 24 else set()
            )
        order = "<" if head[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        found: set[int] = set()
        file.seek(0)
        for _ in range(_LOOKED_AT_BLOCKS):
            start = file.read(10)
            if len(start) < 10:
                break
            kind, length = struct.unpack(order + "II", start[:8])
            if kind == 1:  # an interface description block
                found.add(struct.unpack(order + "H", start[8:10])[0])
            if not 12 <= length <= _MAX_BLOCK_BYTES:
                break
            file.seek(length - 10, 1)
        return found


def needs_rewriting(capture: Path) -> bool:
    """Tell whether Suricata would refuse the capture as it is."""
    found = link_types(capture)
    return bool(found) and (len(found) > 1 or not found <= OPENED)


def rewrite(capture: Path, target: Path) -> int:
    """Write the packets that can be understood as Ethernet ones; return how many there were.

    A capture that is cut off or damaged is rewritten as far as it can be read.
    """
    # Few captures need this, and scapy takes 18 MB of a process that runs for months.
    from scapy.error import Scapy_Exception  # noqa: PLC0415

    count = 0
    with target.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _LONGEST_FRAME, ETHERNET))
        with contextlib.suppress(Scapy_Exception, EOFError, struct.error):
            for moment, frame in _frames(capture):
                size = len(frame)
                file.write(struct.pack("<IIII", *moment, size, size) + frame)
                count += 1
    return count


def _frames(capture: Path) -> Iterator[tuple[tuple[int, int], bytes]]:
    from scapy.utils import RawPcapReader  # noqa: PLC0415 - as above

    with RawPcapReader(str(capture)) as reader:
        default = getattr(reader, "linktype", None)
        for data, about in reader:
            frame = _ethernet(getattr(about, "linktype", default), data[:_LONGEST_FRAME])
            if frame is not None:
                yield _when(about), frame


def _when(about: Any) -> tuple[int, int]:
    """Return seconds and microseconds of a packet, whichever format it comes from."""
    if hasattr(about, "sec"):
        return int(about.sec), int(about.usec)
    ticks = (int(about.tshigh or 0) << 32) | int(about.tslow or 0)
    resolution = int(about.tsresol or 1_000_000)
    seconds, rest = divmod(ticks, resolution)
    return seconds, rest * 1_000_000 // resolution


def _ethernet(link_type: int | None, data: bytes) -> bytes | None:
    if link_type == ETHERNET:
        return data
    if link_type in _RAW_IP:
        return _framed(data)
    undo = _UNDO.get(link_type or 0)
    return None if undo is None else undo(data)


def _wifi(data: bytes) -> bytes | None:
    """Return the Ethernet frame that an 802.11 data frame carries, unless it is sealed."""
    if len(data) < 24 or data[0] & 0x0C != 0x08 or data[0] & 0x40 or data[1] & 0x40:
        return None  # no data frame, one without data, or encrypted
    first, second, third = data[4:10], data[10:16], data[16:22]
    to_station, from_station = data[1] & 0x02, data[1] & 0x01
    target, source = (third if from_station else first), (third if to_station else second)
    start = 24
    if to_station and from_station:
        source, start = data[24:30], 30
    if data[0] & 0x80:  # quality of service, and with the order bit four bytes more
        start += 6 if data[1] & 0x80 else 2
    if data[start : start + 6] != _SNAP or len(data) < start + 9:
        return None
    return target + source + data[start + 6 :]


def _framed(packet: bytes) -> bytes | None:
    kinds = {4: b"\x08\x00", 6: b"\x86\xdd"}
    kind = kinds.get(packet[0] >> 4) if packet else None
    return None if kind is None else _HEADER + kind + packet


def _nflog_payload(data: bytes) -> bytes:
    """Return the packet in an NFLOG message: a short header, then padded attributes."""
    at = 4
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("<HH", data, at)
        if length < 4:
            break
        if kind & 0x7FFF == _NFULA_PAYLOAD:
            return data[at + 4 : at + length]
        at += (length + 3) & ~3
    return b""


def _typed(data: bytes, kind_at: int, rest_at: int) -> bytes | None:
    return _HEADER + data[kind_at : kind_at + 2] + data[rest_at:] if len(data) > rest_at else None


def _wifi_behind(data: bytes) -> bytes | None:
    return _wifi(data[int.from_bytes(data[2:4], "little") :])


_UNDO: dict[int, Callable[[bytes], bytes | None]] = {
    NULL: lambda data: _framed(data[4:]),
    LOOP: lambda data: _framed(data[4:]),
    PPPOE: lambda data: _framed(data[8:]),
    LINUX_SLL: lambda data: _typed(data, 14, 16),
    LINUX_SLL2: lambda data: _typed(data, 0, 20),
    NFLOG: lambda data: _framed(_nflog_payload(data)),
    WIFI: _wifi,
    WIFI_RADIOTAP: _wifi_behind,
    WIFI_PPI: _wifi_behind,
}
"""How to get from the frame of a link type to an Ethernet one."""
