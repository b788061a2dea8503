"""Open the store: one writer, many readers, one file, one process.

DuckDB lets one process own a file, and cursors of one connection see only what
is committed. So the daemon holds the file; ``Store.transaction`` lets one writer
in at a time, and ``Store.read`` gives each reader a cursor of its own that is
never blocked by the writer.

Times are UTC ``TIMESTAMP`` in microseconds. Fetched rows hold naive ``datetime``
objects that mean UTC.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from typing import TYPE_CHECKING, Any, Self

import duckdb

from guardian.errors import StoreError, StoreFullError, StoreLockedError
from guardian.store.archive import refresh_views
from guardian.store.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    import pyarrow as pa

FILE_NAME = "guardian.duckdb"
RESERVE_BYTES = 64 << 20
"""Free disk that new rows may not take: deleting and answering need room to be written too."""


class Reader:
    """A cursor with the few calls that the stages need; maps DuckDB's errors."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def execute(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> Self:
        """Run one statement. Parameters are ``$name`` (mapping) or ``?`` (sequence).

        Raises:
            StoreError: DuckDB refused it; the cause is chained.
        """
        with mapped_errors():
            self._cursor.execute(sql, parameters)
        return self

    def rows(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        with mapped_errors():
            self._cursor.execute(sql, parameters)
            names = [column[0] for column in self._cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]

    def one(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> dict[str, Any] | None:
        """Return the first row, or None."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    def value(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Return the first column of the first row, or None."""
        with mapped_errors():
            row = self._cursor.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def arrow(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> pa.Table:
        """Return the rows as an Arrow table."""
        with mapped_errors():
            return self._cursor.execute(sql, parameters).to_arrow_table()

    def polars(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> pl.DataFrame:
        """Return the rows as a polars frame."""
        with mapped_errors():
            return self._cursor.execute(sql, parameters).pl()

    @contextlib.contextmanager
    def registered(self, name: str, table: pa.Table | pl.DataFrame) -> Iterator[None]:
        """Make an Arrow table or polars frame queryable as ``name`` inside the block."""
        with mapped_errors():
            self._cursor.register(name, table)
        try:
            yield
        finally:
            with mapped_errors():
                self._cursor.unregister(name)

    def interrupt(self) -> None:
        """Stop the statement that runs on this cursor in another thread."""
        self._cursor.interrupt()

    def close(self) -> None:
        """Give the cursor back."""
        self._cursor.close()


class Transaction(Reader):
    """A reader inside the one open write transaction."""

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters (small tables only)."""
        if rows:
            with mapped_errors():
                self._cursor.executemany(sql, rows)


class Store:
    """The one open database of this process."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path | None) -> None:
        self._connection = connection
        self._writing = threading.Lock()
        self._gate = threading.Condition()
        self._readers = 0
        self._swapping = False
        self.path = path
        self.reserve_bytes = RESERVE_BYTES

    @classmethod
    def open(cls, directory: Path) -> Store:
        """Open, or create, the store in ``directory`` and bring its schema up to date.

        Raises:
            StoreLockedError: another process owns it (the daemon, most likely).
            SchemaTooNewError: a newer Guardian wrote it.
            StoreError: it cannot be opened; the message says why.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            msg = f"cannot make the data directory {directory}: {error.strerror}"
            raise StoreError(msg) from error
        path = directory / FILE_NAME
        with mapped_errors(path):
            connection = duckdb.connect(str(path), config=_SETTINGS)
        return cls._prepared(connection, path)

    @classmethod
    def memory(cls) -> Store:
        """Return an empty store that lives in memory, for tests and one-off replays."""
        return cls._prepared(duckdb.connect(":memory:", config=_SETTINGS), None)

    @classmethod
    def _prepared(cls, connection: duckdb.DuckDBPyConnection, path: Path | None) -> Store:
        try:
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        store = cls(connection, path)
        refresh_views(store)
        return store

    @contextlib.contextmanager
    def read(self) -> Iterator[Reader]:
        """Give a cursor that sees what is committed, and is not blocked by the writer."""
        with self._gate:
            self._gate.wait_for(lambda: not self._swapping)
            self._readers += 1
            reader = Reader(self._connection.cursor())
        try:
            yield reader
        finally:
            reader.close()
            with self._gate:
                self._readers -= 1
                self._gate.notify_all()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Let one writer in: all of the block is committed, or none of it."""
        with self._writing:
            cursor = self._connection.cursor()
            try:
                with mapped_errors(self.path):
                    cursor.execute("BEGIN TRANSACTION")
                try:
                    yield Transaction(cursor)
                    with mapped_errors(self.path):
                        cursor.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(duckdb.Error):
                        cursor.execute("ROLLBACK")
                    raise
            finally:
                cursor.close()

    def require_room(self) -> None:
        """Refuse to take more in while less than ``reserve_bytes`` of disk are free.

        Raises:
            StoreFullError: the disk is nearly full.
        """
        if self.path is None:
            return
        free = shutil.disk_usage(self.path.parent).free
        if free < self.reserve_bytes:
            msg = (
                f"the disk is full ({free / 1e6:.0f} MB free at {self.path.parent}): nothing more "
                "is taken in until there is room; what was stored is safe"
            )
            raise StoreFullError(msg)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file."""
        with self._writing, mapped_errors(self.path):
            self._connection.cursor().execute("CHECKPOINT")

    def rewrite(self, *, patience_s: float = 30.0) -> bool:
        """Write the file anew without its holes, so that the disk gets the room back.

        Readers go on while the copy is made and wait only while it takes the old one's
        place. Returns False, with nothing changed, when readers did not pause within
        ``patience_s`` seconds.

        Raises:
            StoreError: the copy could not be made; nothing was changed.
        """
        if self.path is None:
            return False
        copy = self.path.with_name(f".{FILE_NAME}.rewrite")
        with self._writing:
            copy.unlink(missing_ok=True)
            try:
                self._copy_to(copy)
                return self._take_place(copy, patience_s)
            finally:
                copy.unlink(missing_ok=True)

    def _copy_to(self, copy: Path) -> None:
        cursor = self._connection.cursor()
        target = str(copy).replace("'", "''")
        with mapped_errors(copy):
            name = cursor.execute("SELECT current_database()").fetchall()[0][0]
            cursor.execute(f"ATTACH '{target}' AS rewritten")
            try:
                cursor.execute(f'COPY FROM DATABASE "{name}" TO rewritten')
            finally:
                cursor.execute("DETACH rewritten")
        cursor.close()

    def _take_place(self, copy: Path, patience_s: float) -> bool:
        assert self.path is not None
        with self._gate:
            self._swapping = True
            try:
                if not self._gate.wait_for(lambda: self._readers == 0, patience_s):
                    return False
                with mapped_errors(self.path):
                    self._connection.close()
                    copy.replace(self.path)
                    self._connection = duckdb.connect(str(self.path), config=_SETTINGS)
                return True
            finally:
                self._swapping = False
                self._gate.notify_all()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._writing:
            self._connection.close()


_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    # A large threshold keeps checkpoints out of the ingest path (docs/performance.md).
    "checkpoint_threshold": "1GB",
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": True,
    # Nothing leaves the house, not even by way of a query.
    "allow_community_extensions": False,
}


@contextlib.contextmanager
def mapped_errors(path: Path | None = None) -> Iterator[None]:
    """Map DuckDB's errors to Guardian's at the border of the store."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error).strip()
        first = text.splitlines()[0] if text else type(error).__name__
        where = f" ({path})" if path else ""
        if "lock" in text and isinstance(error, duckdb.IOException):
            msg = f"another process owns the store{where}; is the daemon running?"
            raise StoreLockedError(msg) from error
        if "No space left" in text or "not enough space" in text.lower():
            msg = f"the disk is full{where}; what was stored is safe"
            raise StoreFullError(msg) from error
        msg = f"{first}{where}"
        raise StoreError(msg) from error
