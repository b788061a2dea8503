"""Measure the page's queries over many rows: flows, and half as many DNS look-ups.

The store is filled as a month of a busy home and kept as retention keeps it: a week in the
fast tier, the rest in cold files, with hourly sums of a year. ``GUARDIAN_BENCH_STORE`` names
a folder to fill once and measure again.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.lab.big_store import END, fill
from guardian.store import (
    Store,
    archive,
    pages,
    pages_blind,
    pages_evidence,
    pages_history,
    pages_listened,
    privacy,
    room,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.store import Reader

ROUNDS = 10
LONGEST_S = 5.0
"""A query that takes so long is not asked ten times."""
TARGET_MS = 300.0
FOLDER = "GUARDIAN_BENCH_STORE"
DEVICE, ADDRESS = "d10", "192.168.1.20"


def run(*, size: int = 5_000_000) -> dict[str, Any]:
    """Return p50 and p95 in milliseconds of each query over ``size`` flows of thirty days."""
    kept = os.environ.get(FOLDER)
    if kept:
        return _measured(Path(kept), size)
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as name:
        return _measured(Path(name), size)


def _measured(folder: Path, size: int) -> dict[str, Any]:
    started = time.perf_counter()
    store = Store.open(folder)
    opened = time.perf_counter() - started
    try:
        built = _filled(store, size)
        figures = {label: _times(store, query) for label, query in _queries(store).items()}
        measured = room.sizes(store)
        with store.read() as reader:
            rows = {
                table: int(reader.value(f"SELECT count(*) FROM all_{table}"))
                for table in ("flow", "dns", "dns_log", "tls")
            }
    finally:
        store.close()
    every = sorted(ms for times in figures.values() for ms in times)
    late = [label for label, times in figures.items() if _at(times, 0.95) > TARGET_MS]
    return {
        "flows": rows["flow"],
        "dns": rows["dns"] + rows["dns_log"],
        "build_seconds": round(built, 1),
        "open_seconds": round(opened, 2),
        "hot_mb": measured.hot_bytes // 1_000_000,
        "cold_mb": measured.cold_bytes // 1_000_000,
        "queries": {
            label: {"p50_ms": _at(times, 0.5), "p95_ms": _at(times, 0.95)}
            for label, times in figures.items()
        },
        "p50_ms": _at(every, 0.5),
        "p95_ms": _at(every, 0.95),
        "under_300_ms": f"{len(figures) - len(late)} of {len(figures)} queries",
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _filled(store: Store, size: int) -> float:
    """Fill an empty store; return the seconds it took."""
    with store.read() as reader:
        filled = reader.value("SELECT count(*) FROM source")
    if filled:
        archive.note_spans(store)
        archive.refresh_views(store)
        return 0.0
    started = time.perf_counter()
    fill(store, size, progress=lambda text: print(text, file=sys.stderr))  # noqa: T201
    return time.perf_counter() - started


def _queries(store: Store) -> dict[str, Callable[[Reader], object]]:
    """Return what the pages ask, by page and part."""
    with store.read() as reader:
        found = pages.findings(reader, incident_id=7, limit=50)
        ids = [each for finding in found for each in finding["evidence"]]
        newest = int(reader.value("SELECT max(id) FROM flow"))
    recent = [f"flow:{newest - number * 7}" for number in range(50)]
    return {**_of_pages(recent, ids), **_of_devices()}


def _of_pages(recent: list[str], spread: list[str]) -> dict[str, Callable[[Reader], object]]:
    since = END - timedelta(days=1)
    return {
        "tonight: window": lambda reader: pages.window(reader, END),
        "tonight: incidents": lambda reader: pages.incidents(reader, since=since),
        "tonight: waiting": lambda reader: pages.proposals(reader, waiting=True),
        "tonight: handled": lambda reader: pages.proposals(reader, waiting=False, limit=200),
        "tonight: listened": lambda reader: pages_listened.listened(
            reader, limit=6, since=since, until=END
        ),
        "tonight: refused": lambda reader: pages_listened.refused_lookups(
            reader, since=since, until=END
        ),
        "tonight: not seen": lambda reader: pages_blind.blind_spots(reader, since=since, until=END),
        "every page: mark": pages.mark,
        "incident": lambda reader: pages.incident(reader, 7),
        "incident: findings": lambda reader: pages.findings(reader, incident_id=7, limit=50),
        "incident: evidence of today": lambda reader: pages_evidence.evidence(reader, recent),
        "incident: evidence of a month": lambda reader: pages_evidence.evidence(reader, spread),
        "incident: rhythm of a month": lambda reader: pages_evidence.moments(reader, spread),
        "incident: calls of a day": lambda reader: pages_evidence.contacts(
            reader, sources=[ADDRESS], peers=["198.51.100.7"], since=since, until=END
        ),
        "incident: calls of a week ago": lambda reader: pages_evidence.contacts(
            reader,
            sources=[ADDRESS],
            peers=["198.51.100.7"],
            since=END - timedelta(days=15),
            until=END - timedelta(days=14),
        ),
        "incidents: text": lambda reader: pages.incidents(reader, text="story 1"),
        "privacy: ledger": lambda reader: privacy.ledger(reader, since=since, until=END),
        "health: sources": pages.sources,
        "health: parts": pages.components,
    }


def _of_devices() -> dict[str, Callable[[Reader], object]]:
    since = END - timedelta(days=1)
    return {
        "devices": pages.devices,
        "device": lambda reader: pages.device(reader, DEVICE),
        "device: its day": lambda reader: pages_evidence.day_strip(
            reader, [ADDRESS], since=since, until=END
        ),
        "device: listened": lambda reader: pages_listened.listened(
            reader, sources=[ADDRESS], since=since, until=END
        ),
        "device: a year by day": lambda reader: pages_history.year(reader, DEVICE, until=END),
        "device: a year's places": lambda reader: pages_history.places(reader, DEVICE, until=END),
    }


def _times(store: Store, query: Callable[[Reader], object]) -> list[float]:
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < 1e3 * LONGEST_S:
        with store.read() as reader:
            started = time.perf_counter()
            query(reader)
            times.append(1e3 * (time.perf_counter() - started))
    return sorted(times)


def _at(times: list[float], share: float) -> float:
    return round(times[min(int(len(times) * share), len(times) - 1)], 2)
