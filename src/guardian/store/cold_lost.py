"""Cold files that are missing or damaged: off the list, so that all else works, and kept in mind.

A file is judged by its footer: once in each run, and whenever it looks changed. It is read to
its end once a month (``cold_sums``), where a merge failed over it, and before it is listed again.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import duckdb

from guardian.errors import StoreError
from guardian.store import cold_files, cold_sums
from guardian.store.cold_views import show
from guardian.store.engine import settings
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from guardian.store.connection import Store
    from guardian.store.reader import Reader, Transaction

log = logging.getLogger(__name__)

MISSING = "is missing"
BACK_S = 10.0
"""Files that are whole again are read to their end for so many seconds, then in the next round: a
start waits for it."""

_whole: WeakKeyDictionary[Store, dict[str, tuple[int, int]]] = WeakKeyDictionary()
"""Files that were found whole in this run, with their size and time of change then."""


def look(store: Store) -> bool:
    """Take bad files off the list, and those that are whole again back; True: something changed.

    Nothing is done in a store that can only be read.

    Raises:
        StoreError: what was found could not be noted.
    """
    if store.path is None or store.read_only:
        return False
    with store.read() as reader:
        listed = reader.rows("SELECT file, table_name, rows FROM cold_file")
        missed = reader.rows("SELECT file, table_name, day, rows FROM cold_lost")
    expected = {row["file"]: int(row["rows"]) for row in (*listed, *missed)}
    wrong = _judged(store, expected) if expected else {}
    bad = [row for row in listed if row["file"] in wrong]
    _lose(
        store, {row["table_name"] for row in bad}, {row["file"]: wrong[row["file"]] for row in bad}
    )
    back = [row for row in missed if row["file"] not in wrong]
    until = monotonic() + BACK_S
    changed = bool(bad)
    for row in back:
        if monotonic() > until:  # each is read to its end; the next round goes on
            break
        changed = _take_back(store, row) or changed
    return changed


def read_through(store: Store, table: str, day: date) -> bool:
    """Read the files of a day to their end, and take bad ones off the list; True: there were some.

    Raises:
        StoreError: what was found could not be noted.
    """
    home = cold_files.root(store)
    with store.read() as reader:
        names = [
            row["file"]
            for row in reader.rows(
                "SELECT file FROM cold_file WHERE table_name = ? AND day = ?", [table, day]
            )
        ]
    bad = {name: "is damaged inside" for name in names if not _reads_through(home / name)}
    _lose(store, {table}, bad)
    return bool(bad)


def read_again(store: Store, *, now: datetime) -> bool:
    """Read files that are due to their end, and take bad ones off the list; True: there were some.

    Raises:
        StoreError: what was found could not be noted.
    """
    if store.path is None or store.read_only:
        return False
    bad = cold_sums.changed(store, now=now)
    _lose(store, {table for _, table in bad}, {name: "is damaged inside" for name, _ in bad})
    return bool(bad)


def _reads_through(path: Path) -> bool:
    with _apart() as connection:
        try:
            connection.execute("SELECT count(hash(t)) FROM read_parquet(?) AS t", [str(path)])
        except duckdb.OutOfMemoryException:  # that says nothing of the file
            return True
        except duckdb.Error:
            return False
    return True


def _lose(store: Store, tables: Collection[str], bad: Mapping[str, str]) -> None:
    """Keep in mind what listed files had. What is known of their ids stays, for their age."""
    if not bad:
        return
    with store.transaction() as tx:
        for name, reason in bad.items():
            log.warning("the cold file %s %s", name, reason)
            tx.execute(
                "INSERT INTO cold_lost SELECT file, table_name, day, rows, ?, ? FROM cold_file "
                "WHERE file = ?",
                [reason, utc_now(), name],
            )
            tx.execute("DELETE FROM cold_file WHERE file = ?", [name])
        show(tx, sorted(tables))


def _take_back(store: Store, row: dict[str, Any]) -> bool:
    name, table = row["file"], row["table_name"]
    with store.read() as reader:
        same = cold_sums.as_it_was(reader, name, cold_files.root(store) / name)
    if not same or not _reads_through(cold_files.root(store) / name):
        return False
    try:
        with store.transaction() as tx:
            if not tx.value("DELETE FROM cold_lost WHERE file = ?", [name]):
                return False
            cold_files.enlist(tx, table, row["day"], name, cold_files.root(store) / name)
            show(tx, [table])
    except StoreError as error:  # it stays where it is, and the next round looks again
        log.warning("the cold file %s could not be listed again: %s", name, error)
        return False
    log.warning("the cold file %s is whole again", name)
    return True


def _judged(store: Store, expected: Mapping[str, int]) -> dict[str, str]:
    """Return what is wrong with which of these files, given how many rows each must have."""
    home, known = cold_files.root(store), _whole.get(store, {})
    wrong: dict[str, str] = {}
    marks: dict[str, tuple[int, int]] = {}
    for name in expected:
        try:
            marks[name] = _mark(home / name)
        except (FileNotFoundError, NotADirectoryError):
            if cold_files.bring_back(home, name):
                marks[name] = _mark(home / name)
            else:
                wrong[name] = MISSING
        except OSError as error:
            wrong[name] = f"cannot be read ({error.strerror})"
    new = [name for name, mark in marks.items() if known.get(name) != mark]
    for name, rows in _footers(home, new).items():
        if rows is None:
            wrong[name] = "is damaged"
        elif rows != expected[name]:
            wrong[name] = f"is damaged: it has {rows:,} of {expected[name]:,} rows"
    _whole[store] = {name: mark for name, mark in marks.items() if name not in wrong}
    return wrong


def _mark(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _footers(home: Path, names: Sequence[str]) -> dict[str, int | None]:
    """Return the rows of each file by its footer, None where it has none that can be read."""
    if not names:
        return {}
    paths = {str(home / name): name for name in names}
    query = "SELECT file_name, num_rows FROM parquet_file_metadata(?)"
    with _apart() as connection:
        try:
            rows = connection.execute(query, [list(paths)]).fetchall()
            return {paths[path]: int(number) for path, number in rows}
        except duckdb.Error:
            pass  # one of them, so each is asked
        found: dict[str, int | None] = {}
        for path, name in paths.items():
            try:
                row = connection.execute(query, [[path]]).fetchone()
                found[name] = int(row[1]) if row else None
            except duckdb.OutOfMemoryException:  # that says nothing of the file
                continue
            except duckdb.Error:
                found[name] = None
        return found


def _apart() -> duckdb.DuckDBPyConnection:
    """Return a database of its own: whatever is in a file, the store's is not troubled."""
    return duckdb.connect(":memory:", config={**settings(None), "threads": 1})


def lost(reader: Reader) -> list[dict[str, Any]]:
    """Return the files that cannot be read: file, table_name, day, rows, reason, noted_at."""
    return reader.rows("SELECT * FROM cold_lost ORDER BY day, table_name, file")


def forget(tx: Transaction, table: str, day: date, *, stored_before: int) -> None:
    """Forget files of days that are not kept any longer; what is left of them may go."""
    rows = tx.rows(
        "SELECT file FROM cold_lost LEFT JOIN cold_span USING (file) "
        "WHERE table_name = ? AND day < ? AND coalesce(last_id, 0) < ?",
        [table, day, stored_before],
    )
    for row in rows:
        tx.execute("DELETE FROM cold_lost WHERE file = ?", [row["file"]])
    cold_files.strike(tx, [row["file"] for row in rows])
