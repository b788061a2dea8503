"""Whatever order rows come in, and however they are parted, the devices are the same.

Left out is what cannot be told from spans of time: an address that went to another device
and back, with rows that come in the wrong order.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from guardian.detect.devices import update
from guardian.store import Store

if TYPE_CHECKING:
    from .conftest import House

MACS = ("a4:4c:c8:00:00:01", "a4:4c:c8:00:00:02", "da:00:00:00:00:03", None)
IPS = ("192.168.1.10", "192.168.1.11", "192.168.1.12", "2001:db8:1:2::99")

stays = st.tuples(st.sampled_from(MACS), st.sampled_from(IPS), st.integers(0, 6))
"""Who (None: a resolver's log, which shows no card) was where, and in which half hour."""


def went_back(said: list[tuple[str | None, str, int]]) -> bool:
    """Whether an address was at one device, at another, and at the first again."""
    for ip in IPS:
        macs = [mac for mac, where, _ in sorted(said, key=lambda each: each[2]) if where == ip]
        turns = [mac for mac, _ in itertools.groupby(mac for mac in macs if mac)]
        if len(turns) > len(set(turns)):
            return True
    return False


def row(mac: str | None, ip: str, slot: int) -> tuple[str, dict[str, Any]]:
    minute = 30 * slot
    if mac is None:
        return "dns_log", {"src_ip": ip, "rrname": "a.example", "minute": minute}
    return "flow", {"src_ip": ip, "src_mac": mac, "dest_ip": "203.0.113.7", "minute": minute}


def devices(
    kind: type[House], batches: list[list[tuple[str | None, str, int]]]
) -> list[tuple[Any, ...]]:
    """Return each device as its hardware address and who held what in which half hour."""
    house = kind(Store.memory())
    try:
        for batch in batches:
            for table in ("flow", "dns_log"):
                rows = [made for name, made in (row(*each) for each in batch) if name == table]
                if rows:
                    house.put(table, rows)
            update(house.store)
        found = house.rows(
            """
            SELECT d.mac, list(DISTINCT f.src_ip || ' ' || f.ts ORDER BY f.src_ip || ' ' || f.ts)
                   AS was FROM flow f
            JOIN v_device_address a ON a.ip = f.src_ip
                 AND a.valid_from <= f.ts AND f.ts < a.valid_to
            JOIN device d ON d.device_id = a.device_id GROUP BY d.mac
            """
        )
        macs = house.rows("SELECT mac FROM device WHERE mac IS NOT NULL AND merged_into IS NULL")
    finally:
        house.store.close()
    held = sorted((str(each["mac"]), tuple(each["was"])) for each in found)
    return [*held, *sorted((each["mac"],) for each in macs)]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(stays, min_size=1, max_size=8, unique_by=lambda each: each[1:]), st.data())
def test_any_order_gives_the_same_devices(
    house: House, said: list[tuple[str | None, str, int]], data: st.DataObject
) -> None:
    assume(not went_back(said))
    whole = devices(type(house), [said])
    mixed = data.draw(st.permutations(said))
    cut = data.draw(st.integers(0, len(mixed)))
    parts = [part for part in (mixed[:cut], mixed[cut:]) if part]
    assert devices(type(house), parts) == whole
