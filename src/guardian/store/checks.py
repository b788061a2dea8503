"""Whether a store that nobody has open is whole: its file and its cold files, read to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from guardian.errors import InputError
from guardian.store.connection import FILE_NAME
from guardian.store.migrations import known_versions

if TYPE_CHECKING:
    from pathlib import Path


def check(path: Path) -> int:
    """Open a store's file, read every table to its end, and return the rows of both tiers.

    Raises:
        InputError: it is not a store of a Guardian that this one knows, or is damaged.
    """
    rows, listed = look(path)
    for name, expected in listed.items():
        file = path.parent / name
        if not file.exists() and path.name != FILE_NAME:
            continue  # a bare file of an older Guardian, whose cold tier stayed behind
        found = _count_cold(file)
        if found != expected:
            msg = f"{name}: the cold file is damaged: {found} of {expected} rows"
            raise InputError(msg)
    return rows


def look(path: Path) -> tuple[int, dict[str, int]]:
    """Return the rows of both tiers, and the rows of each cold file that the store lists.

    Raises:
        InputError: it is not a store of a Guardian that this one knows, or is damaged.
    """
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute("SELECT version FROM schema_migration").fetchall()
            unknown = {row[0] for row in found} - known_versions()
            if not found or unknown:
                msg = f"{path}: was written by a newer Guardian (schema {max(unknown, default=0)})"
                raise InputError(msg)
            tables = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1"
            ).fetchall()
            rows = sum(_read_whole(connection, table) for (table,) in tables)
            cold = {}
            if ("cold_file",) in tables:
                cold = dict(connection.execute("SELECT file, rows FROM cold_file").fetchall())
            return rows + sum(cold.values()), cold
    except duckdb.Error as error:
        msg = f"{path}: is no backup, or is damaged: {str(error).splitlines()[0]}"
        raise InputError(msg) from error


def _read_whole(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f'SELECT count(*), count(hash(t)) FROM "{table}" AS t').fetchone()
    return int(row[0]) if row else 0


def _count_cold(path: Path) -> int:
    try:
        with duckdb.connect(":memory:") as connection:
            row = connection.execute(
                "SELECT count(*), count(hash(t)) FROM read_parquet(?) AS t", [str(path)]
            ).fetchone()
            return int(row[0]) if row else 0
    except duckdb.Error as error:
        msg = f"{path.name}: the cold file is damaged: {str(error).splitlines()[0]}"
        raise InputError(msg) from error
