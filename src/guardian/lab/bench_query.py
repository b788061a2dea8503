"""Measure the page's queries over many rows: flows, and half as many DNS look-ups."""

from __future__ import annotations

import resource
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.store import Store, pages, pages_evidence, pages_listened

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.store import Reader

DAYS = 30
ROUNDS = 10
END = datetime(2026, 1, 31)  # noqa: DTZ001 - times in the store are naive UTC

_FLOWS = """
INSERT INTO flow (id, ts, source_id, src_ip, src_port, dest_ip, dest_port, proto, app_proto,
                  bytes_toserver, bytes_toclient, pkts_toserver, pkts_toclient, state)
SELECT i, $start + to_microseconds(i * $step), 1, '192.168.1.' || (10 + hash(i) % 50),
       1024 + hash(i, 1) % 60000, '198.51.100.' || (hash(i, 2) % 250), 443, 'TCP', 'tls',
       hash(i, 3) % 100000, hash(i, 4) % 1000000, 9, 12, 'closed'
FROM range(1, $rows + 1) AS t(i)
"""
_LOOKUPS = """
INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, rrtype, status, blocked)
SELECT $first + i, $start + to_microseconds(i * $step), 1, '192.168.1.' || (10 + hash(i) % 50),
       'h' || (hash(i, 1) % 3000) || '.example', 'A', 'forwarded', hash(i, 2) % 9 = 0
FROM range(1, $rows + 1) AS t(i)
"""


def run(*, size: int = 5_000_000) -> dict[str, Any]:
    """Return p50 and p95 in milliseconds of each query over ``size`` flows of thirty days."""
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as name:
        store = Store.open(Path(name))
        try:
            started = time.perf_counter()
            _fill(store, size)
            built = time.perf_counter() - started
            queries = {label: _times(store, query) for label, query in _queries(size).items()}
            file_mb = round((Path(name) / "guardian.duckdb").stat().st_size / 1e6, 1)
        finally:
            store.close()
    every = sorted(ms for times in queries.values() for ms in times)
    return {
        "flows": size,
        "dns": size // 2,
        "build_seconds": round(built, 2),
        "store_mb": file_mb,
        "queries": {
            label: {"p50_ms": _at(times, 0.5), "p95_ms": _at(times, 0.95)}
            for label, times in queries.items()
        },
        "p50_ms": _at(every, 0.5),
        "p95_ms": _at(every, 0.95),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _fill(store: Store, size: int) -> None:
    start = END - timedelta(days=DAYS)
    span_us = DAYS * 86_400_000_000
    with store.transaction() as tx:
        tx.execute(_FLOWS, {"start": start, "step": span_us // size, "rows": size})
        half = max(size // 2, 1)
        tx.execute(_LOOKUPS, {"start": start, "step": span_us // half, "rows": half, "first": size})
    store.checkpoint()


def _queries(size: int) -> dict[str, Callable[[Reader], object]]:
    since = END - timedelta(days=1)
    device = ["192.168.1.20"]
    ids = [f"flow:{size - 1 - at * 7}" for at in range(50) if size - 1 - at * 7 > 0]
    return {
        "window": lambda reader: pages.window(reader, END),
        "incidents": pages.incidents,
        "devices": pages.devices,
        "evidence": lambda reader: pages_evidence.evidence(reader, ids),
        "moments": lambda reader: pages_evidence.moments(reader, ids),
        "contacts": lambda reader: pages_evidence.contacts(
            reader, sources=device, peers=["198.51.100.7"], since=since, until=END
        ),
        "day_strip": lambda reader: pages_evidence.day_strip(
            reader, device, since=since, until=END
        ),
        "refused_lookups": lambda reader: pages_listened.refused_lookups(
            reader, since=since, until=END
        ),
    }


def _times(store: Store, query: Callable[[Reader], object]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        with store.read() as reader:
            started = time.perf_counter()
            query(reader)
            times.append(1e3 * (time.perf_counter() - started))
    return sorted(times)


def _at(times: list[float], share: float) -> float:
    return round(times[min(int(len(times) * share), len(times) - 1)], 2)
