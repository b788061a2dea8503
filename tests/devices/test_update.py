# ruff: noqa: E501 - rows and queries are read by the line
from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.detect.devices import Settings, update
from guardian.detect.devices.identity import Interval, settle
from guardian.errors import InputError
from guardian.store import devices

if TYPE_CHECKING:
    from .conftest import House

T0 = datetime(2026, 11, 20, 18, 0)
ROUTER, LAPTOP, PHONE, TV = (
    "3c:a6:2f:00:00:01", "a4:4c:c8:00:00:02", "da:10:20:30:40:50", "a8:23:fe:00:00:03",
)  # fmt: skip
OUTSIDE = [f"93.184.216.{n}" for n in range(1, 10)]


def names(house: House) -> dict[str, str]:
    with house.store.read() as reader:
        return {each.name: each.kind for each in devices.devices(reader)}


def surf(house: House, ip: str, mac: str | None, minute: int = 0) -> None:
    for outside in OUTSIDE:
        house.flow(ip, outside, mac, ROUTER if mac else None, minute=minute)


def test_a_router_forwards_but_does_not_hold_what_it_forwards(house: House) -> None:
    surf(house, "192.168.1.10", LAPTOP)
    house.flow("192.168.1.10", "192.168.1.1", LAPTOP, ROUTER, dest_port=53)
    house.flow("192.168.1.10", "10.99.0.5", LAPTOP, ROUTER)
    update(house.store)
    held = house.rows("SELECT ip, mac FROM device_address ORDER BY ip")
    assert held == [
        {"ip": "192.168.1.1", "mac": ROUTER},
        {"ip": "192.168.1.10", "mac": LAPTOP},
    ]
    router = house.rows(f"SELECT kind, reasons FROM device WHERE mac = '{ROUTER}'")[0]
    assert router["kind"] == "network"
    assert "carries traffic" in router["reasons"]


def test_an_address_nobody_answers_at_is_no_device(house: House) -> None:
    for last in range(20, 60):
        house.flow("192.168.1.10", f"192.168.1.{last}", LAPTOP, None, pkts_toclient=0)
    update(house.store)
    assert [row["ip"] for row in house.rows("SELECT ip FROM device_address")] == ["192.168.1.10"]


def test_twice_is_once(house: House) -> None:
    surf(house, "192.168.1.10", LAPTOP)
    house.put("dhcp", [{"client_mac": LAPTOP, "type": "request", "dhcp_type": "request",
                        "hostname": "annas-laptop", "vendor_class": "MSFT 5.0"}])  # fmt: skip
    assert update(house.store) == 1
    before = [
        house.rows(f"SELECT * FROM {table} ORDER BY ALL")
        for table in ("device", "device_address", "device_hint")
    ]
    assert update(house.store) == 0
    house.rows("SELECT 1")
    with house.store.transaction() as tx:
        tx.execute("DELETE FROM detector_mark")
    update(house.store)
    after = [
        house.rows(f"SELECT * FROM {table} ORDER BY ALL")
        for table in ("device", "device_address", "device_hint")
    ]
    assert before == after
    assert names(house) == {"Anna's laptop": "laptop"}


def test_an_address_changes_hands(house: House) -> None:
    surf(house, "192.168.1.10", LAPTOP, minute=0)
    surf(house, "192.168.1.10", PHONE, minute=60)
    surf(house, "192.168.1.10", LAPTOP, minute=120)
    update(house.store)
    rows = house.rows("SELECT mac, valid_from, valid_to FROM device_address ORDER BY valid_from")
    hour = timedelta(hours=1)
    assert [(row["mac"], row["valid_from"], row["valid_to"]) for row in rows] == [
        (LAPTOP, T0, T0 + hour),
        (PHONE, T0 + hour, T0 + 2 * hour),
        (LAPTOP, T0 + 2 * hour, None),
    ]
    asked = house.rows(
        "SELECT f.ts, a.mac FROM (SELECT DISTINCT ts, src_ip, src_mac FROM flow) f JOIN v_device_address a "
        "ON a.ip = f.src_ip AND a.valid_from <= f.ts AND f.ts < a.valid_to ORDER BY f.ts"
    )
    assert [row["mac"] for row in asked] == [LAPTOP, PHONE, LAPTOP]


