"""Walk through the frames of a capture file without dissecting them: pcap and pcapng.

Plain or compressed, in bounded memory. Only a few bytes of a frame are looked at until
somebody wants it, so that a large capture costs about a second a million frames.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from guardian.collect import compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Wanted = Callable[[int, bytes, int, int], bool]
    # Given link type, buffer, where the frame begins and where it ends: is it wanted?

CHUNK_BYTES = 4 << 20
MAX_FRAME_BYTES = 1 << 20
"""A longer frame cannot be: what claims to be one is damage."""

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _ENHANCED, _SIMPLE, _OLD_PACKET = 0x0A0D0D0A, 1, 6, 3, 2


class DamagedError(Exception):
    """The capture cannot be read further; the message says why and where."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was wanted: when it was captured (seconds), its link type and its bytes."""

    ts: float
    link: int
    data: bytes


def frames(path: Path, wanted: Wanted) -> Iterator[Frame]:
    """Yield the wanted frames in order.

    Raises:
        DamagedError: it is no capture, or is cut or damaged; what came before is good.
        OSError: it cannot be opened.
    """
    with compressed.open_plain(path) as stream:
        window = _Window(stream)
        if not window.need(24):
            msg = "it ends within its header"
            raise DamagedError(msg)
        magic = bytes(window.data[:4])
        if magic in _PCAP:
            yield from _pcap(window, *_PCAP[magic], wanted)
        elif magic == _PCAPNG:
            yield from _pcapng(window, wanted)
        else:
            msg = "it is neither pcap nor pcapng"
            raise DamagedError(msg)


class _Window:
    """The part of a file that is in memory, and how far it was used."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._piece = getattr(stream, "read1", stream.read)
        self.data = b""
        self.at = 0
        self.base = 0
        self.broken = ""

    def need(self, size: int) -> bool:
        """Have ``size`` bytes from ``at`` on in memory; False when the file ends before."""
        if len(self.data) - self.at >= size:
            return True
        self.base += self.at
        parts = [self.data[self.at :]]
        have = len(parts[0])
        self.at = 0
        while have < max(size, CHUNK_BYTES):
            try:
                part = self._piece(1 << 20)
            except compressed.BROKEN_STREAM as error:
                self.broken = str(error)
                break
            if not part:
                break
            parts.append(part)
            have += len(part)
        self.data = b"".join(parts)
        return have >= size

    def ended(self) -> None:
        """Say that the file ends here, if it should not.

        Raises:
            DamagedError: it ends within a record.
        """
        if self.broken or self.at < len(self.data):
            msg = self.broken or "the file ends within a record"
            raise DamagedError(f"byte {self.base + self.at}: {msg}")


def _pcap(window: _Window, order: str, unit: int, wanted: Wanted) -> Iterator[Frame]:
    header = struct.Struct(f"{order}IIII")
    link = struct.unpack_from(f"{order}I", window.data, 20)[0] & 0xFFFF
    window.at = 24
    unpack = header.unpack_from
    while window.need(16):
        data = window.data
        at, end = window.at, len(data)
        while at + 16 <= end:
            seconds, part, size, _ = unpack(data, at)
            if size > MAX_FRAME_BYTES:
                window.at = at
                msg = f"byte {window.base + at}: a frame of {size} bytes"
                raise DamagedError(msg)
            begin = at + 16
            after = begin + size
            if after > end:
                break
            if wanted(link, data, begin, after):
                yield Frame(seconds + part / unit, link, data[begin:after])
            at = after
        window.at = at
        if at + 16 <= end and not window.need(16 + size):  # the frame is only partly in memory
            break
    window.ended()


def _pcapng(window: _Window, wanted: Wanted) -> Iterator[Frame]:
    order = "<"
    links: list[tuple[int, float]] = []
    while window.need(12):
        kind, size = struct.unpack_from(f"{order}II", window.data, window.at)
        if kind == _SECTION:
            order = (
                "<" if window.data[window.at + 8 : window.at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            )
            size = struct.unpack_from(f"{order}I", window.data, window.at + 4)[0]
            links = []
        if size < 12 or size % 4 or size > MAX_FRAME_BYTES + 4096:
            msg = f"byte {window.base + window.at}: a block of {size} bytes"
            raise DamagedError(msg)
        if not window.need(size):
            break
        data, at = window.data, window.at
        window.at = at + size
        if kind == _INTERFACE and size >= 20:
            links.append(_interface(data, at, size, order))
        elif kind == _ENHANCED and size >= 32:
            number, high, low, have = struct.unpack_from(f"{order}IIII", data, at + 8)
            if number >= len(links) or have > size - 32:
                continue
            link, tick = links[number]
            begin = at + 28
            if wanted(link, data, begin, begin + have):
                yield Frame(((high << 32) | low) * tick, link, data[begin : begin + have])
    window.ended()


def _interface(data: bytes, at: int, size: int, order: str) -> tuple[int, float]:
    """Return an interface's link type and how long one tick of its clock is."""
    link = struct.unpack_from(f"{order}H", data, at + 8)[0]
    tick = 1e-6
    option, end = at + 16, at + size - 4
    while option + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", data, option)
        if code == 0:
            break
        if code == 9 and length == 1 and option + 4 < end:  # if_tsresol
            value = data[option + 4]
            tick = 2.0 ** -(value & 0x7F) if value & 0x80 else 10.0 ** -min(value, 12)
        option += 4 + (length + 3) // 4 * 4
    return link, tick
