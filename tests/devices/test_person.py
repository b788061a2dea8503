from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from guardian.detect.devices import person, update
from guardian.errors import InputError
from guardian.store import devices

if TYPE_CHECKING:
    from .conftest import House

TV, PHONE = "a8:23:fe:00:00:01", "a4:4c:c8:00:00:04"


def only(house: House) -> dict[str, Any]:
    (row,) = house.rows("SELECT * FROM device WHERE merged_into IS NULL")
    return row


@pytest.fixture
def tv(house: House) -> House:
    house.flow("192.168.1.30", "203.0.113.7", TV, None)
    house.put("dhcp", [{"client_mac": TV, "type": "request", "hostname": "living-room-tv"}])
    update(house.store)
    return house


def test_what_a_person_says_is_locked_and_marked_until_taken_back(tv: House) -> None:
    said = person.assign(
        tv.store, "192.168.1.30", {"name": "Telly", "kind": "console", "owner": "Ben"}, actor="me"
    )
    assert (said["name"], said["kind"], said["owner"]) == ("Telly", "console", "Ben")
    assert said["locked"] == ["kind", "name", "owner"]
    assert said["reasons"]["kind"] == "because you said so"
    back = person.assign(tv.store, "Telly", {"name": None, "kind": None, "owner": None}, actor="me")
    assert (back["name"], back["kind"], back["owner"]) == ("Living room TV", "tv", None)
    assert back["locked"] == []
    assert "you said" not in str(back["reasons"])
    rows = tv.rows("SELECT what, detail, actor FROM device_event ORDER BY id")
    assert [row["what"] for row in rows] == ["set"] * 3 + ["unlock"] * 3
    assert rows[0] == {"what": "set", "detail": "name: Living room TV → Telly", "actor": "me"}


def test_unlocking_what_is_not_locked_changes_nothing(tv: House) -> None:
    person.assign(tv.store, "192.168.1.30", {"owner": None, "name": None}, actor="me")
    assert tv.rows("SELECT * FROM device_event") == []


@pytest.mark.parametrize("values", [{"kind": "spaceship"}, {"name": ""}, {"mac": "x"}])
def test_what_cannot_be_is_refused(tv: House, values: dict[str, str | None]) -> None:
    before = only(tv)
    with pytest.raises(InputError):
        person.assign(tv.store, "192.168.1.30", values, actor="me")
    assert only(tv) == before


def test_merge_and_split_lose_nothing(tv: House) -> None:
    tv.flow("192.168.1.31", "203.0.113.7", PHONE, None, minute=5)
    update(tv.store)
    before = tv.rows("SELECT * EXCLUDE (reasons) FROM device ORDER BY device_id")
    held = tv.rows("SELECT * FROM device_address ORDER BY ALL")
    person.merge(tv.store, "192.168.1.31", "192.168.1.30", actor="me")
    with tv.store.read() as reader:
        (one,) = devices.devices(reader)
    assert one.addresses == ("192.168.1.30", "192.168.1.31")
    tv.flow("192.168.1.31", "203.0.113.8", PHONE, None, minute=9)
    update(tv.store)
    gone = tv.rows("SELECT device_id FROM device WHERE merged_into IS NOT NULL")[0]["device_id"]
    parted = person.split(tv.store, gone, actor="me")
    assert parted == {"device": gone, "from": one.id}
    after = tv.rows("SELECT * EXCLUDE (reasons) FROM device ORDER BY device_id")
    assert [row["name"] for row in after] == [row["name"] for row in before]
    assert all(row["merged_into"] is None for row in after)
    same = tv.rows("SELECT device_id, ip, valid_from FROM device_address ORDER BY ALL")
    assert same == [{key: row[key] for key in ("device_id", "ip", "valid_from")} for row in held]
    whats = tv.rows("SELECT what FROM device_event ORDER BY id")
    assert [row["what"] for row in whats] == ["merge", "merge", "split", "split"]
    with pytest.raises(InputError, match="not merged"):
        person.split(tv.store, gone, actor="me")
