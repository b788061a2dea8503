"""One look at a Zeek log or at a folder of them: what is unread, and the bookmark of it all.

The bookmark holds, for each log's identity, how far it was read (in plain bytes), its inode,
and its size and time when it was read to its end (size -1 before that), by which it need not
be opened again as long as it stays as it is. A log that is followed alone also has
``since_ns``: what it was rotated into before that time is not looked at any more; and a
folder has what it has ``forgotten`` (``zeek_memory``).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.collect import blocks, zeek_files, zeek_rotated, zeek_tables
from guardian.collect.zeek_memory import Memory
from guardian.errors import CollectorError
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from guardian.collect.zeek_files import Log

MAX_UNSEEN = 256
"""How many logs that are not there stay known: one that is being renamed is missing in a look,
and all logs of a folder are renamed at once."""

Known = dict[str, tuple[int, int, int, int]]
"""A log's identity → offset, inode, size, mtime in nanoseconds."""


def known_of(bookmark: Mapping[str, object] | None) -> Known:
    """Return the logs of a bookmark; those of older ones have no time."""
    files = (bookmark or {}).get("files")
    if not isinstance(files, dict):
        return {}
    return {
        str(key): (int(at[0]), int(at[1]), int(at[2]), int(at[3]) if len(at) > 3 else 0)
        for key, at in files.items()
    }


