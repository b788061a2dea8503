"""What shows both tiers as one: views for everybody, narrower relations for a few look-ups.

Where rows move, the views of their table move with them in one transaction: a query sees
each row in exactly one tier. A query whose relation was named by an earlier statement
(``relation``, ``by_ids``) may miss rows that moved in between.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from guardian.store.connection import Reader, Store, Transaction


def refresh(store: Store) -> None:
    """Make ``all_<table>`` show both tiers, and ``attributed_<table>`` with who it was.

    Nothing is written when the views stand for today's files already.
    """
    with store.read() as reader:
        made, due = _noted(reader), _due(reader)
    stale = [table for table in TABLES if made.get(table) != due[table]]
    if stale:
        with store.transaction() as tx:
            show(tx, stale)


def show(tx: Transaction, tables: Sequence[str]) -> None:
    """Let the views of some tables show what this transaction lists."""
    root, files = _place(tx), _present(tx)
    for table in tables:
        cold = _cold(root, files[table]) if root else ""
        tx.execute(f"CREATE OR REPLACE VIEW all_{table} AS SELECT * FROM {table}{cold}")
        tx.execute(_ATTRIBUTED.format(table=table, ip=_HOLDER.get(table, "src_ip")))
    due = _due(tx)
    made = {**_noted(tx), **{table: due[table] for table in tables}}
    tx.execute("DELETE FROM view_note")
    note = " ".join(f"{table}:{what}" for table, what in sorted(made.items()))
    tx.execute("INSERT INTO view_note VALUES (?)", [note])


_HOLDER = {"dhcp": "coalesce(e.assigned_ip, e.client_ip)", "sighting": "e.ip"}
"""Whose row it is, where that is not ``src_ip``: the address as an expression."""
_ATTRIBUTED = """
CREATE OR REPLACE VIEW attributed_{table} AS
SELECT e.*, held.device_id FROM all_{table} e
LEFT JOIN v_device_address held
    ON held.ip = {ip} AND e.ts >= held.valid_from AND e.ts < held.valid_to
"""


def relation(
    reader: Reader,
    table: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """Return what to select FROM for rows of ``[since, until)``: only files that can have some.

    The query still has to say which rows it wants.
    """
    rows = reader.rows(
        """
        SELECT file, columns FROM cold_file LEFT JOIN cold_span USING (file)
        WHERE table_name = $table
          AND ($since IS NULL OR last_ts >= $since) AND ($until IS NULL OR first_ts < $until)
        ORDER BY file
        """,
        {
            "table": table,
            "since": since,
            "until": until,
        },
    )
    root = _place(reader) if rows else None
    files = [row for row in rows if root and (root / row["file"]).exists()]
    if root is None or not files:
        return table
    return f"(SELECT * FROM {table}{_cold(root, files)})"


def by_ids(reader: Reader, table: str, ids: Sequence[int]) -> str:
    """Return what to select FROM for the rows with these ids, wherever they are, and no others.

    The numbers stand in the text, part by part: only a short list of constants lets DuckDB
    skip the blocks and groups that cannot have them. They are integers, whatever was asked.
    """
    numbers = sorted({int(each) for each in ids})
    parts = [f"SELECT * FROM {table} WHERE {_among(numbers)}"]
    root = _place(reader)
    for row in reader.rows(
        "SELECT file, first_id, last_id FROM cold_file LEFT JOIN cold_span USING (file) "
        "WHERE table_name = ? ORDER BY file",
        [table],
    ):
        low, high = row["first_id"], row["last_id"]
        here = [each for each in numbers if low is None or low <= each <= high]
        if here and root is not None and (root / row["file"]).exists():
            parts.append(
                f"SELECT * FROM read_parquet({quoted(root / row['file'])}, "
                f"hive_partitioning = false) WHERE {_among(here)}"
            )
    return "(" + " UNION ALL BY NAME ".join(parts) + ")"


def _among(numbers: Sequence[int]) -> str:
    listed = ", ".join(map(str, numbers))
    return f"id BETWEEN {numbers[0]} AND {numbers[-1]} AND id IN ({listed})"


def _present(reader: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return the cold files of each table that are there: a backup may have been put elsewhere."""
    root = _place(reader)
    files: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for row in reader.rows(
        "SELECT table_name, file, columns FROM cold_file LEFT JOIN cold_span USING (file) "
        "ORDER BY file"
    ):
        if root and (root / row["file"]).exists():
            files[row["table_name"]].append(row)
    return files


def _due(reader: Reader) -> dict[str, str]:
    """Return what the views of each table would be made for now."""
    version = reader.value("SELECT max(version) FROM schema_migration")
    place = _place(reader)
    return {
        table: hashlib.sha256(
            f"{place}|{version}|{[(row['file'], row['columns']) for row in files]}".encode()
        ).hexdigest()[:32]
        for table, files in _present(reader).items()
    }


def _noted(reader: Reader) -> dict[str, str]:
    """Return what the views of each table were made for last."""
    note = reader.value("SELECT made_for FROM view_note") or ""
    return dict(each.split(":", 1) for each in note.split() if ":" in each)


def _cold(root: Path, files: Iterable[dict[str, Any]]) -> str:
    """Return the cold part of a view: files with the same columns are read as one.

    So DuckDB needs to look into one file of each kind to know the columns, not into all. Files
    whose noted columns end with a ``day`` may differ (``archive.note_spans``).
    """
    kinds: dict[str | None, list[str]] = {}
    for row in files:
        kinds.setdefault(row["columns"], []).append(quoted(root / row["file"]))
    return "".join(
        f" UNION ALL BY NAME SELECT * FROM read_parquet([{', '.join(listed)}], "
        f"union_by_name = {_sure(columns)}, hive_partitioning = false)"
        for columns, listed in kinds.items()
    )


def _sure(columns: str | None) -> str:
    return "false" if columns and not columns.endswith(",day") else "true"


def _place(reader: Reader) -> Path | None:
    """Return the data directory; None for a store that lives in memory."""
    path = reader.value(
        "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    )
    return Path(path).parent if path else None


def quoted(path: Path) -> str:
    """Quote a path of our own making for a view, which takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
