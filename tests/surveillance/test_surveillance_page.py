"""The privacy page shows the ledger, takes what was switched off, and the letter has its lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from guardian import detect
from guardian.cli import main
from guardian.detect import surveillance_optout
from guardian.lab import surveillance
from guardian.lab.scene_rows import START, Scene
from guardian.model import words
from guardian.notify import digest
from guardian.store import Store, contacts
from guardian.web import Settings, create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

TV, LAPTOP, NAS = (f"192.168.7.{n}" for n in (20, 24, 29))
NAME = "acr-us-prd.samsungcloud.tv"
DAYS = 9


@pytest.fixture(scope="module")
def house() -> Iterator[Store]:
    """Eight days of reports, one without; a laptop that asks a model; a crawler."""
    scene = Scene()
    scene.device(TV, "8c:ea:48:10:20:30", name="Living <b>room</b> TV")
    scene.device(LAPTOP, "f0:18:98:10:20:30", name="Annas-MacBook")
    scene.device(NAS, "00:11:32:10:20:30", name="DiskStation")
    for day in range(DAYS):
        for index in range(300):
            second = day * 86400 + index * 60.0
            if index % 30 == 0:
                scene.connect(TV, "198.51.100.90", second + 2, up=900, down=9000)
            if day < DAYS - 1:
                scene.connect(TV, "198.51.100.10", second, up=2000, down=300, name=NAME)
        scene.connect(
            LAPTOP, "198.51.100.60", day * 86400 + 99, up=9000, down=99, name="chatgpt.com"
        )
    scene.fetch(
        "198.51.100.72",
        NAS,
        (DAYS - 1) * 86400.0 + 9,
        host="garden.example",
        path="/",
        agent="GPTBot/1.2",
    )
    store = Store.memory()
    scene.commit(store)
    detect.run(store, surveillance.only_surveillance())
    yield store
    store.close()


NOW = START + timedelta(days=DAYS - 1, hours=5)


@pytest.fixture
def page(house: Store) -> TestClient:
    return at(house, NOW)


def at(house: Store, now: datetime) -> TestClient:
    app = create_app(house, Settings(timezone="UTC"), wake=lambda: None, now=lambda: now)
    return TestClient(app, base_url="http://127.0.0.1", headers={"origin": "http://127.0.0.1"})


def test_the_ledger_is_shown(house: Store) -> None:
    text = at(house, NOW - timedelta(days=1)).get("/privacy").text
    for each in (
        "Samsung · TV viewing", "seat in South Korea", "OpenAI, ChatGPT", "a page or app",
        "Guardian does not know. Give the phones",
    ):  # fmt: skip
        assert each in text, each
    assert "<b>room" not in text
    assert "GPTBot read 1 page of" in at(house, NOW).get("/privacy").text


def test_a_ledger_that_is_not_whole_yet_says_so(
    store: Store, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.path is not None
    folder = store.path.parent
    scene = Scene()
    scene.device(TV, "8c:ea:48:10:20:30", name="TV")
    for index in range(60):
        scene.connect(TV, "198.51.100.10", index * 60.0, up=2000, down=300, name=NAME)
    scene.commit(store)
    detect.run(store, surveillance.only_surveillance())
    line = "This is not complete yet: "
    assert line not in at(store, NOW).get("/privacy").text
    monkeypatch.setattr(contacts, "STEP", 60)
    monkeypatch.setattr(contacts, "MAX_TAIL", 12)
    with store.transaction() as tx:  # as an older version leaves it, or a new catalogue
        contacts.rebuild(tx)
    with store.read() as reader:
        rows = contacts.uncounted(reader)
    assert rows > 60
    assert f"{line}{rows:,} stored events are still to be counted." in (
        at(store, NOW).get("/privacy").text
    )
    letter = digest.build(store, since=NOW - timedelta(days=1), until=NOW, now=NOW)
    assert line in letter.text
    assert line in letter.html
    store.close()
    for options, whole in (("", line), ("--models", line), ("--format json", line)):
        assert main(["privacy", *options.split(), "--data", str(folder)]) == 0
        out, err = capfd.readouterr()
        assert whole in err
        assert whole not in out
    again = Store.open(folder)
    contacts.update(again)
    assert line not in at(again, NOW).get("/privacy").text
    again.close()
    assert main(["privacy", "--data", str(folder)]) == 0
    assert line not in capfd.readouterr().err


def test_a_switch_is_recorded_checked_and_told(page: TestClient, house: Store) -> None:
    with house.read() as reader:
        device = reader.value("SELECT device_id FROM device WHERE name LIKE 'Living%'")
    what = f"{device}|acr|Samsung"
    answer = page.post(
        "/privacy/off", data={"what": what, "when": "2026-11-10"}, follow_redirects=False
    )
    assert answer.status_code == 303
    assert surveillance_optout.keep_checking(house, now=NOW) == 1
    text = page.get("/privacy").text
    assert "It stopped" in text
    assert "exact Poisson rate comparison per active hour" in text
    assert "every 60 s" in text
    day = words.day(datetime(2026, 11, 10), None, NOW)
    letter = digest.build(
        house, since=NOW - timedelta(days=1), until=NOW + timedelta(minutes=1), now=NOW
    )
    assert f"you switched off TV viewing to Samsung ({day}); it stopped." in letter.text
    assert "it stopped" in letter.html
    # The answer stands: the next letter does not tell it again.
    later = digest.build(
        house, since=NOW + timedelta(hours=1), until=NOW + timedelta(days=1), now=NOW
    )
    assert "switched off" not in later.text
    with house.read() as reader:
        number = reader.value("SELECT max(id) FROM opt_out")
    page.post(f"/privacy/off/{number}/withdraw")
    assert "It stopped" not in page.get("/privacy").text


@pytest.mark.parametrize(
    "form",
    [
        {"what": "nobody|acr|Samsung", "when": "2026-11-10"},
        {"what": "{device}|c2_beacon|x", "when": "2026-11-10"},
        {"what": "{device}|acr|Samsung", "when": "yesterday"},
        {"what": "x" * 300, "when": "2026-11-10"},
    ],
)
def test_a_wrong_form_is_refused(page: TestClient, house: Store, form: dict[str, str]) -> None:
    with house.read() as reader:
        device = reader.value("SELECT device_id FROM device WHERE name LIKE 'Living%'")
        before = reader.value("SELECT count(*) FROM opt_out")
    sent = {key: value.replace("{device}", device) for key, value in form.items()}
    assert page.post("/privacy/off", data=sent).status_code in (404, 409, 422)
    with house.read() as reader:
        assert reader.value("SELECT count(*) FROM opt_out") == before


def test_being_away_is_said_and_taken_back(page: TestClient, house: Store) -> None:
    page.post("/privacy/away")
    assert "You said that nobody is home." in page.get("/privacy").text
    page.post("/privacy/away", data={"home": "yes"})
    assert "You said that nobody is home." not in page.get("/privacy").text
    with house.transaction() as tx:
        tx.execute("DELETE FROM away_span")


def test_the_letter_has_its_lines(house: Store) -> None:
    until = NOW - timedelta(days=1)
    letter = digest.build(house, since=until - timedelta(days=1), until=until, now=until)
    assert "reported to Samsung's content recognition 300 times today" in letter.text
    assert "a language model of OpenAI 1 time today" in letter.text