@dataclass(slots=True)
class Pass:
    """One look at all files. ``alone`` is the log that is followed with its rotated files.

    ``errors`` names what could not be read; ``moved`` says that a log that was read before has
    another name or form now, which the bookmark should know even if nothing new was in it.
    """

    known: Known
    final: bool
    layout: zeek_files.Layout | None
    alone: Path | None = None
    since_ns: int | None = None
    memory: Memory | None = None
    now: Known = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _states: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _unread_ns: list[int] = field(default_factory=list)
    _left: set[str] = field(default_factory=set)
    _begun: set[str] = field(default_factory=set)
    moved: bool = False

    @classmethod
    def after(
        cls, bookmark: Mapping[str, object] | None, *, final: bool, layout: zeek_files.Layout | None
    ) -> Pass:
        """Return a look that goes on from a bookmark."""
        since = (bookmark or {}).get("since_ns")
        since_ns = since if isinstance(since, int) else None
        return cls(known=known_of(bookmark), final=final, layout=layout, since_ns=since_ns)

    def follow(
        self, path: Path, bookmark: Mapping[str, object] | None, first_days: float
    ) -> list[Path]:
        """Return a log and its rotated files that may hold something unread.

        Raises:
            CollectorError: there is no such log.
        """
        self.alone = path
        self.since_ns = zeek_rotated.first_since(path, bookmark, self.known, first_days)
        found = zeek_rotated.rotated(path, self.since_ns)
        self.failed(found.errors, path)
        if not found.files and bookmark is None and not zeek_rotated.is_there(path):
            msg = f"{path}: no such file"
            raise CollectorError(msg)
        if bookmark is not None and zeek_rotated.is_missed(path):
            self.errors.append(f"{path}: the log is gone, and no other has taken its place")
        return [path, *found.files]

    def over(self, bookmark: Mapping[str, object] | None) -> None:
        """Look at a folder: what was read long ago is forgotten."""
        self.memory = Memory.of(bookmark)

    def failed(self, errors: list[OSError], where: Path) -> None:
        """Note what could not be looked at; what else there is is read all the same."""
        self.errors += [_said(error, where) for error in errors]

    def describe(self, files: list[Path]) -> tuple[list[Log], list[Reject]]:
        """Return the logs that have something unread, and the files that are no logs."""
        unchanged = {at[1:]: identity for identity, at in self.known.items()}
        logs: list[Log] = []
        refused: list[Reject] = []
        newest_ns = 0
        for file in files:
            try:
                status = file.stat()
                state = (status.st_ino, status.st_size, status.st_mtime_ns)
                newest_ns = max(newest_ns, status.st_mtime_ns)
                if self.memory is not None and self.memory.has_forgotten(file, status):
                    continue
                identity = unchanged.get(state)
                if identity is not None and identity not in self._states:
                    self.now[identity] = self.known[identity]
                    self._states[identity] = state
                    if not self.final or self.known[identity][0] >= status.st_size:
                        continue
                    del self._states[identity]  # a last line without its end is read now
                log = zeek_files.describe(file, final=self.final, layout=self.layout)
            except FileNotFoundError:
                continue  # renamed or packed while we look: the next look finds it
            except OSError as error:
                self._unread_ns.append(zeek_rotated.mtime_ns(file))
                self.errors.append(_said(error, file))
                continue
            except zeek_files.NotZeekError as error:
                refused.append(Reject(reason=f"not a Zeek log: {error}", place=str(file)))
                if file == self.alone:
                    self.errors.append(f"{file} is not a Zeek log: {error}")
                continue
            if log is None or log.path in zeek_tables.NOT_EVENTS or log.identity in self._states:
                continue
            offset = self.known.get(log.identity, (log.header_bytes, 0, 0, 0))[0]
            self.now[log.identity] = (offset, status.st_ino, -1, 0)
            self._states[log.identity] = state
            self._unread_ns.append(status.st_mtime_ns)
            logs.append(log)
        if newest_ns:
            self._draw(min([newest_ns, *self._unread_ns]) - zeek_rotated.KEPT_NS)
        return logs, refused

    def _draw(self, read_ns: int) -> None:
        """Note before which time all was read."""
        if self.alone is not None and self.since_ns is not None:
            self.since_ns = max(self.since_ns, read_ns)
        if self.memory is not None:
            self.memory.looked(read_ns)

    def blocks(self, log: Log, size: int) -> Iterator[blocks.Block]:
        """Yield what is unread of a log; nothing, when its name has passed to another by now."""
        try:
            if log.file.stat().st_ino != self.now[log.identity][1]:
                self._left.add(log.identity)
                return
            yield from blocks.blocks(
                log.file, self.now[log.identity][0], final=self._ends(log), size=size
            )
        except FileNotFoundError:
            self._left.add(log.identity)
        except OSError as error:
            self._left.add(log.identity)
            self.errors.append(_said(error, log.file))

    def _ends(self, log: Log) -> bool:
        """Tell whether a last line without its end will get none any more."""
        if self.final or self.alone is None or log.file == self.alone:
            return self.final
        written_ns = self._states[log.identity][2]
        settled = abs(time.time_ns() - written_ns) > zeek_rotated.SETTLED_S * 1e9
        return settled and zeek_rotated.is_there(self.alone)

    def read(self, log: Log, end: int) -> None:
        """Note how far a log was read."""
        self.now[log.identity] = (end, *self.now[log.identity][1:])
        self._begun.add(log.identity)

    def finished(self, log: Log) -> None:
        """Note that all there was of a log was read, unless it was taken from under our hands."""
        if log.identity in self._left:
            return
        offset = self.now[log.identity][0]
        inode, size, mtime_ns = self._states[log.identity]
        if self.alone not in {None, log.file} and offset < size and not self._ends(log):
            size = -1  # looked at again, for a last line that may get its end
        self.now[log.identity] = (offset, inode, size, mtime_ns)
        before = self.known.get(log.identity)
        self.moved |= before is not None and before[0] == offset and before[1] != inode

    def bookmark(self) -> dict[str, object]:
        """Return the bookmark of what was read so far."""
        unseen = [identity for identity in self.known if identity not in self.now]
        # The newest: a log that is missing while it is renamed, not one that was forgotten.
        unseen = sorted(unseen, key=lambda each: self.known[each][3] or math.inf)[-MAX_UNSEEN:]
        known = self.known.keys() | self._begun
        files = {identity: self.known[identity] for identity in unseen}
        files |= {key: at for key, at in self.now.items() if key in known or at[2] >= 0}
        mark: dict[str, object] = {"files": {key: list(at) for key, at in files.items()}}
        if self.memory is not None:
            mark["forgotten"] = self.memory.as_json()
        if self.since_ns is not None:
            mark["since_ns"] = self.since_ns
        return mark


def _said(error: OSError, file: Path) -> str:
    return f"cannot read {error.filename or file}: {error.strerror or error}"
