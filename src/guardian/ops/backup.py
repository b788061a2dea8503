"""Backup and restore, as the command line offers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.store import backup as copies

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was copied: the file, its size in bytes, its rows, and the former store if any."""

    path: Path
    bytes: int
    rows: int
    kept: Path | None = None


def backup(store: Store, target: Path) -> Report:
    """Write one consistent, checked file of the store while it is in use.

    Raises:
        StoreError: the target exists, or cannot be written.
    """
    rows = copies.write(store, target)
    return Report(path=target, bytes=target.stat().st_size, rows=rows)


def restore(source: Path, directory: Path) -> Report:
    """Check a backup and put it in place; the former store is kept beside it.

    Raises:
        InputError: the backup is damaged or too new; nothing was changed.
        StoreLockedError: the daemon runs; nothing was changed.
    """
    rows = copies.check(source)
    kept = copies.place(source, directory)
    return Report(path=source, bytes=source.stat().st_size, rows=rows, kept=kept)
