"""Whether there is room for new rows: on the disk, and in the holes of the store's own file.

Deleted rows leave holes in the file, which do not go back to the disk but which new rows
fill before the file grows. The write-ahead log fills no hole: it is a file beside, so some
of the disk must always be free.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import StoreFullError, StoreRetryError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store.connection import Store
    from guardian.store.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The bytes of a disk, and those of them that are free."""

    total: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the file in use, of its holes, of the cold files, and free on the disk."""

    hot_bytes: int
    hole_bytes: int
    cold_bytes: int
    free_bytes: int


RESERVE_BYTES = 128 << 20
"""Free disk that new rows may not take: deleting and answering need room to be written too, and
the transaction that is let in last takes up to 50 MB of log (250,000 events, measured)."""
LOG_SHARE = 0.5
"""So much of the reserve must be the disk's own where holes take the rows: the log's part."""
FOLD_SHARE = 1 / 8
"""A log of so much of the reserve is worth folding in before rows are refused."""
FLOOR_SHARE = 0.05
"""Of a small disk, this share stays free unless a person says otherwise."""
FLOOR_MOST_BYTES = 1 << 30
"""Of a large disk, so much stays free."""


def require(store: Store) -> None:
    """Refuse to take more in while there is room neither on the disk nor in holes.

    Raises:
        StoreFullError: the disk is nearly full.
    """
    if store.path is None or store.read_only or _fits(store):
        return
    if _worth_folding(store):
        with contextlib.suppress(StoreRetryError):
            store.checkpoint()
    if not _fits(store):
        store.trouble = _full(store)
        raise StoreFullError(store.trouble)


def shortage(store: Store) -> str | None:
    """Say that no new rows are taken in now for want of room, or None."""
    if store.path is None or store.read_only or _fits(store) or _worth_folding(store):
        return None
    return _full(store)


def _full(store: Store) -> str:
    assert store.path is not None
    return (
        f"the disk is full ({store.free_bytes() / 1e6:.0f} MB free at {store.path.parent}): "
        "nothing more is taken in until there is room; what was stored is safe"
    )


def _fits(store: Store) -> bool:
    """Return whether new rows fit: on the disk, or in holes with a log beside them."""
    free = store.free_bytes()
    if free >= store.reserve_bytes:
        return True
    own = store.reserve_bytes * LOG_SHARE
    return free >= own and free + hole_bytes(store) >= store.reserve_bytes + own


def _worth_folding(store: Store) -> bool:
    """Return whether the log is long enough that folding it in gives the disk room back."""
    return log_bytes(store) >= store.reserve_bytes * FOLD_SHARE and foldable(store)


def foldable(store: Store) -> bool:
    """Return whether the log can be folded in.

    A checkpoint that meets a full disk closes the file, so there must be room to write the
    log's rows and the last blocks of each table.
    """
    room = store.free_bytes() + hole_bytes(store)
    return room >= log_bytes(store) + store.reserve_bytes * LOG_SHARE


def hole_bytes(store: Store) -> int:
    """Return the bytes of the store's file that hold nothing and that new rows will fill."""
    with store.read() as reader:
        found = reader.value(
            "SELECT block_size * free_blocks FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        )
    return int(found or 0)


def sizes(store: Store) -> Sizes:
    """Measure the store; all zero for one that lives in memory."""
    if store.path is None:
        return Sizes(hot_bytes=0, hole_bytes=0, cold_bytes=0, free_bytes=0)
    with store.read() as reader:
        row = reader.one(
            "SELECT block_size, used_blocks, free_blocks FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        )
        cold = int(reader.value("SELECT coalesce(sum(bytes), 0) FROM cold_file"))
    block = row["block_size"] if row else 0
    return Sizes(
        hot_bytes=block * (row["used_blocks"] if row else 0) + log_bytes(store),
        hole_bytes=block * (row["free_blocks"] if row else 0),
        cold_bytes=cold,
        free_bytes=store.free_bytes(),
    )


def log_bytes(store: Store) -> int:
    """Return the bytes of the write-ahead log."""
    if store.path is None:
        return 0
    try:
        return store.path.with_name(store.path.name + ".wal").stat().st_size
    except FileNotFoundError:  # folded in meanwhile
        return 0


def remove(file: Path) -> None:
    """Remove a copy that was given up or is done with, and the log that lies beside it."""
    file.unlink(missing_ok=True)
    file.with_name(file.name + ".wal").unlink(missing_ok=True)


def floor_bytes(store: Store, limits: Limits) -> int:
    """Return how much of the store's disk stays free: what a person said, or what fits it.

    Of a disk that nobody said anything of: a twentieth, a gigabyte at most, and never so
    little that new rows would be refused before the oldest days go.
    """
    if limits.free_floor_bytes is not None or store.path is None:
        return limits.free_floor_bytes or 0
    fitting = min(FLOOR_MOST_BYTES, int(disk(store.path).total * FLOOR_SHARE))
    return max(fitting, int(store.reserve_bytes * (1 + LOG_SHARE)))


def disk(path: Path) -> Disk:
    """Return the disk of a file, or of the nearest folder above it that is (still) there."""
    found = shutil.disk_usage(next(each for each in path.parents if each.exists()))
    return Disk(total=found.total, free=found.free)
