"""The evening at home through every stage: the contract between them.

Every villain is found once, as one incident; no innocent is accused; twice is once.
"""

from __future__ import annotations

import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from guardian import detect, resources, respond, triage
from guardian.app.replay import replay
from guardian.config import Config
from guardian.detect.settings import Settings as DetectSettings
from guardian.lab import evening
from guardian.respond.settings import Settings as RespondSettings
from guardian.store import Store, devices
from guardian.store.reconcile import coverage
from guardian.triage.settings import Settings as TriageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = tomllib.loads(resources.path("pcaps/MANIFEST.toml").read_text())["evening"]
EVE = f"pcaps/{evening.EVE}"
CAPTURE = f"pcaps/{evening.CAPTURE}"


def _stages(store: Store) -> None:
    detect.run(store, DetectSettings())
    triage.run(store, TriageSettings())
    respond.propose(store, RespondSettings())


@pytest.fixture(scope="module", params=["eve", "capture"])
def night(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("night")
    source = EVE
    if request.param == "capture":
        if shutil.which("suricata") is None:
            pytest.skip("Suricata is not installed")
        source = CAPTURE
    store = Store.open(folder / "data")
    inputs = [resources.path(source), resources.path(f"pcaps/{evening.PIHOLE_LOG}")]
    report = replay(store, Config(data=folder / "data"), inputs)
    assert report.errors == ()
    assert [(each.error, each.rejected) for each in report.inputs] == [(None, 0), (None, 0)]
    yield store
    store.close()


def _rows(store: Store, sql: str) -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows(sql)


def _incidents(store: Store) -> list[dict[str, Any]]:
    return _rows(
        store,
        "SELECT i.*, d.name AS device FROM incident i JOIN device d USING (device_id) "
        "WHERE i.verdict <> 'benign' AND i.status <> 'closed' ORDER BY i.id",
    )


@pytest.mark.parametrize("villain", MANIFEST["villain"], ids=lambda each: each["device"])
def test_every_villain_is_found_once_as_one_incident(night: Store, villain: dict[str, Any]) -> None:
    (found,) = [each for each in _incidents(night) if each["device"] == villain["device"]]
    assert set(villain["classes"]) <= set(found["classes"])


def test_nobody_else_is_accused(night: Store) -> None:
    accused = {each["device"] for each in _incidents(night)}
    assert accused == {each["device"] for each in MANIFEST["villain"]}
    everybody = {each["name"] for each in _rows(night, "SELECT name FROM device")}
    assert {each["device"] for each in MANIFEST["innocent"]} <= everybody - accused


def test_things_have_their_names_and_kinds(night: Store) -> None:
    with night.read() as reader:
        kinds_of = {each.name: each.kind for each in devices.devices(reader)}
    assert kinds_of == {
        "Anna's laptop": "laptop",
        "Ben's laptop": "laptop",
        "DNS server": "server",
        "Front door camera": "camera",
        "Kitchen echo": "speaker",
        "Living room TV": "tv",
        "Mia's tablet": "tablet",
        "Office printer": "printer",
        "PS5 214": "console",
        "Pixel 8": "phone",
        "Router": "network",
    }


def test_the_laptop_is_malicious_and_a_block_is_offered(night: Store) -> None:
    (laptop,) = [each for each in _incidents(night) if each["device"] == "Anna's laptop"]
    assert (laptop["verdict"], laptop["level"]) == ("malicious", "critical")
    offers = _rows(night, f"SELECT title FROM proposal WHERE incident_id = {laptop['id']}")
    assert any(evening.C2_NAME in each["title"] or "stat-relay" in each["title"] for each in offers)


def test_periods_are_measured(night: Store) -> None:
    found = _rows(
        night,
        "SELECT d.name, (f.facts ->> '$.interval_s')::DOUBLE AS interval_s "
        "FROM finding f JOIN device d USING (device_id) WHERE f.class = 'c2_beacon'",
    )
    periods = {each["name"]: each["interval_s"] for each in found}
    assert periods["Living room TV"] == pytest.approx(15, abs=0.5)
    assert periods["Kitchen echo"] == pytest.approx(60, abs=1)
    assert periods["Anna's laptop"] == pytest.approx(60, abs=2)


def test_twice_is_once(night: Store) -> None:
    tables = {
        "finding": "SELECT * EXCLUDE (updated_at) FROM finding ORDER BY id",
        "incident": "SELECT * EXCLUDE (updated_at) FROM incident ORDER BY id",
        "proposal": "SELECT * FROM proposal ORDER BY id",
        "device": "SELECT * FROM device ORDER BY device_id",
    }
    before = {name: _rows(night, sql) for name, sql in tables.items()}
    _stages(night)
    assert {name: _rows(night, sql) for name, sql in tables.items()} == before


def test_the_resolver_explains_what_everybody_but_the_phone_does(night: Store) -> None:
    with night.read() as reader:
        covered = {each.name: each for each in coverage(reader)}
    phone = covered.pop("Pixel 8")
    assert phone.share is not None
    assert phone.share == pytest.approx(1 / 3, abs=0.02)  # it asked at home for dns.google only
    assert {each.name for each in phone.unexplained} >= {"signal.org", "www.ecosia.org"}
    laptop = covered.pop("Anna's laptop")
    assert [each.ip for each in laptop.unexplained] == [evening.ATTACKER]  # the program, by address
    console = covered.pop("PS5 214")
    assert [each.flows for each in console.unexplained] == [1]  # the game's server
    camera = covered.pop("Front door camera", None)
    assert camera is None
    assert {each.name: each.share for each in covered.values()} == dict.fromkeys(
        ("Living room TV", "Kitchen echo", "Ben's laptop", "Mia's tablet"), 1.0
    )
