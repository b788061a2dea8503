"""The ledger counts right, the opt-out verifier answers right, the forecast says what breaks."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian import detect
from guardian.detect import surveillance_optout as optout
from guardian.detect.surveillance_forecast import forecast
from guardian.lab.scene_rows import START, Scene
from guardian.store import Store, privacy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TV, IP, NAME = "192.168.7.20", "198.51.100.10", "acr-us-prd.samsungcloud.tv"
DAY = 86400


def tv_hours(scene: Scene, first_day: int, days: int, *, contacts_an_hour: int) -> None:
    """The set is on from 18 to 23 o'clock; it does something else each hour as well."""
    for day in range(first_day, first_day + days):
        for hour in range(5):
            at = day * DAY + hour * 3600.0
            scene.connect(TV, "198.51.100.99", at + 1, up=900, down=90_000)
            if contacts_an_hour:
                for index in range(contacts_an_hour):
                    second = at + 5 + index * 3500 / contacts_an_hour
                    scene.connect(TV, IP, second, up=2000, down=500, name=NAME)


def stored(scene: Scene) -> Store:
    store = Store.memory()
    scene.device(TV, "8c:ea:48:10:20:30", name="Samsung TV")
    scene.commit(store)
    detect.run(store, detect.Settings())
    return store


@pytest.fixture
def month() -> Iterator[Store]:
    """Three weeks of a set that reports, then a week of it after the switch."""
    scene = Scene()
    scene.ask(TV, NAME, IP, 0)
    tv_hours(scene, 0, 21, contacts_an_hour=20)
    tv_hours(scene, 21, 7, contacts_an_hour=2)
    store = stored(scene)
    yield store
    store.close()


def test_ledger(month: Store) -> None:
    until = START + timedelta(days=27, hours=23)
    with month.read() as reader:
        (row,) = privacy.ledger(reader, since=until - timedelta(days=7), until=until)
        (whole,) = privacy.ledger(reader, since=START, until=until, offset_s=5 * 3600)
    assert (row["device"], row["company"], row["class"]) == ("Samsung TV", "Samsung", "acr")
    # A visit is a flow and a hello: it counts once.
    assert row["contacts"] == 7 * 5 * 2
    assert row["bytes_up"] == row["contacts"] * 2700  # what it said, and the handshake
    assert row["weeks"] == [700, 700, 700, 70]
    assert row["trend"] == "less"
    assert row["night_share"] == 0
    assert whole["contacts"] == 21 * 100 + 70
    assert whole["night_share"] == 1.0
    assert row["purposes"] == ["ad_profile", "viewing_profile"]


def test_a_week_that_was_hardly_seen_is_no_comparison() -> None:
    scene = Scene()
    scene.ask(TV, NAME, IP, 0)
    tv_hours(scene, 0, 9, contacts_an_hour=20)
    store = stored(scene)
    until = START + timedelta(days=9)
    with store.read() as reader:
        (row,) = privacy.ledger(reader, since=until - timedelta(days=1), until=until)
    assert row["weeks"][:2] == [None, None]
    assert sum(row["weeks"][2:]) == 900
    assert row["trend"] is None
    store.close()


def switch_off(store: Store, *, day: int) -> int:
    with store.transaction() as tx:
        device = tx.value("SELECT device_id FROM device")
        return privacy.record_opt_out(
            tx, device_id=device, finding_class="acr", switched_off_at=START + timedelta(days=day),
            author="keeper", now=START, note="ACR switched off",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "hours", "answer"),
    [
        (0, 10, "stopped"),
        (4, 10, "reduced"),
        (20, 10, "unchanged"),
        (17, 10, "unchanged"),
        (0, 2, "too early"),
    ],
)
def test_opt_out(after: int, hours: int, answer: str) -> None:
    scene = Scene()
    tv_hours(scene, 0, 7, contacts_an_hour=20)
    tv_hours(scene, 7, 2, contacts_an_hour=after)
    store = stored(scene)
    number = switch_off(store, day=7)
    now = START + timedelta(days=7 + (hours > 5), hours=min(hours, 5))
    (found,) = optout.check_all(store, now=now)
    assert (found["id"], found["answer"]) == (number, answer), found
    with store.transaction() as tx:
        privacy.withdraw_opt_out(tx, number, now=now)
    assert optout.check_all(store, now=now) == []
    store.close()


