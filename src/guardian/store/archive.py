"""The cold tier: closed days as Parquet files, listed in the store, read by the same views.

Why not a lake catalogue of its own: DuckDB lets one transaction write to one database
only, so rows could not leave the hot table and enter the lake at once. Here the file
is written first, and one transaction lists it, deletes the hot rows and lets the views
show it; a kill in between leaves a file that nobody lists, which ``sweep`` removes.
"""

from __future__ import annotations

import contextlib
import os
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from guardian.store.cold_views import by_ids, quoted, relation, show
from guardian.store.cold_views import refresh as refresh_views
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.store.connection import Reader, Store, Transaction
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

FOLDER = "cold"
ROW_GROUP = 40_960
"""Rows that a cold file keeps together: a look-up by id reads one such group (measured: a
third of DuckDB's default takes a fifth of the time, in files of the same size)."""


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
    root = _root(store)
    name = f"{FOLDER}/{table}/day={day.isoformat()}/{uuid4().hex}.parquet"
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    which: list[object] = [day, day + timedelta(days=1), newest]
    old = "ts >= ? AND ts < ? AND id < ?"
    with store.transaction() as tx, _whole(path):
        rows = _write(tx, f"SELECT * FROM {table} WHERE {old}", which, path)
        _list(tx, table, day, name, path)
        tx.execute(f"DELETE FROM {table} WHERE {old}", which)
        show(tx, [table])
    return rows


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Leave no part of a file behind where the disk had no room for the rest.

    It stands inside the transaction: a COMMIT that fails may be stored all the same, and the
    file is then the only place of its rows. ``sweep`` removes what a refused one leaves.
    """
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(tx: Transaction, query: str, parameters: list[object], path: Path) -> int:
    target = str(path).replace("'", "''")
    tx.execute(
        f"COPY ({query} ORDER BY ts, id) TO '{target}' "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})",
        parameters,
    )
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return int(tx.value(f"SELECT count(*) FROM read_parquet('{target}')"))


def _list(tx: Transaction, table: str, day: date, name: str, path: Path) -> None:
    target = str(path).replace("'", "''")
    tx.execute(
        "INSERT INTO cold_file SELECT ?, ?, ?, count(*), ?, min(ts), max(ts) "
        f"FROM read_parquet('{target}')",
        [table, day, name, path.stat().st_size],
    )
    _span(tx, name, path)


def _span(tx: Transaction, name: str, path: Path) -> None:
    """Note which ids a file holds and which columns."""
    target = str(path).replace("'", "''")
    columns = tx.rows(f"SELECT column_name FROM (DESCRIBE FROM read_parquet('{target}'))")
    tx.execute(
        "INSERT INTO cold_span SELECT ?, coalesce(min(id), 0), coalesce(max(id), 0), ? "
        f"FROM read_parquet('{target}') ON CONFLICT (file) DO NOTHING",
        [name, ",".join(row["column_name"] for row in columns)],
    )


def note_spans(store: Store) -> int:
    """Look into the files that an older Guardian left; return how many were looked at."""
    if store.path is None:
        return 0
    root = _root(store)
    with store.read() as reader:
        unknown = [
            row["file"]
            for row in reader.rows("SELECT file FROM cold_file ANTI JOIN cold_span USING (file)")
            if (root / row["file"]).exists()
        ]
    for name in unknown:
        with store.transaction() as tx:
            _span(tx, name, root / name)
    return len(unknown)


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
        saved += _merge_day(store, row["table_name"], row["day"])
    if saved:
        sweep(store)
    return saved


def _merge_day(store: Store, table: str, day: date) -> int:
    root = _root(store)
    name = f"{FOLDER}/{table}/day={day.isoformat()}/{uuid4().hex}.parquet"
    with store.transaction() as tx, _whole(root / name):
        files = _files(tx, table, day)
        listed = ", ".join(quoted(root / file) for file in files)
        _write(tx, f"SELECT * FROM read_parquet([{listed}], union_by_name = true)", [], root / name)
        tx.execute(
            "DELETE FROM cold_span WHERE file IN "
            "(SELECT file FROM cold_file WHERE table_name = ? AND day = ?)",
            [table, day],
        )
        tx.execute("DELETE FROM cold_file WHERE table_name = ? AND day = ?", [table, day])
        _list(tx, table, day, name, root / name)
        show(tx, [table])
    return len(files) - 1


def sweep(store: Store) -> int:
    """Remove files that nobody lists, and empty folders; return how many files went.

    Raises:
        StoreRetryError: a COMMIT failed, and what is listed will be known when the file is
            open anew. Nothing was removed.
    """
    root = _root(store)
    gone = 0
    with store.transaction() as tx:  # what is listed now is stored, and stays until this is done
        listed = {row["file"] for row in tx.rows("SELECT file FROM cold_file")}
        for path in (root / FOLDER).rglob("*.parquet"):
            if str(path.relative_to(root)) not in listed:
                path.unlink(missing_ok=True)
                gone += 1
    for folder in (root / FOLDER).glob("*/day=*"):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return gone


def drop_before(tx: Transaction, table: str, day: date, *, stored_before: int) -> int:
    """Take cold days of a table before ``day`` off the list and the views; return their rows.

    Only files whose every row was stored before the id ``stored_before`` go.
    """
    old = (
        "FROM cold_file LEFT JOIN cold_span USING (file) "
        "WHERE table_name = ? AND day < ? AND coalesce(last_id, 0) < ?"
    )
    rows = tx.value(f"SELECT coalesce(sum(rows), 0) {old}", [table, day, stored_before])
    files = tx.rows(f"SELECT file {old}", [table, day, stored_before])
    for row in files:
        tx.execute("DELETE FROM cold_file WHERE file = ?", [row["file"]])
        tx.execute("DELETE FROM cold_span WHERE file = ?", [row["file"]])
    if files:
        show(tx, [table])
    return int(rows)


def _files(reader: Reader, table: str, day: date) -> list[str]:
    rows = reader.rows(
        "SELECT file FROM cold_file WHERE table_name = ? AND day = ? ORDER BY file", [table, day]
    )
    return [row["file"] for row in rows]


def _root(store: Store) -> Path:
    assert store.path is not None
    return store.path.parent
