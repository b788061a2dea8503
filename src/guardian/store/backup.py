"""Copy the whole store while it is in use.

The copy of the file that a backup is made of is not encrypted, so it lies beside the store.
Only where there is no room for it, or the store's disk cannot be written, does it lie at the
target, in a folder that nobody else may open; for want of room it never does so where the
backup is to be encrypted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from guardian import __version__
from guardian.errors import StoreError, StoreFullError, UsageError
from guardian.model import words
from guardian.store import bundle, checks, engine, retention, room, settle
from guardian.store.cold_lost import MISSING
from guardian.store.connection import FILE_NAME, Store
from guardian.store.failures import mapped_errors
from guardian.store.migrations import known_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TRIES = 3
"""So often is the copy begun anew when cold files were merged away while it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The rows of a backup, and the cold files that are not in it: they are lost or damaged."""

    rows: int
    left_out: tuple[str, ...]


def write(
    store: Store,
    target: Path,
    *,
    passphrase: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> Written:
    """Copy everything that is committed now, and can be read, into ``target``.

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
    beside = _beside(store, target, locked=passphrase is not None)
    partial = target.with_name(f".{target.name}.part")
    where = target.parent
    try:
        with _work(store, target, beside=beside) as (copy, links):
            where = copy.parent.parent
            content, left_out = _snapshot(store, copy, links)
            where = target.parent
            content.done = _counted(content, progress)
            partial.unlink(missing_ok=True)
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            bundle.write(content, partial, passphrase)
            partial.rename(target)
    except OSError as error:
        msg = f"{target} could not be written: {error.strerror or error}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (StoreFullError if full else StoreError)(msg) from error
    except StoreFullError as error:
        msg = f"{target} could not be written: the disk is full at {where}"
        raise StoreFullError(msg) from error
    finally:
        partial.unlink(missing_ok=True)
    return Written(rows=content.rows, left_out=left_out)


def _counted(
    content: bundle.Content, progress: Callable[[int, int], None]
) -> Callable[[int], None]:
    whole = sum(path.stat().st_size for path in content.files.values())
    done = 0

    def count(number: int) -> None:
        nonlocal done
        done += number
        progress(done, whole)

    return count


def _beside(store: Store, target: Path, *, locked: bool) -> bool:
    """Return whether the copy of the file lies beside the store, once there is room for all.

    Raises:
        StoreFullError: there is not; nothing was written.
        StoreError: the target's folder cannot be looked at.
    """
    with store.read() as reader:
        used = reader.value(
            "SELECT block_size * used_blocks FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        )
        cold = reader.value("SELECT coalesce(sum(bytes), 0) FROM cold_file")
        floor = retention.kept_free(store, reader)
    copy, whole = int(used or 0), int(used or 0) + int(cold)
    home = _home(store)
    try:
        if home is None or _one_disk(home, target.parent):
            _require_room(target.parent, copy + whole, floor if home else 0)
            return home is not None
        beside = locked or shutil.disk_usage(home).free >= copy + floor
        if beside:
            _require_room(home, copy, floor)
        _require_room(target.parent, whole if beside else copy + whole)
    except OSError as error:
        msg = f"{target} could not be written: {error.strerror}"
        raise StoreError(msg) from error
    return beside


def _home(store: Store) -> Path | None:
    """Return the folder of the store where something can be written to it."""
    if store.path is None or store.read_only or not store.path.parent.is_dir():
        return None
    return store.path.parent


def _one_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _require_room(folder: Path, need: int, floor: int = 0) -> None:
    """Refuse where there is less than is needed beside what stays free of the store's disk."""
    free = shutil.disk_usage(folder).free
    if free < need + floor:
        stay = f", of which {words.size(floor)} stay free for the store" if floor else ""
        msg = (
            f"the backup may need {words.size(need)} at {folder}, "
            f"{words.size(free)} are free{stay}; nothing was written"
        )
        raise StoreFullError(msg)


@contextlib.contextmanager
def _work(store: Store, target: Path, *, beside: bool) -> Iterator[tuple[Path, Path | None]]:
    """Give the place of the copy, and a folder for links to cold files where there can be one."""
    with contextlib.ExitStack() as stack:
        links = None
        if home := _home(store):
            links = stack.enter_context(settle.work_folder(home))
        if links is not None and beside:
            yield links / FILE_NAME, links
            return
        folder = target.with_name(f".{target.name}.store")
        room.remove(folder) if folder.is_file() else shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder / FILE_NAME, links


def _snapshot(
    store: Store, copy: Path, links: Path | None
) -> tuple[bundle.Content, tuple[str, ...]]:
    """Copy the file of the store, and hold on to the cold files that it lists and that are whole.

    Returns what to write, and the files that are left out, noted in the copy as lost.
    """
    for _ in range(TRIES):
        room.remove(copy)
        if store.read_only:
            _copy_as_it_lies(store, copy)
        else:
            _copy_what_is_committed(store, copy)
        rows, listed = checks.look(copy)
        cold = _held(store, listed, links)
        gone = listed.keys() - cold.keys()
        if not gone <= _listed(store):
            continue  # they were merged or deleted since
        bad = dict.fromkeys(gone, MISSING)
        bad |= dict.fromkeys(checks.unreadable(cold, listed), "is damaged")
        if bad:
            checks.lose(copy, bad)
            rows, listed = checks.look(copy)
        content = bundle.Content(
            files={FILE_NAME: copy, **{name: cold[name] for name in sorted(listed)}},
            guardian=__version__,
            schema=max(known_versions()),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=rows,
        )
        return content, tuple(checks.lost(copy))
    msg = "cold files went away while they were copied, again and again; try once more"
    raise StoreError(msg)


def _listed(store: Store) -> set[str]:
    with store.read() as reader:
        return {row["file"] for row in reader.rows("SELECT file FROM cold_file")}


def _copy_what_is_committed(store: Store, copy: Path) -> None:
    with store.more_memory(engine.COPY_BYTES), store.read() as reader:
        name = reader.value("SELECT current_database()")
        reader.execute(f"ATTACH {_quoted(copy)} AS backup_copy")
        try:
            copy.chmod(0o600)
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
    _copy_private(store.path, copy)
    if log.exists():
        _copy_private(log, copy.with_name(copy.name + ".wal"))
    with mapped_errors(copy), duckdb.connect(str(copy)) as connection:
        connection.execute("CHECKPOINT")
    if not store.read_only:
        msg = "the store can be written again since the backup began; try once more"
        raise StoreError(msg)


def _copy_private(source: Path, copy: Path) -> None:
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    shutil.copyfile(source, copy)


def _held(store: Store, listed: dict[str, int], links: Path | None) -> dict[str, Path]:
    """Return the cold files that are there by name, linked so that they stay."""
    held: dict[str, Path] = {}
    for number, name in enumerate(sorted(listed)):
        assert store.path is not None
        path = store.path.parent / name
        with contextlib.suppress(FileNotFoundError):
            path.stat()
            held[name] = _linked(path, links / f"{number}.parquet") if links else path
    return held


def _linked(path: Path, link: Path) -> Path:
    """Give a file a second name; where there are no links it has to stay until it is read."""
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except FileNotFoundError:
        raise
    except OSError:
        return path
    return link


def _quoted(path: Path) -> str:
    """Quote a path for ATTACH, which takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
