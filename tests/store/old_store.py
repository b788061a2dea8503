"""Make a small store of the schema that the Guardian on the path has, rows in every table.

Run it once for each schema that lands, with that Guardian, and keep what it makes:

    PYTHONPATH=LANDED/src python tests/store/old_store.py LANDED/pcaps SCHEMAS/0006.tar.xz

The archive holds a data directory as that Guardian left it, with a cold tier, and
``rows.json``: how many rows each table had.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from guardian import config as configuration
from guardian.app.replay import replay
from guardian.store import Store, archive, clock, rollup
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from guardian.store import Transaction

EVENING = datetime(2026, 11, 20, 22)
SAMPLES = {
    "BIGINT": 1,
    "INTEGER": 1,
    "HUGEINT": 1000,
    "USMALLINT": 7,
    "UTINYINT": 2,
    "DOUBLE": 0.5,
    "BOOLEAN": True,
    "TIMESTAMP": EVENING,
    "DATE": EVENING.date(),
    "JSON": "{}",
    "BLOB": b"\xff\x00",
    "VARCHAR": "sample",
    "VARCHAR[]": ["sample"],
    "USMALLINT[]": [10],
}
WORDS = {
    ("decision", "verb"): "approve",
    ("decision", "channel"): "cli",
    ("enforcement", "state"): "verified",
    ("enforcement", "responder"): "none",
    ("enforcement_step", "state"): "verified",
    ("explain_job", "state"): "done",
    ("feedback", "answer"): "right",
    ("feedback", "class"): "acr",
    ("opt_out", "class"): "acr",
    ("model_call", "outcome"): "ok",
    ("component_state", "state"): "green",
    ("merge_proposal", "status"): "rejected",
    ("suppression", "class"): "dga",
    ("suppression", "expires_at"): EVENING + timedelta(days=1),
    ("indicator", "kind"): "domain",
    ("sighting", "method"): "arp",
    ("sighting", "ip"): "192.168.1.77",
    ("sighting", "mac"): "02:00:5e:00:53:77",
}


def main(pcaps: Path, target: Path) -> None:
    """Write the archive."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        store = Store.open(data)
        evening = [pcaps / "evening.eve.json.gz", pcaps / "evening.pihole.log.gz"]
        replay(store, configuration.Config(data=data), evening)
        with store.transaction() as tx:
            _thin(tx)
            _older_days(tx)
        clock.note(store, EVENING)
        clock.backdate(store)  # its rows count as old as they say they are
        rollup.update(store)
        archive.archive(store, Limits(hot_days=7), now=EVENING)
        with store.transaction() as tx:
            _fill_empty(tx)
            tables = _tables(tx)
            rows = {table: tx.value(f'SELECT count(*) FROM "{table}"') for table in tables}
        store.rewrite()
        store.close()
        assert all(rows.values()), [table for table, number in rows.items() if not number]
        (data / "rows.json").write_text(json.dumps(rows, indent=1, sort_keys=True))
        with tarfile.open(target, "w:xz") as out:
            for path in sorted(data.rglob("*")):
                if path.is_file():
                    out.add(path, path.relative_to(data).as_posix(), filter=_nobody)


def _tables(tx: Transaction) -> list[str]:
    rows = tx.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")
    return [row["table_name"] for row in rows]


def _thin(tx: Transaction) -> None:
    """Keep a part of the evening: the file shall be small."""
    for table in ("flow", "dns", "tls", "dns_log"):
        tx.execute(f"DELETE FROM {table} WHERE id % 5 > 0")


def _older_days(tx: Transaction) -> None:
    """Repeat some rows twelve days earlier, for the cold tier."""
    for table in ("flow", "dns", "tls"):
        first = tx.value("SELECT next_id FROM row_counter")
        tx.execute(
            f"INSERT INTO {table} SELECT * REPLACE "
            f"(row_number() OVER () + {first - 1} AS id, ts - INTERVAL 12 DAY AS ts) "
            f"FROM {table} WHERE id % 50 = 0"
        )
        tx.execute("UPDATE row_counter SET next_id = (SELECT max(id) + 1 FROM " + table + ")")


def _fill_empty(tx: Transaction) -> None:
    """Put one made-up row into each table that the evening left empty."""
    for table in _tables(tx):
        if tx.value(f'SELECT count(*) FROM "{table}"'):
            continue
        columns = tx.rows(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? "
            "ORDER BY column_index",
            [table],
        )
        values = [
            WORDS.get((table, each["column_name"]), SAMPLES[each["data_type"]]) for each in columns
        ]
        marks = ", ".join("?" for _ in values)
        tx.execute(f'INSERT INTO "{table}" VALUES ({marks})', values)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
