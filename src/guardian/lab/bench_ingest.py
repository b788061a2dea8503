"""Measure ingest: from what a source wrote to rows committed in the store.

The machine's speed varies, so the figure that counts is a ratio taken in one run: how
fast Guardian ingests an input against how fast its records are merely read, on one core,
by the quickest usual means: EVE by ``msgspec`` into typed structs that name the fields
which Guardian stores, Pi-hole's database by SQLite, text logs line by line.
"""

from __future__ import annotations

import multiprocessing
import re
import resource
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from guardian.collect import eve_columns, registry
from guardian.collect.reader import drain
from guardian.lab import eve_sample, log_samples
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardian.collect.reader import Progress

BARE_RECORDS = 300_000
"""Bare reading is measured over so many records at most: its speed does not vary with length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How one kind of input is made, read by Guardian and read barely."""

    collector: str
    file: str
    write: Callable[[Path, int], object]
    bare: Callable[[Path], Iterator[object]]
    size: int


def run(*, size: int | None = None, kind: str = "eve", path: Path | None = None) -> dict[str, Any]:
    """Return the figures for one kind of input, or for every kind (``all``).

    The input is made, with ``size`` records, or is what lies at ``path``. ``records_per_s``
    counts from opening it to the last commit; ``ratio`` is that over ``bare_records_per_s``,
    measured just before and just after and averaged. Where other work shares the machine,
    the processor times per record say more than the ratio.
    """
    if kind != "all":
        return _measure(kind, size, path)
    # Each in a process of its own, so that its peak memory is its own.
    context = multiprocessing.get_context("spawn")
    found: list[dict[str, Any]] = []
    for name in KINDS:
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as alone:
            found.append(alone.submit(_measure, name, size, None).result())
    return {"kinds": found}


def _measure(kind: str, size: int | None, path: Path | None) -> dict[str, Any]:
    how = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as name:
        folder = Path(name)
        source = path or folder / how.file
        if path is None:
            _say(f"{kind}: writing {size or how.size:,} records")
            how.write(source, size or how.size)
        before = _bare(how, source)
        store = Store.open(folder / "data")
        try:
            started, used = time.perf_counter(), time.process_time()
            progress = drain(
                store, registry.KINDS[how.collector](source), final=True, progress=_progress(kind)
            )
            seconds = time.perf_counter() - started
            used = time.process_time() - used
            started = time.perf_counter()
            store.checkpoint()
            checkpoint = time.perf_counter() - started
        finally:
            store.close()
        after = _bare(how, source)
        records = progress.events + progress.rejected if path else size or how.size
        wall, cpu = ((one + two) / 2 for one, two in zip(before, after, strict=True))
        speed = records / seconds
        return {
            "kind": kind,
            "records": records,
            "events": progress.events,
            "rejected": progress.rejected,
            "input_mb": round(source.stat().st_size / 1e6, 1),
            "seconds": round(seconds, 3),
            "cpu_seconds": round(used, 3),
            "checkpoint_seconds": round(checkpoint, 3),
            "records_per_s": round(speed),
            "bare_records_per_s": round(1 / wall),
            "ratio": round(speed * wall, 3),
            "cpu_us_per_record": round(1e6 * used / records, 2),
            "bare_cpu_us_per_record": round(1e6 * cpu, 2),
            "store_mb": round((folder / "data" / "guardian.duckdb").stat().st_size / 1e6, 1),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def _bare(how: _Kind, source: Path) -> tuple[float, float]:
    """Return the seconds, and the processor seconds, that merely reading a record takes."""
    count = 0
    started, used = time.perf_counter(), time.process_time()
    for count, _ in enumerate(how.bare(source), 1):
        if count == BARE_RECORDS:
            break
    used = time.process_time() - used
    return (time.perf_counter() - started) / max(count, 1), used / max(count, 1)


def _progress(kind: str) -> Callable[[Progress], None] | None:
    """Return what shows, on a terminal, how far the ingest is."""
    if not sys.stderr.isatty():
        return None

    def show(progress: Progress) -> None:
        _say(f"{kind}: {progress.events:,} events stored")

    return show


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _eve(path: Path) -> Iterator[object]:
    decode = msgspec.json.Decoder(_struct("Event", _all_fields())).decode
    with path.open("rb") as lines:
        yield from map(decode, lines)


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


def _pihole_db(path: Path) -> Iterator[object]:
    with closing(sqlite3.connect(path)) as db:
        yield from db.execute(
            "SELECT q.id, q.timestamp, q.type, q.status, d.domain, c.ip, c.name, f.forward, "
            "q.reply_type, q.reply_time FROM query_storage q "
            "LEFT JOIN domain_by_id d ON d.id = q.domain "
            "LEFT JOIN client_by_id c ON c.id = q.client "
            "LEFT JOIN forward_by_id f ON f.id = q.forward"
        )


_LOGGED = re.compile(r"(\w+ \d+ [\d:]+) (\w+)\[\d+\]: (\S+) (\S+) (\S+) (\S+)")


def _pihole_log(path: Path) -> Iterator[object]:
    with path.open(encoding="utf-8") as lines:
        yield from map(_LOGGED.match, lines)


def _zeek_tsv(path: Path) -> Iterator[object]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#"):
                yield line.split("\t")


def _zeek_json(path: Path) -> Iterator[object]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with path.open("rb") as lines:
        yield from map(decode, lines)


KINDS = {
    "eve": _Kind(
        collector="eve", file="eve.json", write=eve_sample.write, bare=_eve, size=1_000_000
    ),
    "pihole-db": _Kind(
        collector="pihole-db",
        file="pihole-FTL.db",
        write=log_samples.pihole_db,
        bare=_pihole_db,
        size=1_000_000,
    ),
    "pihole-log": _Kind(
        collector="pihole-log",
        file="pihole.log",
        write=log_samples.pihole_log,
        bare=_pihole_log,
        size=500_000,
    ),
    "zeek": _Kind(
        collector="zeek",
        file="conn.log",
        write=log_samples.zeek_tsv,
        bare=_zeek_tsv,
        size=500_000,
    ),
    "zeek-json": _Kind(
        collector="zeek",
        file="conn.log",
        write=log_samples.zeek_json,
        bare=_zeek_json,
        size=500_000,
    ),
}
"""What can be measured, by name."""
