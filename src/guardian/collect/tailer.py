"""Follow a log that grows, is rotated by rename or copytruncate, and compressed later.

A log file is known by its first line (and its inode, where two begin alike), never by
its name: the copy that ``copytruncate`` leaves, a renamed or a compressed file is then
still the file that was read, and its rest is read before the one that took its place.

What this guarantees: every whole line is yielded exactly once, in order, over any
sequence of append, rename, compression and restart, as long as a rotated file stays
until it was read. ``copytruncate`` itself loses what is written between its copy and
its truncation, and nobody can say so afterwards; what was read before is not repeated.

The very first reading of a log that is followed begins with its rotated files of the last
``first_days``, oldest first.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from guardian.collect import compressed
from guardian.collect.tail_mark import Chunk, Mark
from guardian.errors import CollectorError
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_BYTES = 4096
"""How much of a first line identifies a file."""

MAX_ROTATED = 400
"""How many rotated files beside a log are looked at, the newest; more are never opened."""

GONE_S = 60.0
"""So long after its folder last changed, a log that is not there is missed, not being rotated."""

DIGEST_BYTES = 12

_DAY_NS = 86_400 * 10**9

_STAMP = r"[.-][0-9][0-9T:_.-]*"  # what logrotate and Suricata put into a rotated name


def rotated_files(log: Path) -> list[Path]:
    """Return the files beside a log that have the name of one it was rotated into, oldest first.

    Raises:
        OSError: its folder cannot be listed.
    """
    name, stem, suffix = map(re.escape, (log.name, log.stem, log.suffix))
    rotated = re.compile(f"(?:{name}{_STAMP}|{stem}{_STAMP}{suffix})(?:[.](?:gz|zst))?")
    found = (path for path in log.parent.iterdir() if rotated.fullmatch(path.name))
    return sorted((path for path in found if path != log and path.is_file()), key=_mtime)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A file with something to read: from where, and whether it will grow."""

    path: Path
    head: str
    inode: int
    mtime_ns: int
    offset: int
    skipping: bool
    final: bool
    packed: bool


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

    def unread(self, mark: Mark | None, *, final: bool = False) -> Iterator[Chunk]:
        """Yield what is after ``mark``, oldest first; without one, what a first reading takes.

        ``final`` says that this file was named by itself, and will not grow: without a
        mark its rotated files are left alone.

        Raises:
            CollectorError: a file cannot be read, or not further; what was readable
                has been yielded before.
        """
        errors: list[str] = []  # a broken rotated file does not keep us from its successors
        try:
            for part in list(self._parts(mark, final=final)):
                if not _is_still(part):
                    return  # renamed under our hands: the next call finds it again
                yield from self._chunks(part, errors)
        except OSError as error:
            msg = f"cannot read {error.filename or self.path}: {error.strerror or error}"
            raise CollectorError(msg) from error
        if errors:
            raise CollectorError("; ".join(errors))

    def _parts(self, mark: Mark | None, *, final: bool) -> Iterator[_Part]:
        current = _look(self.path, final=final, like=mark.head if mark else "")
        if mark is None:
            yield from self._first_parts(current, final=final)
            return
        if current is not None and current.continues(mark) and not self._replaced(current, mark):
            yield current.part(mark, final=final)
            return
        for seen in self._rotated(mark):
            own = mark if seen.head == mark.head else None
            # A renamed file may still be written to until its successor has a line.
            yield seen.part(own, final=final or current is not None or seen.packed)
        if current is not None:
            yield current.part(None, final=final)
        elif not self.path.exists() and _unchanged_s(self.path.parent) > GONE_S:
            msg = f"{self.path}: the log is gone, and no other has taken its place"
            raise CollectorError(msg)

    def _first_parts(self, current: _Seen | None, *, final: bool) -> Iterator[_Part]:
        back = not final and self.first_days > 0 and self.path.parent.is_dir()
        rotated = self._rotated(None) if back else []
        if current is None and not rotated and not self.path.exists():
            msg = f"{self.path}: no such file"
            raise CollectorError(msg)
        for seen in rotated:
            if current is None or seen.head != current.head:
                yield seen.part(None, final=current is not None or seen.packed)
        if current is not None:
            yield current.part(None, final=final)

    def _replaced(self, current: _Seen, mark: Mark) -> bool:
        """Tell whether the file of the mark was renamed and another begins just like it."""
        return current.inode != mark.inode and any(
            seen.inode == mark.inode for seen in self._rotated(mark)
        )

    def _rotated(self, mark: Mark | None) -> list[_Seen]:
        """Return the rotated files not wholly read, oldest first, each content once."""
        head = mark.head if mark else ""
        found: dict[str, _Seen] = {}
        for path in rotated_files(self.path)[-MAX_ROTATED:]:
            seen = _look(path, final=True, like=head)
            if seen is not None and (seen.head not in found or found[seen.head].packed):
                found[seen.head] = seen
        own = found.get(head)
        if own is not None:
            since = own.mtime_ns
        else:
            since = mark.mtime_ns if mark else time.time_ns() - int(self.first_days * _DAY_NS)
        return [
            seen
            for seen in sorted(found.values(), key=lambda seen: seen.order(head))
            if seen.head == head or seen.mtime_ns > since
        ]

    def _chunks(self, part: _Part, errors: list[str]) -> Iterator[Chunk]:
        with compressed.open_plain(part.path) as file:
            reader = _LineReader(
                part=part,
                file=file,
                limit=self.max_line_bytes,
                chunk_bytes=self.chunk_bytes,
                reuse=self.reuse and not part.packed,
            )
            yield from reader.chunks()
            if reader.error:
                errors.append(reader.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A file that begins with a whole line (or will not grow)."""

    path: Path
    head: str
    inode: int
    size: int
    mtime_ns: int
    packed: bool

    def continues(self, mark: Mark) -> bool:
        """Tell whether this is the file of the mark, not cut since."""
        return self.head == mark.head and (self.packed or self.size >= mark.offset)

    def order(self, first_head: str) -> tuple[bool, int, str]:
        """Return the key that puts the file of the mark first and the rest by age."""
        return (self.head != first_head, self.mtime_ns, str(self.path))

    def part(self, mark: Mark | None, *, final: bool) -> _Part:
        """Return what there is to read from the mark, or all of it."""
        return _Part(
            path=self.path,
            head=self.head,
            inode=self.inode,
            mtime_ns=self.mtime_ns,
            offset=mark.offset if mark else 0,
            skipping=mark.skipping if mark else False,
            final=final,
            packed=self.packed,
        )


class _LineReader:
    """Cut a file into chunks of whole lines, within bounds of memory."""

    def __init__(
        self, *, part: _Part, file: BinaryIO, limit: int, chunk_bytes: int, reuse: bool
    ) -> None:
        self._part = part
        self._file = file
        self._limit = limit
        self._chunk_bytes = max(chunk_bytes, limit + 1)
        # Anonymous pages: what is never read into is never touched.
        self._buffer = mmap.mmap(-1, self._chunk_bytes) if reuse else None
        self._offset = part.offset
        self._skipping = part.skipping
        self._rejects: list[Reject] = []
        self.error: str | None = None

    def chunks(self) -> Iterator[Chunk]:
        """Yield chunks; the mark of each stands behind its last line."""
        try:
            self._file.seek(self._offset)
        except compressed.BROKEN_STREAM as cause:
            self.error = f"{self._part.path}: broken before byte {self._offset}: {cause}"
            return
        carry = b""
        ended = False
        while not ended:
            block, ended = self._fill(carry)
            lines, carry = self._cut(block, last=ended and self._part.final and not self.error)
            end = self._offset
            if ended and self.error and carry:
                self._drop("cut off within a line", carry)
            if carry and not self._part.packed:
                self._file.seek(-len(carry), os.SEEK_CUR)  # cheaper than joining large blocks
                carry = b""
            if lines or self._rejects:
                yield self._chunk(lines, end)
        if self._skipping and self._offset > self._part.offset:
            yield self._chunk(b"", self._offset)

    def _fill(self, carry: bytes) -> tuple[bytes | memoryview, bool]:
        """Return what was left and what follows, up to a chunk; and whether the file ends."""
        wanted = self._chunk_bytes - len(carry)
        if self._buffer is not None:
            size = self._file.readinto(self._buffer)  # type: ignore[attr-defined] # a plain file
            return memoryview(self._buffer)[:size], size < wanted
        try:
            block = self._file.read(wanted)
        except compressed.BROKEN_STREAM:
            return self._fill_slowly(carry)
        # A plain file gives all that is asked for until its end, a packed one may give less.
        ended = not block if self._part.packed else len(block) < wanted
        return carry + block if carry else block, ended

    def _fill_slowly(self, carry: bytes) -> tuple[bytes, bool]:
        """Return what can still be read of a broken file."""
        blocks = [carry]
        with compressed.open_plain(self._part.path) as again:
            try:
                again.seek(self._offset + len(carry))
                while block := again.read(1024):
                    blocks.append(block)
            except compressed.BROKEN_STREAM as cause:
                block = b"".join(blocks)
                place = self._offset + len(block)
                self.error = f"{self._part.path}: broken at byte {place} of its content: {cause}"
                return block, True
        return b"".join(blocks), True

    def _cut(self, block: bytes | memoryview, *, last: bool) -> tuple[bytes | memoryview, bytes]:
        """Return the whole lines and what is left; pass over a line without an end."""
        whole = bytes(block) if self._buffer is None else self._buffer
        start = 0
        if self._skipping:
            start = whole.find(b"\n", 0, len(block)) + 1
            self._offset += start or len(block)
            if not start:
                return b"", b""
            self._skipping = False
        end = len(block) if last else whole.rfind(b"\n", start, len(block)) + 1 or start
        lines, rest = block[start:end], bytes(block[end:])
        self._offset += len(lines)
        if len(rest) > self._limit:
            self._drop("line too long", rest)
            self._skipping = True
            rest = b""
        return lines, rest

    def _drop(self, reason: str, rest: bytes) -> None:
        place = f"{self._part.path.name} byte {self._offset}"
        self._rejects.append(Reject(reason=reason, place=place, sample=rest[:2000]))
        self._offset += len(rest)

    def _chunk(self, lines: bytes | memoryview, end: int) -> Chunk:
        rejects, self._rejects = tuple(self._rejects), []
        part = self._part
        mark = Mark(
            head=part.head,
            inode=part.inode,
            offset=self._offset,
            mtime_ns=part.mtime_ns,
            skipping=self._skipping,
        )
        return Chunk(
            file=part.path.name, start=end - len(lines), data=lines, mark=mark, rejects=rejects
        )


def _look(path: Path, *, final: bool, like: str = "") -> _Seen | None:
    """Return what a file is, or None while it has no whole first line (or is gone).

    ``like`` is a digest of the length to use: bookmarks of older versions have shorter ones.
    """
    size = len(like) // 2 or DIGEST_BYTES
    try:
        packed = compressed.is_compressed(path)
        state = path.stat()
        head = _digest(compressed.head(path, HEAD_BYTES), final=final or packed, size=size)
    except FileNotFoundError:
        return None
    if head is None:
        return None
    return _Seen(
        path=path,
        head=head,
        inode=state.st_ino,
        size=state.st_size,
        mtime_ns=state.st_mtime_ns,
        packed=packed,
    )


def _digest(head: bytes, *, final: bool, size: int) -> str | None:
    """Return the digest of a first line; None while the line is not whole."""
    end = head.find(b"\n") + 1
    if not end and (not head or (not final and len(head) < HEAD_BYTES)):
        return None
    return hashlib.blake2b(head[: end or len(head)], digest_size=size).hexdigest()


def _is_still(part: _Part) -> bool:
    """Tell whether the path still names the file that was looked at."""
    seen = _look(part.path, final=part.final, like=part.head)
    return seen is not None and (seen.head, seen.inode) == (part.head, part.inode)


def _unchanged_s(folder: Path) -> float:
    return time.time() - _mtime(folder) / 1e9


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
