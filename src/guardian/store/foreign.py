"""Read somebody else's SQLite database in bulk, by DuckDB's sqlite_scanner.

The file is opened read-only by SQLite itself, so that its write-ahead log counts and
its writer is not disturbed; it is never copied. The reading has an in-memory DuckDB of
its own: nothing foreign is ever attached to the store's connection.
"""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from guardian.errors import CollectorError, ComponentAbsentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_PACKAGE = "duckdb_extension_sqlite_scanner"
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    # A second one gains nothing, as SQLite reads in one; but its caller would spin (``bulk``).
    "threads": 1,
    "memory_limit": "512MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    # Columns may hold other types than they declare (FTL's timestamps do).
    "preserve_insertion_order": True,
}


class SqliteReader:
    """An attached SQLite database. All values of its own queries arrive as text."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query that SQLite runs (our own text, never input)."""
        with _mapped(self._path):
            self._connection.execute("SELECT * FROM sqlite_query('f', ?)", [query])
            names = [column[0] for column in self._connection.description or ()]
            rows = self._connection.fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table or view; none when it does not exist."""
        rows = self.rows(f"SELECT name FROM pragma_table_info('{table}')")
        return frozenset(str(row["name"]) for row in rows)

    def arrow(self, sql: str, rows: str) -> pa.Table:
        """Return the rows of a DuckDB query over ``rows``: what this query of SQLite gives."""
        source = "rows AS (SELECT * FROM sqlite_query('f', ?))"
        with _mapped(self._path):
            self._connection.execute(f"WITH {source} {sql}", [rows])
            return self._connection.to_arrow_table()


@contextlib.contextmanager
def open_sqlite(path: Path) -> Iterator[SqliteReader]:
    """Attach a SQLite database for reading only.

    Raises:
        CollectorError: it cannot be read, or is none.
        ComponentAbsentError: this installation lacks the extension.
    """
    if not path.is_file():
        msg = f"cannot read {path}: there is no such file"
        raise CollectorError(msg)
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    try:
        connection.execute(f"LOAD '{_quoted(_extension())}'")
        with _mapped(path):
            connection.execute(f"ATTACH '{_quoted(path)}' AS f (TYPE sqlite, READ_ONLY)")
        yield SqliteReader(connection, path)
    finally:
        connection.close()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _extension() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for file in Path(place).rglob("sqlite_scanner.duckdb_extension"):
            if file.parent.name == f"v{duckdb.__version__}":
                return file
    msg = (
        f"reading SQLite databases needs the package {_PACKAGE.replace('_', '-')} "
        f"of version {duckdb.__version__}; install Guardian again"
    )
    raise ComponentAbsentError(msg)


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        msg = f"cannot read {path}: {first}"
        raise CollectorError(msg) from error
