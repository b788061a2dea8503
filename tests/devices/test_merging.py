from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from guardian.detect.devices import Settings, update
from guardian.errors import InputError
from guardian.intel.vendors import eui64_mac
from guardian.store import devices, merges

if TYPE_CHECKING:
    from .conftest import House

OLD, NEW, OTHER, REAL = (
    "da:00:00:00:00:01", "ee:00:00:00:00:02", "ee:00:00:00:00:03", "a4:4c:c8:00:00:04",
)  # fmt: skip
DAY = 24 * 60


def arrive(
    house: House, mac: str, ip: str, minute: int, name: str | None = "annas-pixel", **more: Any
) -> None:
    said = {
        "type": "request",
        "hostname": name,
        "vendor_class": "android-dhcp-15",
        "params": ["subnet_mask"],
    }
    house.put(
        "dhcp",
        [
            {"client_mac": mac, "dhcp_type": "request", "minute": minute, **said, **more},
            {
                "client_mac": mac,
                "dhcp_type": "ack",
                "type": "reply",
                "assigned_ip": ip,
                "minute": minute,
            },
        ],
    )
    update(house.store)


def proposals(house: House) -> list[tuple[str, str]]:
    macs = {row["device_id"]: row["mac"] for row in house.rows("SELECT device_id, mac FROM device")}
    with house.store.read() as reader:
        return [(macs[row["device_id"]], macs[row["into_id"]]) for row in merges.proposals(reader)]


def test_a_phone_with_a_new_address_looks_like_the_old_one(house: House) -> None:
    arrive(house, OLD, "192.168.1.50", 0)
    arrive(house, NEW, "192.168.1.51", 3 * DAY)
    assert proposals(house) == [(NEW, OLD)]
    with house.store.read() as reader:
        (found,) = merges.proposals(reader)
    assert "both have the name “annas-pixel”" in found["reasons"]
    merges.answer(house.store, found["device_id"], found["into_id"], accept=True)
    with house.store.read() as reader:
        (one,) = devices.devices(reader)
        assert one.addresses == ("192.168.1.50", "192.168.1.51")
        assert merges.proposals(reader) == []
    merges.undo(house.store, found["device_id"], found["into_id"])
    with house.store.read() as reader:
        assert len(devices.devices(reader)) == 2
    arrive(house, NEW, "192.168.1.51", 4 * DAY)
    assert proposals(house) == []


def test_two_phones_at_home_together_are_two(house: House) -> None:
    arrive(house, OLD, "192.168.1.50", 0)
    arrive(house, OLD, "192.168.1.50", 3 * DAY + 60)
    arrive(house, NEW, "192.168.1.51", 3 * DAY)
    assert proposals(house) == []


def test_a_common_name_is_not_enough(house: House) -> None:
    arrive(house, OLD, "192.168.1.50", 0, name="iPhone", vendor_class="x")
    arrive(house, NEW, "192.168.1.51", DAY, name="iPhone", vendor_class="y")
    assert proposals(house) == []


def test_two_that_fit_alike_give_no_proposal(house: House) -> None:
    arrive(house, OLD, "192.168.1.50", 0)
    arrive(house, OTHER, "192.168.1.52", 5)
    with house.store.transaction() as tx:
        tx.execute("DELETE FROM merge_proposal")
    arrive(house, NEW, "192.168.1.51", 3 * DAY)
    assert proposals(house) == []


def test_a_registered_address_is_not_somebody_in_disguise(house: House) -> None:
    arrive(house, OLD, "192.168.1.50", 0)
    arrive(house, REAL, "192.168.1.51", DAY)
    assert proposals(house) == []


def test_a_refusal_is_remembered(house: House) -> None:
    arrive(house, OLD, "192.168.1.50", 0)
    arrive(house, NEW, "192.168.1.51", DAY)
    row = house.rows("SELECT device_id, into_id FROM merge_proposal")[0]
    merges.answer(house.store, row["device_id"], row["into_id"], accept=False)
    arrive(house, NEW, "192.168.1.51", 2 * DAY)
    assert proposals(house) == []
    with pytest.raises(InputError, match="no open proposal"):
        merges.answer(house.store, row["device_id"], row["into_id"], accept=True)


def speak(house: House, ip: str, minute: int, ja4: str, agent: str) -> None:
    house.put("tls", [{"src_ip": ip, "dest_ip": "203.0.113.7", "ja4": ja4, "ja3": f"3{ja4}",
                       "minute": minute}])  # fmt: skip
    house.put("http", [{"src_ip": ip, "dest_ip": "203.0.113.7", "http_user_agent": agent,
                        "minute": minute}])  # fmt: skip


def visit(house: House, ip: str, minute: int, names: list[str]) -> None:
    rows = [{"src_ip": ip, "rrname": name, "rrtype": "A", "minute": minute} for name in names]
    house.put("dns_log", rows)
    house.annotate()
    update(house.store)


