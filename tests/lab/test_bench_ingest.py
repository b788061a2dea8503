from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guardian.collect.eve import EveCollector
from guardian.collect.reader import drain
from guardian.lab import bench_ingest, eve_sample

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store


def test_the_sample_is_the_same_every_time_and_wholly_stored(
    memory_store: Store, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    assert eve_sample.write(one, 3000) == eve_sample.write(two, 3000)
    assert one.read_bytes() == two.read_bytes()
    progress = drain(memory_store, EveCollector(path=one), final=True)
    assert (progress.events, progress.rejected) == (3000, 0)
    with memory_store.read() as reader:
        wide = reader.value("SELECT count(*) FROM flow WHERE src_ip LIKE '2001:db8:1::ff:fe00:%'")
        assert wide > 100
        assert reader.value("SELECT count(*) FROM flow WHERE length(src_ip) = 39") == 0


@pytest.mark.parametrize("kind", bench_ingest.KINDS)
def test_ingest_is_measured_with_its_ratio(kind: str) -> None:
    figures = bench_ingest.run(size=2000, kind=kind)
    assert figures["records"] == 2000
    assert figures["rejected"] == 0
    # A log of queries has several lines for one of them; every other record is an event.
    assert figures["events"] == 2000 or (kind == "pihole-log" and 600 < figures["events"] < 1000)
    expected = figures["records_per_s"] / figures["bare_records_per_s"]
    assert 0 < figures["ratio"] == pytest.approx(expected, rel=0.02, abs=0.001)
    assert figures["cpu_us_per_record"] > 0 < figures["bare_cpu_us_per_record"]


def test_every_kind_is_measured_alone() -> None:
    figures = bench_ingest.run(size=500, kind="all")["kinds"]
    assert [each["kind"] for each in figures] == list(bench_ingest.KINDS)
    assert all(each["records"] == 500 for each in figures)
