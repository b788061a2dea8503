"""Bring a store's schema up to date: numbered SQL files, only forward.

Each file of ``store/migrations`` runs once, in order, in a transaction of its
own, and is recorded in ``schema_migration``. Before the first one that an
existing store needs, its file is copied beside it.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import SchemaTooNewError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: duckdb.DuckDBPyConnection, path: Path | None) -> None:
    """Apply the migrations that this store has not had.

    Raises:
        SchemaTooNewError: it has had one that this Guardian does not know.
        StoreError: a migration failed; the store is as it was.
    """
    files = dict(_files())
    cursor = connection.cursor()
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration "
        "(version INTEGER PRIMARY KEY, name VARCHAR, applied_at TIMESTAMP)"
    )
    done = {row[0] for row in cursor.execute("SELECT version FROM schema_migration").fetchall()}
    unknown = max(done - files.keys(), default=None)
    if unknown is not None:
        msg = (
            f"the store has schema {unknown}, this Guardian knows up to {max(files)}; "
            "run the newer Guardian, or restore an older backup"
        )
        raise SchemaTooNewError(msg)
    missing = sorted(files.keys() - done)
    if missing and done and path:
        connection.execute("CHECKPOINT")
        shutil.copy2(path, path.with_name(f"{path.name}.before-{missing[0]:04d}"))
    for version in missing:
        _apply(cursor, version, files[version])
    cursor.close()


def _files() -> Iterator[tuple[int, Path]]:
    for file in sorted(_FOLDER.glob("[0-9]*.sql")):
        yield int(file.name.split("_", 1)[0]), file


def _apply(cursor: duckdb.DuckDBPyConnection, version: int, file: Path) -> None:
    try:
        cursor.execute("BEGIN TRANSACTION")
        cursor.execute(file.read_text())
        cursor.execute(
            "INSERT INTO schema_migration VALUES (?, ?, ?)",
            [version, file.stem, datetime.now(UTC).replace(tzinfo=None)],
        )
        cursor.execute("COMMIT")
    except duckdb.Error as error:
        cursor.execute("ROLLBACK")
        msg = f"migration {file.name} failed, the store is as it was: {error}"
        raise StoreError(msg) from error


def known_versions() -> set[int]:
    """Return the numbers of all migrations that this Guardian knows."""
    return {version for version, _ in _files()}
