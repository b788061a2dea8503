"""Map DuckDB's errors to Guardian's, one clear line each, at the border of the store."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreRetryError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FULL = re.compile(r"no space left|not enough space|disk quota", re.IGNORECASE)
_SPILLED = re.compile(r"max_temp_directory_size", re.IGNORECASE)
_SHORT_OF_MEMORY = re.compile(
    r"out of memory|failed to pin block|could not allocate block|failed to allocate", re.IGNORECASE
)
_HELD_OFF = re.compile(r"cannot checkpoint", re.IGNORECASE)
_LOCKED = re.compile(r"could not set lock|conflicting lock", re.IGNORECASE)
_OWNER = re.compile(r"\(PID (\d+)\)")
_READ_ONLY = re.compile(
    r"read-only file system|read-only mode|read-only transaction|attached in read-only|"
    r"opened in read-only",
    re.IGNORECASE,
)
_DAMAGED = re.compile(
    r"corrupt|could not read enough bytes|not a valid duckdb|checksum|unexpected end of file|"
    r"serialization error|failed to deserialize",
    re.IGNORECASE,
)


@contextlib.contextmanager
def mapped_errors(
    path: Path | None = None, fatal: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Turn an error of DuckDB into one of Guardian's.

    ``fatal`` is called when the open database can do nothing more and has to be opened
    anew: DuckDB says so after a failed checkpoint, and keeps saying so.

    Raises:
        StoreLockedError: another process owns the file.
        StoreFullError: the disk has no room; what was committed is safe.
        StoreDamagedError: the file is not as it was written.
        StoreRetryError: memory or the room for spilled blocks was short, the file has to be
            opened anew, or a checkpoint has to wait for a query.
        StoreError: anything else; the cause is chained.
    """
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.FatalException):
            fatal()
        raise explained(error, path) from error


def explained(error: duckdb.Error, path: Path | None) -> StoreError:
    """Return Guardian's error for one of DuckDB's."""
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    where = f" ({path})" if path else ""
    if _LOCKED.search(text) and isinstance(error, duckdb.IOException):
        owner = _OWNER.search(text)
        who = f"process {owner[1]}" if owner else "another process"
        return StoreLockedError(
            f"{who} owns the store{where}: the daemon, or a command such as a backup"
        )
    if _FULL.search(text):
        return StoreFullError(f"the disk is full{where}; what was stored is safe")
    if _READ_ONLY.search(text):
        return StoreReadOnlyError(f"the disk is read-only{where}; what was stored can be read")
    if _DAMAGED.search(text) and isinstance(
        error, duckdb.IOException | duckdb.FatalException | duckdb.SerializationException
    ):
        return StoreDamagedError(
            f"the store is damaged{where}: {first[:200]}. Nothing was changed. Put the last "
            "backup in place: guardian restore FILE --force"
        )
    if isinstance(error, duckdb.InterruptException):
        return StoreError(f"Interrupted{where}: the store is opened anew, or Guardian stops")
    return _for_now(error, text, where) or StoreError(f"{first}{where}")


def _for_now(error: duckdb.Error, text: str, where: str) -> StoreRetryError | None:
    """Return the error for what may go well the next time, or None."""
    first = text.splitlines()[0] if text else ""
    if isinstance(error, duckdb.FatalException):
        return StoreRetryError(f"the store has to be opened anew{where}: {first[:200]}")
    if _HELD_OFF.search(text):
        return StoreRetryError(
            f"a query still reads what was changed since it began{where}; "
            "the log is folded into the file later"
        )
    if _SPILLED.search(text):
        return StoreRetryError(
            f"the query needed more room beside the store than DuckDB may take{where}"
        )
    return StoreRetryError(f"{first}{where}") if _SHORT_OF_MEMORY.search(text) else None
