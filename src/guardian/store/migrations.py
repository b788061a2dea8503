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

from guardian.errors import SchemaTooNewError, StoreError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

FOLDER = Path(__file__).parent / "migrations"
"""Where the files are."""


def migrate(
    connection: duckdb.DuckDBPyConnection, path: Path | None, *, keep_former: bool = True
) -> None:
    """Apply the migrations that this store has not had.

    ``keep_former`` copies the file of an existing store beside it before the first.

    Raises:
        StoreFullError: there is no room for that copy; the store is as it was.
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
    _refuse_newer(done, files.keys())
    missing = sorted(files.keys() - done)
    if missing and done and path and keep_former:
        connection.execute("CHECKPOINT")
        _keep(path, path.with_name(f"{path.name}.before-{missing[0]:04d}"))
    for version in missing:
        _apply(cursor, version, files[version])
    if missing and path:
        connection.execute("CHECKPOINT")  # the log of a changed schema is not kept for long
    cursor.close()


def check_version(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse to read a store whose schema is not today's.

    Raises:
        SchemaTooNewError: a newer Guardian wrote it.
        StoreError: it is older, and cannot be changed where it is.
    """
    rows = connection.execute("SELECT version FROM schema_migration").fetchall()
    done = {row[0] for row in rows}
    _refuse_newer(done, known_versions())
    if known_versions() - done:
        msg = "the store's schema is older than this Guardian and its disk cannot be written"
        raise StoreError(msg)


def _refuse_newer(done: AbstractSet[int], known: AbstractSet[int]) -> None:
    unknown = max(done - known, default=None)
    if unknown is not None:
        msg = (
            f"the store has schema {unknown}, this Guardian knows up to {max(known)}; "
            "run the newer Guardian, or restore an older backup"
        )
        raise SchemaTooNewError(msg)


def _keep(path: Path, copy: Path) -> None:
    """Copy the file beside itself, whole or not at all, where there is room for it."""
    need = path.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if free < need:
        msg = (
            f"the store's schema must be brought up to date, and the copy that is kept before "
            f"needs {need / 1e6:,.0f} MB; {free / 1e6:,.0f} MB are free at {path.parent}"
        )
        raise StoreFullError(msg)
    partial = copy.with_name(copy.name + ".part")
    try:
        shutil.copy2(path, partial)
        partial.replace(copy)
    except OSError as error:
        partial.unlink(missing_ok=True)
        msg = f"the store could not be copied before its schema changes: {error.strerror}"
        raise StoreError(msg) from error


def _files() -> Iterator[tuple[int, Path]]:
    for file in sorted(FOLDER.glob("[0-9]*.sql")):
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
