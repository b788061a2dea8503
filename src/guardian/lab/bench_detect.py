"""Measure all detectors over one made-up day of flows and DNS messages."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian import detect
from guardian.store import Store

if TYPE_CHECKING:
    from guardian.store import Transaction

DEFAULT_SIZE = 5_000_000
"""Flows, and as many DNS messages: the day that DESIGN's table names."""

_FLOWS = """
INSERT INTO flow (id, ts, source_id, end_ts, flow_id, src_ip, src_port, dest_ip, dest_port, proto,
    app_proto, bytes_toserver, bytes_toclient, pkts_toserver, pkts_toclient, state,
    tcp_flags_ts, tcp_flags_tc, src_mac)
SELECT i + 1, TIMESTAMP '2026-01-10' + to_microseconds((i * 86400000000 // $size)::BIGINT), 1,
    TIMESTAMP '2026-01-10' + to_microseconds((i * 86400000000 // $size)::BIGINT + 5000000), i,
    '192.168.1.' || (2 + h % 60), 40000 + (h // 7) % 20000,
    CASE WHEN h % 10 < 8 THEN '93.' || (h // 61 % 200) || '.' || (h // 3 % 30) || '.9'
         ELSE '192.168.1.' || (h // 5 % 5 + 1) END,
    CASE WHEN h % 10 < 7 THEN 443 WHEN h % 10 < 8 THEN 80 WHEN h % 10 < 9 THEN 53 ELSE 8883 END,
    CASE WHEN h % 10 = 8 THEN 'UDP' ELSE 'TCP' END,
    CASE WHEN h % 10 < 7 THEN 'tls' WHEN h % 10 < 8 THEN 'http' END,
    500 + h % 3000, 1000 + h % 90000, 5 + h % 20, CASE WHEN h % 50 = 0 THEN 0 ELSE 5 + h % 30 END,
    'closed', 27, CASE WHEN h % 50 = 0 THEN 0 ELSE 27 END, '02:00:00:00:00:' || (10 + h % 60)
FROM (SELECT i, (hash(i) % 1000000007)::BIGINT AS h FROM range($size) t(i))
"""

_DNS = """
INSERT INTO dns (id, ts, source_id, src_ip, src_port, dest_ip, dest_port, proto, type, tx_id,
    rrname, rrtype, rcode, answers)
SELECT $size + i + 1, TIMESTAMP '2026-01-10' + to_microseconds((i * 86400000000 // $size)::BIGINT),
    1, '192.168.1.' || (2 + h % 60), 40000, '192.168.1.1', 53, 'UDP',
    CASE WHEN i % 2 = 0 THEN 'query' ELSE 'answer' END, i,
    'host' || (h // 13 % 400) || '.site' || (h // 60 % 500) || '.com',
    CASE WHEN h % 3 = 0 THEN 'AAAA' ELSE 'A' END, CASE WHEN i % 2 = 1 THEN 'NOERROR' END,
    CASE WHEN i % 2 = 1 THEN ['93.' || (h // 61 % 200) || '.' || (h // 3 % 30) || '.9'] END
FROM (SELECT i, (hash(i + 7) % 1000000007)::BIGINT AS h FROM range($size) t(i))
"""


def run(size: int = DEFAULT_SIZE) -> dict[str, Any]:
    """Fill a store with ``size`` flows and DNS messages and time every detector over them."""
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
        store = Store.open(Path(folder))
        with store.transaction() as tx:
            fill(tx, size)
            tx.execute("UPDATE row_counter SET next_id = ?", [2 * size + 1])
        store.checkpoint()
        before = peak_mb()
        report = detect.run(store, detect.Settings())
        again = detect.run(store, detect.Settings())
        with store.read() as reader:
            slowest = reader.rows(
                "SELECT detector, round(seconds, 2) AS seconds FROM detector_mark "
                "ORDER BY seconds DESC LIMIT 12"
            )
        store.close()
    return {
        "flows": size,
        "dns": size,
        "seconds": round(report.seconds, 1),
        "seconds_without_new_rows": round(again.seconds, 3),
        "peak_mb": peak_mb(),
        "peak_mb_before": before,
        "findings": report.findings,
        "errors": list(report.errors),
        "slowest": slowest,
    }


def fill(tx: Transaction, size: int) -> None:
    """Add a day of ``size`` flows (ids from 1) and as many DNS messages."""
    tx.execute(_FLOWS, {"size": size})
    tx.execute(_DNS, {"size": size})


def peak_mb() -> int:
    """Return the most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
