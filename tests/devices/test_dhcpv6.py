"""Addresses that DHCPv6 assigns, and addresses whose holder changed before it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.detect.devices import update
from guardian.store import Store

if TYPE_CHECKING:
    from .conftest import House

ONE, TWO = "a4:4c:c8:00:00:01", "a4:4c:c8:00:00:02"
PUBLIC, ULA = "2001:db8:1:2::17", "fd00:1::17"


def lease(house: House, ip: str, mac: str | None, minute: int, duid: str = "0002abcd") -> None:
    detail = f'{{"type": "reply", "client_duid": "{duid}", "valid_s": 600}}'
    row = {"method": "dhcpv6", "mac": mac, "ip": ip, "detail": detail, "minute": minute}
    house.put("sighting", [row])


def holders(house: House) -> dict[str, str | None]:
    rows = house.rows(
        "SELECT ip, d.mac FROM device_address a JOIN device d USING (device_id) "
        "WHERE valid_to IS NULL ORDER BY ip"
    )
    return {row["ip"]: row["mac"] for row in rows}


@pytest.mark.parametrize("ip", [PUBLIC, ULA])
def test_an_assigned_address_has_its_device_before_it_sends(house: House, ip: str) -> None:
    house.flow("192.168.1.5", "203.0.113.7", ONE, None)
    lease(house, ip, ONE, 1)
    update(house.store)
    # What the resolver logs shows no card: it is of the device that the address was given to.
    house.put("dns_log", [{"src_ip": ip, "rrname": "a.example", "minute": 2}])
    update(house.store)
    assert holders(house) == {"192.168.1.5": ONE, ip: ONE}
    assert len(house.rows("SELECT 1 FROM device")) == 1


def test_a_lease_without_a_card_is_told_by_its_identifier(house: House) -> None:
    lease(house, "fe80::5", ONE, 0, duid="0002aa")
    update(house.store)
    lease(house, PUBLIC, None, 5, duid="0002aa")
    lease(house, ULA, None, 6, duid="0002bb")
    update(house.store)
    assert holders(house) == {PUBLIC: ONE, "fe80::5": ONE, ULA: None}


def test_an_assigned_address_that_went_on(house: House) -> None:
    lease(house, PUBLIC, ONE, 0)
    lease(house, PUBLIC, TWO, 60, duid="0002ef")
    update(house.store)
    assert holders(house) == {PUBLIC: TWO}
    house.put("dns_log", [{"src_ip": PUBLIC, "rrname": "a.example", "minute": n} for n in (9, 99)])
    update(house.store)
    assert attributed(house, "dns_log") == [ONE, TWO]


def attributed(house: House, table: str) -> list[str | None]:
    rows = house.rows(
        f"SELECT d.mac FROM {table} t JOIN v_device_address a ON a.ip = t.src_ip "
        "AND a.valid_from <= t.ts AND t.ts < a.valid_to JOIN device d USING (device_id) "
        "ORDER BY t.ts, t.id"
    )
    return [row["mac"] for row in rows]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from((ONE, TWO)), st.integers(0, 9)),
        min_size=2, max_size=7, unique_by=lambda each: each[1],
    ),
    st.data(),
)  # fmt: skip
def test_late_moves_never_give_a_row_to_the_wrong_device(
    house: House, moves: list[tuple[str, int]], data: st.DataObject
) -> None:
    """There and back again, told in any order: each row is of the card that it shows.

    So are those of a resolver's log of the same minutes, which shows no card, whether it
    comes at once or as a whole before or after.
    """
    other = type(house)(Store.memory())
    log = [{"src_ip": PUBLIC, "rrname": "a.example", "minute": 30 * slot} for _, slot in moves]
    when = data.draw(st.sampled_from(("before", "with", "after")))
    try:
        if when == "before":
            other.put("dns_log", log)
            update(other.store)
        for mac, slot in data.draw(st.permutations(moves)):
            row: dict[str, Any] = {"src_ip": PUBLIC, "src_mac": mac, "dest_ip": "203.0.113.7"}
            other.put("flow", [row | {"minute": 30 * slot}])
            if when == "with":
                other.put("dns_log", [each for each in log if each["minute"] == 30 * slot])
            update(other.store)
        if when == "after":
            other.put("dns_log", log)
            update(other.store)
        shown = [mac for mac, _ in sorted(moves, key=lambda each: each[1])]
        assert attributed(other, "flow") == shown
        assert attributed(other, "dns_log") == shown
    finally:
        other.store.close()
