"""Rhythms are learned of things that keep them, explain heartbeats, and changes are told."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian import detect
from guardian.detect import engine, surveillance_ledger
from guardian.lab.scene_rows import START, Scene
from guardian.store import Store, rhythms

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUG, LAPTOP, BLANK = "192.168.7.26", "192.168.7.24", "192.168.7.31"
HOST = "beat.gadgets.example"
DAY = 86400


def only(*names: str) -> detect.Settings:
    every, _ = engine.detectors(detect.Settings())
    return detect.Settings(disabled=tuple(each.name for each in every if each.name not in names))


FEW = only("surveillance.habit")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.memory()
    yield opened
    opened.close()


def day_of(
    number: int, who: str, name: str, *, every_s: float = 600, ip: str = "198.51.100.15",
    named: bool = True,
) -> Scene:  # fmt: skip
    """One day of regular calls, with the noise of a few seconds."""
    chance = random.Random(number)
    scene = Scene(start=START.replace(hour=0) + timedelta(days=number))
    scene.device(PLUG, "68:57:2d:10:20:30", name="shelly-plug")
    scene.device(LAPTOP, "f0:18:98:10:20:30", name="Annas-MacBook")
    scene.device(BLANK, "02:11:22:33:44:55")
    if named:
        scene.ask(who, name, ip, 5)
    for index in range(int(DAY / every_s)):
        second = 10 + index * every_s + chance.uniform(-2, 2)
        scene.connect(who, ip, second, up=700, down=600, port=8883)
    return scene


def week(store: Store, who: str, *, days: range = range(9), piece: str = "a", **more: Any) -> None:
    for number in days:
        day_of(number, who, more.pop("name", HOST), **more).commit(store, f"{piece} {number}")
    detect.run(store, FEW)


def learned(store: Store) -> list[tuple[str, float]]:
    with store.read() as reader:
        return [(row["name"], round(row["period_s"])) for row in rhythms.learned(reader)]


def habits(store: Store) -> list[dict[str, Any]]:
    with store.read() as reader:
        return surveillance_ledger.changed_habits(reader)


def test_a_week_makes_a_habit(store: Store) -> None:
    week(store, PLUG, days=range(7))
    assert learned(store) == []  # six whole days
    week(store, PLUG, days=range(7, 9), piece="b")
    assert learned(store) == [(HOST, 600)]
    with store.read() as reader:
        row = reader.one("SELECT * FROM periodic_fingerprint WHERE origin = 'learned'")
        assert (
            reader.value("SELECT count(*) FROM periodic_fingerprint WHERE origin = 'measured'")
            > 300
        )
    assert row is not None
    assert row["device"] == "this home's Shelly plug"
    assert row["device_id"]
    assert habits(store) == []


def test_what_is_learned_explains_the_heartbeat(store: Store) -> None:
    week(store, PLUG, days=range(11))
    detect.run(store, only("c2.beacon"))
    with store.read() as reader:
        levels = {
            row["level"]
            for row in reader.rows("SELECT level FROM finding WHERE class = 'c2_beacon'")
        }
    assert levels == {"informational"}


@pytest.mark.parametrize(
    ("who", "more"),
    [(LAPTOP, {}), (PLUG, {"named": False})],
    ids=["a laptop's program", "a bare address"],
)
def test_nothing_is_learned_of(store: Store, who: str, more: dict[str, Any]) -> None:
    week(store, who, days=range(9), **more)
    assert learned(store) == []


def test_an_attack_takes_back_what_was_learned(store: Store) -> None:
    week(store, PLUG)
    assert learned(store)
    with store.transaction() as tx:
        device = tx.value("SELECT device_id FROM device WHERE name = 'Shelly plug'")
        tx.execute(
            "INSERT INTO finding SELECT 'x', 'malware', 'high', 'alert.suricata', 't', 'k', "
            "$device, $ip, [], $at, $at, 1, '{}', [], [], $at, NULL",
            {"device": device, "ip": PLUG, "at": START},
        )
    week(store, PLUG, days=range(9, 11), piece="b")
    assert learned(store) == []


def test_another_period_is_told_with_before_and_after(store: Store) -> None:
    week(store, PLUG)
    week(store, PLUG, days=range(9, 12), piece="b", every_s=300)
    (found,) = habits(store)
    assert (found["before_name"], found["after_name"], found["level"]) == (
        HOST,
        HOST,
        "informational",
    )
    assert found["before_period_s"] == pytest.approx(600, abs=2)
    assert found["after_period_s"] == pytest.approx(300, abs=2)
    assert "consistent with" in found["title"]
    detect.run(store, FEW, full=True)
    assert len(habits(store)) == 1


def test_another_destination_is_told(store: Store) -> None:
    week(store, PLUG)
    for number in range(9, 12):
        day_of(number, PLUG, "beat.elsewhere.example", ip="198.51.100.16").commit(
            store, f"b {number}"
        )
    detect.run(store, FEW)
    (found,) = habits(store)
    assert (found["before_name"], found["after_name"]) == (HOST, "beat.elsewhere.example")
    assert found["level"] == "low"


def test_a_thing_that_was_off_changed_nothing(store: Store) -> None:
    week(store, PLUG)
    for number in range(9, 12):
        day_of(number, LAPTOP, "other.example", ip="198.51.100.17").commit(store, f"b {number}")
    detect.run(store, FEW)
    assert habits(store) == []


def test_one_day_is_no_change(store: Store) -> None:
    week(store, PLUG)
    week(store, PLUG, days=range(9, 10), piece="b", every_s=300)
    week(store, PLUG, days=range(10, 12), piece="c")
    assert habits(store) == []


def test_another_period_than_the_measured_one_is_no_suggestion(store: Store) -> None:
    for number in range(2):
        day_of(number, BLANK, "m2.tuyaus.com", every_s=200).commit(store, f"a {number}")
    detect.run(store, FEW)
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM rhythm_day") > 0
        assert rhythms.likenesses(reader) == []


def test_enough_of_a_measured_device_is_a_suggestion(store: Store) -> None:
    for number in range(2):
        day_of(number, BLANK, "m2.tuyaus.com", every_s=60).commit(store, f"a {number}")
    detect.run(store, FEW)
    with store.read() as reader:
        (found,) = rhythms.likenesses(reader)
    assert found["matched"] >= 1
    assert "m2.tuyaus.com every 6" in found["reason"]
    # Several measured devices call there at that pace: none of them is singled out.
    assert " or " in found["device"]
    assert "measured devices do" in found["reason"]
