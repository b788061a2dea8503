# ruff: noqa: E501 - a row is told by the line
"""A forecast of each proposal, and a trial that sees its device take another way."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from guardian import detect, respond
from guardian.app import forecasts as forecasting
from guardian.detect import engine
from guardian.lab.scene_rows import START, Scene
from guardian.notify import digest
from guardian.respond import watch
from guardian.store import Store, responses
from guardian.store.responses import enforcements
from guardian.web import Settings, create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TV, OTHER = "192.168.7.20", "192.168.7.24"
NAME, MENU = "acr-us-prd.samsungcloud.tv", "menu.tv-maker.example"
NONE = detect.Settings(disabled=tuple(each.name for each in engine.detectors(detect.Settings())[0]))
"""Names and devices are brought up to date; no detector is needed here."""
ON = 86400.0
"""The second at which the trial begins: after a day of habits."""
NOW = START + timedelta(seconds=ON + 3000)


def habits(scene: Scene) -> None:
    """A day of a set: reports, its menu, an address without a name; a laptop with its own DoH."""
    scene.device(TV, "8c:ea:48:10:20:30", name="Living room TV")
    scene.device(OTHER, "f0:18:98:10:20:30", name="Annas-MacBook")
    for hour in range(24):
        scene.ask(TV, NAME, "198.51.100.10", hour * 3600)
        scene.ask(TV, MENU, "198.51.100.11", hour * 3600 + 9)
        scene.connect(TV, "198.51.100.10", hour * 3600 + 1, up=2000, down=300, name=NAME)
        scene.connect(TV, "198.51.100.11", hour * 3600 + 10, up=900, down=9000, name=MENU)
        scene.connect(TV, "198.51.100.12", hour * 3600 + 20, up=900, down=9000)
        scene.connect(
            OTHER, "198.51.100.13", hour * 3600 + 30, up=900, down=9000, name="dns.google"
        )


def quiet(scene: Scene) -> None:
    """It asks once an hour and is refused; the rest is as before."""
    scene.ask(TV, NAME, None, ON + 5)
    for index in range(3):
        scene.connect(TV, "198.51.100.11", ON + 60 + index * 300, up=900, down=9000, name=MENU)
        scene.connect(TV, "198.51.100.12", ON + 70 + index * 300, up=900, down=9000)
        scene.connect(
            OTHER, "198.51.100.13", ON + 80 + index * 300, up=900, down=900, name="dns.google"
        )


def to_address(scene: Scene) -> None:
    """It reports to an address that nobody told it."""
    scene.ask(TV, NAME, None, ON + 5)
    for index in range(8):
        scene.connect(TV, "198.51.100.77", ON + 30 + index * 60, up=2600, down=300, hidden=True)


def to_doh(scene: Scene) -> None:
    """It asks a public resolver over an encrypted line."""
    scene.ask(TV, NAME, None, ON + 5)
    for index in range(4):
        scene.connect(
            TV, "198.51.100.78", ON + 20 + index * 60, up=900, down=900, name="dns.google"
        )


def to_plain_dns(scene: Scene) -> None:
    """It asks a resolver of its own on port 53."""
    for index in range(3):
        scene.connect(
            TV, "198.51.100.79", ON + 20 + index * 60, up=80, down=120, port=53, proto="UDP"
        )


def storm(scene: Scene) -> None:
    """It asks every few seconds."""
    for index in range(60):
        scene.ask(TV, NAME, None, ON + 5 + index * 5)


def second_name(scene: Scene) -> None:
    """It asks for another name of its maker's, never asked for before."""
    for index in range(2):
        scene.ask(TV, "acr-eu-prd.samsungcloud.tv", "198.51.100.14", ON + 5 + index * 60)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.memory()
    yield opened
    opened.close()


def hammers(scene: Scene) -> None:
    """It tries the blocked address every few seconds, and gets no answer."""
    for index in range(60):
        scene.connect(TV, "198.51.100.12", ON + 5 + index * 5, up=60, down=0)


