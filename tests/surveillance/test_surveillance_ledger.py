"""The ledger by the hour is the ledger of the rows; away and country are told by stated rules."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from guardian import detect
from guardian.detect import engine, surveillance_ledger, surveillance_optout
from guardian.intel import catalogue, companies
from guardian.lab.scene_rows import START, Scene
from guardian.store import Store, contacts, presence, privacy

if TYPE_CHECKING:
    from collections.abc import Iterator

TV, PHONE, LAPTOP, CAMERA = (f"192.168.7.{n}" for n in (20, 21, 24, 23))
NAME = "acr-us-prd.samsungcloud.tv"
DAY = 86400
ONE = detect.Settings(
    disabled=tuple(
        each.name
        for each in engine.detectors(detect.Settings())[0]
        if each.name != "surveillance.catalogue"
    )
)
"""The one detector whose findings are read here."""


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.memory()
    yield opened
    opened.close()


def house(scene: Scene) -> None:
    scene.device(TV, "8c:ea:48:10:20:30", name="Samsung TV")
    scene.device(PHONE, "da:4e:91:c3:58:33", name="Pixel-8")
    scene.device(LAPTOP, "f0:18:98:10:20:30", name="Annas-MacBook")
    scene.device(CAMERA, "9c:8e:cd:10:20:30", name="WyzeCam")


def visits(scene: Scene, first_s: float, count: int, every_s: float = 600) -> None:
    for index in range(count):
        second = first_s + index * every_s
        scene.ask(TV, NAME, "198.51.100.10", second)
        scene.connect(TV, "198.51.100.10", second + 1, up=2000, down=400, name=NAME)


def plain(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if key != "last_seen"} for row in rows]


def test_sums_and_rows_tell_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed in six pieces, rolled up in between, or all counted from the rows: one ledger."""
    pieces = []
    for piece in range(6):
        scene = Scene()
        house(scene)
        visits(scene, piece * 7200.0, 12)
        pieces.append(scene)
    for number, scene in enumerate(pieces):
        scene.commit(store, f"piece {number}")
        detect.run(store, ONE)
    until = START + timedelta(days=1)
    with store.read() as reader:
        rolled = int(reader.value("SELECT count(*) FROM contact_hour"))
        mine = privacy.ledger(reader, since=START, until=until)
    assert rolled > 10
    with store.transaction() as tx:
        for table in ("contact_hour", "active_hour", "rollup_mark"):
            tx.execute(f"DELETE FROM {table}")
    with store.read() as reader:
        assert privacy.ledger(reader, since=START, until=until) == mine
    assert mine[0]["contacts"] == 72
    # And counted anew for a changed catalogue.
    contacts.update(store)
    with store.transaction() as tx:
        contacts.rebuild(tx)
    with store.read() as reader:
        assert privacy.ledger(reader, since=START, until=until) == mine
        # Far behind: what is asked costs no more than a step, and the steps give the same.
        monkeypatch.setattr(contacts, "STEP", 60)
        (behind, *_) = privacy.ledger(reader, since=START, until=until)
        assert 0 < behind["contacts"] < 72
    contacts.update(store)
    with store.read() as reader:
        bound = contacts.tail(reader)
        assert bound["after"] == bound["upto"]
        assert privacy.ledger(reader, since=START, until=until) == mine


def test_sums_outlive_their_rows_and_a_new_catalogue(store: Store) -> None:
    scene = Scene()
    house(scene)
    visits(scene, 0, 30)
    scene.commit(store)
    detect.run(store, ONE)
    with store.transaction() as tx:
        for table in ("flow", "dns", "tls"):
            tx.execute(f"DELETE FROM {table}")
        tx.execute("UPDATE setting SET value = '\"old\"' WHERE key = 'catalogue.digest'")
    later = Scene(start=START + timedelta(days=40))
    house(later)
    visits(later, 0, 2)
    later.commit(store, "later")
    detect.run(store, ONE)
    with store.read() as reader:
        (row,) = privacy.ledger(reader, since=START, until=START + timedelta(days=1))
        (now,) = privacy.ledger(
            reader, since=START + timedelta(days=40), until=START + timedelta(days=41)
        )
    assert (row["company"], row["contacts"], row["device"]) == ("Samsung", 30, "Samsung TV")
    assert now["contacts"] == 2


