"""The pages of devices and networks: what is held and why, and what a person says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardian.detect.devices import update
from guardian.store import baselines, reconcile
from guardian.store.ingest import utc_now
from guardian.web import Settings, auth
from web.seed import insert

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.store import Store

HOSTILE = '<script>alert(1)</script>"&'
OLD, NEW = "dold", "dnew"


@pytest.fixture
def home(store: Store) -> Store:
    """A phone that changed its address, with its day, its answers and what it is known by."""
    now = utc_now().replace(minute=5, second=0, microsecond=0)
    with store.transaction() as tx:
        insert(tx, "source", source_id=1, name="e", kind="eve", path="e", last_event=now)
        for number, key in enumerate((OLD, NEW)):
            insert(
                tx, "device", device_id=key, name=f"Phone {key}", kind="phone",
                mac=f"da:00:00:00:00:0{number}", kind_certainty="some",
                first_seen=now - timedelta(days=20 - 19 * number),
                last_seen=now - timedelta(days=2 - 2 * number),
                reasons={"name": "because its DHCP host name is “annas-phone”"},
            )  # fmt: skip
            insert(
                tx, "device_address", device_id=key, ip=f"192.168.1.{50 + number}",
                valid_from=now - timedelta(days=20 - 19 * number), seen_at=now,
            )  # fmt: skip
        insert(
            tx, "device_hint", device_id=NEW, source="dhcp_name", value=HOSTILE,
            first_seen=now, last_seen=now,
        )  # fmt: skip
        insert(
            tx, "merge_proposal", device_id=NEW, into_id=OLD, score=8, created_at=now,
            reasons=["both have the name “annas-phone”", HOSTILE],
        )  # fmt: skip
        insert(
            tx, "segment", cidr="192.168.1.0/24", because="because of addresses",
            first_seen=now, last_seen=now,
        )  # fmt: skip
        for number, (ip, name) in enumerate((("203.0.113.7", "a.example"), ("203.0.113.8", None))):
            insert(
                tx, "device_destination", device_id=NEW, ip=ip, first_seen=now, last_seen=now,
                flows=4, bytes_up=1000, bytes_down=2000,
            )  # fmt: skip
            if name:
                insert(
                    tx, "device_told", device_id=NEW, ip=ip, day=now.date(), said_by="home",
                    name=name, first_ts=now, last_ts=now,
                )  # fmt: skip
            insert(
                tx, "coverage_hour", bucket=now.replace(minute=0), device_id=NEW,
                how=("answer", "unknown")[number], flows=4, bytes_up=1000,
            )  # fmt: skip
        insert(
            tx, "unexplained_hour", bucket=now.replace(minute=0), device_id=NEW, how="unknown",
            src_ip="192.168.1.51", dest_ip="203.0.113.8", dest_port=443, proto="TCP",
            app_proto="tls", flows=4, bytes_up=1000, first_seen=now, last_seen=now, samples=[1],
        )  # fmt: skip
        insert(tx, "device_dns", device_id=NEW, first_asked=now - timedelta(days=5))
    return store


def device(store: Store, key: str) -> dict[str, Any]:
    with store.read() as reader:
        return reader.one("SELECT * FROM device WHERE device_id = ?", [key]) or {}


def test_a_page_says_what_is_held_and_why(home: Store, serve: Callable[..., Any]) -> None:
    with serve(home) as running:
        text = httpx.get(f"{running.url}/devices/{NEW}").text
    for part in (
        "because its DHCP host name is “annas-phone”", "da:00:00:00:00:01", "192.168.1.51",
        "some evidence", "50 % explained", "a.example", "it asked for this name",
        "not asked at home", "Learning, day 2 of 7", "looks like the old",
    ):  # fmt: skip
        assert part in text, part
    assert "<script>alert" not in text


def test_a_person_says_what_it_is_and_takes_it_back(home: Store, serve: Callable[..., Any]) -> None:
    with serve(home) as running:
        page = f"{running.url}/devices/{NEW}"
        said = {"name": "Anna's phone", "kind": "tablet", "owner": "Anna", "segment": "guest"}
        answer = httpx.post(f"{page}/set", data=said)
        assert answer.status_code == 303
        row = device(home, NEW)
        assert (row["name"], row["kind"], row["owner"]) == ("Anna's phone", "tablet", "Anna")
        assert row["locked"] == ["kind", "name", "owner", "segment"]
        assert running.woken.is_set()
        text = httpx.get(page).text
        assert text.count("you said so") >= 4
        httpx.post(f"{page}/unlock", data={"field": "kind"})
        assert "kind" not in device(home, NEW)["locked"]
        httpx.post(f"{page}/set", data={**said, "kind": device(home, NEW)["kind"], "owner": ""})
        assert device(home, NEW)["owner"] is None


def test_a_guess_is_confirmed_as_it_is(home: Store, serve: Callable[..., Any]) -> None:
    with serve(home) as running:
        httpx.post(
            f"{running.url}/devices/{NEW}/set",
            data={"name": f"Phone {NEW}", "kind": "phone", "sure": "kind"},
        )
    row = device(home, NEW)
    assert (row["kind"], row["locked"]) == ("phone", ["kind"])


@pytest.mark.parametrize(
    ("where", "data", "code"),
    [
        (f"/devices/{NEW}/set", {"kind": "spaceship"}, 404),
        (f"/devices/{NEW}/set", {"name": "x" * 200}, 422),
        (f"/devices/{NEW}/unlock", {"field": "mac"}, 404),
        (f"/devices/{NEW}/same", {"into": "nobody", "answer": "yes"}, 404),
        (f"/devices/{NEW}/split", {}, 404),
        ("/devices/nobody/set", {"name": "x"}, 404),
        ("/networks", {"cidr": "10.0.0.0/8", "role": "iot"}, 404),
    ],
)
def test_what_cannot_be_changes_nothing(
    home: Store, serve: Callable[..., Any], where: str, data: dict[str, str], code: int
) -> None:
    before = device(home, NEW)
    with serve(home) as running:
        assert httpx.post(running.url + where, data=data).status_code == code
    assert device(home, NEW) == before


def test_two_are_one_and_two_again(home: Store, serve: Callable[..., Any]) -> None:
    with serve(home) as running:
        assert "Same device?" in httpx.get(f"{running.url}/devices").text
        answer = httpx.post(
            f"{running.url}/devices/{NEW}/same", data={"into": OLD, "answer": "yes"}
        )
        assert answer.headers["location"] == f"/devices/{OLD}"
        text = httpx.get(f"{running.url}/devices/{OLD}").text
        assert "192.168.1.50" in text
        assert "192.168.1.51" in text
        assert "a.example" in text
        assert "Counts as this device" in text
        assert "This counts as" in httpx.get(f"{running.url}/devices/{NEW}").text
        httpx.post(f"{running.url}/devices/{NEW}/split")
        assert device(home, NEW)["merged_into"] is None
        text = httpx.get(f"{running.url}/devices/{OLD}").text
        assert "192.168.1.51" not in text
        assert "a.example" not in text
        assert "Same device?" not in httpx.get(f"{running.url}/devices").text


def test_the_first_page_asks_too(home: Store, serve: Callable[..., Any]) -> None:
    now = utc_now()
    with home.transaction() as tx:
        tx.execute("UPDATE device SET first_seen = ? WHERE device_id = ?", [now, NEW])
    with serve(home) as running:
        text = httpx.get(running.url).text
    assert "Looks like the old “Phone dold” with a new address." in text
    assert "Same device?" in text


def test_a_no_is_remembered(home: Store, serve: Callable[..., Any]) -> None:
    with serve(home) as running:
        httpx.post(f"{running.url}/devices/{NEW}/same", data={"into": OLD, "answer": "no"})
        assert "Same device?" not in httpx.get(f"{running.url}/devices").text
    assert device(home, NEW)["merged_into"] is None


def test_networks_get_a_role_and_a_name(home: Store, serve: Callable[..., Any]) -> None:
    with serve(home) as running:
        httpx.post(
            f"{running.url}/networks",
            data={"cidr": "192.168.1.0/24", "role": "guest", "name": "Visitors"},
        )
        text = httpx.get(f"{running.url}/networks").text
    assert "Visitors" in text
    assert "you said so" in text


def test_only_who_signed_in_on_our_page_may_say_anything(
    home: Store, serve: Callable[..., Any]
) -> None:
    auth.set_password(home, "correct horse battery")
    paths = [f"/devices/{NEW}/{what}" for what in ("set", "unlock", "same", "split")]
    with serve(home, settings=Settings(login="always", timezone="UTC")) as running:
        for path in (*paths, "/networks"):
            refused = httpx.post(running.url + path, data={"name": "Mine", "field": "name"})
            assert (refused.status_code, refused.headers["location"][:6]) == (303, "/login")
    with serve(home) as running:
        for path in (*paths, "/networks"):
            foreign = {"Origin": "http://evil.example", "Cookie": "x=y"}
            assert httpx.post(running.url + path, data={}, headers=foreign).status_code == 403
    assert device(home, NEW)["name"] == f"Phone {NEW}"


def test_a_learned_device_shows_its_band(home: Store, serve: Callable[..., Any]) -> None:
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    with home.transaction() as tx:
        tx.execute(
            "INSERT INTO rollup_1h SELECT $now::TIMESTAMP - to_hours(i), $id, '203.0.113.7', "
            "'tls', 1, 200000, 10 FROM range(300) t(i)",
            {"now": now, "id": OLD},
        )
        baselines.rebuild(tx, offset_s=0)
    with serve(home) as running:
        text = httpx.get(f"{running.url}/devices/{OLD}").text
    assert "Learning" not in text
    assert "usually 200 KB" in text
    assert '<rect class="usual"' in text


def test_a_device_of_which_nothing_is_known(store: Store, serve: Callable[..., Any]) -> None:
    now = utc_now()
    with store.transaction() as tx:
        insert(tx, "device", device_id="d1", name="Device", first_seen=now, last_seen=now)
    update(store)
    with store.read() as reader:
        assert reconcile.coverage(reader) == []
    with serve(store) as running:
        text = httpx.get(f"{running.url}/devices/d1").text
        empty = httpx.get(f"{running.url}/networks").text
    assert "Nothing can be said" in text
    assert "Learning, day 1 of 7" in text
    assert "No network was seen yet" in empty


def test_a_nameless_device_has_a_guess_and_guardian_is_tagged(
    home: Store, serve: Callable[..., Any]
) -> None:
    now = utc_now()
    with home.transaction() as tx:
        insert(
            tx, "device", device_id="dodd", name="Device 192.168.1.77", kind="unknown",
            first_seen=now, last_seen=now, reasons={},
        )  # fmt: skip
        insert(
            tx, "device_likeness", device_id="dodd", device="acme kettle", matched=2, known=3,
            reason="because it calls a.example every 60 s " + HOSTILE, made_at=now,
        )  # fmt: skip
        insert(tx, "own_address", ip="192.168.1.50", since=now - timedelta(days=9), looked_at=now)
    with serve(home) as running, httpx.Client(base_url=running.url) as client:
        page = client.get("/devices/dodd").text
        assert "may be a “acme kettle”" in page
        assert "every 60 s &lt;script&gt;" in page
        assert "Guardian itself" not in page
        assert "Guardian runs on this machine" in client.get(f"/devices/{OLD}").text
        assert client.get("/devices").text.count("Guardian itself") == 1
        # What a person says ends the guessing.
        client.post(
            "/devices/dodd/set",
            data={"name": "Kettle", "kind": "appliance"},
            headers={"Origin": running.url},
        )
        assert "acme kettle" not in client.get("/devices/dodd").text
