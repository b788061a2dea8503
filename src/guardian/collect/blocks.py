"""Read the whole lines of a log in blocks, in bounded memory, compressed or not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO

from guardian.collect import compressed
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_BYTES = 16 << 20
"""How much is read and turned into columns at once."""

MAX_LINE_BYTES = 1 << 20
"""A longer line is refused: no record is that long, and memory is bounded."""

SAMPLES = 50
"""How many refused lines of one batch and reason are kept with their places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole lines of a log, and where the next one begins (in plain bytes)."""

    lines: list[bytes]
    start: int
    end: int
    rejects: tuple[Reject, ...] = ()
    _starts: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    def place(self, index: int) -> str:
        """Return where a line of the block begins."""
        if not self._starts:  # reckoned once, and only for a block with a line to place
            lengths = (len(line) + 1 for line in self.lines)
            self._starts.extend(accumulate(lengths, initial=self.start))
        return f"byte {self._starts[index]}"


class Refused:
    """Count the lines that are refused by reason, and keep the first of each with its place."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Reject]] = {}
        self._more: dict[str, int] = {}

    def add(self, reason: str, block: Block, index: int) -> None:
        """Refuse a line of a block."""
        kept = self._kept.setdefault(reason, [])
        if len(kept) < SAMPLES:
            sample = block.lines[index][:2000]
            kept.append(Reject(reason=reason, place=block.place(index), sample=sample))
        else:
            self._more[reason] = self._more.get(reason, 0) + 1

    def found(self) -> tuple[Reject, ...]:
        """Return the refused lines; the last of a reason stands for all that are not kept."""
        rejects: list[Reject] = []
        for reason, kept in self._kept.items():
            last = replace(kept[-1], count=1 + self._more.get(reason, 0))
            rejects += [*kept[:-1], last]
        return tuple(rejects)


def blocks(file: Path, offset: int, *, final: bool, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield the whole lines after ``offset`` (in plain bytes), block by block.

    A last line without its newline is left for later, unless ``final``. A damaged
    compressed log gives what can be read, then a refusal that says where it broke.

    Raises:
        OSError: it cannot be opened.
    """
    with compressed.open_plain(file) as stream:
        yield from _blocks(stream, offset, final=final, size=size)


def _blocks(stream: BinaryIO, offset: int, *, final: bool, size: int) -> Iterator[Block]:
    position, rest, skipping = offset, b"", False
    broken: str | None = None
    ended = False
    try:
        stream.seek(offset)
    except compressed.BROKEN_STREAM:
        return
    while not ended:
        data, broken = _fill(stream, size)
        ended = not data or broken is not None
        data = rest + data
        if skipping:
            gone = data.find(b"\n") + 1
            skipping = not gone
            position += gone or len(data)
            data = data[gone or len(data) :]
        cut = len(data) if ended and final else data.rfind(b"\n") + 1
        lines, rest, start = data[:cut], data[cut:], position
        position += cut
        rejects: list[Reject] = []
        if len(rest) > MAX_LINE_BYTES:
            rejects.append(_reject("line too long", position, rest))
            position, rest, skipping = position + len(rest), b"", True
        if broken is not None:
            rejects.append(_reject(broken[:200], position, b""))
        if lines or rejects:
            yield Block(
                lines=lines.removesuffix(b"\n").split(b"\n") if lines else [],
                start=start,
                end=position,
                rejects=tuple(rejects),
            )


def _fill(stream: BinaryIO, size: int) -> tuple[bytes, str | None]:
    """Read a block in small pieces, so that nothing before a damaged place is lost."""
    parts: list[bytes] = []
    missing = size
    piece = getattr(stream, "read1", stream.read)
    try:
        while missing > 0 and (part := piece(min(missing, 1 << 16))):
            parts.append(part)
            missing -= len(part)
    except compressed.BROKEN_STREAM as error:
        return b"".join(parts), f"the file is damaged: {error}"
    return b"".join(parts), None


def _reject(reason: str, position: int, sample: bytes) -> Reject:
    return Reject(reason=reason, place=f"byte {position}", sample=sample[:2000])
