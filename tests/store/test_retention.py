from __future__ import annotations

import contextlib
import random
import subprocess
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from guardian.errors import StoreFullError, StoreRetryError
from guardian.model.batch import Batch, SourceInfo
from guardian.ops.status import status
from guardian.store import (
    Store,
    archive,
    clock,
    connection,
    deletion,
    ingest,
    retention,
    rollup,
    room,
)
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12)


def fill(store: Store, days: int, rows: int = 1000) -> None:
    with store.transaction() as tx:
        first = tx.value("SELECT coalesce(max(id), 0) FROM flow")
        tx.execute(
            """
            INSERT INTO flow (id, ts, source_id, flow_id, community_id, src_ip, dest_ip, app_proto,
                bytes_toserver, bytes_toclient)
            SELECT $first + d * $rows + i + 1,
                $now - to_days(d::INTEGER) - to_seconds(i), 1,
                $first + d * $rows + i, md5((d * $rows + i)::VARCHAR),
                '192.168.1.' || (i % 20), '203.0.113.' || (i % 200), 'tls', 100, i
            FROM range($days) AS a(d), range($rows) AS b(i)
            """,
            {"first": first, "now": NOW, "days": days, "rows": rows},
        )
        tx.execute("UPDATE row_counter SET next_id = (SELECT max(id) + 1 FROM flow)")
    clock.backdate(store)


def total(store: Store, table: str = "all_flow") -> int:
    with store.read() as reader:
        return int(reader.value(f"SELECT count(*) FROM {table}"))


def test_old_days_move_to_the_cold_tier_and_stay_in_the_view(store: Store) -> None:
    fill(store, 20)
    with store.read() as reader:
        before = reader.value("SELECT sum(hash(id, ts, dest_ip)) FROM flow")
    report = retention.enforce(store, Limits(hot_days=5), now=NOW)
    assert report.moved == 14_000  # days 6 to 19 back; today and five closed days stay hot
    assert total(store, "flow") == 6_000
    assert total(store) == 20_000
    with store.read() as reader:
        assert reader.value("SELECT sum(hash(id, ts, dest_ip)) FROM all_flow") == before
    again = retention.enforce(store, Limits(hot_days=5), now=NOW)
    assert (again.moved, again.deleted) == (0, 0)


def test_what_a_kill_left_behind_is_swept(store: Store) -> None:
    fill(store, 10)
    retention.enforce(store, Limits(hot_days=5), now=NOW)
    assert store.path is not None
    orphan = store.path.parent / "cold/flow/day=2026-11-01/deadbeef.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"PAR1 cut short")
    assert total(store) == 10_000
    assert archive.sweep(store) == 1
    assert not orphan.exists()


def test_what_queries_may_put_on_the_disk_follows_its_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "SELECT current_setting('max_temp_directory_size')"
    found = []
    for free in (1 << 30, 4 << 30):
        monkeypatch.setattr(store, "free_bytes", lambda free=free: free)
        retention.tick(store, now=NOW)
        with store.read() as reader:
            found.append(reader.value(said))
    assert found[0] != found[1]


def test_late_rows_are_merged_into_one_file(store: Store) -> None:
    for _ in range(4):
        fill(store, 9, rows=10)
        archive.archive(store, Limits(hot_days=7), now=NOW)
    with store.read() as reader:
        files = reader.value(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM cold_file GROUP BY day)"
        )
    assert files == 4
    assert archive.merge(store, Limits(cold_files_per_day=2)) > 0
    assert total(store) == 4 * 9 * 10
    with store.read() as reader:
        assert (
            reader.value("SELECT max(n) FROM (SELECT count(*) AS n FROM cold_file GROUP BY day)")
            == 1
        )


