"""The cold tier: closed days as Parquet files, listed in the store, read by the same views.

Why not a lake catalogue of its own: DuckDB lets one transaction write to one database
only, so rows could not leave the hot table and enter the lake at once. Here the file
is written first, and one transaction lists it and deletes the hot rows; a kill in
between leaves a file that nobody lists, which the next run removes.
"""

from __future__ import annotations

import contextlib
import os
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store.connection import Reader, Store, Transaction
    from guardian.store.limits import Limits

FOLDER = "cold"


def archive(store: Store, limits: Limits, *, now: datetime) -> int:
    """Move every closed day older than ``hot_days`` to the cold tier; return the rows moved.

    Raises:
        StoreError: a file could not be written; its rows are still hot.
    """
    if store.path is None:
        return 0
    horizon = (now - timedelta(days=limits.hot_days)).date()
    moved = 0
    for table in TABLES:
        with store.read() as reader:
            days = reader.rows(
                f"SELECT DISTINCT ts::DATE AS day FROM {table} WHERE ts < ? ORDER BY day",
                [horizon],
            )
        for row in days:
            moved += _move_day(store, table, row["day"])
    if moved:
        refresh_views(store)
    return moved


def _move_day(store: Store, table: str, day: date) -> int:
    """Write one day of one table to a file and take it out of the hot table, at once."""
    root = _root(store)
    name = f"{FOLDER}/{table}/day={day.isoformat()}/{uuid4().hex}.parquet"
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    until = day + timedelta(days=1)
    with store.transaction() as tx:
        rows = _write(tx, f"SELECT * FROM {table} WHERE ts >= ? AND ts < ?", [day, until], path)
        _list(tx, table, day, name, path)
        tx.execute(f"DELETE FROM {table} WHERE ts >= ? AND ts < ?", [day, until])
    return rows


def _write(tx: Transaction, query: str, parameters: list[object], path: Path) -> int:
    target = str(path).replace("'", "''")
    tx.execute(
        f"COPY ({query} ORDER BY ts, id) TO '{target}' (FORMAT parquet, COMPRESSION zstd)",
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
        refresh_views(store)
        sweep(store)
    return saved


def _merge_day(store: Store, table: str, day: date) -> int:
    root = _root(store)
    name = f"{FOLDER}/{table}/day={day.isoformat()}/{uuid4().hex}.parquet"
    with store.transaction() as tx:
        files = _files(tx, table, day)
        listed = ", ".join(_quoted(root / file) for file in files)
        _write(tx, f"SELECT * FROM read_parquet([{listed}], union_by_name = true)", [], root / name)
        tx.execute("DELETE FROM cold_file WHERE table_name = ? AND day = ?", [table, day])
        _list(tx, table, day, name, root / name)
    return len(files) - 1


def sweep(store: Store) -> int:
    """Remove files that nobody lists, and empty folders; return how many files went."""
    root = _root(store)
    with store.read() as reader:
        listed = {row["file"] for row in reader.rows("SELECT file FROM cold_file")}
    gone = 0
    for path in (root / FOLDER).rglob("*.parquet"):
        if str(path.relative_to(root)) not in listed:
            path.unlink(missing_ok=True)
            gone += 1
    for folder in (root / FOLDER).glob("*/day=*"):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return gone


def drop_before(tx: Transaction, table: str, day: date) -> int:
    """Take the cold days of a table before ``day`` off the list; return the rows given up."""
    rows = tx.value(
        "SELECT coalesce(sum(rows), 0) FROM cold_file WHERE table_name = ? AND day < ?",
        [table, day],
    )
    tx.execute("DELETE FROM cold_file WHERE table_name = ? AND day < ?", [table, day])
    return int(rows)


def refresh_views(store: Store) -> None:
    """Make ``all_<table>`` show both tiers, whatever files there are now."""
    with store.transaction() as tx:
        for table in TABLES:
            # A backup put in place elsewhere lists files that stayed behind.
            files = [
                file
                for file in (_files(tx, table) if store.path else [])
                if (_root(store) / file).exists()
            ]
            cold = ""
            if files:
                listed = ", ".join(_quoted(_root(store) / file) for file in files)
                cold = (
                    f" UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], "
                    "union_by_name = true, hive_partitioning = false)"
                )
            tx.execute(f"CREATE OR REPLACE VIEW all_{table} AS SELECT * FROM {table}{cold}")


def _files(reader: Reader, table: str, day: date | None = None) -> list[str]:
    rows = reader.rows(
        "SELECT file FROM cold_file WHERE table_name = $table AND day = coalesce($day, day) "
        "ORDER BY file",
        {"table": table, "day": day},
    )
    return [row["file"] for row in rows]


def _root(store: Store) -> Path:
    assert store.path is not None
    return store.path.parent


def _quoted(path: Path) -> str:
    """Quote a path of our own making for a view, which takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