def owned_phone(store: Store) -> None:
    with store.transaction() as tx:
        tx.execute("UPDATE device SET owner = 'Anna' WHERE name LIKE 'Pixel%'")


def test_away_is_when_every_owned_phone_is(store: Store) -> None:
    scene = Scene()
    house(scene)
    for hour in range(30):  # 18:00 on; the phone leaves at 8:00 and is back at 13:00
        scene.connect(TV, "198.51.100.9", hour * 3600 + 60, up=900, down=900)
        if hour not in (14, 15, 16, 17, 18) and hour not in (7, 8, 9):
            scene.connect(PHONE, "198.51.100.8", hour * 3600 + 90, up=900, down=900)
    visits(scene, 15 * 3600, 6)
    visits(scene, 2 * 3600, 6)
    scene.commit(store)
    detect.run(store, ONE)
    until = START + timedelta(hours=30)
    with store.read() as reader:
        assert presence.away_hours(reader, since=START, until=until) is None
        (row,) = surveillance_ledger.ledger(reader, since=START, until=until)
    assert row["away_share"] is None
    owned_phone(store)
    with store.read() as reader:
        away = presence.away_hours(reader, since=START, until=until)
        (row,) = surveillance_ledger.ledger(reader, since=START, until=until)
    # One to four o'clock at night the phone slept; from eight on it was gone.
    assert away == {START + timedelta(hours=hour) for hour in range(14, 19)}
    assert (row["away_share"], row["country"]) == (0.5, "KR")


def test_a_word_counts_without_phones(store: Store) -> None:
    scene = Scene()
    house(scene)
    visits(scene, 0, 24)
    scene.commit(store)
    detect.run(store, ONE)
    until = START + timedelta(hours=4)
    with store.transaction() as tx:
        presence.say_away(
            tx, valid_from=START + timedelta(hours=2), valid_to=None, author="keeper", now=START
        )
    with store.read() as reader:
        assert presence.is_away(reader)
        (row,) = surveillance_ledger.ledger(reader, since=START, until=until)
    assert row["away_share"] == 0.5
    with store.transaction() as tx:
        assert presence.say_back(tx, now=START + timedelta(hours=3)) == 1
    with store.read() as reader:
        assert not presence.is_away(reader)
        assert presence.away_hours(reader, since=START, until=until) == {START + timedelta(hours=2)}


def test_models_are_told_by_way_and_thing(store: Store) -> None:
    scene = Scene()
    house(scene)
    for index in range(10):
        for who, name, ip in (
            (LAPTOP, "api.anthropic.com", "198.51.100.60"),
            (LAPTOP, "chatgpt.com", "198.51.100.61"),
            (CAMERA, "api.openai.com", "198.51.100.62"),
        ):
            scene.connect(who, ip, index * 1800.0, up=5000, down=9000, name=name)
    scene.commit(store)
    detect.run(store, ONE)
    with store.read() as reader:
        rows = surveillance_ledger.model_use(reader, since=START, until=START + timedelta(hours=6))
    found = {(row["device"], row["company"]): row for row in rows}
    assert found["Anna's MacBook", "Anthropic"]["way"] == "API"
    assert found["Anna's MacBook", "OpenAI"]["way"] == "web"
    assert not found["Anna's MacBook", "OpenAI"]["thing"]
    camera = found["WyzeCam", "OpenAI"]
    assert (camera["way"], camera["thing"], camera["contacts"], camera["sessions"]) == (
        "API", True, 10, 10,
    )  # fmt: skip
    assert camera["hours"] == [18, 19, 20, 21, 22]
    assert camera["bytes_up"] == 10 * 5700


@pytest.mark.parametrize(
    ("service", "way"),
    [("API", "API"), ("ChatGPT", "web"), ("search and API", "unknown"), ("inference", "API"),
     ("API and Le Chat", "unknown"), ("hosted models", "API"), ("Kimi", "web"), ("Sora", "web")],
)  # fmt: skip
def test_ways(service: str, way: str) -> None:
    assert surveillance_ledger.way(service) == way


