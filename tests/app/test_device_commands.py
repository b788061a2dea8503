"""Devices and networks from the command line, with and without a daemon's calls."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian.app.service import Service
from guardian.cli import main
from guardian.config import Config
from guardian.store import Store
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = utc_now()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with two phones that may be one."""
    store = Store.open(tmp_path)
    with store.transaction() as tx:
        for number, key in enumerate(("dold", "dnew")):
            seen = NOW - timedelta(days=9 - 9 * number)
            tx.execute(
                "INSERT INTO device (device_id, name, mac, first_seen, last_seen) "
                "VALUES (?, ?, ?, ?, ?)",
                [key, f"Phone {key}", f"da:00:00:00:00:0{number}", seen, seen],
            )
            tx.execute(
                "INSERT INTO device_address VALUES (?, ?, NULL, ?, NULL, ?)",
                [key, f"192.168.1.5{number}", seen, seen],
            )
        tx.execute(
            "INSERT INTO merge_proposal (device_id, into_id, score, reasons, created_at) "
            "VALUES ('dnew', 'dold', 8, ['both have the name “annas-phone”'], ?)",
            [NOW],
        )
        tx.execute(
            "INSERT INTO segment (cidr, because, first_seen, last_seen) "
            "VALUES ('192.168.1.0/24', 'because of addresses', $now, $now)",
            {"now": NOW},
        )
        tx.execute("INSERT INTO coverage_hour VALUES (?, 'dnew', 'answer', 3, 10)", [NOW])
        tx.execute("INSERT INTO coverage_hour VALUES (?, 'dnew', 'unknown', 1, 10)", [NOW])
    store.close()
    return tmp_path


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command over the data; return its exit code and what it printed."""

    def command(*arguments: str) -> tuple[int, str]:
        code = main([*arguments, "--data", str(data)])
        return code, capsys.readouterr().out

    return command


def held(data: Path, key: str) -> dict[str, Any]:
    store = Store.open(data)
    try:
        with store.read() as reader:
            return reader.one("SELECT * FROM device WHERE device_id = ?", [key]) or {}
    finally:
        store.close()


def test_the_list_shows_coverage_and_what_may_be_one(run: Callable[..., tuple[int, str]]) -> None:
    code, text = run("devices")
    assert code == 0
    assert "75 %" in text
    assert "Phone dnew looks like the old Phone dold: both have the name" in text
    assert "guardian device merge dnew dold" in text
    _, text = run("devices", "--format", "json")
    rows = {row["id"]: row for row in json.loads(text)}
    assert rows["dnew"]["coverage"]["share"] == 0.75
    assert rows["dnew"]["coverage"]["how"] == {"answer": 3, "unknown": 1}
    assert rows["dnew"]["looks_like"][0]["id"] == "dold"
    assert rows["dold"]["coverage"] is None


def test_set_and_unlock(run: Callable[..., tuple[int, str]], data: Path) -> None:
    code, text = run("device", "set", "192.168.1.51", "--name", "Anna's phone", "--kind", "phone")
    assert (code, "locked: kind, name" in text) == (0, True)
    assert held(data, "dnew")["name"] == "Anna's phone"
    code, text = run("device", "show", "Anna's phone")
    assert "because you said so" in text
    code, text = run("device", "unlock", "Anna's phone", "kind", "name")
    assert "locked: nothing" in text
    assert held(data, "dnew")["locked"] == []
    assert run("rename", "dnew", "Telephone")[0] == 0
    assert held(data, "dnew")["locked"] == ["name"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("device", "set", "dnew", "--kind", "spaceship"), 3),
        (("device", "set", "dnew"), 2),
        (("device", "set", "nobody", "--name", "x"), 3),
        (("device", "split", "dnew"), 3),
        (("device", "merge", "dnew", "dnew"), 3),
        (("device", "apart", "dold", "dnew"), 3),
        (("segments", "10.9.9.0/24", "--role", "iot"), 3),
        (("segments", "--role", "iot"), 2),
    ],
)
def test_what_cannot_be_says_why(
    run: Callable[..., tuple[int, str]], arguments: tuple[str, ...], code: int
) -> None:
    assert run(*arguments)[0] == code


def test_merge_split_and_apart(run: Callable[..., tuple[int, str]], data: Path) -> None:
    assert run("device", "merge", "dnew", "dold")[0] == 0
    assert held(data, "dnew")["merged_into"] == "dold"
    _, text = run("device", "show", "dold", "--format", "json")
    shown = json.loads(text)
    assert [each["device_id"] for each in shown["merged"]] == ["dnew"]
    assert {each["ip"] for each in shown["address_history"]} == {"192.168.1.50", "192.168.1.51"}
    assert run("device", "split", "dold")[0] == 0
    assert held(data, "dnew")["merged_into"] is None


def test_a_no_is_kept(run: Callable[..., tuple[int, str]]) -> None:
    assert run("device", "apart", "dnew", "dold")[0] == 0
    assert "looks like" not in run("devices")[1]


def test_networks(run: Callable[..., tuple[int, str]]) -> None:
    code, _ = run("segments", "192.168.1.0/24", "--role", "guest", "--name", "Visitors")
    assert code == 0
    _, text = run("segments", "--format", "json")
    (row,) = json.loads(text)
    assert (row["role"], row["said_by"], row["shown"]) == ("guest", "person", "Visitors")


def test_the_daemon_is_told_of_an_answer(data: Path) -> None:
    """The same calls as over the daemon's socket: an answer wakes it."""
    store = Store.open(data)
    woken: list[bool] = []
    service = Service(
        store=store, config=Config(data=data), running=True, wake=lambda: woken.append(True)
    )
    try:
        said = service.call("device_set", {"device": "dnew", "values": {"room": "attic"}})
        assert (said["room"], woken) == ("attic", [True])
        both = service.call("device_merge", {"device": "dnew", "into": "dold"})
        assert both == {"device": "dnew", "into": "dold"}
        assert service.call("device_split", {"device": "dnew"})["from"] == "dold"
    finally:
        store.close()
