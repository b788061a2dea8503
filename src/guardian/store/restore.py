"""Put a backup in the store's place, checked.

A restored store is made ready beside the old one and takes its place in a few renames. A
kill between two of them leaves a folder that the next start finishes moving.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import InputError, RefusedError, StoreDamagedError, StoreError, StoreFullError
from guardian.model import words
from guardian.store import archive, bundle, checks
from guardian.store.connection import FILE_NAME, Store
from guardian.store.failures import mapped_errors
from guardian.store.migrations import known_versions
from guardian.store.settle import (
    STAGING,
    UnreadyError,
    free_name,
    make_ready,
    move_in,
    present,
    restoring,
    settle,
    turn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FLOOR_BYTES = 256 << 20
"""So much disk a restored store leaves free at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The rows restored, where the former store is, and the cold files that were damaged."""

    rows: int
    kept: Path | None
    left_out: tuple[str, ...]


def place(
    backup: Path,
    directory: Path,
    *,
    passphrase: str | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> Placed:
    """Check a backup and let it take the store's place.

    With ``force`` cold files that are damaged in the backup are left out.

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
    with contextlib.suppress(UnreadyError):  # it is made once more
        settle(directory)
    with _way_made(directory, force=force):
        pass
    staging = directory / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    (staging / archive.FOLDER).mkdir()
    try:
        rows, left_out = _stage(backup, staging, passphrase, progress, force=force)
        # The daemon may have been started meanwhile.
        with turn(directory), _way_made(directory, force=force):
            kept = free_name(directory) if present(directory) else None
            _make_ready(directory, kept)
            move_in(directory)
    except BaseException:
        if not restoring(directory):
            shutil.rmtree(staging, ignore_errors=True)
        raise
    return Placed(rows=rows, kept=directory / kept if kept else None, left_out=left_out)


def _make_ready(directory: Path, kept: str | None) -> None:
    try:
        make_ready(directory, kept)
    except OSError as error:
        msg = f"the restored store could not be written: {error.strerror}; nothing was changed"
        raise StoreError(msg) from error


def _stage(
    backup: Path,
    staging: Path,
    passphrase: str | None,
    progress: Callable[[int, int], None],
    *,
    force: bool,
) -> tuple[int, tuple[str, ...]]:
    """Unpack, check and migrate a backup below ``staging``; return its rows and what is lost."""
    lost: list[str] = []
    left = shutil.disk_usage(staging).free - FLOOR_BYTES
    file = staging / FILE_NAME
    if not bundle.is_bundle(backup):
        if left < backup.stat().st_size:
            msg = f"{backup} needs {words.size(backup.stat().st_size)} at {staging.parent}"
            raise StoreFullError(msg)
        checks.look(backup)
        shutil.copyfile(backup, file)
        file.chmod(0o600)
        rows = checks.look(file)[0]
    else:
        done = 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            progress(done, 0)

        manifest = bundle.extract(
            backup,
            staging,
            passphrase,
            room_bytes=left,
            done=count,
            spoilt=lost if force else None,
        )
        if manifest.schema > max(known_versions()):
            msg = f"{backup}: was written by a newer Guardian ({manifest.guardian})"
            raise InputError(msg)
        rows, damaged = checks.check(file)
        file.chmod(0o600)
        if rows != manifest.rows:
            msg = f"{backup}: the backup is damaged: {rows} rows of {manifest.rows}"
            raise InputError(msg)
        if damaged and not force:
            msg = f"{damaged[0]}: the cold file is damaged; with --force all but it is restored"
            raise InputError(msg)
        lost = sorted({*lost, *damaged})
        for name in lost:
            (staging / name).unlink(missing_ok=True)
    # That brings its schema up to date, and notes what is missing.
    Store.open(staging, keep_former=False).close()
    return checks.look(file)[0] if lost else rows, tuple(lost)


@contextlib.contextmanager
def _way_made(directory: Path, *, force: bool) -> Iterator[None]:
    """Hold the store's file, so that nobody opens it; refuse where that must not be replaced."""
    path = directory / FILE_NAME
    filled = bool(present(directory))  # also where a log or cold files have lost their store
    with contextlib.ExitStack() as stack:
        # A damaged store is what a backup is for; but nobody may be told that it was empty.
        with contextlib.suppress(StoreDamagedError), mapped_errors(path):
            if path.exists():
                connection = stack.enter_context(duckdb.connect(str(path)))
                filled = _filled(connection)
                _fold(connection)
        if filled and not force:
            msg = (
                f"{directory} has a store with something in it, or what is left of one; with "
                "--force it is kept beside the restored one"
            )
            raise RefusedError(msg)
        yield


def _fold(connection: duckdb.DuckDBPyConnection) -> None:
    """Fold the log in where that goes, and leave nothing to write to this path later."""
    with contextlib.suppress(duckdb.Error):
        connection.execute("CHECKPOINT")
    with contextlib.suppress(duckdb.Error):
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")


def _filled(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM source) + (SELECT count(*) FROM finding) "
            "+ (SELECT count(*) FROM device)"
        ).fetchone()
    except duckdb.CatalogException:
        return False
    return bool(row and row[0])
