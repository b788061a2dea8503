from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab import bench_query

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_pages_queries_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bench_query.FOLDER, str(tmp_path))
    figures = bench_query.run(size=20_000)
    assert figures["flows"] == 20_000 // 30 * 30
    assert figures["dns"] == 20_000 // 30 // 4 * 2 * 30
    assert {"incident: evidence of a month", "device: its day"} <= figures["queries"].keys()
    assert figures["p95_ms"] >= figures["p50_ms"] > 0
    assert figures["cold_mb"] >= 0
    again = bench_query.run(size=20_000)  # the folder is kept and measured again
    assert again["build_seconds"] == 0
    assert again["flows"] == figures["flows"]
