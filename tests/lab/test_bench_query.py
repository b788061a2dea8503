from __future__ import annotations

from guardian.lab import bench_query


def test_the_pages_queries_are_timed() -> None:
    figures = bench_query.run(size=20_000)
    assert (figures["flows"], figures["dns"]) == (20_000, 10_000)
    assert {"evidence", "contacts", "day_strip"} <= figures["queries"].keys()
    assert figures["p95_ms"] >= figures["p50_ms"] > 0
