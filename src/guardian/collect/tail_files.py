"""Tell a log and the files it was rotated into apart, and which of them was read how far.

A file is known by its first bytes, as many as were read of it (``HEAD_BYTES`` at most). Where
no more was read than what all begin with, such as the names of the columns, its inode tells,
and then its time: a log was not written before it was last read.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.collect import compressed

if TYPE_CHECKING:
    from guardian.collect.tail_mark import Mark

HEAD_BYTES = 4096
"""How many of a file's first bytes identify it."""

MAX_ROTATED = 400
"""How many rotated files beside a log are looked at, the newest; more are never opened."""

DIGEST_BYTES = 12

SAME_TIME_NS = 2 * 10**9
"""Who packs a file keeps its time, some in whole seconds."""

_STAMP = r"[.-][0-9][0-9T:_.-]*"  # what logrotate and Suricata put into a rotated name


def rotated_files(log: Path) -> list[Path]:
    """Return the files beside a log that have the name of one it was rotated into, oldest first.

    Raises:
        OSError: its folder cannot be listed.
    """
    found: list[Path] = []
    for each in _names(log):
        name, stem, suffix = map(re.escape, (each.name, each.stem, each.suffix))
        rotated = re.compile(f"(?:{name}{_STAMP}|{stem}{_STAMP}{suffix})(?:[.](?:gz|zst))?")
        found += [path for path in each.parent.iterdir() if rotated.fullmatch(path.name)]
    return sorted((path for path in found if path != log and path.is_file()), key=mtime)


def _names(log: Path) -> list[Path]:
    """Return a log and, where it is a link to a file in another folder, that file."""
    real = Path(os.path.realpath(log)) if log.is_symlink() else log
    return [log, real] if real.parent != log.parent and real.parent.is_dir() else [log]


