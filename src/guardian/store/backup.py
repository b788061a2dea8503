"""One consistent file of the whole store, written while it is in use, and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from guardian.errors import InputError, StoreError
from guardian.store.connection import FILE_NAME, mapped_errors
from guardian.store.migrations import known_versions

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store.connection import Store


def write(store: Store, target: Path) -> int:
    """Copy everything that is committed now into ``target``; return the number of rows.

    Raises:
        StoreError: the target exists, or cannot be written.
    """
    if target.exists():
        msg = f"{target} exists already; a backup is never written over another"
        raise StoreError(msg)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        with store.read() as reader:
            name = reader.value("SELECT current_database()")
            reader.execute(f"ATTACH {_quoted(partial)} AS backup_copy")
            try:
                reader.execute(f'COPY FROM DATABASE "{name}" TO backup_copy')
            finally:
                reader.execute("DETACH backup_copy")
        rows = check(partial)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def check(path: Path) -> int:
    """Open a backup, read every table to its end, and return the number of rows.

    Raises:
        InputError: it is not a backup of a Guardian that this one knows, or is damaged.
    """
    if not path.is_file():
        msg = f"{path}: no such backup"
        raise InputError(msg)
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
            return sum(_read_whole(connection, table) for (table,) in tables)
    except duckdb.Error as error:
        msg = f"{path}: is no backup, or is damaged: {str(error).splitlines()[0]}"
        raise InputError(msg) from error


def place(backup: Path, directory: Path) -> Path | None:
    """Put a checked backup where the store lives; return where the former one is kept.

    Raises:
        StoreLockedError: the daemon owns the store.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = directory / FILE_NAME
    kept = None
    if target.exists():
        with mapped_errors(target):
            duckdb.connect(str(target)).close()  # refuses while the daemon has it, folds the log in
        kept = _free_name(target)
        target.rename(kept)
    partial = target.with_name(f".{FILE_NAME}.part")
    partial.write_bytes(b"")
    with backup.open("rb") as source, partial.open("wb") as copy:
        while chunk := source.read(1 << 20):
            copy.write(chunk)
    partial.rename(target)
    return kept


def _read_whole(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f'SELECT count(*), count(hash(t)) FROM "{table}" AS t').fetchone()
    return int(row[0]) if row else 0


def _free_name(target: Path) -> Path:
    number = 1
    while (kept := target.with_name(f"{target.name}.before-restore-{number}")).exists():
        number += 1
    return kept


def _quoted(path: Path) -> str:
    """Quote a path for ATTACH, which takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