def test_age_and_bytes_are_limits(store: Store) -> None:
    fill(store, 30, rows=5000)
    limits = Limits(hot_days=2, keep_days=10)
    retention.enforce(store, limits, now=NOW)
    with store.read() as reader:
        oldest = reader.value("SELECT min(ts) FROM all_flow")
        assert oldest >= NOW - timedelta(days=11)
        cold = reader.value("SELECT sum(bytes) FROM cold_file")
    used = room.sizes(store)
    tight = Limits(hot_days=2, keep_days=10, max_bytes=used.hot_bytes + cold // 2, least_share=0.0)
    report = retention.enforce(store, tight, now=NOW)
    assert report.deleted > 0
    after = room.sizes(store)
    assert after.hot_bytes + after.cold_bytes <= tight.max_bytes
    with store.read() as reader:
        assert "more than" in reader.value(
            "SELECT reason FROM retention_log ORDER BY deleted_at DESC, reason LIMIT 1"
        ) or reader.value("SELECT count(*) FROM retention_log WHERE reason LIKE '%more than%'")


def cold_days(store: Store) -> int:
    with store.read() as reader:
        return int(reader.value("SELECT count(*) FROM cold_file"))


def a_day_short(store: Store) -> Limits:
    """Return limits that want a little more free disk than there is."""
    measured = room.sizes(store)
    floor = measured.free_bytes + measured.hole_bytes + (64 << 20)
    return Limits(hot_days=5, keep_days=365, free_floor_bytes=floor)


def test_no_cold_day_goes_while_a_backup_holds_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 12)
    archive.archive(store, Limits(hot_days=5), now=NOW)
    assert store.path is not None
    held = store.path.parent / ".guardian.backup-x"
    held.mkdir()
    for number, file in enumerate((store.path.parent / "cold").rglob("*.parquet")):
        (held / str(number)).hardlink_to(file)
    days = cold_days(store)
    assert days > 3
    assert deletion.by_room(store, a_day_short(store), NOW) == 0
    assert cold_days(store) == days
    assert total(store) == 12_000
    assert "a backup holds the oldest cold days" in caplog.text
    held.rename(store.path.parent / "names-of-somebody-else")
    assert deletion.by_room(store, a_day_short(store), NOW) > 0


def test_deleting_stops_where_it_gives_nothing_back(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 12)
    archive.archive(store, Limits(hot_days=5), now=NOW)
    days = cold_days(store)
    limits = a_day_short(store)
    free = store.free_bytes()
    monkeypatch.setattr(deletion, "FRUITLESS_BYTES", 1)
    monkeypatch.setattr(store, "free_bytes", lambda: free)  # who reads a file holds its room
    assert deletion.by_room(store, limits, NOW) == 1000
    assert cold_days(store) == days - 1
    assert "gave no room back" in caplog.text
    with store.read() as reader:
        said = reader.value("SELECT string_agg(reason) FROM retention_log")
    assert said.endswith("of disk were free; that gave no room back")
    assert deletion.by_room(store, limits, NOW + timedelta(minutes=59)) == 0
    assert cold_days(store) == days - 1
    assert deletion.by_room(store, limits, NOW + timedelta(minutes=61)) > 0


def test_a_long_query_costs_no_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FOLD_PATIENCE_S", 0.0)
    fill(store, 6)
    store.checkpoint()
    limits = Limits(hot_days=30, max_bytes=1, least_share=0.0)
    with store.read() as reader:
        reader.execute("BEGIN TRANSACTION")
        reader.value("SELECT count(*) FROM flow")
        with store.transaction() as tx:  # what it still reads is changed: the log is held off
            tx.execute("UPDATE flow SET app_proto = 'http' WHERE id = 1")
        for _ in range(2):
            assert retention.enforce(store, limits, now=NOW).deleted == 0
        assert total(store, "flow") == 6_000
    assert retention.enforce(store, limits, now=NOW).deleted > 0


def test_sums_that_lack_memory_keep_no_limit_from_being_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 12)
    keeper = retention.Keeper(store, Limits(hot_days=2, keep_days=3))
    tick = retention.tick

    def short(*_: object, **__: object) -> None:
        raise StoreRetryError("out of memory")

    monkeypatch.setattr(retention, "tick", short)
    report = keeper.round(now=NOW)
    assert report is not None
    assert report.deleted > 0
    with pytest.raises(StoreRetryError):  # nothing else was due
        keeper.round(now=NOW)
    monkeypatch.setattr(retention, "tick", tick)
    assert keeper.round(now=NOW) is None