def asks_elsewhere(scene: Scene) -> None:
    """It asks a public resolver over an encrypted line; its connections still show names."""
    for hour in range(5):
        for index in range(3):
            second = 7 * DAY + hour * 3600 + 900 + index * 60
            scene.connect(TV, "198.51.100.78", second, up=400, down=400, name="dns.google")


def hides(scene: Scene) -> None:
    """It reports as before, to an address that nobody told it."""
    for hour in range(5):
        for index in range(20):
            second = 7 * DAY + hour * 3600 + 5 + index * 120
            scene.connect(TV, "198.51.100.77", second, up=2600, down=300, hidden=True)


@pytest.mark.parametrize(
    ("around", "answer", "word"),
    [
        ((asks_elsewhere,), "stopped", "none since"),
        ((asks_elsewhere, hides), "unclear", "asked no name for: 198.51.100.77"),
    ],
    ids=["another resolver", "hidden names"],
)
def test_one_that_hides_its_names_has_not_stopped(
    around: tuple[Callable[[Scene], None], ...], answer: str, word: str
) -> None:
    scene = Scene()
    tv_hours(scene, 0, 7, contacts_an_hour=20)
    tv_hours(scene, 7, 1, contacts_an_hour=0)
    for each in around:
        each(scene)
    store = stored(scene)
    switch_off(store, day=7)
    (found,) = optout.check_all(store, now=START + timedelta(days=7, hours=5))
    assert found["answer"] == answer, found
    assert word in found["why"]
    assert found["new_resolvers"] == ["dns.google"]
    store.close()


def hours(counts: list[int]) -> list[dict[str, int]]:
    return [{"contacts": count, "bytes_up": count * 100} for count in counts]


def test_bursts_ask_for_more_data() -> None:
    steady = optout.compare(hours([4] * 20), hours([1] * 4))
    bursty = optout.compare(hours([80] + [0] * 19), hours([4] + [0] * 3))
    assert steady.answer == "reduced"
    assert bursty.answer == "too early"
    assert bursty.dispersion > 10


def test_nothing_before_is_nothing_to_compare() -> None:
    assert optout.compare(hours([0] * 50), hours([0] * 50)).answer == "too early"


@given(
    before=st.integers(0, 60), after=st.integers(0, 60),
    first=st.integers(1, 50), then=st.integers(1, 50),
)  # fmt: skip
def test_chance_agrees_with_the_plain_sum(before: int, after: int, first: int, then: int) -> None:
    share, total = then / (first + then), before + after
    plain = sum(
        math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(after + 1)
    )
    found = optout.fewer_by_chance(before, first, after, then)
    assert found == pytest.approx(min(1.0, plain), abs=1e-9)


def test_false_answers_stay_below_the_stated_chance() -> None:
    """A thousand switches that changed nothing: at most one in a hundred is believed."""
    chance = random.Random(3)
    wrong = sum(
        optout.compare(
            hours([chance.randrange(12) for _ in range(40)]),
            hours([chance.randrange(12) for _ in range(8)]),
        ).answer
        in ("stopped", "reduced")
        for _ in range(1000)
    )
    assert wrong <= 10


def test_forecast(month: Store) -> None:
    scene = Scene()
    for day in range(3):
        scene.ask(TV, NAME, IP, (25 + day) * DAY)
        scene.ask("192.168.7.24", "doorbell.ring.com", IP, (25 + day) * DAY + 60)
    scene.commit(month, "second")
    detect.run(month, detect.Settings())
    now = START + timedelta(days=28)
    found = forecast(month, ["samsungcloud.tv", "ring.com", "apple.com"], now=now)
    assert (found["queries"], found["device_count"]) == (6, 2)
    assert set(found["refused"]) == {"apple.com"}
    assert found["breakage"] == "device"
    assert found["breaks"] == ["live view, recording and alerts"]
    assert {row["name"] for row in found["names"]} >= {NAME, "doorbell.ring.com"}
    with month.read() as reader:
        device = reader.value("SELECT device_id FROM device WHERE name = 'Samsung TV'")
    alone = forecast(month, ["samsungcloud.tv"], device, now=now)
    assert (alone["queries"], alone["breakage"]) == (3, "none")
    assert forecast(month, ["nobody.example"], now=now)["queries"] == 0