def _with_inode(log: Path, inode: int) -> list[Path]:
    """Return the file of this inode beside a log, whatever its name is now."""
    found: list[Path] = []
    for each in _names(log):
        with os.scandir(each.parent) as entries:
            found += [
                Path(entry.path)
                for entry in entries
                if entry.inode() == inode and entry.name != each.name and entry.is_file()
            ]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A file that begins with a whole line (or will not grow), and its first plain bytes."""

    path: Path
    start: bytes
    inode: int
    size: int
    mtime_ns: int
    packed: bool

    def is_marked(self, mark: Mark) -> bool:
        """Tell whether this may be the file of the mark, not cut since."""
        if not self.packed and self.size < mark.offset:
            return False
        if not mark.begin_bytes:
            return first_line(self.start, len(mark.head) // 2) == mark.head
        begin = self.start[: mark.begin_bytes]
        same = len(begin) == mark.begin_bytes
        return same and digest(begin, len(mark.begin) // 2) == mark.begin

    def is_told_by(self, mark: Mark) -> bool:
        """Tell whether the mark knows more of its file than a first line, that others may have."""
        return not mark.begin_bytes or mark.begin_bytes > self.start.find(b"\n") + 1

    def is_surely(self, mark: Mark) -> bool:
        """Tell whether this is the file of the mark, whatever else there is."""
        return self.inode == mark.inode and self.is_marked(mark) and self.is_told_by(mark)

    def repeats(self, other: Seen) -> bool:
        """Tell whether there is nothing in this file that is not in the other."""
        if self.inode == other.inode and not self.packed and not other.packed:
            return True
        either_packed = self.packed or other.packed
        return other.start.startswith(self.start) and (either_packed or self.size == other.size)

    def is_copy_of(self, log: Seen) -> bool:
        """Tell the copy of a log that is not truncated yet, or that is still being made."""
        return self.repeats(log) or (log.start.startswith(self.start) and self.size < log.size)


def look(path: Path, *, final: bool) -> Seen | None:
    """Return what a file is, or None while it has no whole first line (or is gone).

    Raises:
        OSError: it cannot be read.
    """
    try:
        packed = compressed.is_compressed(path)
        state = path.stat()
        start = compressed.head(path, HEAD_BYTES)
    except FileNotFoundError:
        return None
    whole = final or packed or len(start) >= HEAD_BYTES or b"\n" in start
    if not start or not whole:
        return None
    return Seen(
        path=path,
        start=start,
        inode=state.st_ino,
        size=state.st_size,
        mtime_ns=state.st_mtime_ns,
        packed=packed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that cannot be read, which may hold what was not read yet."""

    path: Path
    inode: int
    mtime_ns: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The file of a mark, and what was written after it, oldest first.

    ``gone`` says that there is no such file any more, nor one that was cut since.
    """

    own: Seen | None
    newer: list[Seen | Unreadable]
    gone: bool


def find(
    log: Path, mark: Mark | None, current: Seen | None, since_ns: int, held: Seen | None = None
) -> Found:
    """Find what a log was rotated into: the file of the mark, and those written after it.

    ``current`` is the log as it is now, which may be the file of the mark itself; ``held`` is
    the file of the mark where it is open still, wherever it is now. Without
    that file (or without a mark) those count that were written after ``since_ns``. Older ones
    are not opened, unless the file of the mark is not among the others.

    Raises:
        OSError: the folder cannot be listed.
    """
    inode = mark.inode if mark is not None else None
    paths = rotated_files(log)[-MAX_ROTATED:]
    # Of another name: the file of the mark, or any that was given its inode since.
    strange = set(_with_inode(log, inode)).difference(paths) if inode is not None else set()
    paths += sorted(strange)
    fresh: list[Path] = []
    older: list[Path] = []
    inodes = {state.st_ino} if (state := _state(log)) else set()
    for path in paths:
        state = _state(path)
        if state is not None:
            if path not in strange:
                inodes.add(state.st_ino)
            new = state.st_ino == inode or state.st_mtime_ns > since_ns - SAME_TIME_NS
            (fresh if new else older).append(path)
    seen, unreadable = _looked(fresh)
    unreadable = [each for each in unreadable if each.path not in strange]
    seen = _others([*seen, held] if held is not None else seen, current, inode)
    logs = [current] if current is not None else []
    own = _own(mark, [*seen, *logs]) if mark is not None else None
    if mark is not None:  # not among them, or older than it was: somebody set its time
        rest = [path for path in older if own is None or mtime(path) > own.mtime_ns]
        seen = _others(seen + _looked(rest)[0], current, inode)
        own = own or _own(mark, [*seen, *logs])
    after_ns = own.mtime_ns if own is not None else since_ns
    newer: list[Seen | Unreadable] = [
        each
        for each in seen
        if each is not own and each.mtime_ns > after_ns and each.path not in strange
    ]
    # Without the file of the mark, any of these may be it.
    newer += [x for x in unreadable if x.mtime_ns > after_ns or (mark is not None and own is None)]
    return Found(
        own=own,
        newer=sorted(newer, key=lambda each: (each.mtime_ns, str(each.path))),
        gone=own is None and inode not in inodes and not unreadable,
    )


def _looked(paths: list[Path]) -> tuple[list[Seen], list[Unreadable]]:
    """Return what files are, and which of them cannot be read."""
    seen: list[Seen] = []
    unreadable: list[Unreadable] = []
    for path in paths:
        why = "damaged at its beginning"
        try:
            found = look(path, final=True)
            if found is not None:
                seen.append(found)
                continue
            if not _is_broken(path):
                continue
        except OSError as error:
            why = error.strerror or str(error)
        state = _state(path)
        if state is not None and not _is_being_packed(path):
            unreadable.append(
                Unreadable(path=path, inode=state.st_ino, mtime_ns=state.st_mtime_ns, why=why)
            )
    return seen, unreadable


def _is_broken(path: Path) -> bool:
    """Tell a compressed file of which nothing can be read from one that holds nothing."""
    if not compressed.is_compressed(path):
        return False
    with compressed.open_plain(path) as file:
        try:
            file.read(1)
        except compressed.BROKEN_STREAM:
            return True
    return False


def _is_being_packed(path: Path) -> bool:
    """Tell a compressed file beside the plain one that it is made from."""
    return path.suffix in {".gz", ".zst"} and path.with_suffix("").is_file()


def _others(seen: list[Seen], current: Seen | None, inode: int | None) -> list[Seen]:
    """Return each content once, without the copies of the log that is being written."""
    if current is None:
        return _distinct(seen)
    return [
        each
        for each in _distinct(seen)
        if each.inode == inode != current.inode or not each.is_copy_of(current)
    ]


def _distinct(files: list[Seen]) -> list[Seen]:
    """Return each content once, plain before packed."""
    kept: list[Seen] = []
    for each in sorted(files, key=lambda each: (each.packed, -len(each.start))):
        if not any(each.repeats(other) for other in kept):
            kept.append(each)
    return kept


def _own(mark: Mark, files: list[Seen]) -> Seen | None:
    """Return the file of the mark: of several that begin alike, the first written after it."""
    matches = [each for each in files if each.is_marked(mark)]
    if not any(each.is_told_by(mark) for each in matches):
        # An inode alone says little: a log that is made anew often gets that of the last.
        later = [x for x in matches if x.inode == mark.inode or x.mtime_ns > mark.mtime_ns]
        if later or len(matches) > 1:
            return min(later, key=lambda x: (x.mtime_ns, x.inode != mark.inode), default=None)
    early_ns = mark.mtime_ns - SAME_TIME_NS
    return min(
        matches,
        key=lambda x: (x.inode != mark.inode, x.mtime_ns < early_ns, x.mtime_ns),
        default=None,
    )


def first_line(start: bytes, size: int = DIGEST_BYTES) -> str:
    """Return the digest of a file's first line, as far as it is among its first bytes.

    ``size`` is in bytes: the marks of older versions have shorter digests.
    """
    return digest(start[: start.find(b"\n") + 1 or len(start)], size)


def digest(data: bytes, size: int = DIGEST_BYTES) -> str:
    """Return a digest of so many bytes, in hexadecimal."""
    return hashlib.blake2b(data, digest_size=size or DIGEST_BYTES).hexdigest()


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def mtime(path: Path) -> int:
    """Return when a file was last written, in nanoseconds; 0 when it is gone."""
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
