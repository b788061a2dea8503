"""Copy the whole store while it is in use, and put such a copy in its place, checked.

A restored store is made ready beside the old one and takes its place in a few renames. A
kill between two of them leaves a folder that the next start finishes moving.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from guardian import __version__
from guardian.errors import (
    InputError,
    RefusedError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    UsageError,
)
from guardian.model import words
from guardian.store import archive, bundle, room
from guardian.store.connection import FILE_NAME, Store
from guardian.store.failures import mapped_errors
from guardian.store.migrations import known_versions
from guardian.store.settle import READY, STAGING, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRIES = 3
"""So often is the copy begun anew when cold files were merged away while it was made."""
FLOOR_BYTES = 256 << 20
"""So much disk a restored store leaves free at least."""


def write(
    store: Store,
    target: Path,
    *,
    passphrase: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> int:
    """Copy everything that is committed now into ``target``; return the number of rows.

    ``progress`` gets the bytes done and the bytes of the whole.

    Raises:
        UsageError: the passphrase is empty.
        StoreFullError: there is not enough room where it shall lie.
        StoreError: the target exists, or cannot be written.
    """
    if passphrase is not None and not passphrase.strip():
        msg = "the passphrase is empty; nothing was written"
        raise UsageError(msg)
    if target.exists():
        msg = f"{target} exists already; a backup is never written over another"
        raise StoreError(msg)
    _require_room(store, target)
    partial = target.with_name(f".{target.name}.part")
    copy = target.with_name(f".{target.name}.store")
    try:
        content = _snapshot(store, copy)
        whole = sum(path.stat().st_size for path in content.files.values())
        done = 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            progress(done, whole)

        content.done = count
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        bundle.write(content, partial, passphrase)
        partial.rename(target)
    except OSError as error:
        msg = f"{target} could not be written: {error.strerror or error}"
        raise StoreError(msg) from error
    except StoreFullError as error:
        msg = f"{target} could not be written: the disk is full there"
        raise StoreFullError(msg) from error
    finally:
        partial.unlink(missing_ok=True)
        room.remove(copy)
        shutil.rmtree(_links(copy, store), ignore_errors=True)
    return content.rows


def _require_room(store: Store, target: Path) -> None:
    """Refuse before anything is written: the copy of the file, and the backup itself."""
    with store.read() as reader:
        used = reader.value(
            "SELECT block_size * used_blocks FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        )
        cold = reader.value("SELECT coalesce(sum(bytes), 0) FROM cold_file")
    need = 2 * int(used or 0) + int(cold)
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        msg = f"{target} could not be written: {error.strerror}"
        raise StoreError(msg) from error
    if free < need:
        msg = (
            f"the backup may need {words.size(need)} at {target.parent}, "
            f"{words.size(free)} are free; nothing was written"
        )
        raise StoreFullError(msg)


def _snapshot(store: Store, copy: Path) -> bundle.Content:
    """Copy the file of the store, and hold on to the cold files that it lists."""
    for _ in range(TRIES):
        room.remove(copy)
        if store.read_only:
            _copy_as_it_lies(store, copy)
        else:
            _copy_what_is_committed(store, copy)
        rows, listed = _look(copy)
        cold = _held(store, listed, _links(copy, store))
        if cold is not None:
            return bundle.Content(
                files={FILE_NAME: copy, **cold},
                guardian=__version__,
                schema=max(known_versions()),
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                rows=rows,
            )
    msg = "cold files went away while they were copied, again and again; try once more"
    raise StoreError(msg)


def _copy_what_is_committed(store: Store, copy: Path) -> None:
    with store.read() as reader:
        name = reader.value("SELECT current_database()")
        reader.execute(f"ATTACH {_quoted(copy)} AS backup_copy")
        try:
            reader.execute(f'COPY FROM DATABASE "{name}" TO backup_copy')
        finally:
            reader.execute("DETACH backup_copy")


def _copy_as_it_lies(store: Store, copy: Path) -> None:
    """Copy the file of a store that can only be read, and fold the log into the copy.

    DuckDB attaches nothing for writing to it, and nobody writes to it meanwhile. Such a disk
    is about to fail, most likely: that is when a backup is wanted.
    """
    assert store.path is not None
    log = store.path.with_name(store.path.name + ".wal")
    shutil.copyfile(store.path, copy)
    if log.exists():
        shutil.copyfile(log, copy.with_name(copy.name + ".wal"))
    with mapped_errors(copy), duckdb.connect(str(copy)) as connection:
        connection.execute("CHECKPOINT")
    if not store.read_only:
        msg = "the store can be written again since the backup began; try once more"
        raise StoreError(msg)


def _links(copy: Path, store: Store) -> Path:
    folder = store.path.parent if store.path else copy.parent
    return folder / f"{copy.name}.cold"


def _held(store: Store, listed: dict[str, int], links: Path) -> dict[str, Path] | None:
    """Return the cold files by name, linked so that they stay; None when one is gone."""
    shutil.rmtree(links, ignore_errors=True)
    held: dict[str, Path] = {}
    for number, name in enumerate(sorted(listed)):
        assert store.path is not None
        path = store.path.parent / name
        link = links / f"{number}.parquet"
        try:
            links.mkdir(exist_ok=True)
            os.link(path, link)
            held[name] = link
        except FileNotFoundError:
            return None
        except OSError:  # no links here: the file itself has to stay until it is read
            held[name] = path
    return held


def check(path: Path) -> int:
    """Open a store's file, read every table to its end, and return the rows of both tiers.

    Raises:
        InputError: it is not a store of a Guardian that this one knows, or is damaged.
    """
    rows, listed = _look(path)
    for name, expected in listed.items():
        file = path.parent / name
        if not file.exists() and path.name != FILE_NAME:
            continue  # a bare file of an older Guardian, whose cold tier stayed behind
        found = _count_cold(file)
        if found != expected:
            msg = f"{name}: the cold file is damaged: {found} of {expected} rows"
            raise InputError(msg)
    return rows


def _look(path: Path) -> tuple[int, dict[str, int]]:
    """Return the rows of both tiers, and the rows of each cold file that the store lists."""
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


def place(
    backup: Path,
    directory: Path,
    *,
    passphrase: str | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> tuple[int, Path | None]:
    """Check a backup and let it take the store's place; return its rows and the former store.

    Raises:
        InputError: the backup is damaged or too new; nothing was changed.
        UsageError: it wants a passphrase, or another one.
        RefusedError: there is a store with something in it, and ``force`` is not set.
        StoreLockedError: the daemon owns the store.
        StoreFullError: there is no room for it.
    """
    if not backup.is_file():
        msg = f"{backup}: no such backup"
        raise InputError(msg)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    settle(directory)
    _make_way(directory, force=force)
    staging = directory / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    (staging / archive.FOLDER).mkdir(parents=True)
    try:
        rows = _stage(backup, staging, passphrase, progress)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    kept = _free_name(directory) if (directory / FILE_NAME).exists() else None
    (staging / READY).write_text(kept.name if kept else "")
    settle(directory)
    return rows, kept


def _stage(
    backup: Path,
    staging: Path,
    passphrase: str | None,
    progress: Callable[[int, int], None],
) -> int:
    """Unpack, check and migrate a backup below ``staging``; return its rows."""
    left = shutil.disk_usage(staging).free - FLOOR_BYTES
    file = staging / FILE_NAME
    if not bundle.is_bundle(backup):
        if left < backup.stat().st_size:
            msg = f"{backup} needs {words.size(backup.stat().st_size)} at {staging.parent}"
            raise StoreFullError(msg)
        _look(backup)
        shutil.copyfile(backup, file)
        file.chmod(0o600)
        rows = _look(file)[0]
    else:
        done = 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            progress(done, 0)

        manifest = bundle.extract(backup, staging, passphrase, room_bytes=left, done=count)
        if manifest.schema > max(known_versions()):
            msg = f"{backup}: was written by a newer Guardian ({manifest.guardian})"
            raise InputError(msg)
        rows = check(file)
        if rows != manifest.rows:
            msg = f"{backup}: the backup is damaged: {rows} rows of {manifest.rows}"
            raise InputError(msg)
    Store.open(staging, keep_former=False).close()  # brings its schema up to date
    return rows


def _make_way(directory: Path, *, force: bool) -> None:
    """Refuse while somebody has the store, or while it has something in it."""
    path = directory / FILE_NAME
    if not path.exists():
        return
    filled = True
    # A damaged store is what a backup is for; but nobody may be told that it was empty.
    with (
        contextlib.suppress(StoreDamagedError),
        mapped_errors(path),
        duckdb.connect(str(path)) as connection,  # also folds the log in
    ):
        filled = _filled(connection)
    if filled and not force:
        msg = (
            f"{directory} has a store with something in it; with --force it is kept beside the "
            "restored one"
        )
        raise RefusedError(msg)


def _filled(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM source) + (SELECT count(*) FROM finding) "
            "+ (SELECT count(*) FROM device)"
        ).fetchone()
    except duckdb.CatalogException:
        return False
    return bool(row and row[0])


def _free_name(directory: Path) -> Path:
    number = 1
    while (kept := directory / f"before-restore-{number}").exists():
        number += 1
    return kept


def _quoted(path: Path) -> str:
    """Quote a path for ATTACH, which takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
