"""Keep the log that is being read open between two looks, so that it cannot get out of reach.

A log that is moved to another folder, packed by a program that we cannot read or deleted
still has its unread rest for who has it open. One file is held for each log.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, BinaryIO

from guardian.collect.tail_files import HEAD_BYTES, Seen

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.collect.tail_mark import Mark


class Held:
    """The descriptor of the file that was read last; ``close`` may come from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor = -1
        self._file: tuple[int, int] | None = None
        self._closed = False

    def __del__(self) -> None:
        self.close()

    def keep(self, descriptor: int, *, instead: bool) -> None:
        """Hold a file that is open; ``instead`` of another one, or only if there is none."""
        state = os.fstat(descriptor)
        with self._lock:
            if self._closed or self._file == (state.st_dev, state.st_ino):
                return
            if self._file is None or instead:
                self._drop()
                self._descriptor = os.dup(descriptor)
                self._file = state.st_dev, state.st_ino

    def seen(self, log: Path, mark: Mark) -> Seen | None:
        """Return the file of the mark, if it is the one that is held and was not cut since."""
        with self._lock:
            if self._file is None or self._file[1] != mark.inode:
                return None
            state = os.fstat(self._descriptor)
            found = Seen(
                path=log,
                start=os.pread(self._descriptor, HEAD_BYTES, 0),
                inode=state.st_ino,
                size=state.st_size,
                mtime_ns=state.st_mtime_ns,
                packed=False,
            )
        return found if found.is_marked(mark) else None

    def inode(self) -> int | None:
        """Return the inode of the file that is held."""
        with self._lock:
            return self._file[1] if self._file is not None else None

    def open(self) -> BinaryIO:
        """Open what is held once more; the caller closes it.

        Raises:
            OSError: nothing is held any more.
        """
        with self._lock:
            return os.fdopen(os.dup(self._descriptor), "rb")

    def close(self) -> None:
        """Let the file go, and hold none any more. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        if self._file is not None:
            os.close(self._descriptor)
        self._descriptor, self._file = -1, None
