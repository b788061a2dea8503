"""A short soak: the long one is ``scripts/soak``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab import soak
from guardian.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def test_every_event_is_stored_once_whatever_is_killed(tmp_path: Path) -> None:
    figures = soak.run(tmp_path, minutes=0.25, speed=1, kills=2, seed=3)
    assert figures["wrong"] == []
    assert figures["kills"] == 2
    assert figures["events"] > 15_000
    assert figures["exit_code"] == 0
    assert figures["flat"] is None
    assert soak.passed(figures)
    assert "each exactly once" in soak.verdict(figures)
    assert "too short to say whether it grows" in soak.verdict(figures)
    grown = {**figures, "flat": False, "memory_slope_mb_per_min": 40.9}
    assert not soak.passed(grown)
    assert "+40.9 MB a minute" in soak.verdict(grown)


def test_a_row_too_many_or_too_few_is_seen(tmp_path: Path) -> None:
    eve = soak.Eve(tmp_path)
    store = Store.open(tmp_path / "data")
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO source (name, kind, path) VALUES ('eve', 'eve', ?)", [eve.option[1]]
        )
    store.close()
    assert soak.compare(tmp_path / "data", [eve]) == []
    eve.grow(10, soak.datetime(2026, 1, 1))
    wrong = soak.compare(tmp_path / "data", [eve])
    assert wrong
    assert "instead of" in wrong[0]
