"""Cursors with the few calls that the stages need."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

from guardian.store.failures import mapped_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    import polars as pl
    import pyarrow as pa

ARROW_ROWS = 65_536
"""Rows of one Arrow batch. DuckDB takes memory for a whole batch of every column at once, however
few rows come: with its own million rows that was 640 MB asked for and hardly used each time."""


class Reader:
    """A cursor with the few calls that the stages need; maps DuckDB's errors."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, fatal: Callable[[], None] = lambda: None
    ) -> None:
        self._cursor = cursor
        self._fatal = fatal

    def execute(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> Self:
        """Run one statement. Parameters are ``$name`` (mapping) or ``?`` (sequence).

        Raises:
            StoreError: DuckDB refused it; the cause is chained.
        """
        with mapped_errors(fatal=self._fatal):
            self._cursor.execute(sql, parameters)
        return self

    def rows(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        with mapped_errors(fatal=self._fatal):
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
        with mapped_errors(fatal=self._fatal):
            row = self._cursor.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def arrow(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> pa.Table:
        """Return the rows as an Arrow table."""
        with mapped_errors(fatal=self._fatal):
            return self._cursor.execute(sql, parameters).to_arrow_table(ARROW_ROWS)

    def polars(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> pl.DataFrame:
        """Return the rows as a polars frame."""
        with mapped_errors(fatal=self._fatal):
            return self._cursor.execute(sql, parameters).pl(ARROW_ROWS)

    @contextlib.contextmanager
    def registered(self, name: str, table: pa.Table | pl.DataFrame) -> Iterator[None]:
        """Make an Arrow table or polars frame queryable as ``name`` inside the block."""
        with mapped_errors(fatal=self._fatal):
            self._cursor.register(name, table)
        try:
            yield
        finally:
            with mapped_errors(fatal=self._fatal):
                self._cursor.unregister(name)

    @property
    def cursor(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's own cursor, for this package alone."""
        return self._cursor

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
            with mapped_errors(fatal=self._fatal):
                self._cursor.executemany(sql, rows)
