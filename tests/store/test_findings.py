"""Findings are written in pieces: what each is and counts does not depend on where one ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from guardian.model.finding import Finding, FindingClass, Level
from guardian.store import findings

if TYPE_CHECKING:
    from guardian.store import Store

NOW = datetime(2026, 3, 1, 12)


def _told(number: int, calls: int) -> Finding:
    return Finding(
        finding_class=FindingClass.C2_BEACON,
        level=Level.LOW,
        detector="test.flood",
        title=f"calls {number}",
        key=f"beacon>{number}",
        src_ip="192.168.1.9",
        peers=("198.51.100.7",),
        first_seen=NOW,
        last_seen=NOW + timedelta(minutes=calls),
        count=calls,
        facts={"calls": calls},
        evidence=tuple(f"flow:{number * 100 + each}" for each in range(calls)),
    )


@pytest.mark.parametrize("piece", [1, 7, 250])
def test_a_flood_is_written_in_pieces(
    memory_store: Store, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(findings, "PIECE", piece)
    # Half of the second time is known, half of that has grown; one key comes twice at once.
    first = [_told(number, 3) for number in range(20)]
    second = [_told(number, 5 if number < 15 else 3) for number in range(10, 30)]
    with memory_store.transaction() as tx:
        assert findings.upsert(tx, [*first, _told(0, 4)], now=NOW) == 20
    with memory_store.transaction() as tx:
        assert findings.upsert(tx, second, now=NOW) == 15, "ten are new, five have grown"
    with memory_store.read() as reader:
        shown = {row["title"]: row for row in findings.as_json(reader)}
    assert len(shown) == 30
    for number in range(30):
        calls = 4 if number == 0 else 5 if 10 <= number < 15 else 3
        row = shown[f"calls {number}"]
        assert (row["count"], len(row["evidence"])) == (calls, calls), number