def test_what_cannot_be_archived_keeps_no_limit_from_being_kept(store: Store) -> None:
    fill(store, 12)
    with store.transaction() as tx:
        tx.execute("INSERT INTO anomaly (id, ts, source_id) VALUES (99999, '2026-01-01', 1)")
        tx.execute("UPDATE row_counter SET next_id = 100000")
    clock.backdate(store)
    assert store.path is not None
    (store.path.parent / "cold").write_text("no folder can be made here")
    limits = Limits(hot_days=5, keep_days=9)
    with pytest.raises(OSError, match="cold"):
        retention.enforce(store, limits, now=NOW)
    assert total(store, "anomaly") == 0
    with store.read() as reader:
        assert reader.value("SELECT min(ts)::DATE FROM flow") == (NOW - timedelta(days=9)).date()
        assert reader.value("SELECT count(*) FROM size_sample") == 1
        assert reader.value("SELECT count(*) FROM setting WHERE key = 'full_in_days'") == 1
    with pytest.raises(OSError, match="cold"):
        retention.enforce(store, Limits(hot_days=5, max_bytes=1, least_share=0.0), now=NOW)
    assert total(store, "flow") < 1000


def test_sums_that_outgrow_the_budget_do_not_take_every_event(store: Store) -> None:
    fill(store, 12, rows=40_000)
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO rollup_1h (bucket, device_id, dest, flows, bytes_up, bytes_down) "
            "SELECT ?, 'd', md5(i::VARCHAR), 1, 1, 1 FROM range(450000) r(i)",
            [NOW],
        )
    store.checkpoint()
    with store.read() as reader:
        rows = sum(deletion.table_bytes(reader).values())
    others = room.sizes(store).hot_bytes - rows
    tight = Limits(max_bytes=rows * 5 // 4, max_share=1.0, hot_days=99)
    assert others > tight.max_bytes  # however few events are kept, the budget is not
    assert retention.enforce(store, tight, now=NOW).deleted > 0
    kept = total(store)
    assert kept >= 120_000
    with store.read() as reader:
        assert sum(deletion.table_bytes(reader).values()) <= tight.max_bytes / 2
    assert retention.enforce(store, tight, now=NOW).deleted == 0
    assert total(store) == kept


def test_the_file_shrinks_while_readers_wait(store: Store) -> None:
    fill(store, 30, rows=20_000)
    store.checkpoint()
    assert store.path is not None
    before = store.path.stat().st_size
    with store.transaction() as tx:
        tx.execute("DELETE FROM flow WHERE id % 10 > 0")
    store.checkpoint()
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM flow") == 60_000
        assert not store.rewrite(patience_s=0.05)  # a reader holds on: nothing changed
    assert store.rewrite()
    assert store.path.stat().st_size < before / 2
    assert total(store) == 60_000
    with store.transaction() as tx:  # the store works on
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('a', 'b', 'c')")


def test_room_is_given_back_after_retention(store: Store) -> None:
    fill(store, 30, rows=40_000)
    store.checkpoint()
    assert store.path is not None
    before = store.path.stat().st_size
    limits = Limits(hot_days=1, keep_days=2, compact_min_bytes=1 << 20, compact_waste=0.3)
    retention.enforce(store, limits, now=NOW)
    after = store.path.stat().st_size
    assert after < before * 0.6, f"{after:,} of {before:,}"  # what is left are roll-ups


def test_rollups_count_each_flow_once_and_outlive_it(store: Store) -> None:
    fill(store, 3)
    assert rollup.update(store) == 3000
    assert rollup.update(store) == 0
    fill(store, 3)
    assert rollup.update(store) == 3000
    rollup.fold(store, since=NOW - timedelta(days=9), before=NOW + timedelta(days=1))
    retention.enforce(store, Limits(hot_days=0, keep_days=1), now=NOW + timedelta(days=30))
    assert total(store) == 0
    with store.read() as reader:
        row = reader.one("SELECT sum(flows) AS flows, sum(bytes_up) AS up FROM rollup_1h")
    assert row == {"flows": 6000, "up": 600_000}


def test_the_first_round_waits_until_devices_are_looked_at(store: Store) -> None:
    def device_flows() -> dict[str | None, int]:
        with store.read() as reader:
            rows = reader.rows(
                "SELECT device_id, sum(flows)::BIGINT AS n FROM rollup_1h GROUP BY 1"
            )
        return {row["device_id"]: row["n"] for row in rows}

    fill(store, 1)
    with store.transaction() as tx:
        tx.execute("DELETE FROM stored_mark")  # they came just now
    retention.Keeper(store, Limits()).round(now=NOW)
    assert device_flows() == {}
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO device_address (device_id, ip, valid_from, seen_at) "
            "SELECT 'd1', '192.168.1.' || i, TIMESTAMP '2026-11-01', ? FROM range(20) r(i)",
            [NOW],
        )
        tx.execute(
            "INSERT INTO detector_mark (detector, last_id, ran_at) VALUES ('devices', 1000, ?)",
            [NOW],
        )
    retention.enforce(store, Limits(), now=NOW)
    assert device_flows() == {"d1": 1000}
    fill(store, 1)  # nobody looks at these; they are about to be archived
    retention.enforce(store, Limits(hot_days=0), now=NOW)
    assert device_flows() == {"d1": 2000}


