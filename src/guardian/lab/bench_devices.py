"""Measure the device list over a made-up day: ``python -m guardian.lab.bench_devices [ROWS]``.

Sixty devices behind one router send ``rows`` flows and ask ``rows`` DNS questions;
then a thousand more flows come, as in the next minute of a running house.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from guardian.detect.devices import update
from guardian.store import Store

ROWS = 5_000_000
"""DESIGN.md's day: five million flows and as many DNS queries."""

_MAC = "'a8:23:fe:00:00:' || printf('%02x', ({})::INTEGER)"
_FLOWS = f"""
INSERT INTO flow (id, ts, source_id, src_ip, dest_ip, src_mac, dest_mac, proto, dest_port, pkts_toclient)
SELECT $first + i, TIMESTAMP '2026-11-20' + to_milliseconds(($from_ms + i * 86400000 / $rows)::BIGINT), 1,
       '192.168.1.' || (10 + hash(i) % 60),
       CASE WHEN hash(i * 3) % 10 < 9
            THEN (20 + hash(i * 7) % 70) || '.' || (hash(i * 11) % 250) || '.' || (hash(i * 13) % 20) || '.7'
            ELSE '192.168.1.' || (10 + hash(i * 5) % 60) END,
       {_MAC.format("10 + hash(i) % 60")},
       CASE WHEN hash(i * 3) % 10 < 9 THEN '3c:a6:2f:00:00:01' ELSE {_MAC.format("10 + hash(i * 5) % 60")} END,
       'TCP', 443, 3
FROM range($rows) AS t(i)
"""  # noqa: E501
_QUESTIONS = f"""
INSERT INTO dns (id, ts, source_id, src_ip, dest_ip, src_mac, dest_mac, type, rrname, dest_port)
SELECT $first + i, TIMESTAMP '2026-11-20' + to_milliseconds((i * 86400000 / $rows)::BIGINT), 1,
       '192.168.1.' || (10 + hash(i) % 60), '192.168.1.2', {_MAC.format("10 + hash(i) % 60")},
       'dc:a6:32:00:00:01', CASE WHEN i % 2 = 0 THEN 'query' ELSE 'answer' END,
       'h' || (hash(i) % 20000) || '.name' || (hash(i * 3) % 900) || '.example', 53
FROM range($rows) AS t(i)
"""


def run(*, rows: int = ROWS) -> dict[str, float | int]:
    """Return the seconds for the day and for the next thousand flows, and the memory used."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        try:
            with store.transaction() as tx:
                tx.execute(_FLOWS, {"first": 1, "rows": rows, "from_ms": 0})
                tx.execute(_QUESTIONS, {"first": rows + 1, "rows": rows})
                tx.execute("UPDATE row_counter SET next_id = ?", [2 * rows + 1])
            day = _timed(store)
            with store.transaction() as tx:
                more = {"first": 2 * rows + 1, "rows": 1000, "from_ms": 86_400_000}
                tx.execute(_FLOWS, more)
                tx.execute("UPDATE row_counter SET next_id = ?", [2 * rows + 1001])
            step = _timed(store)
            with store.read() as reader:
                devices = int(reader.value("SELECT count(*) FROM device"))
        finally:
            store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "flows": rows,
        "dns": rows,
        "devices": devices,
        "day_seconds": day,
        "step_seconds": step,
        "peak_mb": peak,
    }


def _timed(store: Store) -> float:
    begun = time.perf_counter()
    update(store)
    return round(time.perf_counter() - begun, 3)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(rows=int(sys.argv[1]) if sys.argv[1:] else ROWS)) + "\n")