def test_answers_are_kept_when_they_change(store: Store) -> None:
    scene = Scene()
    house(scene)
    for day in range(9):
        for hour in range(5):
            scene.connect(TV, "198.51.100.9", day * DAY + hour * 3600 + 5, up=900, down=9000)
        if day < 6:
            visits(scene, day * DAY + 60, 290, every_s=60)
    scene.commit(store)
    detect.run(store, ONE)
    with store.transaction() as tx:
        device = tx.value("SELECT device_id FROM device WHERE name = 'Samsung TV'")
        number = privacy.record_opt_out(
            tx, device_id=device, finding_class="acr", switched_off_at=START + timedelta(days=6),
            author="keeper", now=START,
        )  # fmt: skip
    early, late = START + timedelta(days=6, hours=1), START + timedelta(days=8, hours=5)
    assert surveillance_optout.keep_checking(store, now=early) == 1
    assert surveillance_optout.keep_checking(store, now=early + timedelta(minutes=5)) == 0
    assert surveillance_optout.keep_checking(store, now=late) == 1
    assert surveillance_optout.keep_checking(store, now=late + timedelta(hours=2)) == 0
    with store.read() as reader:
        assert [row["answer"] for row in privacy.answers(reader, number)] == [
            "too early",
            "stopped",
        ]
        (changed,) = privacy.changed_answers(reader, since=early, until=late + timedelta(hours=1))
        assert (changed["answer"], changed["device"]) == ("stopped", "Samsung TV")
        assert not privacy.changed_answers(
            reader, since=late + timedelta(minutes=1), until=late + timedelta(days=1)
        )
    (found,) = surveillance_optout.check_all(store, now=late)
    assert (found["period_before_s"], found["period_after_s"]) == (60.0, None)
    assert found["test"].startswith("exact Poisson")


def test_a_year_is_fast(store: Store) -> None:
    """A year of fifteen devices and eight names each (2 million sums) is seconds of work."""
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO contact_hour SELECT TIMESTAMP '2025-11-02' + to_hours(h), 'd' || d, "
            "'n' || n || '.example', k, 5, 0, 1000, 200 FROM range(8760) a(h), range(15) b(d), "
            "range(8) c(n), (VALUES ('flow'), ('tls')) v(k)"
        )
        tx.execute(
            "INSERT INTO active_hour SELECT TIMESTAMP '2025-11-02' + to_hours(h), 'd' || d "
            "FROM range(8760) a(h), range(15) b(d)"
        )
        tx.execute(
            "INSERT INTO name_hit SELECT 'n' || n || '.example', 'e' || n, 'acr', 'Company ' || n, "
            "'s', ['ad_profile'], 'list', 'none', 'x' FROM range(8) c(n)"
        )
    until = datetime(2026, 11, 2)
    with store.read() as reader:
        started = time.process_time()
        rows = surveillance_ledger.ledger(reader, since=until - timedelta(days=365), until=until)
        seconds = time.process_time() - started
    assert len(rows) == 120
    assert rows[0]["contacts"] == 8760 * 5
    assert seconds < 20  # measured: below one on two quiet cores


def test_seats_are_of_companies_in_the_catalogue() -> None:
    known = {entry.company for entry in catalogue.load().entries}
    listed = set(companies.seats())
    assert len(listed & known) > 400
    assert all(len(code) == 2 and code.isupper() for code in companies.seats().values())
    assert companies.country("LG") == "KR"
    assert companies.country("Nobody in particular") is None
    assert set(companies.confirmed()) <= listed
    assert len(set(companies.confirmed()) & known) > 200
    assert "IEEE" in str(companies.seat_source("Ubiquiti"))
    assert "general knowledge" in str(companies.seat_source("Eight Sleep"))
    assert companies.seat_source("Nobody in particular") is None


def test_chance_is_the_same_for_any_order() -> None:
    chance = random.Random(1)
    moments = [START + timedelta(seconds=60 * n + chance.uniform(-2, 2)) for n in range(50)]
    assert surveillance_optout.even_period(moments) == pytest.approx(60, abs=2)
    gaps = [START + timedelta(seconds=chance.uniform(0, 9000)) for _ in range(50)]
    assert surveillance_optout.even_period(sorted(gaps)) is None
