"""Whether a store that nobody has open is whole: its file and its cold files, read to the end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import InputError
from guardian.store import bundle
from guardian.store.failures import mapped_errors
from guardian.store.migrations import known_versions

if TYPE_CHECKING:
    from pathlib import Path


def check(path: Path) -> tuple[int, list[str]]:
    """Open a store's file and read every table of both tiers to its end.

    Returns the rows that there should be, and the cold files that are damaged or not there.

    Raises:
        InputError: it is not a store of a Guardian that this one knows, or is damaged.
    """
    rows, listed = look(path)
    if strange := [name for name in listed if not bundle.NAMES.fullmatch(name)]:
        msg = f"{path}: lists a cold file that is none of ours: {strange[0][:80]!r}"
        raise InputError(msg)
    found = {name: path.parent / name for name in listed}
    return rows, [name for name in listed if _count_cold(found[name]) != listed[name]]


def unreadable(files: dict[str, Path], rows: dict[str, int]) -> set[str]:
    """Return the cold files whose end, which says what is in them, is not as it should be."""
    bad = set()
    with duckdb.connect(":memory:") as connection:
        for name, path in files.items():
            try:
                found = connection.execute(
                    "SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]
                ).fetchone()
            except duckdb.Error:
                found = None
            if found != (rows[name],):
                bad.add(name)
    return bad


def lose(path: Path, reasons: dict[str, str]) -> None:
    """Note cold files as lost in a copy of today's store, which nobody has open.

    Raises:
        StoreError: the copy could not be written.
    """
    noted_at = datetime.now(UTC).replace(tzinfo=None)
    with mapped_errors(path), duckdb.connect(str(path)) as connection:
        for name, reason in reasons.items():
            connection.execute(
                "INSERT INTO cold_lost SELECT file, table_name, day, rows, ?, ? FROM cold_file "
                "WHERE file = ?",
                [reason, noted_at, name],
            )
            connection.execute("DELETE FROM cold_file WHERE file = ?", [name])
        connection.execute("CHECKPOINT")


def lost(path: Path) -> list[str]:
    """Return the cold files that a copy of today's store notes as lost."""
    with mapped_errors(path), duckdb.connect(str(path), read_only=True) as connection:
        return [
            name
            for (name,) in connection.execute("SELECT file FROM cold_lost ORDER BY 1").fetchall()
        ]


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


def _count_cold(path: Path) -> int | None:
    """Return the rows of a cold file; None when it cannot be read to its end."""
    try:
        with duckdb.connect(":memory:") as connection:
            row = connection.execute(
                "SELECT count(*), count(hash(t)) FROM read_parquet(?) AS t", [str(path)]
            ).fetchone()
            return int(row[0]) if row else None
    except duckdb.Error:
        return None