def test_flows_that_go_for_room_are_in_the_sums(store: Store) -> None:
    fill(store, 3)  # committed since the sums were brought up to date
    store.checkpoint()
    limits = Limits(max_bytes=1, least_share=0.0)
    gone = deletion.by_room(store, limits, NOW)
    assert gone > 2000
    with store.read() as reader:
        assert reader.value("SELECT sum(flows) FROM rollup_1h") >= gone
    rollup.update(store)
    with store.read() as reader:
        assert reader.value("SELECT sum(flows) FROM rollup_1h") == 3000


def test_a_clock_a_year_ahead_for_a_round_takes_no_sums(memory_store: Store) -> None:
    day, age_s = timedelta(days=1), 0.0

    def a_round(now: datetime, passed_s: float) -> list[datetime]:
        nonlocal age_s
        age_s += passed_s
        with memory_store.transaction() as tx:
            tx.execute("INSERT INTO rollup_5m VALUES (?, 'dev', 'a', 'tls', 1, 1, 1)", [now])
        rollup.forget(memory_store, now=now, age_s=age_s, days=30)
        with memory_store.read() as reader:
            rows = reader.rows("SELECT bucket FROM rollup_5m ORDER BY bucket")
        return [row["bucket"] for row in rows]

    for back in range(20, 0, -1):
        kept = a_round(NOW - back * day, 86400.0)
    assert len(kept) == 20
    assert len(a_round(NOW + 365 * day, 600.0)) == 21
    for n in range(40):
        kept = a_round(NOW + n * day, 86400.0)
    assert kept[0] in (NOW + 8 * day, NOW + 9 * day), "and a month is kept again"


def test_sizes_of_a_clock_that_was_ahead_are_not_forecast_from(store: Store) -> None:
    for now in (NOW + timedelta(days=365), NOW):
        retention.enforce(store, Limits(), now=now)
    with store.read() as reader:
        assert [row["sampled_at"] for row in reader.rows("FROM size_sample")] == [NOW]


def test_forecast_needs_a_day_of_growth(store: Store) -> None:
    assert retention.full_in_days(store, Limits()) is None
    with store.transaction() as tx:
        tx.many(
            "INSERT INTO size_sample VALUES (?, ?, ?, ?)",
            [(NOW, 10_000, 0, 1 << 40), (NOW + timedelta(days=2), 30_000, 0, 1 << 40)],
        )
    assert retention.full_in_days(store, Limits(max_bytes=130_000)) == pytest.approx(10.0)


@pytest.mark.root
def test_a_full_disk_loses_nothing_committed(tmp_path: Path) -> None:
    with small_disk(tmp_path, "48m") as disk:
        store = Store.open(disk / "data")
        store.reserve_bytes = 16 << 20
        source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
        rows = hard_to_press(20_000)
        stored = fill_up(store, source_id, rows)
        assert stored > 2
        assert total(store, "flow") == stored * 20_000
        assert ingest.bookmark(store, source_id) == {"n": stored - 1}
        with store.transaction() as tx:  # there is room to make room
            tx.execute("DELETE FROM flow WHERE id > 10")
        store.checkpoint()
        ingest.commit(store, source_id, Batch(tables={"flow": rows}, bookmark={}))
        store.close()
        again = Store.open(disk / "data")
        assert total(again, "flow") == 20_010
        again.close()


