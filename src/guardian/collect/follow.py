"""Read what is unread of a text log that grows, is renamed, or is cut to nothing.

A log is known by its first line, not by its inode: a copy made by ``copytruncate``
or a compressed one is then still the log that was read, and its rest is read first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.collect import compressed
from guardian.collect.blocks import Block, blocks
from guardian.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_HEAD_BYTES = 4096
MAX_ROTATED = 400
"""How many rotated files beside a log are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a log was read: its first line's digest and the offset in plain bytes."""

    head: str
    offset: int

    def as_json(self) -> dict[str, object]:
        """Return the mark for a bookmark."""
        return {"head": self.head, "offset": self.offset}

    @classmethod
    def from_json(cls, value: object) -> Mark | None:
        """Return the mark of a bookmark, or None when it has none."""
        if not isinstance(value, dict) or not value.get("head"):
            return None
        return cls(head=str(value["head"]), offset=int(value["offset"]))


def unread(path: Path, mark: Mark | None, *, final: bool) -> Iterator[tuple[Block, Mark]]:
    """Yield the blocks after ``mark``, oldest first, each with the mark behind it.

    Raises:
        CollectorError: the log cannot be read.
    """
    try:
        for file, head, offset in _parts(path, mark, final=final):
            whole = final or file != path  # a rotated file does not grow any more
            for block in blocks(file, offset, final=whole):
                yield block, Mark(head=head, offset=block.end)
    except OSError as error:
        msg = f"cannot read {error.filename or path}: {error.strerror or error}"
        raise CollectorError(msg) from error


def _parts(path: Path, mark: Mark | None, *, final: bool) -> list[tuple[Path, str, int]]:
    head = _head(path, final=final)
    if mark is None:
        return [(path, head, 0)] if head else []
    if head == mark.head and (compressed.is_compressed(path) or path.stat().st_size >= mark.offset):
        return [(path, head, mark.offset)]
    rest: list[tuple[Path, str, int]] = []
    siblings = [
        file for file in path.parent.glob(f"{path.name}[.-]*") if file.is_file() and file != path
    ]
    siblings.sort(key=lambda file: file.stat().st_mtime_ns)
    for file in siblings[-MAX_ROTATED:]:
        this = _head(file, final=True)
        if this == mark.head:
            rest = [(file, this, mark.offset)]
        elif rest and this:
            rest.append((file, this, 0))
    return [*rest, (path, head, 0)] if head else rest


def _head(path: Path, *, final: bool) -> str:
    """Return the digest of a log's first line; empty while it has none."""
    text = compressed.head(path, MAX_HEAD_BYTES)
    end = text.find(b"\n") + 1
    if not end and (not text or (not final and len(text) < MAX_HEAD_BYTES)):
        return ""
    return hashlib.blake2b(text[: end or len(text)], digest_size=8).hexdigest()
