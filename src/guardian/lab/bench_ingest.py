"""Measure ingest: from an EVE file to rows committed in the store.

The machine's speed varies, so the figure that counts is a ratio taken in one run: how
fast Guardian ingests a file against how fast ``msgspec`` alone decodes the same lines
into typed structs on one core. The structs name the fields that Guardian stores.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from guardian.collect import eve_columns
from guardian.collect.eve import EveCollector
from guardian.collect.reader import drain
from guardian.lab import eve_sample
from guardian.store import Store

DECODE_EVENTS = 300_000
"""Bare decoding is measured over this many lines at most: its speed does not vary with length."""


def run(*, size: int = 1_000_000, path: Path | None = None) -> dict[str, Any]:
    """Return the figures for a generated log of ``size`` events, or for the EVE log ``path``.

    ``events_per_s`` counts from opening the file to the last commit; ``ratio`` is that
    over ``decode_events_per_s``, measured just before and just after and averaged. Where
    other work shares the machine, the processor times per event say more than the ratio.
    """
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as name:
        folder = Path(name)
        log = path
        if log is None:
            log = folder / "eve.json"
            eve_sample.write(log, size)
        before, cpu_before = _decode(log)
        store = Store.open(folder / "data")
        try:
            started = time.perf_counter()
            used = time.process_time()
            progress = drain(store, EveCollector(path=log), final=True)
            seconds = time.perf_counter() - started
            used = time.process_time() - used
            started = time.perf_counter()
            store.checkpoint()
            checkpoint = time.perf_counter() - started
        finally:
            store.close()
        after, cpu_after = _decode(log)
        bare = (before + after) / 2
        speed = progress.events / seconds
        return {
            "events": progress.events,
            "rejected": progress.rejected,
            "log_mb": round(log.stat().st_size / 1e6, 1),
            "seconds": round(seconds, 3),
            "cpu_seconds": round(used, 3),
            "checkpoint_seconds": round(checkpoint, 3),
            "events_per_s": round(speed),
            "decode_events_per_s": round(bare),
            "ratio": round(speed / bare, 3),
            "cpu_us_per_event": round(1e6 * used / max(progress.events, 1), 2),
            "decode_cpu_us_per_event": round((cpu_before + cpu_after) / 2, 2),
            "store_mb": round((folder / "data" / "guardian.duckdb").stat().st_size / 1e6, 1),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def _decode(log: Path) -> tuple[float, float]:
    """Return lines a second, and processor microseconds a line, of bare decoding on one core."""
    decode = msgspec.json.Decoder(_struct("Event", _all_fields())).decode
    count = 0
    with log.open("rb") as lines:
        started, used = time.perf_counter(), time.process_time()
        for count, line in enumerate(lines, 1):
            decode(line)
            if count == DECODE_EVENTS:
                break
        used = time.process_time() - used
        return count / (time.perf_counter() - started), 1e6 * used / max(count, 1)


def _all_fields() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for kind in sorted(eve_columns.TYPED):
        for name, value in eve_columns.structure(kind).items():
            both = isinstance(value, dict) and isinstance(fields.get(name), dict)
            fields[name] = {**fields[name], **value} if both else value
    return fields


_PLAIN: dict[str, Any] = {"VARCHAR": str, "BOOLEAN": bool}


def _struct(name: str, fields: dict[str, Any]) -> Any:
    members = [
        (key, msgspec.Raw, msgspec.Raw())  # kept as text, as the store keeps it
        if value == "JSON"
        else (key, _type(key, value) | None, None)
        for key, value in fields.items()
    ]
    return msgspec.defstruct(name, members, gc=False)


def _type(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _struct(name.title(), value)
    if isinstance(value, list):
        return list[_type(name, value[0])]  # type: ignore[misc] # built from data
    return _PLAIN.get(value, int)
