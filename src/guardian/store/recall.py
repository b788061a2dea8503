"""Bring a source's rows back from the cold tier: its reading begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.store import cold_files
from guardian.store.cold_views import quoted, show

if TYPE_CHECKING:
    from datetime import date

    from guardian.store.connection import Store
    from guardian.store.reader import Transaction


def recall(store: Store, source_id: int) -> int:
    """Put a source's archived rows back into the fast tier; return how many.

    Each file that has some is written anew without them, in a transaction of its own: a kill
    in between leaves every row in one tier.

    Raises:
        StoreError: a file could not be read or written; its rows stay where they are.
    """
    if store.path is None:
        return 0
    with store.read() as reader:
        files = reader.rows("SELECT table_name, day, file FROM cold_file ORDER BY file")
    moved = 0
    for row in files:
        if not (cold_files.root(store) / row["file"]).exists():  # nothing to bring back
            continue
        source = _rows_of(store, row["file"])
        with store.read() as reader:
            count = int(
                reader.value(f"SELECT count(*) FROM {source} WHERE source_id = ?", [source_id])
            )
        if count:
            moved += count
            _split(store, row["table_name"], row["day"], row["file"], source_id)
    if moved:
        cold_files.sweep(store)
    return moved


def _split(store: Store, table: str, day: date, file: str, source_id: int) -> None:
    source = _rows_of(store, file)
    name = cold_files.begin(store, table, day)
    path = cold_files.root(store) / name
    with store.transaction() as tx, cold_files.whole(path):
        tx.execute(
            f"INSERT INTO {table} BY NAME SELECT COLUMNS(c -> c <> 'day') FROM {source} "
            "WHERE source_id = ?",
            [source_id],
        )
        if _has_others(tx, source, source_id):
            cold_files.write(tx, f"SELECT * FROM {source} WHERE source_id <> ?", [source_id], path)
            cold_files.enlist(tx, table, day, name, path)
        cold_files.strike(tx, [file])
        show(tx, [table])


def _has_others(tx: Transaction, source: str, source_id: int) -> bool:
    return bool(tx.value(f"SELECT count(*) FROM {source} WHERE source_id <> ?", [source_id]))


def _rows_of(store: Store, file: str) -> str:
    path = quoted(cold_files.root(store) / file)
    return f"read_parquet({path}, hive_partitioning = false)"
