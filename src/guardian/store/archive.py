"""The cold tier: closed days as Parquet files, listed in the store, read by the same views.

Why not a lake catalogue of its own: DuckDB lets one transaction write to one database
only, so rows could not leave the hot table and enter the lake at once. Here the file
is written first, and one transaction lists it, deletes the hot rows and lets the views
show it; a kill in between leaves a file that nobody lists, which ``sweep`` removes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.errors import StoreError
from guardian.store import cold_files, cold_lost, cold_views
from guardian.store.cold_files import FOLDER, sweep
from guardian.store.cold_views import by_ids, quoted, relation, show
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from datetime import date, datetime

    from guardian.store.connection import Store, Transaction
    from guardian.store.limits import Limits

__all__ = [
    "FOLDER",
    "archive",
    "by_ids",
    "drop_before",
    "merge",
    "note_spans",
    "refresh_views",
    "relation",
    "sweep",
]


def archive(
    store: Store, limits: Limits, *, now: datetime, stored_before: int | None = None
) -> int:
    """Move every closed day older than ``hot_days`` to the cold tier; return the rows moved.

    ``stored_before`` leaves rows with that id and above hot: what came late was not
    looked at for long yet.

    Raises:
        StoreError: a file could not be written; its rows are still hot.
    """
    if store.path is None:
        return 0
    horizon = (now - timedelta(days=limits.hot_days)).date()
    newest = stored_before if stored_before is not None else (1 << 63) - 1
    moved = 0
    for table in TABLES:
        with store.read() as reader:
            days = reader.rows(
                f"SELECT DISTINCT ts::DATE AS day FROM {table} WHERE ts < ? AND id < ? "
                "ORDER BY day",
                [horizon, newest],
            )
        for row in days:
            moved += _move_day(store, table, row["day"], newest)
    return moved


def _move_day(store: Store, table: str, day: date, newest: int) -> int:
    """Write one day of one table to a file and take it out of the hot table, at once."""
    name = cold_files.begin(store, table, day)
    path = cold_files.root(store) / name
    which: list[object] = [day, day + timedelta(days=1), newest]
    old = "ts >= ? AND ts < ? AND id < ?"
    with store.transaction() as tx, cold_files.whole(path):
        rows = cold_files.write(tx, f"SELECT * FROM {table} WHERE {old}", which, path)
        cold_files.enlist(tx, table, day, name, path)
        tx.execute(f"DELETE FROM {table} WHERE {old}", which)
        show(tx, [table])
    return rows


def note_spans(store: Store) -> int:
    """Look into the files that an older Guardian left; return how many were noted anew.

    Each round begins here, so first of all files that went bad meanwhile are taken off the
    list, and what a kill left is swept. Earlier versions took the name of a file's folder for
    a column of it, ``day``, and merged files got one.
    """
    if store.path is None:
        return 0
    refresh_views(store)
    sweep(store)
    root = cold_files.root(store)
    with store.read() as reader:
        unsure = reader.rows(
            "SELECT file, columns FROM cold_file LEFT JOIN cold_span USING (file) "
            "WHERE columns IS NULL OR columns LIKE '%,day'"
        )
        changed = [
            row["file"]
            for row in unsure
            if (root / row["file"]).exists()
            and cold_files.columns(reader, root / row["file"]) != row["columns"]
        ]
    for name in changed:
        with store.transaction() as tx:
            cold_files.span(tx, name, root / name)
    return len(changed)


def merge(store: Store, limits: Limits) -> int:
    """Make one file of each day that late rows have left in too many; return files saved."""
    if store.path is None:
        return 0
    with store.read() as reader:
        crowded = reader.rows(
            "SELECT table_name, day FROM cold_file GROUP BY ALL HAVING count(*) > ? "
            "ORDER BY table_name, day",
            [limits.cold_files_per_day],
        )
    saved = 0
    for row in crowded:
        table, day = row["table_name"], row["day"]
        try:
            saved += _merge_day(store, table, day)
        except StoreError:  # the day's other files are merged when they are next too many
            if not cold_lost.read_through(store, table, day):
                raise
    if saved:
        sweep(store)
    return saved


def _merge_day(store: Store, table: str, day: date) -> int:
    name = cold_files.begin(store, table, day)
    root = cold_files.root(store)
    with store.transaction() as tx, cold_files.whole(root / name):
        listed = tx.rows(
            "SELECT file, rows FROM cold_file WHERE table_name = ? AND day = ? ORDER BY file",
            [table, day],
        )
        files, rows = [each["file"] for each in listed], sum(each["rows"] for each in listed)
        parts = ", ".join(quoted(root / file) for file in files)
        query = (
            "SELECT COLUMNS(c -> c <> 'day') FROM "  # see note_spans
            f"read_parquet([{parts}], union_by_name = true, hive_partitioning = false)"
        )
        if cold_files.write(tx, query, [], root / name) != rows:
            msg = f"the cold files of {table} of {day} have not the rows that they had"
            raise StoreError(msg)
        cold_files.strike(tx, files)
        cold_files.enlist(tx, table, day, name, root / name)
        show(tx, [table])
    return len(files) - 1


def drop_before(tx: Transaction, table: str, day: date, *, stored_before: int) -> int:
    """Take cold days of a table before ``day`` off the list and the views; return their rows.

    Only files whose every row was stored before the id ``stored_before`` go.
    """
    old = (
        "FROM cold_file LEFT JOIN cold_span USING (file) "
        "WHERE table_name = ? AND day < ? AND coalesce(last_id, 0) < ?"
    )
    rows = tx.value(f"SELECT coalesce(sum(rows), 0) {old}", [table, day, stored_before])
    files = [row["file"] for row in tx.rows(f"SELECT file {old}", [table, day, stored_before])]
    cold_files.strike(tx, files)
    if files:
        show(tx, [table])
    cold_lost.forget(tx, table, day, stored_before=stored_before)
    return int(rows)


def refresh_views(store: Store) -> None:
    """Take files that cannot be read off the list, and make the views show all others.

    Raises:
        StoreError: the disk refused.
    """
    cold_lost.look(store)
    cold_views.refresh(store)
