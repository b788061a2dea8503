"""Follow a log that grows, is rotated by rename or copytruncate, and compressed later.

A log file is known by its first bytes (and its inode, where two begin alike), never by
its name: the copy that ``copytruncate`` leaves, a renamed or a compressed file is then
still the file that was read, and its rest is read before the one that took its place
(``tail_files``).

What this guarantees: every whole line is yielded exactly once, in order, over any
sequence of append, rename, compression and restart, as long as a rotated file stays
until it was read, or is held open (``tail_held``). ``copytruncate`` itself loses what is
written between its copy and its truncation, and nobody can say so afterwards; what was
read before is not repeated.

The very first reading of a log that is followed begins with its rotated files of the last
``first_days``, oldest first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from guardian.collect import compressed, tail_files
from guardian.collect.tail_files import Unreadable
from guardian.collect.tail_lines import LineReader, Part
from guardian.errors import CollectorError
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.collect.tail_files import Seen
    from guardian.collect.tail_held import Held
    from guardian.collect.tail_mark import Chunk, Mark

GONE_S = 60.0
"""So long after its folder last changed, a log that is not there is missed, not being rotated."""

GONE = "the log that was read before is gone: what followed was not read"
"""Why a log is refused from a byte on: it was rotated to where it is not looked for, or deleted."""

_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Tailer:
    """Read one log, its rotated files included."""

    path: Path
    max_line_bytes: int = 4 << 20
    chunk_bytes: int = 32 << 20
    first_days: float = 0.0
    """So far back the first reading takes in rotated files, by when they were last written."""
    reuse: bool = False
    """Give chunks as views of one buffer, each to be used before the next is asked for: fresh
    memory for every chunk takes longer than reading it."""
    held: Held | None = None
    """What keeps the log open from one reading to the next."""

    def unread(self, mark: Mark | None, *, final: bool = False) -> Iterator[Chunk]:
        """Yield what is after ``mark``, oldest first; without one, what a first reading takes.

        ``final`` says that this file was named by itself, and will not grow: without a
        mark its rotated files are left alone.

        Raises:
            CollectorError: a file cannot be read, or not further; what was readable
                has been yielded before.
        """
        errors: list[str] = []  # a broken rotated file does not keep us from its successors
        rejects: list[Reject] = []  # what is missing before the next chunk
        try:
            for part in list(self._parts(mark, final=final)):
                if isinstance(part, CollectorError):
                    errors.append(str(part))
                    continue
                if isinstance(part, Reject):
                    rejects.append(part)
                    continue
                if isinstance(part, Unreadable):
                    errors.append(f"cannot read {part.path}: {part.why}")
                    rejects.append(_missing(part))
                    continue
                if not _is_still(part):
                    break  # renamed under our hands: the next call finds it again
                for chunk in self._chunks(part, errors):
                    missing, rejects = tuple(rejects), []
                    yield replace(chunk, rejects=missing + chunk.rejects) if missing else chunk
        except OSError as error:
            msg = f"cannot read {error.filename or self.path}: {error.strerror or error}"
            raise CollectorError(msg) from error
        if errors:
            raise CollectorError("; ".join(errors))

    def _parts(
        self, mark: Mark | None, *, final: bool
    ) -> Iterator[Part | Unreadable | Reject | CollectorError]:
        current = tail_files.look(self.path, final=final)
        if mark is None:
            yield from self._first_parts(current, final=final)
            return
        if current is not None and current.is_surely(mark):
            yield Part.after(current, mark, final=final)
            return
        held = self.held.seen(self.path, mark) if self.held is not None else None
        found = tail_files.find(self.path, mark, current, mark.mtime_ns, held)
        if found.own is not None and found.own is current:
            yield Part.after(current, mark, final=final)
            return
        # A renamed file may still be written to until its successor has a line.
        over = final or current is not None
        if found.own is not None:
            final_own = over or found.own.packed
            yield Part.after(found.own, mark, final=final_own, held=found.own is held)
        elif found.gone and not 0 <= mark.end <= mark.offset and not self._holds(mark):
            place = f"{self.path.name} byte {mark.offset}"
            yield Reject(reason=GONE, place=place, sample=b"")
        yield from _whole(found.newer, final=over)
        if current is not None:
            yield Part.after(current, None, final=final)
        elif not self.path.exists() and _unchanged_s(self.path.parent) > GONE_S:
            msg = f"{self.path}: the log is gone, and no other has taken its place"
            yield CollectorError(msg)  # after what was left of it

    def _first_parts(self, current: Seen | None, *, final: bool) -> Iterator[Part | Unreadable]:
        back = not final and self.first_days > 0 and self.path.parent.is_dir()
        since_ns = time.time_ns() - int(self.first_days * _DAY_NS)
        rotated = tail_files.find(self.path, None, current, since_ns).newer if back else []
        if current is None and not rotated and not self.path.exists():
            msg = f"{self.path}: no such file"
            raise CollectorError(msg)
        yield from _whole(rotated, final=current is not None)
        if current is not None:
            yield Part.after(current, None, final=final)

    def _holds(self, mark: Mark) -> bool:
        """Tell whether the file of the mark is open still: then it was cut, and is not gone."""
        return self.held is not None and self.held.inode() == mark.inode

    def _chunks(self, part: Part, errors: list[str]) -> Iterator[Chunk]:
        with self._opened(part) as file:
            plain = not part.seen.packed
            if self.held is not None and part.seen.path == self.path and plain and not part.final:
                # What was held is let go when the mark has left it: only then was it stored.
                self.held.keep(file.fileno(), instead=part.offset > 0)
            reader = LineReader(
                part=part,
                file=file,
                limit=self.max_line_bytes,
                chunk_bytes=self.chunk_bytes,
                reuse=self.reuse and not part.seen.packed,
            )
            yield from reader.chunks()
            if reader.error:
                errors.append(reader.error)

    def _opened(self, part: Part) -> BinaryIO:
        if part.held and self.held is not None:
            return self.held.open()
        return compressed.open_plain(part.seen.path)


def _whole(files: list[Seen | Unreadable], *, final: bool) -> Iterator[Part | Unreadable]:
    for each in files:
        if isinstance(each, Unreadable):
            yield each
        else:
            yield Part.after(each, None, final=final or each.packed)


def _missing(file: Unreadable) -> Reject:
    """Count a file once, with the first lines that are read after it."""
    reason = f"a rotated log was not read: {file.why}"
    return Reject(reason=reason, place=str(file.path), sample=b"")


def _is_still(part: Part) -> bool:
    """Tell whether the path still names the file that was looked at."""
    if part.held:
        return True
    seen = tail_files.look(part.seen.path, final=part.final)
    return (
        seen is not None
        and seen.inode == part.seen.inode
        and seen.start.startswith(part.seen.start)
    )


def _unchanged_s(folder: Path) -> float:
    return time.time() - tail_files.mtime(folder) / 1e9