@pytest.mark.root
def test_holes_of_a_full_disk_take_new_rows(tmp_path: Path) -> None:
    """Rows that go leave holes, not free disk: a store on a full disk lives in them."""
    chance = random.Random(1)
    numbers = [chance.getrandbits(62) for _ in range(60_000)]  # nothing makes these smaller
    names = ("flow_id", "bytes_toserver", "bytes_toclient", "pkts_toserver", "pkts_toclient")
    rows = pa.table(
        {"ts": pa.array([NOW] * 60_000, pa.timestamp("us")), **dict.fromkeys(names, numbers)}
    )
    with small_disk(tmp_path, "56m") as disk:
        store = Store.open(disk / "data")
        store.reserve_bytes = 16 << 20
        with store.read() as reader:  # as much smaller than usual as the disk
            reader.execute("SET checkpoint_threshold = '4MB'")
        source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
        fill_up(store, source_id, rows)
        with store.transaction() as tx:  # an alert lies behind, so the file cannot shrink
            tx.execute("INSERT INTO alert (id, ts, source_id) VALUES (0, ?, 1)", [NOW])
            low, high = tx.value("SELECT [min(id), max(id)] FROM flow")
            tx.execute("DELETE FROM flow WHERE id < ?", [low + (high - low) * 3 // 4])
        store.checkpoint()
        assert store.free_bytes() < store.reserve_bytes < room.hole_bytes(store)

        filler = disk / "filler"  # the log fills no hole: some of the disk has to be free
        filler.write_bytes(bytes(store.free_bytes() - store.reserve_bytes // 4))
        with pytest.raises(StoreFullError, match="the disk is full"):
            store.require_room()
        ingest.note_state(store, source_id, "a small write goes well")
        assert "nothing more is taken in" in str(status(store, running=True)["health"])
        filler.unlink()
        assert "nothing more is taken in" not in str(status(store, running=True)["health"])

        before, kept = room.disk(disk / "data"), total(store, "flow")
        stored = fill_up(store, source_id, rows)
        assert stored >= 4
        store.checkpoint()
        assert room.disk(disk / "data").free >= before.free - (4 << 20)  # they went into holes
        assert total(store, "flow") == kept + stored * 60_000
        store.close()
        again = Store.open(disk / "data")
        assert total(again, "flow") == kept + stored * 60_000
        again.close()


@pytest.mark.root
def test_a_full_disk_gives_up_cold_days_before_it_writes_new_ones(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64m") as disk:
        store = Store.open(disk / "data")
        store.reserve_bytes = 12 << 20
        for _ in range(4):
            fill(store, 12, rows=4000)
        retention.enforce(store, Limits(hot_days=8, free_floor_bytes=0), now=NOW)
        with store.read() as reader:
            cold = reader.value("SELECT count(*) FROM cold_file")
        assert cold > 0
        with (disk / "filler").open("wb") as filler:
            filler.write(bytes(store.free_bytes() - (6 << 20)))
        report = retention.enforce(store, Limits(hot_days=4), now=NOW)
        assert report.deleted > 0
        with store.read() as reader:
            said = reader.rows("SELECT DISTINCT reason FROM retention_log")
            listed = reader.rows("SELECT file FROM cold_file")
        assert any("of disk were free" in row["reason"] for row in said)
        files = sorted(str(path.relative_to(disk / "data")) for path in disk.rglob("*.parquet"))
        assert files == sorted(row["file"] for row in listed)
        store.close()


@pytest.mark.root
@pytest.mark.parametrize(
    ("size", "floor"), [("100m", 192 << 20), ("2g", 192 << 20), ("8g", 0.05), ("100g", 1 << 30)]
)
def test_what_stays_free_fits_the_disk(tmp_path: Path, size: str, floor: float) -> None:
    with small_disk(tmp_path, size) as disk:
        store = Store.open(disk / "data")
        whole = room.disk(disk / "data" / "x").total
        fitting = int(whole * floor) if floor < 1 else floor
        assert room.floor_bytes(store, Limits()) == fitting
        assert room.floor_bytes(store, Limits(free_floor_bytes=5)) == 5
        retention.enforce(store, Limits(), now=NOW)
        kept_free = status(store, running=True)["storage"]["kept_free_bytes"]
        assert kept_free == fitting
        store.close()


@contextlib.contextmanager
def small_disk(tmp_path: Path, size: str) -> Iterator[Path]:
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def hard_to_press(rows: int) -> pa.Table:
    """Return rows that take some forty bytes each, however they are written."""
    words = [f"{number * 7919 % 1_000_003:x}" * 9 for number in range(rows)]
    return pa.table({"ts": pa.array([NOW] * rows, pa.timestamp("us")), "community_id": words})


def fill_up(store: Store, source_id: int, rows: pa.Table) -> int:
    """Commit batches until the store refuses, and return how many it took."""
    for stored in range(400):
        try:
            ingest.commit(store, source_id, Batch(tables={"flow": rows}, bookmark={"n": stored}))
        except StoreFullError:
            return stored
    return pytest.fail("the disk never became full")
