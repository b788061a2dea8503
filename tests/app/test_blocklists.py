"""Lists by URL, end to end: fetched, built, held back, accepted, built again offline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clients.list_server import ListServer, Page
from guardian import resources
from guardian.app import lists
from guardian.config import Config
from guardian.errors import ConfigError, InputError, RuleError
from guardian.intel import list_show, list_state
from guardian.intel.settings import Settings, Source
from guardian.ops.health import health
from guardian.store.asked import most_asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.store import Store


def many(count: int, start: int = 0) -> str:
    return "".join(f"0.0.0.0 h{i}.example.com\n" for i in range(start, start + count))


@pytest.fixture
def server() -> Iterator[ListServer]:
    made = ListServer()
    made.put("/list", many(200), etag='"1"')
    yield made
    made.close()


def settings(server: ListServer, **more: Any) -> Settings:
    source = Source(name="mine", url=f"{server.url}/list?key=hush", licence="CC0-1.0")
    return Settings(source=(source,), timeout_s=2.0, max_bytes=1_000_000, **more)


def built(out: Path) -> list[str]:
    lines = (out / "mine.domains.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_from_url_to_files_and_offline(server: ListServer, tmp_path: Path) -> None:
    data, wanted = tmp_path / "data", settings(server)
    report = lists.build(data, wanted)
    (row,) = report["sources"]
    assert (row["names"], row["held"], row["licence"], row["plain"]) == (200, None, "CC0-1.0", True)
    assert row["sha256"]
    assert row["fetched_at"]
    assert "hush" not in str(report)
    assert len(built(data / "lists")) == 200
    again = lists.build(data, wanted)
    assert server.seen[-1][1]["if-none-match"] == '"1"'
    assert again["sources"][0]["fetched_at"] == row["fetched_at"]
    asked = len(server.seen)
    lists.build(data, wanted, offline=True)
    assert len(server.seen) == asked
    server.close()
    away = lists.build(data, wanted)
    assert "could not be fetched" in away["sources"][0]["held"]
    assert away["sources"][0]["sha256"] == row["sha256"]
    assert len(built(data / "lists")) == 200
    with pytest.raises(InputError, match="nothing to accept"):
        list_state.accept(data / "lists", "mine", actor="test")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(status=500), "answered 500"),
        (Page(body=b"<html>\n<p>please log in to the hotel\n" * 9), "no format"),
        (Page(body=b"x" * 2_000_000), "more than 1,000,000 bytes"),
        (Page(body=many(200).encode(), length=99_999), "without sending complete"),
        (Page(status=302, headers={"Location": "/list"}), "redirects"),
    ],
)
def test_a_bad_answer_changes_nothing(
    page: Page, reason: str, server: ListServer, tmp_path: Path
) -> None:
    lists.build(tmp_path, settings(server))
    server.pages["/list"] = page
    report = lists.build(tmp_path, settings(server))
    assert reason in report["sources"][0]["held"]
    assert report["held"] == ["mine"]
    assert len(built(tmp_path / "lists")) == 200


def test_a_held_source_is_shown_and_accepted(
    server: ListServer, store: Store, tmp_path: Path
) -> None:
    assert store.path is not None
    data = store.path.parent
    out = data / "lists"
    lists.build(data, settings(server))
    server.put("/list", many(60) + "0.0.0.0 spotify.com\n", etag='"2"')
    lists.build(data, settings(server))
    held = list_state.held(out)[0]
    assert "spotify.com, which many homes need" in held["held"]
    assert "shrank from 200 to 61" in held["held"]
    assert len(built(out)) == 200
    reasons = [each.text for each in health(store, running=True).reasons if each.about == "mine"]
    assert len(reasons) == 1
    assert "guardian lists accept mine" in reasons[0]
    rows = {
        row["name"]: row
        for row in list_show.show(resources.path("blocklists"), out, settings(server))
    }
    assert rows["mine"]["may_accept"]
    assert rows["mine"]["names"] == 200
    with pytest.raises(InputError, match="no source is called"):
        list_state.accept(out, "other", actor="test")
    # Still held when built again, and since the same moment: a person has not answered.
    lists.build(data, settings(server))
    assert list_state.held(out)[0]["held_since"] == held["held_since"]
    list_state.accept(out, "mine", actor="test")
    assert list_state.waiting(out)
    lists.build(data, settings(server), offline=True)
    assert not list_state.waiting(out)
    assert list_state.held(out) == []
    with pytest.raises(InputError, match="not held back"):
        list_state.accept(out, "mine", actor="test")
    assert "spotify.com" in built(out)
    assert len(built(out)) == 61
    # What was accepted is not asked again; what is new is.
    server.put("/list", many(70) + "0.0.0.0 spotify.com\n", etag='"3"')
    assert lists.build(data, settings(server))["held"] == []
    server.put("/list", many(70) + "0.0.0.0 spotify.com\n0.0.0.0 netflix.com\n", etag='"4"')
    assert "netflix.com" in lists.build(data, settings(server))["sources"][0]["held"]


def test_what_the_house_asks_most_is_guarded(
    server: ListServer, store: Store, tmp_path: Path
) -> None:
    now = datetime(2026, 11, 20, 12)
    rows = [
        (now - timedelta(days=day, minutes=device), f"192.168.1.{device}", name, status)
        for day in range(4)
        for device in (10, 11, 12)
        for name, status in (
            ("school.example", "ok"), ("tracker.example", "blocked"), ("samsungacr.com", "ok"),
        )
    ]  # fmt: skip
    with store.transaction() as tx:
        for index, (ts, ip, name, status) in enumerate(rows):
            tx.execute(
                "INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, rrtype, status) "
                "VALUES (?, ?, 1, ?, ?, 'A', ?)",
                [index + 1, ts, ip, name, status],
            )
    with store.read() as reader:
        house = most_asked(reader, now=now)
    assert sorted(house) == ["samsungacr.com", "school.example"]
    lists.build(tmp_path, settings(server), house=house)
    server.put("/list", many(200) + "0.0.0.0 samsungacr.com\n", etag='"2"')
    assert lists.build(tmp_path, settings(server), house=house)["held"] == []
    server.put("/list", many(200) + "0.0.0.0 school.example\n", etag='"3"')
    report = lists.build(tmp_path, settings(server), house=house)
    assert "school.example, which many homes need" in report["sources"][0]["held"]


def test_a_source_that_is_removed_leaves_nothing(server: ListServer, tmp_path: Path) -> None:
    lists.build(tmp_path, settings(server))
    assert (tmp_path / "lists/mine.rpz").exists()
    lists.build(tmp_path, Settings())
    left = [path.name for path in (tmp_path / "lists").rglob("mine*")]
    assert left == []


def test_two_builds_do_not_meet(tmp_path: Path) -> None:
    with (
        list_state.locked(tmp_path / "lists"),
        pytest.raises(InputError, match="another build is at work"),
    ):
        lists.build(tmp_path, Settings())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(name="a/b", url="https://x.example/"), "letters, digits"),
        (Source(name="guardian-all", path="x"), "not guardian-"),
        (Source(name="a"), "a url or a path"),
        (Source(name="a", url="https://x.example/", path="x"), "a url or a path"),
        (Source(name="a", url="ftp://x.example/"), "no https"),
        (Source(name="a", url="https://[x"), "no https"),
        (Source(name="a", path="x", format="csv"), "none of hosts"),
    ],
)
def test_a_wrong_source_is_told(source: Source, said: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=said):
        lists.build(tmp_path, Settings(source=(source,)))


def test_an_unknown_offer_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of"):
        lists.build(tmp_path, Settings(enable=("nobodys-list",)))


def test_when_the_daemon_builds(server: ListServer, tmp_path: Path) -> None:
    start = datetime(2030, 1, 1, 12)

    def due(config: Config, now: datetime) -> bool:
        return lists.due(config, now=now, started=start)

    base = Settings(rebuild_at="03:20", jitter_s=0)
    config = Config(data=tmp_path, lists=base)
    assert not due(config, start + timedelta(seconds=5))
    assert due(config, start + timedelta(seconds=60))
    lists.build(tmp_path, settings(server))
    made = datetime.fromisoformat(list_state.read(tmp_path / "lists")["built_at"])
    now = made.replace(tzinfo=None)
    assert not due(Config(data=tmp_path, lists=Settings(rebuild_at="")), now + timedelta(days=9))
    assert due(config, now + timedelta(hours=25))
    assert not due(config, now)
    hours = [h for h in range(25) if due(config, now + timedelta(hours=h))]
    late = Config(data=tmp_path, lists=Settings(rebuild_at="03:20", jitter_s=7200))
    later = [h for h in range(27) if due(late, now + timedelta(hours=h))]
    assert hours
    assert 0 <= later[0] - hours[0] <= 2
    server.close()
    lists.build(tmp_path, settings(server))
    never = Config(data=tmp_path, lists=Settings(rebuild_at=""))
    assert not due(never, now + timedelta(hours=1))
    assert due(never, now + timedelta(hours=3))
    with pytest.raises(ConfigError, match="HH:MM"):
        due(Config(data=tmp_path, lists=Settings(rebuild_at="3 o'clock")), now)


async def test_the_daemon_builds_in_a_process_of_its_own(
    server: ListServer, store: Store, tmp_path: Path
) -> None:
    assert store.path is not None
    config = Config(data=store.path.parent, lists=settings(server))
    await lists.build_apart(store, config)
    assert len(built(store.path.parent / "lists")) == 200
    wrong = Config(data=store.path.parent, lists=Settings(enable=("nobodys-list",)))
    with pytest.raises(InputError, match="nobodys-list"):
        await lists.build_apart(store, wrong)
    assert len(built(store.path.parent / "lists")) == 200