def trial(
    store: Store, *scenes: Callable[[Scene], None], house: bool = False,
    addresses: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return what a trial in force on the set sees; of a name, or of addresses alone."""
    scene = Scene()
    for each in (habits, *scenes):
        each(scene)
    scene.commit(store)
    detect.run(store, NONE)
    target = {"names": [] if addresses else [NAME], "addresses": list(addresses),
              "subdomains": True, "device_id": None,
              "device_ips": [] if house else [TV]}  # fmt: skip
    applied = START + timedelta(seconds=ON)
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO proposal VALUES (900, 900, 'k', 'dns_trial', 'Try blocking it', '', $target, "
            "3600, 'x', '{}', 'approved', $at, $at)",
            {"target": json.dumps(target), "at": applied},
        )
        tx.execute(
            "INSERT INTO enforcement (id, proposal_id, responder, target, state, asked_at, applied_at, "
            "verified_at, ends_at) VALUES (900, 900, 'x', $target, 'verified', $at, $at, $at, $ends)",
            {"target": json.dumps(target), "at": applied, "ends": applied + timedelta(hours=1)},
        )
    with store.read() as reader:
        (row,) = enforcements(reader)
        return watch.look(reader, row, respond.Settings(), NOW)


def test_a_quiet_trial_says_nothing(store: Store) -> None:
    seen = trial(store, quiet)
    assert watch.remarks(seen) == []
    assert seen["questions"] == 1


@pytest.mark.parametrize(
    ("scene", "key", "value", "word"),
    [
        (to_address, "bare_addresses", ["198.51.100.77"], "addresses that no name was asked for"),
        (to_doh, "other_resolvers", ["dns.google"], "asks another resolver"),
        (to_plain_dns, "other_resolvers", ["198.51.100.79"], "past the house's"),
        (second_name, "new_names", ["acr-eu-prd.samsungcloud.tv"], "new names of the same owner"),
        (storm, "storm", True, "again and again"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_each_way_around_is_told(
    store: Store, scene: Callable[[Scene], None], key: str, value: object, word: str
) -> None:
    seen = trial(store, quiet, scene)
    assert seen[key] == value
    (told,) = watch.remarks(seen)
    assert word in told


def test_a_block_for_the_whole_house_watches_who_asked(store: Store) -> None:
    seen = trial(store, quiet, to_address, to_doh, house=True)
    assert seen["bare_addresses"] == ["198.51.100.77"]
    assert seen["other_resolvers"] == ["dns.google"]


@pytest.mark.parametrize("house", [False, True])
@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (None, []),
        (hammers, ["again and again"]),
        (to_address, ["no name was asked for since then: 198.51.100.77"]),
        (to_doh, ["asks another resolver"]),
    ],
    ids=["nothing", "hammers", "address", "doh"],
)
def test_a_block_of_an_address_is_watched_as_well(
    store: Store, scene: Callable[[Scene], None] | None, words: list[str], house: bool
) -> None:
    seen = trial(store, *([scene] if scene else []), house=house, addresses=("198.51.100.12",))
    told = watch.remarks(seen)
    assert len(told) == len(words), told
    assert all(word in said for word, said in zip(words, told, strict=True))


def test_what_is_seen_stands_on_the_page_and_in_the_letter(store: Store) -> None:
    seen = trial(store, quiet, to_doh)
    responses.update(store, 900, watch=seen)
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO incident SELECT 900, 'k', 'A story', 'surveillance', 0.9, 'low', NULL, [], ['acr'], "
            "$at, $at, 'handled', '', '', '', '[]', '[]', '[]', '', '', 'template', NULL, NULL, $at, $at",
            {"at": START},
        )
        tx.execute(
            "INSERT INTO decision (proposal_id, verb, actor, channel, decided_at, carried_out) "
            "VALUES (900, 'approve', 'Anna', 'page', $at, true)",
            {"at": START + timedelta(seconds=ON - 1)},
        )
    app = create_app(store, Settings(timezone="UTC"), wake=lambda: None, now=lambda: NOW)
    text = TestClient(app, base_url="http://127.0.0.1").get("/p/900").text
    assert "asks another resolver since then, past the house&#39;s: dns.google" in text
    letter = digest.build(store, since=NOW - timedelta(days=1), until=NOW, now=NOW)
    assert "“Try blocking it”: asks another resolver since then" in letter.text


def proposed(store: Store, target: dict[str, Any], at: datetime) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO incident SELECT 1, 'k1', 'A story', 'surveillance', 0.9, 'low', NULL, [], ['acr'], "
            "$at, $at, 'open', '', '', '', '[]', '[]', '[]', '', '', 'template', NULL, NULL, $at, $at",
            {"at": at},
        )
        tx.execute(
            "INSERT INTO proposal VALUES (1, 1, 'k1', 'dns_block', 'Block it', 'So.', $target, 3600, "
            "'none', '{}', 'proposed', $at, $at)",
            {"target": json.dumps(target), "at": at},
        )


def test_a_forecast_is_made_kept_and_shown(store: Store) -> None:
    scene = Scene()
    habits(scene)
    scene.commit(store)
    detect.run(store, NONE)
    at = START + timedelta(seconds=ON)
    target = {"names": ["samsungcloud.tv"], "addresses": [], "subdomains": True,
              "device_id": None, "device_ips": []}  # fmt: skip
    proposed(store, target, at)
    assert forecasting.update(store, now=at) == 1
    assert forecasting.update(store, now=at + timedelta(hours=1)) == 0
    assert forecasting.update(store, now=at + timedelta(hours=7)) == 1  # it still waits
    with store.read() as reader:
        (row,) = responses.as_json(reader)
    made = row["replayed"]
    assert made["queries"] == 24
    assert [each["queries"] for each in made["by_day"]] == [6, 18]
    assert [each["name"] for each in made["devices"]] == ["Living room TV"]
    assert made["told"][0] == (
        "In the last 7 days it would have stopped 24 questions, on 2 days: Living room TV 24×."
    )
    assert made["told"][1] == "Nothing is known to break."
    assert len(made["watch"]) == 4
    app = create_app(store, Settings(timezone="UTC"), wake=lambda: None, now=lambda: at)
    text = TestClient(app, base_url="http://127.0.0.1").get("/p/1").text
    assert "Living room TV 24×" in text
    assert "Samsung: TV content recognition" in text
    assert "a switch to bare addresses" in text
    # Another target is forecast anew.
    with store.transaction() as tx:
        tx.execute(
            "UPDATE proposal SET target = $t", {"t": json.dumps({**target, "names": [MENU]})}
        )
    assert forecasting.update(store, now=at + timedelta(hours=7)) == 1
    with store.read() as reader:
        (row,) = responses.as_json(reader)
    assert row["replayed"]["told"][1] == "What else needs these names is not known."


def test_an_address_is_forecast_by_its_connections(store: Store) -> None:
    scene = Scene()
    habits(scene)
    scene.commit(store)
    detect.run(store, NONE)
    at = START + timedelta(seconds=ON)
    target = {"names": [], "addresses": ["198.51.100.12"], "subdomains": False, "device_id": None,
              "device_ips": []}  # fmt: skip
    proposed(store, target, at)
    forecasting.update(store, now=at)
    with store.read() as reader:
        (row,) = responses.as_json(reader)
    assert row["replayed"]["told"][0] == (
        "In the last 7 days it would have stopped connections of Living room TV 24×."
    )


def test_connections_without_a_question_are_told_as_such(store: Store) -> None:
    scene = Scene()
    habits(scene)
    scene.commit(store)
    detect.run(store, NONE)
    at = START + timedelta(seconds=ON)
    target = {"names": ["dns.google"], "addresses": [], "subdomains": True, "device_id": None,
              "device_ips": []}  # fmt: skip
    proposed(store, target, at)
    forecasting.update(store, now=at)
    with store.read() as reader:
        (row,) = responses.as_json(reader)
    assert "connections to them were seen: Anna's MacBook 24×" in row["replayed"]["told"][0]
