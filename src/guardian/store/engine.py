"""Open the file with DuckDB: settings, memory, and a write-ahead log that was torn.

Each entry of DuckDB's write-ahead log has a checksum. When power or disk failed while
one was written, DuckDB refuses the whole log. Everything before that entry was committed
and is whole, so the log is kept aside and cut there; batches after it were never known to
their source as read and are read again.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import logging
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from guardian.store.failures import explained, mapped_errors

if TYPE_CHECKING:
    from pathlib import Path

if importlib.util.find_spec("pandas") is None:
    # DuckDB looks for it at each bound value, each time in every folder of Python's path: a
    # tenth to a quarter of a short statement. This is how Python notes that there is none.
    sys.modules["pandas"] = None  # type: ignore[assignment]  # None is what Python asks for

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""The parameters' numbers in malloc.h."""
LARGE_BYTES = 256 << 10
"""From here on a piece of memory is the system's own: a column of a small batch is one."""

log = logging.getLogger(__name__)

Setting = str | bool | int | float | list[str]

DAMAGED = ".damaged-"
"""Part of the name of a write-ahead log that was kept aside."""
_TORN = re.compile(r"Failure while replaying WAL.*?(?:byte position|position) (\d+)", re.DOTALL)
_MENDINGS = 3
"""A log that is still refused after so many cuts is beyond this."""

SETTINGS: dict[str, Setting] = {
    # Rows that wait in the write-ahead log are held in memory too, about twice their size there.
    # While a backlog is written the log may grow further (``bulk``, docs/performance.md).
    "checkpoint_threshold": "64MB",
    # Without it DuckDB 1.5.5 puts each INSERT's rows into pieces of their own until the commit
    # (half a megabyte for a single row of ``device``), and joins them to the table while it
    # commits, so that a reader may see a part of a commit.
    "preserve_insertion_order": True,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": True,
    # Nothing leaves the house, not even by way of a query.
    "allow_community_extensions": False,
    # Of a new file. Each column that new rows go to holds two blocks in memory until the log is
    # folded in: with DuckDB's own size, 256 KiB, that was 135 MB (docs/performance.md).
    "default_block_size": "65536",
}

EVERYDAY_BYTES = 144 << 20
"""DuckDB's own memory from day to day, in bytes. It fills with what was read, whether that is
needed again or not, so the daemon's memory settles where this says. What a query needs
beyond goes to the disk for a while. Python and its libraries take 210 MB besides."""
MEMORY_SHARE = 1 / 16
MEMORY_LEAST, MEMORY_MOST = 384 << 20, 1 << 30
"""What it may have at most, while something asks for more: a sixteenth of the machine's, within
these bounds, in bytes."""
COPY_BYTES = 768 << 20
"""What writing the whole store anew may take, for a backup or without its holes, in bytes: it is
one transaction, and the indexes of the copy are whole in memory until that is committed."""
KEPT_BYTES = 64 << 20
"""What DuckDB keeps of its memory when it is told to give the rest back, in bytes."""
SPILL_BYTES, SPILL_LEAST_BYTES = 8 << 30, 64 << 20
"""What queries may put on the disk for a while, at most, and however little is free."""
SPILL_SHARE = 1 / 4
"""So much of the free disk, within these bounds: the rest stays for the store itself."""


def settings(path: Path | None) -> dict[str, Setting]:
    """Return DuckDB's settings for a store at ``path`` (None: in memory)."""
    found = {**SETTINGS, "memory_limit": f"{EVERYDAY_BYTES >> 20}MiB"}
    if path is None:  # its rows have nowhere else to go
        found["memory_limit"] = f"{MEMORY_MOST >> 20}MiB"
    return found


def most_bytes() -> int:
    """Return how much memory DuckDB may take on this machine when more is asked for."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(int(whole * MEMORY_SHARE), MEMORY_LEAST), MEMORY_MOST)


def set_limit(cursor: duckdb.DuckDBPyConnection, limit_bytes: int) -> bool:
    """Say how much memory DuckDB may take; False, and as before, when more is in use."""
    try:
        cursor.execute(f"SET memory_limit = '{limit_bytes >> 20}MiB'")
    except duckdb.Error:
        return False
    return True


def set_spill(cursor: duckdb.DuckDBPyConnection, free_bytes: int) -> bool:
    """Say what queries may put on a disk with so much free; False, and as before: more is there."""
    spill = min(SPILL_BYTES, max(int(free_bytes * SPILL_SHARE), SPILL_LEAST_BYTES))
    try:
        cursor.execute(f"SET max_temp_directory_size = '{spill >> 20}MiB'")
    except duckdb.Error:
        return False
    return True


def release_memory() -> None:
    """Give memory that was freed back to the system; the allocators keep it otherwise."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError):  # only the GNU C library has it
        ctypes.CDLL(None).malloc_trim(0)


@functools.cache
def keep_little() -> None:
    """Let this process keep little of what it frees: once, before it opens a store.

    All threads share two heaps, since each heap keeps its own leftovers; Arrow uses them too,
    since a pool of its own kept 66 MB that nothing else could use; and large pieces, as columns
    are, come from the system and go back to it (docs/performance.md).
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(AttributeError, OSError):  # only the GNU C library has it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 4 * LARGE_BYTES)


def connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the file, cutting a torn end off its write-ahead log.

    Raises:
        StoreLockedError: another process owns it.
        StoreDamagedError: it is damaged beyond the end of the log; nothing was changed.
        StoreFullError: there is no room to open it.
        StoreError: it cannot be opened; the message says why.
    """
    keep_little()
    for _ in range(_MENDINGS):
        try:
            return _opened(path, read_only=read_only)
        except duckdb.Error as error:
            torn = _TORN.search(str(error))
            if torn is None or read_only:
                raise explained(error, path) from error
            _cut(path, int(torn[1]))
    with mapped_errors(path):
        return _opened(path, read_only=read_only)


def _opened(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path), read_only=read_only, config=settings(path))
    # Among the settings of an opening DuckDB 1.5.5 shows this one, and does not heed it.
    set_spill(connection, shutil.disk_usage(path.parent).free)
    return connection


def _cut(path: Path, position: int) -> None:
    """Keep the damaged log aside and leave only what is whole of it."""
    whole = path.with_name(path.name + ".wal")
    number = 1
    while (aside := path.with_name(f"{whole.name}{DAMAGED}{number}")).exists():
        number += 1
    size = whole.stat().st_size
    shutil.copy2(whole, aside)
    with whole.open("r+b") as file:
        file.truncate(position)
        os.fsync(file.fileno())
    log.warning(
        "the write-ahead log was torn at byte %d of %d: what was committed before is kept, the "
        "damaged log is %s, and what came after is read again from its source",
        position,
        size,
        aside,
    )


def copy_database(connection: duckdb.DuckDBPyConnection, copy: Path) -> None:
    """Write a new file with all that is in the open one, and none of its holes.

    Raises:
        duckdb.Error: it could not be written.
    """
    target = str(copy).replace("'", "''")
    with connection.cursor() as cursor:
        name = cursor.execute("SELECT current_database()").fetchall()[0][0]
        cursor.execute(f"ATTACH '{target}' AS rewritten")
        try:
            cursor.execute(f'COPY FROM DATABASE "{name}" TO rewritten')
        finally:
            cursor.execute("DETACH rewritten")


def damaged_logs(directory: Path) -> list[Path]:
    """Return the damaged logs that were kept aside; a person may delete them."""
    return sorted(directory.glob(f"*{DAMAGED}*"))
