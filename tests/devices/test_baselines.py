from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from guardian.detect.devices import update
from guardian.store import baselines, devices, rollup

if TYPE_CHECKING:
    from .conftest import House

CAMERA, PHONE = "ec:71:db:00:00:01", "a4:4c:c8:00:00:02"
T0 = datetime(2026, 11, 20, 18, 0)
HOUR = 60


def live(
    house: House, mac: str, ip: str, hours: range, up: int, dest: str = "198.51.100.7"
) -> None:
    house.put(
        "flow",
        [
            {
                "src_ip": ip,
                "src_mac": mac,
                "dest_ip": dest,
                "minute": hour * HOUR,
                "bytes_toserver": up,
            }
            for hour in hours
        ],
    )
    update(house.store)
    rollup.update(house.store)


def read(house: House, after: timedelta) -> dict[str, baselines.Baseline]:
    with house.store.read() as reader:
        macs = {each.id: each.mac or "" for each in devices.devices(reader)}
        return {macs[each.device_id]: each for each in baselines.baselines(reader, now=T0 + after)}


def test_a_week_is_learned(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(10), 1000)
    early = read(house, timedelta(hours=11))[CAMERA]
    assert early.learning
    assert early.until == T0 + timedelta(days=7)
    assert (early.active_hours, early.median_bytes_up, early.spread_bytes_up) == (10, 1000, 0)
    assert early.drift is None
    assert not read(house, timedelta(days=8))[CAMERA].learning


def test_drift_and_new_destinations_of_the_last_week(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(0, 14 * 24, 3), 1000)
    live(house, CAMERA, "192.168.1.22", range(14 * 24, 21 * 24, 3), 4000, dest="198.51.100.9")
    seen = read(house, timedelta(days=21))[CAMERA]
    assert not seen.learning
    assert (seen.destinations, seen.new_destinations) == (2, 1)
    assert seen.drift == 4.0
    assert seen.busiest_bytes_up == 4000


def test_a_merged_device_counts_for_the_other(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(3), 1000)
    live(house, PHONE, "192.168.1.33", range(4, 8), 500)
    devices.merge(house.store, "192.168.1.33", "192.168.1.22")
    both = read(house, timedelta(days=1))
    assert {mac: each.active_hours for mac, each in both.items()} == {CAMERA: 7}


def test_who_sent_nothing_has_none(house: House) -> None:
    assert read(house, timedelta(days=1)) == {}
