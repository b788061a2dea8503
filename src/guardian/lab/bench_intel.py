"""Measure matching a day of flows and DNS messages against very large threat lists."""

# ruff: noqa: E501 - a row of a query is one line

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian import detect
from guardian.detect import engine, indicators
from guardian.lab import bench_detect
from guardian.lab.bench_detect import peak_mb
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_SIZE = bench_detect.DEFAULT_SIZE
"""Flows, and as many DNS messages; a fifth as many TLS hellos and a twentieth of requests."""

LISTED = {
    "domains": 1_000_000,
    "addresses": 100_000,
    "networks": 10_000,
    "address_ports": 50_000,
    "fingerprints": 50_000,
    "certificates": 50_000,
    "urls": 50_000,
}
"""Entries by kind: more than abuse.ch, the ET lists and a few block lists together."""

HIT_EVERY = 200_000
"""Of so many entries one is of this day, so that every kind has hits."""

_TLS = """
INSERT INTO tls (id, ts, source_id, flow_id, src_ip, src_port, dest_ip, dest_port, proto, sni,
    version, ja3, ja3s, ja4, fingerprint)
SELECT $first + i, TIMESTAMP '2026-01-10' + to_microseconds((i * 86400000000 // $size)::BIGINT), 1,
    i, '192.168.1.' || (2 + h % 60), 40000, '93.' || (h // 61 % 200) || '.' || (h // 3 % 30) || '.9',
    443, 'TCP', 'host' || (h // 13 % 400) || '.site' || (h // 60 % 500) || '.com', 'TLS 1.3',
    md5('ja3 ' || h % 300), md5('ja3s ' || h % 900), 't13d1516h2_' || md5('a' || h % 300)[:12] || '_'
    || md5('b' || h % 300)[:12], sha1('cert ' || h % 3000)
FROM (SELECT i, (hash(i + 11) % 1000000007)::BIGINT AS h FROM range($size) t(i))
"""

_HTTP = """
INSERT INTO http (id, ts, source_id, flow_id, src_ip, src_port, dest_ip, dest_port, proto, hostname,
    url, http_method)
SELECT $first + i, TIMESTAMP '2026-01-10' + to_microseconds((i * 86400000000 // $size)::BIGINT), 1,
    i, '192.168.1.' || (2 + h % 60), 40000, '93.' || (h // 61 % 200) || '.' || (h // 3 % 30) || '.9',
    80, 'TCP', 'host' || (h // 13 % 400) || '.site' || (h // 60 % 500) || '.com', '/p/' || h % 1000,
    'GET'
FROM (SELECT i, (hash(i + 13) % 1000000007)::BIGINT AS h FROM range($size) t(i))
"""


def run(size: int = DEFAULT_SIZE) -> dict[str, Any]:
    """Fill a store with a day, load the lists and time the matching of everything stored."""
    only = detect.Settings(disabled=_others())
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
        store = Store.open(Path(folder) / "data")
        _fill(store, size)
        detect.run(store, only)  # names and addresses are described once, when they are seen
        listed = Path(folder) / "threats.txt"
        with store.read() as reader:
            asked = reader.value("SELECT hostname || url FROM http ORDER BY id LIMIT 1")
        listed.write_text("\n".join((*_entries(), f"http://{asked}")), encoding="utf-8")
        before = peak_mb()
        started = time.perf_counter()
        loaded = indicators.load(store, listed)
        load_s = time.perf_counter() - started
        report = detect.run(store, only)
        after = peak_mb()
        with store.read() as reader:
            slowest = reader.rows(
                "SELECT detector, round(seconds, 2) AS seconds, (SELECT count(*) FROM finding f "
                "WHERE f.detector = m.detector) AS findings FROM detector_mark m "
                "WHERE starts_with(detector, 'intel.') ORDER BY seconds DESC"
            )
        store.close()
    return {
        "flows": size,
        "dns": size,
        "tls": size // 5,
        "http": size // 20,
        "listed": loaded.indicators,
        "load_seconds": round(load_s, 1),
        "match_seconds": round(sum(each["seconds"] for each in slowest), 1),
        "peak_mb_before": before,
        "peak_mb": after,
        "errors": list(report.errors),
        "detectors": slowest,
    }


def _others() -> tuple[str, ...]:
    every, _ = engine.detectors(detect.Settings())
    return tuple(each.name for each in every if not each.name.startswith("intel."))


def _fill(store: Store, size: int) -> None:
    with store.transaction() as tx:
        bench_detect.fill(tx, size)
        first = 2 * size + 1
        for sql, count in ((_TLS, size // 5), (_HTTP, size // 20)):
            tx.execute(sql, {"size": count, "first": first})
            first += count
        tx.execute("UPDATE row_counter SET next_id = ?", [first])
    store.checkpoint()


def _entries() -> Iterator[str]:
    """Yield the lists' lines: few of them are of the day, the others of nobody."""

    def noise(text: str) -> str:
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    for n in range(LISTED["domains"]):
        hit = n % HIT_EVERY == 0
        yield f"site{n // HIT_EVERY}.com" if hit else f"{noise(f'd{n}')[:14]}.example{n % 97}.net"
    for n in range(LISTED["addresses"]):
        hit = n % HIT_EVERY == 0
        yield f"93.{n // HIT_EVERY}.7.9" if hit else f"{11 + n % 60}.{n // 250 % 250}.{n % 250}.1"
    for n in range(LISTED["networks"]):
        yield "93.150.7.0/24" if n == 0 else f"{100 + n % 90}.{n // 90}.{n % 200}.0/24"
    for n in range(LISTED["address_ports"]):
        yield "93.8.8.9:443" if n == 0 else f"{80 + n % 9}.{n // 9 % 250}.{n % 240}.2:{1000 + n}"
    for n in range(LISTED["fingerprints"]):
        text = "ja3 7" if n == 0 else f"f{n}"
        yield hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    for n in range(LISTED["certificates"]):
        yield noise("cert 7" if n == 0 else f"c{n}")
    for n in range(LISTED["urls"]):
        hit = n % HIT_EVERY == 0
        yield (
            f"http://host1.site{n % 500}.com/p/{n % 900}"
            if hit
            else f"http://{noise(f'u{n}')[:9]}.net/x"
        )
