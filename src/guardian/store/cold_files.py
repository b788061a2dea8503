"""The files of the cold tier: written whole, listed with what they hold, removed by name.

The store removes only files of its own: each name is noted before the file is written and
when it is taken off the list (``cold_gone``). Whatever else lies there, as after the main
file was lost, is moved aside and never deleted.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from guardian.errors import StoreError
from guardian.store.cold_views import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from guardian.store.connection import Store
    from guardian.store.reader import Reader, Transaction

log = logging.getLogger(__name__)

FOLDER = "cold"
UNLISTED = "cold.unlisted-"
"""Beside it, with a number: files that lay there and that this store does not know."""
ROW_GROUP = 40_960
"""Rows that a cold file keeps together: a look-up by id reads one such group (measured: a
third of DuckDB's default takes a fifth of the time, in files of the same size)."""


def root(store: Store) -> Path:
    """Return the data directory of a store that lies on a disk."""
    assert store.path is not None
    return store.path.parent


def begin(store: Store, table: str, day: date) -> str:
    """Name a new file, and note the name first: what a kill leaves of it is to be removed."""
    name = f"{FOLDER}/{table}/day={day.isoformat()}/{uuid4().hex}.parquet"
    with store.transaction() as tx:
        tx.execute("INSERT INTO cold_gone VALUES (?)", [name])
    (root(store) / name).parent.mkdir(parents=True, exist_ok=True)
    return name


@contextlib.contextmanager
def whole(path: Path) -> Iterator[None]:
    """Leave no part of a file behind where the disk had no room for the rest.

    It stands inside the transaction: a COMMIT that fails may be stored all the same, and the
    file is then the only place of its rows. ``sweep`` removes what a refused one leaves.
    """
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write(tx: Transaction, query: str, parameters: list[object], path: Path) -> int:
    """Write the rows of a query to a file, and make sure that they are there; return how many.

    Raises:
        StoreError: the disk refused, or gives back something else.
    """
    target = quoted(path)
    rows = int(
        tx.value(
            f"COPY ({query} ORDER BY ts, id) TO {target} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})",
            parameters,
        )
    )
    for each in (path, path.parent, path.parent.parent):  # the names of new folders, too
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    found = tx.value(f"SELECT count(*) FROM read_parquet({target})")
    if found != rows:
        msg = f"{path}: {found} rows can be read of {rows} that were written; all stays as it was"
        raise StoreError(msg)
    return rows


def enlist(tx: Transaction, table: str, day: date, name: str, path: Path) -> None:
    """List a file, with what it holds."""
    tx.execute("DELETE FROM cold_gone WHERE file = ?", [name])
    tx.execute(
        "INSERT INTO cold_file SELECT ?, ?, ?, count(*), ?, min(ts), max(ts) "
        f"FROM read_parquet({quoted(path)})",
        [table, day, name, path.stat().st_size],
    )
    span(tx, name, path)


def span(tx: Transaction, name: str, path: Path) -> None:
    """Note which ids a file holds and which columns."""
    tx.execute("DELETE FROM cold_span WHERE file = ?", [name])
    tx.execute(
        "INSERT INTO cold_span SELECT ?, coalesce(min(id), 0), coalesce(max(id), 0), ? "
        f"FROM read_parquet({quoted(path)}, hive_partitioning = false)",
        [name, columns(tx, path)],
    )


def columns(reader: Reader, path: Path) -> str:
    """Return the names of a file's own columns; what its folder is called is none of them."""
    rows = reader.rows(
        "SELECT column_name FROM "
        f"(DESCRIBE FROM read_parquet({quoted(path)}, hive_partitioning = false))"
    )
    return ",".join(row["column_name"] for row in rows)


def strike(tx: Transaction, names: Collection[str]) -> None:
    """Take files off the list, for ``sweep`` to remove."""
    for name in names:
        tx.execute("DELETE FROM cold_file WHERE file = ?", [name])
        tx.execute("DELETE FROM cold_span WHERE file = ?", [name])
        tx.execute("DELETE FROM cold_sum WHERE file = ?", [name])
        tx.execute("INSERT INTO cold_gone VALUES (?)", [name])


def sweep(store: Store) -> int:
    """Remove files that the store gave up or never finished; return how many went.

    Damaged ones stay as long as their day would be kept. Files that it does not know at all are
    moved aside and counted too. Cheap where there is nothing to do; nothing is done in a store
    that can only be read.

    Raises:
        StoreRetryError: a COMMIT failed, and what is listed will be known when the file is
            open anew. Nothing was removed.
    """
    if store.path is None or store.read_only:
        return 0
    home = root(store)
    with store.transaction() as tx:  # what is listed now is stored, and stays until this is done
        kept = {
            row["file"]
            for row in tx.rows("SELECT file FROM cold_file UNION ALL SELECT file FROM cold_lost")
        }
        own = {row["file"] for row in tx.rows("SELECT file FROM cold_gone")} - kept
        found = {str(path.relative_to(home)) for path in (home / FOLDER).rglob("*.parquet")}
        stuck = {name for name in own & found if not _removed(home / name)}
        tx.many("DELETE FROM cold_gone WHERE file = ?", [(name,) for name in own - stuck])
        aside = _put_aside(home, found - kept - own)
    for folder in (home / FOLDER).glob("*/day=*"):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return len(own & found - stuck) + aside


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be removed: %s", path, error.strerror)
        return False
    return True


def _put_aside(home: Path, names: Collection[str]) -> int:
    """Move files of another store out of this one's cold tier; return how many."""
    if not names:
        return 0
    number = 1
    while (target := home / f"{UNLISTED}{number}").exists():
        number += 1
    moved = 0
    for name in sorted(names):
        place = target / Path(name).relative_to(FOLDER)
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (home / name).rename(place)
        except OSError as error:
            log.warning("%s could not be moved to %s: %s", home / name, place, error.strerror)
            _remove_empty(place.parent, place.parent.parent, target)
            continue
        moved += 1
    if moved:
        log.warning("%d cold files that this store does not know were moved to %s", moved, target)
    return moved


def bring_back(home: Path, name: str) -> bool:
    """Put a file that was moved aside back: the store that lists it is there again."""
    place, parts = home / name, Path(name).parts
    if parts[:1] != (FOLDER,) or ".." in parts:  # what a file says is not followed anywhere
        return False
    for folder in sorted(home.glob(f"{UNLISTED}*")):
        aside = folder.joinpath(*parts[1:])
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(place)
            _remove_empty(aside.parent, aside.parent.parent, folder)
            return True
    return False


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def put_aside(store: Store) -> list[tuple[Path, int]]:
    """Return the folders of files that were moved aside, and how many files each has."""
    if store.path is None:
        return []
    folders = sorted(root(store).glob(f"{UNLISTED}*"))
    counted = [(folder, sum(1 for _ in folder.rglob("*.parquet"))) for folder in folders]
    return [(folder, number) for folder, number in counted if number]
