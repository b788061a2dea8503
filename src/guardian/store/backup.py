"""Copy the whole store while it is in use."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from guardian import __version__
from guardian.errors import StoreError, StoreFullError, UsageError
from guardian.model import words
from guardian.store import bundle, checks, room
from guardian.store.connection import FILE_NAME, Store
from guardian.store.failures import mapped_errors
from guardian.store.migrations import known_versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRIES = 3
"""So often is the copy begun anew when cold files were merged away while it was made."""


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
        rows, listed = checks.look(copy)
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


def _quoted(path: Path) -> str:
    """Quote a path for ATTACH, which takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
