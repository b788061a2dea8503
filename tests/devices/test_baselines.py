from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from guardian.detect.devices import update, usual
from guardian.store import baselines, devices, rollup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardian.store import Store

    from .conftest import House

CAMERA, PHONE = "ec:71:db:00:00:01", "a4:4c:c8:00:00:02"
T0 = datetime(2026, 11, 20, 18, 0)
HOUR = 60


def live(
    house: House, mac: str, ip: str, hours: Iterable[int], up: int, dest: str = "198.51.100.7"
) -> None:
    rows = [
        {"src_ip": ip, "src_mac": mac, "dest_ip": dest, "minute": hour * HOUR, "proto": "TCP",
         "dest_port": 443, "bytes_toserver": up}
        for hour in hours
    ]  # fmt: skip
    house.put("flow", rows)
    house.annotate()
    update(house.store, now=T0)
    rollup.update(house.store)


def read(house: House, mac: str = CAMERA) -> dict[str, baselines.Baseline]:
    with house.store.transaction() as tx:
        baselines.rebuild(tx, offset_s=0)
    with house.store.read() as reader:
        ids = {each.mac: each.id for each in devices.devices(reader)}
        return {each.metric: each for each in baselines.baselines(reader, device_id=ids[mac])}


def test_a_week_is_learned(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(11), 1000)
    early = read(house)["bytes_up"]
    assert (early.learned, early.since, early.until) == (False, T0, T0 + timedelta(days=7))
    assert (early.expected, early.samples, early.unit) == (1000, 10, "bytes/h")
    assert early.drift is None
    live(house, CAMERA, "192.168.1.22", range(11, 7 * 24 + 2), 1000)
    assert read(house)["bytes_up"].learned


def test_a_steady_gadget_still_has_some_spread(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(24 * 8), 10_000_000)
    usual = read(house)
    assert usual["bytes_up"].spread == 1_000_000
    assert usual["flows"].spread == baselines.FLOORS["flows"]


def test_one_odd_night_is_not_usual_but_a_new_habit_becomes_it(house: House) -> None:
    odd = range(20 * 24, 20 * 24 + 8)
    live(house, CAMERA, "192.168.1.22", (n for n in range(28 * 24) if n not in odd), 100_000)
    live(house, CAMERA, "192.168.1.22", odd, 50_000_000)
    usual = read(house)["bytes_up"]
    assert (usual.expected, usual.busiest) == (100_000, 50_000_000)
    live(house, CAMERA, "192.168.1.22", range(28 * 24, 28 * 24 + 15 * 24), 400_000)
    usual = read(house)["bytes_up"]
    assert usual.expected == 400_000
    assert usual.drift == 4.0


def test_what_stays_at_home_does_not_count(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(30), 1000)
    live(house, CAMERA, "192.168.1.22", range(30), 9_000_000, dest="192.168.1.9")
    assert read(house)["bytes_up"].expected == 1000


def test_new_destinations_a_day(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(24 * 9), 1000)
    live(house, CAMERA, "192.168.1.22", [24 * 8], 1000, dest="198.51.100.9")
    usual = read(house)["new_destinations"]
    assert (usual.expected, usual.busiest, usual.unit) == (0, 1, "destinations/day")


def test_evenings_and_nights_are_told_apart(house: House) -> None:
    evenings = [day * 24 + hour for day in range(10) for hour in (0, 1, 2)]  # 18 to 21 h
    live(house, CAMERA, "192.168.1.22", evenings, 200_000)
    live(house, PHONE, "192.168.1.33", range(24 * 10 + 1), 10)
    read(house)
    rows = house.rows(
        "SELECT hour, round(max(active_share), 1) AS share FROM v_baseline_hour JOIN device "
        f"USING (device_id) WHERE mac = '{CAMERA}' AND metric = 'bytes_up' AND NOT weekend "
        "AND hour IS NOT NULL GROUP BY hour ORDER BY hour"
    )
    assert [(row["hour"], row["share"]) for row in rows] == [
        (17, 0.3), (18, 0.7), (19, 1.0), (20, 0.7), (21, 0.3)
    ]  # fmt: skip