def test_programs_and_places_speak_for_a_phone_without_a_name(house: House) -> None:
    """No name and common DHCP options: TLS, programs and rare places must do."""
    plain = {"name": None, "vendor_class": "x", "params": None}
    places = [f"www.place{n}.com" for n in range(8)]
    arrive(house, OLD, "192.168.1.50", 0, **plain)
    speak(house, "192.168.1.50", 1, "t13d", "Podcatcher/7")
    visit(house, "192.168.1.50", 2, places)
    arrive(house, NEW, "192.168.1.51", 3 * DAY, **plain)
    speak(house, "192.168.1.51", 3 * DAY + 1, "t13d", "Podcatcher/7")
    update(house.store)
    assert proposals(house) == []
    visit(house, "192.168.1.51", 3 * DAY + 2, places[:6])
    visit(house, "192.168.1.51", 3 * DAY + 3, ["www.other.com"])
    assert proposals(house) == [(NEW, OLD)]
    with house.store.read() as reader:
        (found,) = merges.proposals(reader)
    assert "both go to 6 places that nobody else here does" in found["reasons"]


def test_places_that_everybody_goes_to_say_nothing(house: House) -> None:
    plain = {"name": None, "vendor_class": "x", "params": None}
    places = [f"www.place{n}.com" for n in range(8)]
    for number in range(4):
        house.flow(f"192.168.1.{90 + number}", "203.0.113.9", f"a4:4c:c8:00:00:{number:02x}", None)
        visit(house, f"192.168.1.{90 + number}", 0, places)
    arrive(house, OLD, "192.168.1.50", 0, **plain)
    speak(house, "192.168.1.50", 1, "t13d", "Podcatcher/7")
    visit(house, "192.168.1.50", 2, places)
    arrive(house, NEW, "192.168.1.51", 3 * DAY, **plain)
    speak(house, "192.168.1.51", 3 * DAY + 1, "t13d", "Podcatcher/7")
    visit(house, "192.168.1.51", 3 * DAY + 2, places)
    assert proposals(house) == []


def solicit(house: House, mac: str, ip: str, minute: int, duid: str) -> None:
    detail = f'{{"type": "solicit", "client_duid": "{duid}"}}'
    row = {"method": "dhcpv6", "mac": mac, "ip": ip, "detail": detail, "minute": minute}
    house.put("sighting", [row])
    house.flow(ip, "203.0.113.7", mac, None, minute=minute)
    update(house.store)


def test_two_cards_of_one_machine_have_one_dhcpv6_identifier(house: House) -> None:
    solicit(house, REAL, "fe80::1", 0, "00030001a44cc8000004")
    solicit(house, "f4:8e:38:00:00:09", "fe80::2", 5, "00030001a44cc8000004")
    assert proposals(house) == [("f4:8e:38:00:00:09", REAL)]
    solicit(house, "f4:8e:38:00:00:0a", "fe80::3", 6, "0003000100000000000a")
    assert len(proposals(house)) == 1


@pytest.mark.parametrize("mac", ["02:42:ac:11:00:09", "52:54:00:12:34:56", "fa:16:3e:00:00:01"])
def test_containers_and_virtual_machines_are_nobody_in_disguise(house: House, mac: str) -> None:
    arrive(house, OLD, "192.168.1.50", 0)
    arrive(house, mac, "192.168.1.51", DAY)
    assert proposals(house) == []


@pytest.mark.parametrize(
    ("ip", "mac"),
    [
        ("fe80::a64c:c8ff:fe00:4", "a4:4c:c8:00:00:04"),
        ("2001:db8::a64c:c8ff:fe2b:7130", "a4:4c:c8:2b:71:30"),
        ("2001:db8::1", None),
        ("2001:db8::8c1d:7a22:91b3:4f10", None),
        ("192.168.1.1", None),
        ("", None),
    ],
)
def test_hardware_addresses_inside_ipv6(ip: str, mac: str | None) -> None:
    assert eui64_mac(ip) == mac


def test_a_resolver_client_is_known_by_its_eui64_address(house: House) -> None:
    arrive(house, REAL, "192.168.1.50", 0)
    house.put(
        "dns_log", [{"src_ip": "2001:db8::a64c:c8ff:fe00:4", "rrname": "a.example", "minute": 5}]
    )
    update(house.store)
    with house.store.read() as reader:
        (one,) = devices.devices(reader)
    assert one.addresses == ("192.168.1.50", "2001:db8::a64c:c8ff:fe00:4")


def test_networks_have_roles(house: House) -> None:
    roles = Settings(segments={"192.168.20.0/24": "iot"})
    house.flow("192.168.20.5", "1.1.1.1", REAL, None)
    house.flow("192.168.30.5", "1.1.1.1", OLD, None)
    update(house.store, roles)
    assert house.rows("SELECT segment FROM device ORDER BY segment") == [
        {"segment": "192.168.30.0/24"},
        {"segment": "iot"},
    ]
