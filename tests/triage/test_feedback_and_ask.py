"""People's answers move priors within bounds; questions of the menu are answered from rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from house import T0, finding, hit, write

from guardian import triage
from guardian.errors import InputError
from guardian.store import incidents
from guardian.triage import ask, feedback

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


@pytest.fixture
def lived_in(home: Store) -> Store:
    hit(home, "acr.example", "Samsung")
    with home.transaction() as tx:
        for place in range(30):
            moment = T0 + timedelta(minutes=place)
            tx.execute(
                "INSERT INTO flow (id, ts, source_id, flow_id, src_ip, dest_ip, bytes_toserver, "
                "bytes_toclient) VALUES (?, ?, 1, ?, '192.168.30.20', ?, 100, 50)",
                [place, moment, place, f"203.0.113.{place}"],
            )
            tx.execute(
                "INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, blocked) "
                "VALUES (?, ?, 1, '192.168.30.20', 'acr.example', ?)",
                [100 + place, moment, place % 2 == 0],
            )
    write(home, finding("acr", "tv", "acr.example"))
    triage.run(home, SETTINGS)
    return home


@pytest.mark.parametrize("name", [each.name for each in ask.MENU])
def test_every_question_of_the_menu_is_answered(lived_in: Store, name: str) -> None:
    with lived_in.read() as reader:
        found = ask.ask(reader, name, hours=24, now=T0 + timedelta(hours=2))
    if name == "new":
        assert found.total == 0
    else:
        assert found.total > 0
        assert len(found.rows) <= ask.ROWS
        assert str(found.total) in found.text


def test_a_sentence_finds_its_question_device_and_time(lived_in: Store) -> None:
    with lived_in.read() as reader:
        meant = ask.understand(reader, "What did the TV do last night?")
        assert meant == {"name": "destinations", "device": "tv", "hours": 12.0}
        found = ask.ask(reader, **meant, now=T0 + timedelta(hours=2))
        assert found.total == 30
        assert found.text.startswith("Living-room TV went to 30 destinations")
        meant = ask.understand(reader, "which names did anna's laptop ask for in 3 days")
        assert meant == {"name": "names", "device": "laptop", "hours": 72.0}
        with pytest.raises(InputError, match="menu"):
            ask.understand(reader, "drop table flow; --")


@pytest.mark.parametrize(
    ("name", "device", "hours"),
    [("sql", None, 1), ("names", "'; DROP TABLE flow; --", 1), ("names", None, 0),
     ("names", None, 1e9)],
)  # fmt: skip
def test_what_is_not_on_the_menu_is_refused(
    lived_in: Store, name: str, device: str | None, hours: float
) -> None:
    with lived_in.read() as reader, pytest.raises(InputError):
        ask.ask(reader, name, device=device, hours=hours)
