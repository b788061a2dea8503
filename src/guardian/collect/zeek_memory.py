"""What a bookmark of a Zeek folder need not know any more, however many files it holds.

A folder of a year has thousands of files, and most of them were read long ago. Those that
were read and last written before ``since_ns`` are forgotten, and passed by without a look,
in the folders that were there by then. A folder of old logs that is copied in later is
another one, so it is read; and the line moves on only some hours after it was drawn, so
that a copy has time to end, in whatever order its files come.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.collect import zeek_rotated

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

LATE_NS = 2 * 3600 * 10**9
"""So long files may still arrive, in any order, that are older than others that were read."""

MAX_AWAY = 4096
"""How many folders stay known that are not there, such as those of a disk that is not mounted."""

Folders = dict[str, int]
"""A digest of a folder's path → its inode: one that was moved within stays known."""


@dataclass(slots=True)
class Memory:
    """What was forgotten: all before ``since_ns`` in ``folders``; and what will be next."""

    since_ns: int = 0
    folders: Folders = field(default_factory=dict)
    next_ns: int = 0
    next_folders: Folders = field(default_factory=dict)
    drawn_ns: int = 0
    _here: dict[Path, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, bookmark: Mapping[str, object] | None) -> Memory:
        """Return what a bookmark says; those of older versions have forgotten nothing."""
        held = (bookmark or {}).get("forgotten")
        if not isinstance(held, dict):
            return cls()
        numbers = [held.get(key) for key in ("since_ns", "next_ns", "drawn_ns")]
        since, after, drawn = (at if isinstance(at, int) else 0 for at in numbers)
        return cls(
            since_ns=_past(since),
            folders=_folders(held.get("folders")),
            next_ns=after,
            next_folders=_folders(held.get("next_folders")),
            drawn_ns=drawn,
        )

    def has_forgotten(self, file: Path, state: os.stat_result) -> bool:
        """Tell whether a file was read so long ago that it need not be looked at."""
        folder = file.parent
        if folder not in self._here:
            inode = 0
            with suppress(OSError):
                inode = folder.stat().st_ino
            self._here[folder] = _digest(folder), inode
        if state.st_mtime_ns > self.since_ns:
            return False
        digest, inode = self._here[folder]
        return digest in self.folders or (inode != 0 and inode in self.folders.values())

    def looked(self, read_ns: int) -> None:
        """Draw the line anew, when it is time: all that was written before ``read_ns`` is read."""
        now_ns = time.time_ns()
        read_ns = _past(read_ns)
        if self.drawn_ns and 0 <= now_ns - self.drawn_ns < LATE_NS:
            return
        here = dict(self._here.values())
        if self.drawn_ns and now_ns >= self.drawn_ns:
            self.since_ns = max(self.since_ns, min(self.next_ns, read_ns))
            away = {key: at for key, at in self.folders.items() if key not in here}
            kept = dict(list(away.items())[-MAX_AWAY:])
            known = {key: at for key, at in here.items() if key in self.folders}
            self.folders = kept | known | self.next_folders
        self.next_ns, self.drawn_ns = read_ns, now_ns
        self.next_folders = {key: at for key, at in here.items() if key not in self.folders}

    def as_json(self) -> dict[str, object]:
        """Return it as a part of a bookmark."""
        return {
            "since_ns": self.since_ns,
            "folders": self.folders,
            "next_ns": self.next_ns,
            "next_folders": self.next_folders,
            "drawn_ns": self.drawn_ns,
        }


def _past(at_ns: int) -> int:
    """Return a time that is not later than now, whatever time a file has: what comes is read."""
    return min(at_ns, time.time_ns() - zeek_rotated.KEPT_NS)


def _folders(held: object) -> Folders:
    if not isinstance(held, dict):
        return {}
    return {str(key): at for key, at in held.items() if isinstance(at, int)}


def _digest(folder: Path) -> str:
    path = str(folder.absolute()).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(path, digest_size=5).hexdigest()
