from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from guardian.detect.devices import Settings, person, update
from guardian.errors import InputError
from guardian.store import segments

if TYPE_CHECKING:
    from .conftest import House

MACS = [f"a4:4c:c8:00:00:{n:02x}" for n in range(20)]


def stay(house: House, number: int, ip: str, **more: Any) -> None:
    house.flow(ip, "203.0.113.7", MACS[number], None, **more)


def listed(house: House, settings: Settings | None = None) -> dict[str, dict[str, Any]]:
    update(house.store, settings)
    with house.store.read() as reader:
        return {row["cidr"]: row for row in segments.segments(reader)}


def arp(house: House, src: str, dest: str) -> None:
    raw = {"event_type": "arp", "src_ip": src, "dest_ip": dest, "raw": '{"arp": {}}'}
    house.put("raw_event", [raw])


def roles(house: House) -> dict[str, Any]:
    return {
        row["ip"]: row["role"]
        for row in house.rows("SELECT ip, role FROM v_address_segment ORDER BY ip")
    }


def test_networks_are_found_from_addresses(house: House) -> None:
    stay(house, 0, "192.168.1.10")
    stay(house, 1, "192.168.20.10")
    found = listed(house)
    assert set(found) == {"192.168.1.0/24", "192.168.20.0/24"}
    assert (found["192.168.1.0/24"]["role"], found["192.168.1.0/24"]["devices"]) == (None, 1)


def test_arp_across_two_of_them_makes_one_wider_network(house: House) -> None:
    stay(house, 0, "192.168.0.10")
    stay(house, 1, "192.168.1.10")
    assert set(listed(house)) == {"192.168.0.0/24", "192.168.1.0/24"}
    arp(house, "192.168.0.10", "192.168.1.10")
    arp(house, "192.168.0.10", "192.168.1.11")
    (one,) = listed(house).values()
    assert (one["cidr"], one["devices"]) == ("192.168.0.0/23", 2)
    stay(house, 2, "192.168.1.99")
    assert set(listed(house)) == {"192.168.0.0/23"}


def test_one_stray_frame_or_a_giant_network_is_not_believed(house: House) -> None:
    stay(house, 0, "192.168.0.10")
    stay(house, 1, "192.168.1.10")
    stay(house, 2, "10.9.9.9")
    arp(house, "192.168.0.10", "192.168.1.10")
    for host in (1, 2, 3):
        arp(house, f"10.0.0.{host}", "10.9.9.9")
    assert set(listed(house)) == {"192.168.0.0/24", "192.168.1.0/24", "10.9.9.0/24"}


def test_a_vlan_tag_is_noted_and_may_be_given_a_role(house: House) -> None:
    stay(house, 0, "192.168.20.10", vlan=[20])
    stay(house, 1, "192.168.1.10")
    found = listed(house, Settings(segments={"vlan 20": "iot"}))
    assert (found["192.168.20.0/24"]["vlan"], found["192.168.20.0/24"]["role"]) == (20, "iot")
    assert found["192.168.20.0/24"]["shown"] == "VLAN 20"
    assert roles(house) == {"192.168.1.10": None, "192.168.20.10": "iot"}


def test_ipv6_lies_on_the_same_wire(house: House) -> None:
    stay(house, 0, "192.168.20.10")
    stay(house, 0, "2001:db8:1:20:8c1d:7a22:91b3:4f10")
    stay(house, 0, "fe80::8c1d:7a22:91b3:4f10")
    found = listed(house, Settings(segments={"192.168.20.0/24": "iot"}))
    assert found["192.168.20.0/24"]["prefixes"] == ["2001:db8:1:20::/64"]
    assert roles(house) == {"192.168.20.10": "iot", "2001:db8:1:20:8c1d:7a22:91b3:4f10": "iot"}


def test_an_advertised_prefix_is_known_as_such(house: House) -> None:
    stay(house, 0, "192.168.20.10")
    stay(house, 0, "2001:db8:1:20:8c1d:7a22:91b3:4f10")
    prefixes = '["2001:db8:1:20::/64", "rubbish", "2001::/16"]'
    raw = f'{{"ndp": {{"type": "ra", "prefixes": {prefixes}}}}}'
    house.put("raw_event", [{"event_type": "ndp", "src_ip": "fe80::1", "raw": raw}])
    for minute in (1, 2):
        stay(house, 0, "192.168.20.10", minute=minute)
        update(house.store)
        assert house.rows("SELECT cidr, because FROM segment WHERE contains(cidr, ':')") == [
            {"cidr": "2001:db8:1:20::/64", "because": "because a router advertises it"}
        ]


def test_a_named_network_wins_over_what_traffic_looks_like(house: House) -> None:
    stay(house, 0, "10.1.2.3")
    stay(house, 1, "10.1.9.9")
    found = listed(house, Settings(segments={"10.1.0.0/16": "trusted", "10.1.9.0/24": "guest"}))
    assert {cidr: row["role"] for cidr, row in found.items()} == {
        "10.1.0.0/16": "trusted",
        "10.1.9.0/24": "guest",
    }


def test_a_person_gives_roles_and_takes_them_back(house: House) -> None:
    stay(house, 0, "192.168.20.10")
    settings = Settings(segments={"192.168.20.0/24": "iot"})
    listed(house, settings)
    said = person.segment(house.store, "192.168.20.0/24", role="Guest", name="Visitors")
    assert (said["role"], said["shown"]) == ("guest", "Visitors")
    assert house.rows("SELECT segment FROM device") == [{"segment": "guest"}]
    stay(house, 0, "192.168.20.10", minute=9)
    assert listed(house, settings)["192.168.20.0/24"]["role"] == "guest"
    person.segment(house.store, "visitors", role="", name="")
    assert house.rows("SELECT segment FROM device") == [{"segment": "192.168.20.0/24"}]
    with pytest.raises(InputError, match="no segment"):
        person.segment(house.store, "10.0.0.0/8", role="iot")
    with pytest.raises(InputError, match="one line"):
        person.segment(house.store, "192.168.20.0/24", role="x" * 90)


def test_a_role_is_only_suggested(house: House) -> None:
    for number, name in enumerate(("front-cam", "garden-cam", "wall-plug")):
        stay(house, number, f"192.168.20.{10 + number}")
        house.put("dhcp", [{"client_mac": MACS[number], "type": "request", "hostname": name}])
    row = listed(house)["192.168.20.0/24"]
    assert (row["role"], row["suggested"]) == (None, "iot")
    assert row["suggested_because"] == "because 3 of its 3 known devices are such"


def test_a_device_may_have_a_role_of_its_own(house: House) -> None:
    stay(house, 0, "192.168.20.10")
    listed(house, Settings(segments={"192.168.20.0/24": "iot"}))
    person.assign(house.store, "192.168.20.10", {"segment": "trusted"}, actor="me")
    assert house.rows("SELECT role FROM v_device_segment") == [{"role": "trusted"}]
    person.assign(house.store, "192.168.20.10", {"segment": None}, actor="me")
    assert house.rows("SELECT role FROM v_device_segment") == [{"role": "iot"}]
