"""One write transaction: all of it or none, also where memory is short just then."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import StoreRetryError
from guardian.store import engine
from guardian.store.failures import mapped_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

COMMIT_BYTES = 64 << 20
"""What DuckDB may take above its limit while it commits or folds its log in, in bytes."""


@contextlib.contextmanager
def committed(
    cursor: duckdb.DuckDBPyConnection,
    path: Path | None,
    *,
    headroom: Callable[[int], AbstractContextManager[None]],
    fatal: Callable[[], None],
    muddled: Callable[[], None],
) -> Iterator[None]:
    """Commit what the block writes, or take all of it back.

    ``headroom`` lets DuckDB take more memory while its block runs. ``fatal`` is called when the
    file has to be opened anew, ``muddled`` when what is open must not even be read any more:
    DuckDB 1.5.5 does not take all of a COMMIT back that lacked memory. Keys stay in the
    indexes, and rows without the bookmark that came with them.

    Raises:
        StoreError: DuckDB refused; the cause is chained.
    """
    with mapped_errors(path, fatal):
        cursor.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        _undo(cursor, headroom, fatal)
        raise
    try:
        with mapped_errors(path), headroom(COMMIT_BYTES):
            cursor.execute("COMMIT")
    except BaseException as error:
        _undo(cursor, headroom, fatal)
        if isinstance(error, StoreRetryError):
            muddled()
        fatal()
        raise


def _undo(
    cursor: duckdb.DuckDBPyConnection,
    headroom: Callable[[int], AbstractContextManager[None]],
    fatal: Callable[[], None],
) -> None:
    """Roll back with memory to spare: without it DuckDB ends the process."""
    try:
        with headroom(engine.most_bytes()):
            cursor.execute("ROLLBACK")
    except duckdb.FatalException:
        fatal()
    except duckdb.Error:  # there is no transaction any more
        pass