def test_late_rows_fall_into_their_place(house: House) -> None:
    surf(house, "192.168.1.10", LAPTOP, minute=0)
    surf(house, "192.168.1.10", LAPTOP, minute=120)
    update(house.store)
    surf(house, "192.168.1.10", PHONE, minute=60)
    update(house.store)
    rows = house.rows("SELECT mac FROM device_address ORDER BY valid_from")
    assert [row["mac"] for row in rows] == [LAPTOP, PHONE, LAPTOP]


def test_an_address_anchors_until_its_hardware_is_seen(house: House) -> None:
    house.put(
        "dns_log", [{"src_ip": "192.168.1.30", "rrname": "a.example", "client_name": "tv.lan"}]
    )
    update(house.store)
    (before,) = house.rows("SELECT device_id, name, mac FROM device")
    assert before["mac"] is None
    surf(house, "192.168.1.30", TV, minute=5)
    update(house.store)
    (after,) = house.rows("SELECT device_id, name, mac, kind FROM device")
    assert after["device_id"] == before["device_id"]
    assert (after["mac"], after["kind"]) == (TV, "tv")


def test_an_address_of_a_known_device_is_merged_into_it(house: House) -> None:
    surf(house, "192.168.1.30", TV)
    update(house.store)
    house.put("dns_log", [{"src_ip": "192.168.1.31", "rrname": "a.example", "minute": 10}])
    update(house.store)
    surf(house, "192.168.1.31", TV, minute=20)
    update(house.store)
    with house.store.read() as reader:
        (tv,) = devices.devices(reader)
    assert tv.addresses == ("192.168.1.30", "192.168.1.31")


def test_without_hardware_addresses_the_address_is_the_device(house: House) -> None:
    surf(house, "10.0.0.7", None)
    update(house.store)
    assert names(house) == {"Device 10.0.0.7": "unknown"}


def test_a_repeater_hides_many_devices(house: House) -> None:
    for last in range(10, 25):
        house.flow(f"192.168.1.{last}", "192.168.1.2", LAPTOP, TV)
    update(house.store)
    assert len(house.rows("SELECT * FROM device")) == 16


def test_configured_home_networks_are_home(house: House) -> None:
    surf(house, "147.32.80.37", None)
    update(house.store, Settings(home_networks=("147.32.0.0/16",)))
    assert names(house) == {"Device 147.32.80.37": "unknown"}


def test_public_ipv6_of_a_host_is_its_own(house: House) -> None:
    surf(house, "192.168.1.10", LAPTOP)
    house.flow("2001:db8:1::aa", "2606:4700::1", LAPTOP, ROUTER)
    house.flow("fe80::1", "fe80::2", LAPTOP, TV)
    update(house.store)
    rows = house.rows(f"SELECT ip FROM device_address WHERE mac = '{LAPTOP}' ORDER BY ip")
    assert [row["ip"] for row in rows] == ["192.168.1.10", "2001:db8:1::aa", "fe80::1"]


def test_what_a_person_said_stays(house: House) -> None:
    surf(house, "192.168.1.30", TV)
    update(house.store)
    devices.assign(house.store, "192.168.1.30", name="Telly", kind="console", room="attic")
    house.put("sighting", [{"method": "mdns", "mac": TV, "ip": "192.168.1.30", "name": "LG webOS TV",
                            "detail": '{"services": ["_googlecast._tcp"]}', "minute": 3}])  # fmt: skip
    update(house.store)
    with house.store.read() as reader:
        (tv,) = devices.as_json(reader)
    assert (tv["name"], tv["kind"], tv["room"]) == ("Telly", "console", "attic")
    assert tv["locked"] == ["kind", "name", "room"]
    devices.assign(house.store, "Telly", kind=None, name=None)
    house.flow("192.168.1.30", "192.168.1.1", TV, ROUTER, minute=9)
    update(house.store)
    assert names(house)["LG webOS TV"] == "tv"


