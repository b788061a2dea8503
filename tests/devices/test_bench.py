from __future__ import annotations

from guardian.lab import bench_devices


def test_the_bench_measures_what_it_says() -> None:
    found = bench_devices.run(rows=20_000)
    assert found["devices"] == 60
    assert found["day_seconds"] > 0
