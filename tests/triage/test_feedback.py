"""People's answers move priors within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guardian import triage
from guardian.errors import InputError
from guardian.store import incidents
from guardian.triage import feedback

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store

SETTINGS = triage.Settings(timezone="UTC")


def again(store: Store, number: int) -> Incident:
    triage.run(store, SETTINGS)
    with store.read() as reader:
        found = incidents.incident(reader, number)
    assert found is not None
    return found


def test_an_answer_counts_is_shown_and_can_be_taken_back(home: Store, beacon: Incident) -> None:
    given = feedback.give(home, beacon.id, "expected", actor="anna")
    lower = again(home, beacon.id)
    assert lower.confidence == pytest.approx(beacon.confidence - 0.15)
    assert any("people said" in item.what for item in lower.score)
    feedback.take_back(home, given)
    assert again(home, beacon.id).confidence == beacon.confidence
    with pytest.raises(InputError):
        feedback.take_back(home, given)


def test_answers_have_a_bound(home: Store, beacon: Incident) -> None:
    for _ in range(20):
        feedback.give(home, beacon.id, "wrong", actor="ben")
    assert again(home, beacon.id).confidence == pytest.approx(beacon.confidence - 0.3)


def test_said_twice_to_be_expected_a_suppression_is_offered(home: Store, beacon: Incident) -> None:
    feedback.give(home, beacon.id, "expected", actor="anna")
    with home.read() as reader:
        assert feedback.offers(reader) == []
    feedback.give(home, beacon.id, "expected", actor="ben", reason="the backup")
    with home.read() as reader:
        offered = feedback.offers(reader)
    assert [(each.finding_class, each.device_id) for each in offered] == [("c2_beacon", "laptop")]


@pytest.mark.parametrize(("number", "answer"), [(99, "right"), (1, "maybe")])
def test_wrong_answers_are_refused(home: Store, beacon: Incident, number: int, answer: str) -> None:
    with pytest.raises(InputError):
        feedback.give(home, number, answer, actor="anna")