def test_merge_and_unmerge(house: House) -> None:
    surf(house, "192.168.1.10", LAPTOP)
    surf(house, "192.168.1.11", PHONE)
    update(house.store)
    devices.merge(house.store, "192.168.1.11", "192.168.1.10")
    with house.store.read() as reader:
        (one,) = devices.devices(reader)
        assert one.addresses == ("192.168.1.10", "192.168.1.11")
        held = reader.rows("SELECT DISTINCT device_id FROM v_device_address")
    assert [row["device_id"] for row in held] == [one.id]
    with pytest.raises(InputError, match="one device already"):
        devices.merge(
            house.store,
            one.id,
            house.rows(f"SELECT device_id FROM device WHERE mac = '{PHONE}'")[0]["device_id"],
        )
    devices.unmerge(
        house.store,
        house.rows(f"SELECT device_id FROM device WHERE mac = '{PHONE}'")[0]["device_id"],
    )
    assert len(names(house)) == 2


@pytest.mark.parametrize("value", ["", "x" * 200, "two\nlines"])
def test_a_bad_name_is_refused(house: House, value: str) -> None:
    surf(house, "192.168.1.10", LAPTOP)
    update(house.store)
    with pytest.raises(InputError):
        devices.rename(house.store, "192.168.1.10", value)


def test_a_flood_of_addresses_stops_at_the_limit(house: House) -> None:
    house.put(
        "flow",
        [
            {"src_ip": f"10.1.{n // 250}.{n % 250 + 1}", "dest_ip": "10.0.0.1", "minute": 1}
            for n in range(300)
        ],
    )
    update(house.store, Settings(max_devices=50))
    assert house.rows("SELECT count(*) AS n FROM device")[0]["n"] == 50
    assert "full" in house.rows("SELECT error FROM detector_mark")[0]["error"]


MOMENTS = st.integers(0, 50).map(lambda n: datetime(2026, 1, 1) + timedelta(minutes=n))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), MOMENTS, MOMENTS), min_size=1, max_size=12))
def test_settled_intervals_neither_overlap_nor_leave_gaps(
    items: list[tuple[str, datetime, datetime]],
) -> None:
    raw = [Interval(who, "10.0.0.1", None, min(a, b), max(a, b)) for who, a, b in items]
    settled = settle(raw, 200)
    assert settled[0].since == min(item.since for item in raw)
    for left, right in pairwise(settled):
        assert left.since < right.since
        assert left.until == right.since
        assert left.device != right.device
    assert settled[-1].until is None
    assert settle(settled, 200) == settled


def test_an_outside_ipv6_address_is_not_held(house: House) -> None:
    house.flow("2001:db8:1:2:a64c:c8ff:fe00:2", "2606:4700::1", LAPTOP, None)
    house.flow("2001:db8:1:2::77", "2606:4700::1", LAPTOP, None)
    house.flow("2a00:1450:4001:803::1017", "2001:db8:1:2::77", LAPTOP, None)
    update(house.store)
    rows = house.rows("SELECT ip FROM device_address ORDER BY ip")
    assert [row["ip"] for row in rows] == ["2001:db8:1:2::77", "2001:db8:1:2:a64c:c8ff:fe00:2"]


def test_the_way_out_that_dhcp_names_is_the_router(house: House) -> None:
    house.flow("192.168.1.10", "192.168.1.254", LAPTOP, ROUTER)
    house.put("dhcp", [{"client_mac": LAPTOP, "type": "reply", "dhcp_type": "ack", "src_mac": ROUTER,
                        "assigned_ip": "192.168.1.10", "routers": ["192.168.1.254"]}])  # fmt: skip
    update(house.store)
    assert names(house)["Router"] == "network"