def test_the_house_clock_decides_the_hour(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(0, 24 * 8, 24), 1000)
    with house.store.transaction() as tx:
        baselines.rebuild(tx, offset_s=3600)
    hours = house.rows(
        "SELECT DISTINCT hour FROM v_baseline_hour WHERE hour IS NOT NULL ORDER BY 1"
    )
    assert [row["hour"] for row in hours] == [18, 19, 20]


def test_a_merged_device_counts_for_the_other_and_can_part_again(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(3), 1000)
    live(house, PHONE, "192.168.1.33", range(4, 8), 500)
    devices.merge(house.store, "192.168.1.33", "192.168.1.22")
    assert read(house)["bytes_up"].samples == 6
    with house.store.read() as reader:
        (gone,) = [each for each in devices.devices(reader, merged=True) if each.mac == PHONE]
    devices.unmerge(house.store, gone.id)
    assert (read(house)["bytes_up"].samples, read(house, PHONE)["bytes_up"].samples) == (3, 3)


def test_the_day_of_a_device_with_its_band(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(24 * 9), 200_000)
    read(house)
    until = T0 + timedelta(days=9)
    with house.store.read() as reader:
        (device,) = devices.devices(reader)
        hours = baselines.day(
            reader, device.id, since=until - timedelta(days=1), until=until, offset_s=0
        )
    assert len(hours) == 24
    assert {(row["up"], row["low"], row["high"]) for row in hours} == {(200_000, 50_000, 350_000)}


def test_the_update_keeps_them_fresh(house: House) -> None:
    live(house, CAMERA, "192.168.1.22", range(5), 1000)
    update(house.store, now=T0 + timedelta(hours=6))
    assert house.rows("SELECT count(*) AS n FROM v_baseline")[0]["n"] > 0


def test_a_store_without_rollups_has_none(house: House) -> None:
    with house.store.transaction() as tx:
        assert baselines.rebuild(tx, offset_s=0) == 0


def sum_hours(store: Store, hours: range, *, mark: int) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO rollup_1h SELECT $t + to_hours(h::INTEGER), 'dev', 'a.example', 'tls', "
            "10, 1000000, 1000000 FROM range($first, $last) r(h)",
            {"t": T0, "first": hours.start, "last": hours.stop},
        )
        tx.execute("INSERT OR REPLACE INTO rollup_mark VALUES ('flow', ?)", [mark])


def until(store: Store) -> datetime | None:
    with store.read() as reader:
        found: datetime | None = reader.value("SELECT max(made_at) FROM baseline")
    return found


def test_new_sums_are_learned_from_each_hour_whatever_findings_do(memory_store: Store) -> None:
    store = memory_store
    with store.transaction() as tx:  # a mark of another kind: microseconds since 1970
        tx.execute("INSERT INTO rollup_mark VALUES ('evidence', 1763636400000000)")
    assert not usual.update(store, T0), "there are no sums yet"
    sum_hours(store, range(-600, 0), mark=1000)
    assert usual.update(store, T0)
    assert not usual.update(store, T0 + 2 * usual.EVERY), "nothing came"
    sum_hours(store, range(6), mark=2000)
    assert not usual.update(store, T0 + usual.EVERY / 2), "once an hour"
    assert usual.update(store, T0 + timedelta(hours=6))
    assert until(store) == T0 + timedelta(hours=5)
    sum_hours(store, range(6, 7), mark=3000)
    assert usual.update(store, T0 + timedelta(days=365)), "a clock that is wrong"
    sum_hours(store, range(7, 8), mark=4000)
    assert usual.update(store, T0 + timedelta(hours=8)), "and right again"


def test_an_hour_dated_ahead_empties_no_baseline(memory_store: Store) -> None:
    sum_hours(memory_store, range(-600, 1), mark=1000)
    assert usual.update(memory_store, T0)
    with memory_store.read() as reader:
        before = reader.value("SELECT count(*) FROM baseline")
    sum_hours(memory_store, range(365 * 24, 365 * 24 + 1), mark=1001)
    assert usual.update(memory_store, T0 + timedelta(hours=2))
    with memory_store.read() as reader:
        assert reader.value("SELECT count(*) FROM baseline") == before > 0
    assert until(memory_store) == T0
