"""Load the tables of matcher cases: rows in, findings out.

A case names rows by table. A row may say ``repeat: N``: it then stands for N rows,
``i`` from 0. In such a row a text holds ``{i}`` or ``{hex}`` (32 digits that differ
for each i), a mapping ``{seq: [start, step]}`` is a number that counts, and
``step_s`` moves ``ts`` on. ``ts`` is seconds after 2026-01-10 12:00.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from guardian.model.batch import Batch, SourceInfo
from guardian.store import Store, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.store import Transaction

START = datetime(2026, 1, 10, 12)

DEFAULTS: dict[str, dict[str, Any]] = {
    "flow": {
        "proto": "TCP", "src_port": 50000, "dest_port": 443, "pkts_toserver": 8, "pkts_toclient": 8,
        "bytes_toserver": 900, "bytes_toclient": 3000, "tcp_flags_ts": 0x1B, "tcp_flags_tc": 0x1B,
        "duration_s": 1,
    },
    "dns": {"type": "query", "rrtype": "A", "dest_ip": "192.168.1.1", "dest_port": 53},
    "dns_log": {"rrtype": "A", "status": "forwarded"},
    "raw_event": {"event_type": "other", "raw": {}},
}  # fmt: skip

PLAIN_TIMES: dict[str, tuple[str, ...]] = {
    "segment": ("first_seen", "last_seen"),
    "address_segment": (),
    "baseline": ("since", "made_at"),
}
"""Tables that hold what is known, not events; these of their times are filled in."""
PLAIN = frozenset(PLAIN_TIMES)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])


def _insert(tx: Transaction, table: str, row: dict[str, Any]) -> None:
    tx.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('$' + name for name in row)})",
        row,
    )


def _value(value: Any, i: int) -> Any:
    if isinstance(value, dict) and set(value) == {"seq"}:
        start, step = value["seq"]
        return start + i * step
    if isinstance(value, str) and "{" in value:
        digits = hashlib.sha256(str(i).encode()).hexdigest()[:32]
        return value.replace("{i}", str(i)).replace("{hex}", digits)
    if isinstance(value, list):
        return [_value(item, i) for item in value]
    if isinstance(value, dict):
        return {key: _value(item, i) for key, item in value.items()}
    return value


def _rows(table: str, spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spec = DEFAULTS.get(table, {}) | spec
    step_s, jitter_s = float(spec.pop("step_s", 0)), float(spec.pop("jitter_s", 0))
    first, duration_s = float(spec.pop("ts", 0)), spec.pop("duration_s", None)
    for i in range(int(spec.pop("repeat", 1))):
        row = {key: _value(value, i) for key, value in spec.items()}
        noise = (int(hashlib.sha256(f"j{i}".encode()).hexdigest()[:4], 16) / 65535 - 0.5) * 2
        row["ts"] = START + timedelta(seconds=first + i * step_s + noise * jitter_s)
        if duration_s is not None:
            row["end_ts"] = row["ts"] + timedelta(seconds=float(duration_s))
        for key in ("raw", "metadata"):
            if isinstance(row.get(key), dict):
                row[key] = json.dumps(row[key])
        for key in ("notbefore", "notafter"):
            if key in row:
                row[key] = datetime.fromisoformat(str(row[key]))
        yield row


def filled(rows: dict[str, list[dict[str, Any]]]) -> Store:
    """Return a store in memory that holds the rows of a case."""
    store = Store.memory()
    fill(store, rows)
    return store


def fill(store: Store, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Put the rows of a case into a store."""
    source = ingest.register(store, SourceInfo(name="case", kind="case", path="case"))
    tables = {
        table: _table([row for spec in specs for row in _rows(table, spec)])
        for table, specs in rows.items()
        if table != "indicator" and table not in PLAIN
    }
    ingest.commit(store, source, Batch(tables=tables, bookmark={}))
    with store.transaction() as tx:
        for table in PLAIN & rows.keys():
            for each in rows[table]:
                times = dict.fromkeys(PLAIN_TIMES[table], START)
                later = {
                    name: START + timedelta(seconds=each[name]) for name in times if name in each
                }
                _insert(tx, table, times | each | later)
        for each in rows.get("indicator", []):
            tx.execute(
                "INSERT INTO indicator VALUES (?, ?, ?, NULL, ?)",
                [each["kind"], each["value"], each.get("list", "test"), START],
            )
