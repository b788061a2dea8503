from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian.detect.devices import update
from guardian.store import device_book

if TYPE_CHECKING:
    from .conftest import House

T0 = datetime(2026, 11, 20, 18, 0)
PHONE = "a4:4c:c8:00:00:04"


@pytest.mark.parametrize(
    ("ip", "days", "leased", "kind"),
    [
        ("192.168.1.10", 0, True, "leased"),
        ("192.168.1.10", 0, False, ""),
        ("fe80::a64c:c8ff:fe00:4", 9, False, "link-local, made of the card's address"),
        ("fe80::8c1d:7a22:91b3:4f10", 9, False, "link-local"),
        ("2001:db8::a64c:c8ff:fe00:4", 0, False, "made of the card's address"),
        ("2001:db8::1:2", 0, False, "assigned"),
        ("2001:db8::8c1d:7a22:91b3:4f10", 1, False, "temporary"),
        ("2001:db8::8c1d:7a22:91b3:4f10", 3, False, "stable"),
    ],
)
def test_kinds_of_addresses(ip: str, days: int, leased: bool, kind: str) -> None:
    row = {"ip": ip, "since": T0, "seen": T0 + timedelta(days=days), "leased": leased}
    assert device_book.address_kind(row) == kind


def test_temporary_addresses_join_by_the_card(house: House) -> None:
    """Neighbour discovery names the card behind an address that no flow has shown yet."""
    house.flow("192.168.1.10", "203.0.113.7", PHONE, None)
    for number in range(3):
        house.put("sighting", [{"method": "ndp", "mac": PHONE, "minute": number * 600,
                                "ip": f"2001:db8:1:2:{number + 1}c1d:7a22:91b3:4f10"}])  # fmt: skip
    house.put("dns_log", [{"src_ip": "2001:db8:1:2:1c1d:7a22:91b3:4f10", "rrname": "a.example"}])
    update(house.store)
    (device,) = house.rows("SELECT device_id FROM device")
    with house.store.read() as reader:
        held = device_book.addresses(reader, [device["device_id"]])
    assert [(each["ip"][:9], each["kind"]) for each in held] == [
        ("192.168.1", ""),
        ("2001:db8:", "temporary"),
        ("2001:db8:", "temporary"),
        ("2001:db8:", "temporary"),
    ]


def test_a_book_of_two_that_count_as_one(house: House) -> None:
    house.flow("192.168.1.10", "203.0.113.7", PHONE, None)
    house.flow("192.168.1.11", "203.0.113.8", "da:00:00:00:00:01", None, minute=5)
    house.put("dhcp", [{"client_mac": PHONE, "type": "request", "hostname": "annas-phone"}])
    house.annotate()
    update(house.store)
    rows = house.rows("SELECT device_id FROM device ORDER BY mac")
    old, new = (row["device_id"] for row in rows)
    with house.store.transaction() as tx:
        tx.execute("UPDATE device SET merged_into = ? WHERE device_id = ?", [old, new])
    with house.store.read() as reader:
        assert device_book.members(reader, old) == [old, new]
        assert [each["device_id"] for each in device_book.merged(reader, old)] == [new]
        assert len(device_book.addresses(reader, [old, new])) == 2
        assert device_book.identity(reader, [old, new])["dhcp_name"][0]["value"] == "annas-phone"
        places: list[dict[str, Any]] = device_book.destinations(reader, old)
        assert {each["name"] for each in places} == {"203.0.113.7", "203.0.113.8"}
        assert device_book.destinations(reader, new) == []


def test_places_are_named_by_the_device_that_went(house: House) -> None:
    other = "da:00:00:00:00:01"
    house.flow("192.168.1.10", "203.0.113.7", PHONE, None)
    house.flow("192.168.1.11", "203.0.113.7", other, None)
    for ip, name in (("192.168.1.10", "mine.example"), ("192.168.1.11", "other.example")):
        house.put("dns_log", [{"src_ip": ip, "rrname": name, "rrtype": "A",
                               "answers": ["203.0.113.7"]}])  # fmt: skip
    house.annotate()
    update(house.store)
    pairs = [("192.168.1.10", "203.0.113.7"), ("192.168.1.12", "203.0.113.7")]
    with house.store.read() as reader:
        found = device_book.place_names(reader, pairs)
    assert (found[pairs[0]]["name"], found[pairs[0]]["source"]) == ("mine.example", "dns")
    assert found[pairs[1]]["source"] == "dns_other"
