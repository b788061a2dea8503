"""Bring a store's schema up to date: numbered SQL files, only forward.

Each file of ``store/migrations`` runs once, in order, in a transaction of its
own, and is recorded in ``schema_migration``. Before the first one that an
existing store needs, its file is copied beside it; when one fails, the copy is put back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import SchemaTooNewError, StoreError, StoreFullError
from guardian.store.failures import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "migrations"
"""Where the files are."""
ADDS = "-- Only adds"
"""How a migration begins that changes nothing that is there: its transaction undoes it whole, so
that a disk without room for a copy keeps no store from being opened."""
BEFORE, RUNNING = ".before-", ".migrating-"
"""In the name of the former file's copy, before the number of the first migration that it has
not had: when all is done, and until then."""
FORMER_KEPT, FORMER_LEAST = timedelta(days=30), timedelta(days=1)
"""So long the former file is kept beside the store; and where its room is wanted."""


def migrate(
    connection: duckdb.DuckDBPyConnection, path: Path | None, *, keep_former: bool = True
) -> None:
    """Apply the migrations that this store has not had.

    ``keep_former`` copies the file of an existing store beside it before the first. When one
    fails, that copy takes the file's place again, and the connection is closed.

    Raises:
        StoreFullError: there is no room, for that copy or later; the store is as it was.
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
    former = _begun(path, done) if path else None
    if missing and done and path and keep_former and former is None:
        connection.execute("CHECKPOINT")
        former = path.with_name(f"{path.name}{RUNNING}{missing[0]:04d}")
        try:
            _keep(path, former)
        except StoreFullError:
            if not all(files[version].read_text().startswith(ADDS) for version in missing):
                raise
            former = None
    try:
        for version in missing:
            _apply(cursor, version, files[version], path)
    except StoreError:
        cursor.close()
        if path and former:
            connection.close()
            _put_back(former, path)
        raise
    if missing and path:
        connection.execute("CHECKPOINT")  # the log of a changed schema is not kept for long
    if former:
        os.utime(former)  # from now on it is kept for some time
        former.replace(former.with_name(former.name.replace(RUNNING, BEFORE)))
    cursor.close()


def drop_former(path: Path, *, now: datetime, short: bool) -> int:
    """Remove former files that were kept long enough; ``short``: the disk needs room. How many.

    Raises:
        OSError: the disk refused.
    """
    limit = now - (FORMER_LEAST if short else FORMER_KEPT)
    dropped = 0
    for former in sorted(path.parent.glob(f"{path.name}{BEFORE}[0-9][0-9][0-9][0-9]")):
        if datetime.fromtimestamp(former.stat().st_mtime, UTC).replace(tzinfo=None) < limit:
            former.unlink()
            log.info("%s, from before the schema changed, was removed", former)
            dropped += 1
    return dropped


def _begun(path: Path, done: AbstractSet[int]) -> Path | None:
    """Return the copy made by a run that was cut after its first migration, if there is one.

    It is what the store was before all of that run; a copy made now would be of half of it.
    """
    for copy in sorted(path.parent.glob(f"{path.name}{RUNNING}[0-9][0-9][0-9][0-9]")):
        if int(copy.name[-4:]) in done:
            return copy
        copy.unlink()  # cut before the first: the store has changed since, perhaps
    return None


def _put_back(former: Path, path: Path) -> None:
    try:
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        former.replace(path)
    except OSError as error:
        msg = (
            f"a migration failed, and the former store, {former}, could not be put back: "
            f"{error.strerror}"
        )
        raise StoreError(msg) from error


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
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(copy)
    except OSError as error:
        partial.unlink(missing_ok=True)
        msg = f"the store could not be copied before its schema changes: {error.strerror}"
        raise StoreError(msg) from error


def _files() -> Iterator[tuple[int, Path]]:
    for file in sorted(FOLDER.glob("[0-9]*.sql")):
        yield int(file.name.split("_", 1)[0]), file


def _apply(cursor: duckdb.DuckDBPyConnection, version: int, file: Path, path: Path | None) -> None:
    try:
        cursor.execute("BEGIN TRANSACTION")
        cursor.execute(file.read_text())
        cursor.execute(
            "INSERT INTO schema_migration VALUES (?, ?, ?)",
            [version, file.stem, datetime.now(UTC).replace(tzinfo=None)],
        )
        cursor.execute("COMMIT")
    except duckdb.Error as error:
        with contextlib.suppress(duckdb.Error):  # a COMMIT that failed may have undone it all
            cursor.execute("ROLLBACK")
        msg = f"migration {file.name} failed, the store is as it was: {error}"
        raise type(explained(error, path))(msg) from error


def known_versions() -> set[int]:
    """Return the numbers of all migrations that this Guardian knows."""
    return {version for version, _ in _files()}
