"""Tell which lines are new in a file that is written anew each time, such as a leases file.

The newest lines are known by digests, and the whole file by another, so that a change anywhere
is seen however long it is. A last line without its end may be half of one: it is taken once
the file stood still from one look to the next.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.collect.blocks import MAX_LINE_BYTES, Block, blocks
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_LINES = 20_000
"""How many lines are kept apart, the last ones; a home has no more leases. Kea adds a line with
each change until it cleans up, so the newest stand at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look found. ``lines`` are the new ones, each with a block that tells its place."""

    changed: bool
    lines: list[tuple[bytes, Block]]
    rejects: list[Reject]
    bookmark: dict[str, object]


def look(path: Path, held: Mapping[str, object], *, final: bool, header: bool) -> Seen:
    """Return what is new since the bookmark ``held``; with ``header`` the first line always.

    Raises:
        OSError: the file cannot be read.
    """
    lines = _Lines(known=_known(held), header=header)
    rejects: list[Reject] = []
    end = 0
    for block in blocks(path, 0, final=False):
        rejects.extend(block.rejects)
        lines.add(block.lines, block.start)
        end = block.end
    rest = [line for block in blocks(path, end, final=True) for line in block.lines]
    rest = [line for line in rest if len(line) <= MAX_LINE_BYTES]  # others were refused above
    seen = f"{lines.whole.hexdigest()}:{_digest(rest[-1]) if rest else ''}"
    settled = final or not rest or held.get("seen") == seen
    lines.add([line for line in rest if settled or lines.knows(_digest(line))], end)
    if lines.passed_by():
        reason = f"more than {MAX_LINES} lines are new: older ones were passed by"
        rejects.append(Reject(reason=reason, place=f"before line {lines.number - MAX_LINES + 1}"))
    return Seen(
        changed=held.get("seen") != seen or held.get("settled") is not settled,
        lines=lines.new(),
        rejects=rejects,
        bookmark={"lines": list(lines.newest), "seen": seen, "settled": settled},
    )


@dataclass(slots=True, kw_only=True)
class _Lines:
    """The lines so far; ``known`` is None when the file was never read: then all are new."""

    known: frozenset[object] | None
    header: bool
    number: int = 0
    newest: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    whole: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=8))
    _first: list[tuple[bytes, Block]] = field(default_factory=list)
    _fresh: deque[tuple[int, int, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._fresh = deque(maxlen=None if self.known is None else MAX_LINES)

    def add(self, lines: list[bytes], start: int) -> None:
        """Take lines that stand one after the other from byte ``start`` on."""
        for line in lines:
            self.whole.update(line + b"\n")
            digest = _digest(line)
            self.newest.append(digest)
            if self.header and start == 0:
                self._first.append((line, _place(line, start)))
            elif not self.knows(digest):
                self._fresh.append((self.number, start, line))
            self.number += 1
            start += len(line) + 1

    def knows(self, digest: str) -> bool:
        """Tell whether a line was there before."""
        return self.known is not None and digest in self.known

    def passed_by(self) -> bool:
        """Tell whether there may be new lines before those that are kept apart."""
        if self.known is None or self.number <= MAX_LINES:
            return False
        return not self.knows(self.newest[0])

    def new(self) -> list[tuple[bytes, Block]]:
        """Return the header and the new lines, in order."""
        since = 0 if self.known is None else self.number - MAX_LINES
        fresh = [(line, _place(line, at)) for number, at, line in self._fresh if number >= since]
        return self._first + fresh


def _known(held: Mapping[str, object]) -> frozenset[object] | None:
    lines = held.get("lines")
    return frozenset(lines) if lines and isinstance(lines, list) else None


def _digest(line: bytes) -> str:
    return hashlib.blake2b(line, digest_size=6).hexdigest()


def _place(line: bytes, start: int) -> Block:
    return Block(lines=[line], start=start, end=start + len(line) + 1)
