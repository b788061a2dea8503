"""Any interleaving of append, rotation of every kind, packing and restart: each line once."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

import zstandard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from guardian.collect.tail_held import Held
from guardian.collect.tail_mark import Mark
from guardian.collect.tailer import Tailer

DAY_1 = 1_700_000_000
HEADER = b"ts,name"


class Log(RuleBasedStateMachine):
    """A log, who writes it, who rotates it, and who reads it, killed at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="guardian-tail-"))
        self.path = self.folder / "eve.json"
        self.written: list[bytes] = []
        self.read_lines: list[bytes] = []
        self.bookmark: dict[str, object] | None = None
        self.clock = 0
        self.writer: BinaryIO = self.path.open("ab")
        self.writing = self.path  # what the writer's open file is called now
        self.headed = False
        self.held = Held()
        self.away = False  # a file that only its open descriptor leads to is not read yet

    @initialize(count=st.integers(0, 3), at_once=st.booleans(), headed=st.booleans())
    def begin(self, count: int, at_once: bool, headed: bool) -> None:
        """The first reading comes at once, or when the log was rotated some times already.

        ``headed`` is a writer that begins each file it opens with the same line.
        """
        self.headed = headed
        self._begin_file()
        self.append(count=count if headed else max(count, 1), torn=False)
        if at_once:
            self.read(most=100)

    @rule(count=st.integers(1, 4), torn=st.booleans())
    def append(self, count: int, torn: bool) -> None:
        data = b""
        for _ in range(count):
            line = b"line %04d \xc3\xa9" % len(self.written)
            self.written.append(line)
            data += line + b"\n"
        cut = len(data) - 6 if torn else len(data)
        for part in (data[:cut], data[cut:]):
            if part:
                self.writer.write(part)
                self.writer.flush()
                self._touch(self.writing)
                if torn:
                    self.read(most=100)

    @rule(most=st.integers(1, 4))
    def read(self, most: int) -> None:
        """Read some, then be killed: whatever was not committed is read again."""
        tailer = Tailer(
            path=self.path,
            chunk_bytes=40,
            max_line_bytes=39,
            first_days=36_500,
            held=self.held,
        )
        for chunk in tailer.unread(Mark.from_json(self.bookmark)):
            self.read_lines += [line for line in chunk.data.splitlines() if line != HEADER]
            assert not chunk.rejects
            self.bookmark = chunk.mark.as_json()
            most -= 1
            if not most:
                return
        self.away = self.away and not self._size()

    @precondition(lambda self: not self.away)
    @rule()
    def restart(self) -> None:
        """Begin anew, with nothing but the bookmark."""
        self.held.close()
        self.held = Held()

    @precondition(lambda self: not self.away and self.writing == self.path and self._is_held())
    @rule(how=st.sampled_from(["moved", "packed", "deleted"]), lines=st.integers(0, 3))
    def lose(self, how: str, lines: int) -> None:
        """Rotate to where nobody looks, while the log is being read."""
        self.append(count=lines, torn=False)
        if how == "moved":
            (self.folder / "old").mkdir(exist_ok=True)
            self.path.rename(self.folder / "old" / f"eve.json.{self.clock}")
        else:
            if how == "packed":
                (self.folder / "eve.json.1.xz").write_bytes(lzma.compress(self.path.read_bytes()))
            self.path.unlink()
        self.away = True
        self.writing = self.folder / "old"
        self.reopen()

    @precondition(lambda self: self.writing == self.path and self._size())
    @rule(create=st.booleans())
    def rename(self, create: bool) -> None:
        """Rotate by rename; the writer goes on in the old file until it is told."""
        for number in range(30, 0, -1):
            for suffix in ("", ".gz", ".zst"):
                old = self.folder / f"eve.json.{number}{suffix}"
                if old.exists():
                    old.rename(self.folder / f"eve.json.{number + 1}{suffix}")
        self.path.rename(self.folder / "eve.json.1")
        self.writing = self.folder / "eve.json.1"
        if create:
            self.path.touch()
            self._touch(self.path)

    @precondition(lambda self: self.writing != self.path)
    @rule()
    def reopen(self) -> None:
        """The writer is told, and opens a new file."""
        self.writer.close()
        self.writer = self.path.open("ab")
        self.writing = self.path
        self._touch(self.path)
        self._begin_file()

    @precondition(lambda self: self.writing == self.path)
    @rule(kind=st.sampled_from([".gz", ".zst"]), which=st.integers(1, 5))
    def pack(self, kind: str, which: int) -> None:
        """Compress a rotated file, at once or days later; its time stays."""
        plain = self.folder / f"eve.json.{which}"
        if not plain.exists():
            return
        data, state = plain.read_bytes(), plain.stat()
        target = self.folder / f"eve.json.{which}{kind}"
        made = gzip.compress(data) if kind == ".gz" else zstandard.ZstdCompressor().compress(data)
        target.write_bytes(made)
        os.utime(target, ns=(state.st_mtime_ns, state.st_mtime_ns))
        plain.unlink()

    @precondition(lambda self: self.writing == self.path and self._size())
    @rule()
    def copytruncate(self) -> None:
        """Rotate by copy and truncation; nobody writes between the two (what is lost, is lost)."""
        for number in range(30, 0, -1):
            for suffix in ("", ".gz", ".zst"):
                old = self.folder / f"eve.json.{number}{suffix}"
                if old.exists():
                    old.rename(self.folder / f"eve.json.{number + 1}{suffix}")
        shutil.copy2(self.path, self.folder / "eve.json.1")
        os.truncate(self.path, 0)
        self._touch(self.path)

    def teardown(self) -> None:
        try:
            if self.writing != self.path:
                self.reopen()
            self.append(count=1, torn=False)  # a renamed log is over when its successor has a line
            for _ in range(2):
                self.read(most=10_000)
            assert self.read_lines == self.written
        finally:
            self.writer.close()
            self.held.close()
            shutil.rmtree(self.folder)

    def _begin_file(self) -> None:
        if self.headed and not self._size():
            self.writer.write(HEADER + b"\n")
            self.writer.flush()
            self._touch(self.path)

    def _is_held(self) -> bool:
        """Tell whether the log as it is now, not cut since, was read at least in part."""
        mark = Mark.from_json(self.bookmark)
        seen = self.held.seen(self.path, mark) if mark is not None else None
        return seen is not None and seen.inode == self.path.stat().st_ino

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _touch(self, path: Path) -> None:
        """Give each write its own second: a real log is not rotated twice within a tick."""
        self.clock += 1
        os.utime(path, (DAY_1 + self.clock, DAY_1 + self.clock))


Log.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLog = Log.TestCase
