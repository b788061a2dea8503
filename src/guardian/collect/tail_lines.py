"""Cut a file into chunks of whole lines, and mark the place behind each."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from guardian.collect import compressed
from guardian.collect.tail_files import HEAD_BYTES, digest, first_line
from guardian.collect.tail_mark import Chunk, Mark
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.collect.tail_files import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file with something to read: from where, and whether it will grow.

    ``held`` says that its name is not known any more, but that it is open still.
    """

    seen: Seen
    offset: int
    skipping: bool
    final: bool
    held: bool = False

    @classmethod
    def after(cls, seen: Seen, mark: Mark | None, *, final: bool, held: bool = False) -> Part:
        """Return what there is to read of a file from the mark, or all of it."""
        return cls(
            seen=seen,
            offset=mark.offset if mark else 0,
            skipping=mark.skipping if mark else False,
            final=final,
            held=held,
        )


class LineReader:
    """Cut a file into chunks of whole lines, within bounds of memory."""

    def __init__(
        self, *, part: Part, file: BinaryIO, limit: int, chunk_bytes: int, reuse: bool
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
            self.error = f"{self._part.seen.path}: broken before byte {self._offset}: {cause}"
            return
        carry = b""
        ended = False
        while not ended:
            block, ended = self._fill(carry)
            lines, carry = self._cut(block, last=ended and self._part.final and not self.error)
            end = self._offset
            if ended and self.error and carry:
                self._drop("cut off within a line", carry)
            if carry and not self._part.seen.packed:
                self._file.seek(-len(carry), os.SEEK_CUR)  # cheaper than joining large blocks
                carry = b""
            if lines or self._rejects:
                yield self._chunk(lines, end, over=ended and self._part.final)
        if self._skipping and self._offset > self._part.offset:
            yield self._chunk(b"", self._offset, over=self._part.final)

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
        ended = not block if self._part.seen.packed else len(block) < wanted
        return carry + block if carry else block, ended

    def _fill_slowly(self, carry: bytes) -> tuple[bytes, bool]:
        """Return what can still be read of a broken file."""
        blocks = [carry]
        with compressed.open_plain(self._part.seen.path) as again:
            try:
                again.seek(self._offset + len(carry))
                while block := again.read(1024):
                    blocks.append(block)
            except compressed.BROKEN_STREAM as cause:
                block = b"".join(blocks)
                place = self._offset + len(block)
                self.error = (
                    f"{self._part.seen.path}: broken at byte {place} of its content: {cause}"
                )
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
        place = f"{self._part.seen.path.name} byte {self._offset}"
        self._rejects.append(Reject(reason=reason, place=place, sample=rest[:2000]))
        self._offset += len(rest)

    def _chunk(self, lines: bytes | memoryview, end: int, *, over: bool) -> Chunk:
        rejects, self._rejects = tuple(self._rejects), []
        seen = self._part.seen
        begin = self._begin()
        mark = Mark(
            head=first_line(seen.start),
            inode=seen.inode,
            offset=self._offset,
            mtime_ns=seen.mtime_ns,
            skipping=self._skipping,
            begin=digest(begin),
            begin_bytes=len(begin),
            end=self._offset if over else -1,
        )
        return Chunk(
            file=seen.path.name, start=end - len(lines), data=lines, mark=mark, rejects=rejects
        )

    def _begin(self) -> bytes:
        """Return the first bytes by which the file will be known: as many as were read."""
        start = self._part.seen.start
        wanted = min(self._offset, HEAD_BYTES)
        if len(start) < wanted and not self._part.seen.packed:  # it grew since it was looked at
            start = max(start, os.pread(self._file.fileno(), wanted, 0), key=len)
        return start[:wanted]
