"""The measurement of latency measures: markers arrive and are timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab import bench_latency

if TYPE_CHECKING:
    import pytest


def test_a_short_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_latency, "WARM_S", 1.0)
    found = bench_latency._measure(50, 6.0)
    assert found["events_per_s"] == 50
    assert found["rows"]["markers"] >= 2
    assert 0 < found["rows"]["p50_s"] <= found["rows"]["worst_s"]
    assert found["memory_mb"] > 50
