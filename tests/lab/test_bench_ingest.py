from __future__ import annotations

from typing import TYPE_CHECKING

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


def test_ingest_is_measured_with_its_ratio() -> None:
    figures = bench_ingest.run(size=2000)
    assert figures["events"] == 2000
    assert figures["rejected"] == 0
    assert (
        0 < figures["ratio"] == round(figures["events_per_s"] / figures["decode_events_per_s"], 3)
    )
