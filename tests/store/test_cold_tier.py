"""The cold tier where something goes wrong: no row is lost, shown twice or hidden."""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from guardian.errors import StoreError, StoreFullError, StoreRetryError
from guardian.ops import backup
from guardian.ops.health import health
from guardian.store import (
    Store,
    archive,
    clock,
    cold_files,
    cold_sums,
    commit,
    connection,
    retention,
)
from guardian.store.ingest import utc_now
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 20, 12)
OLD = Limits(hot_days=5)


def fill(store: Store, days: int, rows: int = 100) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO flow (id, ts, source_id, flow_id) "
            "SELECT next_id + d * $rows + i, $now - to_days(d::INTEGER) - to_seconds(i), 1, i "
            "FROM row_counter, range($days) AS a(d), range($rows) AS b(i)",
            {"now": NOW, "days": days, "rows": rows},
        )
        tx.execute("UPDATE row_counter SET next_id = (SELECT max(id) + 1 FROM flow)")
    clock.backdate(store)


def total(store: Store, table: str = "all_flow") -> int:
    with store.read() as reader:
        return int(reader.value(f"SELECT count(*) FROM {table}"))


def files(store: Store) -> list[Path]:
    assert store.path is not None
    return sorted((store.path.parent / "cold").rglob("*.parquet"))


def listed(store: Store) -> list[Path]:
    assert store.path is not None
    with store.read() as reader:
        rows = reader.rows("SELECT file FROM cold_file")
    return sorted(store.path.parent / row["file"] for row in rows)


def fail_at_commit(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stored: bool,
    when: Callable[[], bool],
) -> None:
    """Let one COMMIT fail as an interrupted one does: what it wrote is stored, or is not."""
    real = store._allowance.headroom
    armed = True

    @contextlib.contextmanager
    def headroom(extra_bytes: int) -> Iterator[None]:
        nonlocal armed
        due = armed and extra_bytes == commit.COMMIT_BYTES and when()
        armed = armed and not due
        with real(extra_bytes):
            if due and not stored:
                raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")
            yield
            if due:
                raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    monkeypatch.setattr(store._allowance, "headroom", headroom)


@pytest.mark.parametrize("stored", [True, False])
def test_a_commit_that_fails_takes_no_day_along(
    store: Store, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    fill(store, 8)
    fail_at_commit(store, monkeypatch, stored=stored, when=lambda: bool(files(store)))
    with pytest.raises(StoreError, match="Interrupted"):
        archive.archive(store, OLD, now=NOW)
    assert len(files(store)) == 1
    assert listed(store) == (files(store) if stored else [])
    assert archive.sweep(store) == (0 if stored else 1)
    archive.archive(store, OLD, now=NOW)
    assert (total(store, "flow"), total(store)) == (600, 800)
    assert files(store) == listed(store)


def test_a_commit_that_fails_takes_no_merged_day_along(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        fill(store, 7)
        archive.archive(store, OLD, now=NOW)
    before = len(files(store))
    fail_at_commit(store, monkeypatch, stored=True, when=lambda: len(files(store)) > before)
    with pytest.raises(StoreError, match="Interrupted"):
        archive.merge(store, Limits(cold_files_per_day=1))
    assert len(listed(store)) == 1
    archive.sweep(store)
    assert (files(store), total(store)) == (listed(store), 1400)


def test_each_row_is_seen_once_whatever_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 12)
    real, seen = cold_files.write, []

    def write(*words: Any) -> int:
        seen.append(total(store))
        if len(seen) == 4:
            raise StoreFullError("the disk is full")
        return real(*words)

    monkeypatch.setattr(cold_files, "write", write)
    with pytest.raises(StoreFullError):
        archive.archive(store, OLD, now=NOW)
    assert (seen, total(store), total(store, "flow")) == ([1200] * 4, 1200, 900)
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM attributed_flow") == 1200
        made = reader.value("SELECT made_for FROM view_note")
    archive.refresh_views(store)  # and nothing is left to do for it
    with store.read() as reader:
        assert reader.value("SELECT made_for FROM view_note") == made


def test_a_day_given_up_leaves_the_views_at_once(store: Store) -> None:
    fill(store, 12)
    archive.archive(store, OLD, now=NOW)
    with store.transaction() as tx:
        day = (NOW - timedelta(days=8)).date()
        assert archive.drop_before(tx, "flow", day, stored_before=1 << 62) == 300
    assert (total(store), len(files(store))) == (900, 6)
    assert archive.sweep(store) == 3
    assert total(store) == 900


def test_a_kill_after_any_move_leaves_both_tiers_whole(store: Store, tmp_path: Path) -> None:
    """What a kill leaves is the file and its log as they lie: views changed in there, too."""
    assert store.path is not None
    fill(store, 9)
    store.checkpoint()
    archive.archive(store, OLD, now=NOW)
    with store.transaction() as tx:
        day = (NOW - timedelta(days=7)).date()
        archive.drop_before(tx, "flow", day, stored_before=1 << 62)
    archive.sweep(store)
    assert store.path.with_name(store.path.name + ".wal").stat().st_size > 0
    shutil.copytree(store.path.parent, tmp_path / "killed")
    store.close()
    shutil.rmtree(store.path.parent)
    again = Store.open(tmp_path / "killed")
    assert (total(again), total(again, "flow")) == (800, 600)
    again.close()


def test_a_merged_day_has_the_columns_of_the_others(store: Store) -> None:
    fill(store, 9)
    archive.archive(store, OLD, now=NOW)
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO flow (id, ts, source_id, flow_id) VALUES (100000, ?, 1, 1)",
            [NOW - timedelta(days=8)],
        )
    archive.archive(store, OLD, now=NOW)
    assert archive.merge(store, Limits(cold_files_per_day=1)) == 1
    with store.read() as reader:
        assert len(reader.rows("SELECT * FROM all_flow")) == 901
        seen, own = (reader.rows(f"DESCRIBE {name}") for name in ("all_flow", "flow"))
        assert [row["column_name"] for row in seen] == [row["column_name"] for row in own]
        assert reader.value("SELECT count(DISTINCT columns) FROM cold_span") == 1


def test_a_day_that_was_merged_with_a_column_too_many_is_read(store: Store) -> None:
    """Earlier versions gave merged files a column "day", and noted it of all files."""
    fill(store, 9)
    archive.archive(store, OLD, now=NOW)
    first = files(store)[0]
    with store.transaction() as tx:
        tx.execute(
            f"COPY (SELECT *, ts::DATE AS day FROM read_parquet('{first}', "
            f"hive_partitioning = false)) TO '{first}.new' (FORMAT parquet)"
        )
        tx.execute("UPDATE cold_span SET columns = columns || ',day'")
    store.close()
    first.with_name(first.name + ".new").replace(first)
    assert store.path is not None
    store = Store.open(store.path.parent)
    for changed in (2, 0):  # one file has the column, two have not
        with store.read() as reader:
            assert len(reader.rows("SELECT * FROM all_flow")) == 900
        assert archive.note_spans(store) == changed
        archive.refresh_views(store)
    store.close()


def test_what_a_kill_leaves_of_a_move_is_removed(store: Store) -> None:
    fill(store, 8)
    archive.archive(store, OLD, now=NOW)
    assert store.path is not None
    name = cold_files.begin(store, "flow", NOW.date())
    (store.path.parent / name).write_bytes(b"PAR1 cut short")  # and killed
    assert archive.sweep(store) == 1
    assert files(store) == listed(store)
    assert not list(store.path.parent.glob("cold.*"))
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM cold_gone") == 0
    assert archive.sweep(store) == 0


def test_the_first_round_of_a_run_removes_what_the_last_left(store: Store) -> None:
    fill(store, 8)
    retention.enforce(store, OLD, now=NOW)
    assert store.path is not None
    name = cold_files.begin(store, "flow", NOW.date())
    (store.path.parent / name).write_bytes(b"PAR1 cut short")
    store.close()
    again = Store.open(store.path.parent)
    report = retention.enforce(again, OLD, now=NOW)
    assert (report.moved, report.deleted, files(again)) == (0, 0, listed(again))
    again.close()


def test_the_cold_tier_of_a_lost_store_is_kept(store: Store) -> None:
    assert store.path is not None
    fill(store, 12)
    retention.enforce(store, OLD, now=NOW)
    former = {path.relative_to(store.path.parent / "cold") for path in files(store)}
    store.close()
    store.path.unlink()

    new = Store.open(store.path.parent)
    fill(new, 12)
    retention.enforce(new, Limits(hot_days=5, keep_days=8), now=NOW)
    assert (total(new), files(new)) == (900, listed(new))
    aside = store.path.parent / "cold.unlisted-1"
    assert former == {path.relative_to(aside) for path in aside.rglob("*.parquet")}
    (reason,) = (each for each in health(new, running=True, now=NOW).reasons if "cold" in each.text)
    assert reason.state == "amber"
    assert f"{len(former)} cold files" in reason.text
    assert str(aside) in reason.text
    retention.enforce(new, Limits(hot_days=5, keep_days=6), now=NOW)
    assert not (store.path.parent / "cold.unlisted-2").exists()
    assert len(list(aside.rglob("*.parquet"))) == len(former)
    new.close()


def test_files_that_cannot_be_moved_aside_leave_no_empty_folders(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.path is not None
    stray = store.path.parent / "cold" / "flow" / "day=2020-01-01" / "stray.parquet"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of somebody else")

    def refused(*_: object) -> None:
        raise OSError(18, "another disk")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refused)
        for _ in range(2):
            archive.sweep(store)
    assert stray.exists()
    assert not list(store.path.parent.glob("cold.unlisted-*"))
    archive.sweep(store)
    assert not stray.exists()
    assert list((store.path.parent / "cold.unlisted-1").rglob("stray.parquet"))


def test_a_main_file_that_is_put_back_finds_its_cold_files(store: Store) -> None:
    assert store.path is not None
    fill(store, 12)
    retention.enforce(store, OLD, now=NOW)
    former = listed(store)
    store.close()
    elsewhere = store.path.with_name("moved")
    store.path.rename(elsewhere)
    new = Store.open(store.path.parent)  # a start in between: what it does not know goes aside
    fill(new, 8)
    retention.enforce(new, OLD, now=NOW)
    assert not set(former) & set(files(new))
    new.close()
    elsewhere.replace(store.path)

    again = Store.open(store.path.parent)
    assert (total(again), listed(again)) == (1200, former)
    retention.enforce(again, OLD, now=NOW)
    assert (total(again), files(again)) == (1200, former)
    ((state, text),) = cold_reasons(again)  # two days of the store in between
    assert (state, text.split()[0]) == ("amber", "2")
    again.close()


def test_nothing_is_swept_while_it_is_open_what_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 8)
    archive.archive(store, OLD, now=NOW)
    monkeypatch.setattr(connection, "REVIVE_PAUSE_S", 0.0)
    with store.read():  # so the file cannot be opened anew
        store._give_up()
        with pytest.raises(StoreRetryError):
            archive.sweep(store)
    assert files(store) == listed(store)


def cold_reasons(store: Store, now: datetime | None = None) -> list[tuple[str, str]]:
    found = health(store, running=True, now=now or utc_now()).reasons
    return [(each.state, each.text) for each in found if "cold" in each.text]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("harm", [Path.unlink, cut_short])
@pytest.mark.parametrize("running", [True, False])
def test_a_cold_file_that_went_bad_takes_nothing_else_along(
    store: Store, harm: Callable[[Path], None], running: bool
) -> None:
    assert store.path is not None
    home = store.path.parent
    fill(store, 9)
    retention.enforce(store, OLD, now=NOW)
    bad = next(path for path in files(store) if "flow/day=2026-11-13" in str(path))
    before = bad.read_bytes()
    if not running:
        store.close()
    harm(bad)
    left = bad.exists()
    if not running:
        store = Store.open(home)
    for _ in range(2):  # late rows of that day come, and age like any other
        fill(store, 9)
        retention.enforce(store, Limits(hot_days=5, cold_files_per_day=1), now=NOW)
    assert (total(store), bad.exists()) == (2600, left)
    assert listed(store) == [path for path in files(store) if path != bad]
    ((state, text),) = cold_reasons(store)
    assert state == "red"
    assert text.startswith(f"100 rows of flow of 2026-11-13 cannot be read: {bad} is ")
    assert [each[0] for each in cold_reasons(store, utc_now() + timedelta(days=8))] == ["amber"]
    backup.backup(store, home.parent / "copy.guardian")

    bad.write_bytes(before)  # a backup had it
    archive.note_spans(store)
    assert (total(store), cold_reasons(store), listed(store)) == (2700, [], files(store))
    if not running:
        store.close()


def test_a_lost_day_is_forgotten_when_it_would_have_gone(store: Store) -> None:
    fill(store, 12)
    retention.enforce(store, OLD, now=NOW)
    for path in files(store)[:4]:
        cut_short(path)
    retention.enforce(store, OLD, now=NOW)
    ((state, text),) = cold_reasons(store)
    assert state == "red"
    assert text.startswith("4 cold files are missing or damaged: 400 rows of flow from 2026-11-09")
    retention.enforce(store, Limits(hot_days=5, keep_days=7), now=NOW)
    assert (total(store), cold_reasons(store)) == (800, [])
    retention.enforce(store, Limits(hot_days=5, keep_days=7), now=NOW)
    assert files(store) == listed(store)


def test_a_file_of_fewer_rows_is_not_merged_in(store: Store) -> None:
    for _ in range(2):
        fill(store, 7)
        archive.archive(store, OLD, now=NOW)
    with store.transaction() as tx:
        tx.execute("UPDATE cold_file SET rows = rows + 1")
    with pytest.raises(StoreError, match="have not the rows"):
        archive.merge(store, Limits(cold_files_per_day=1))
    assert (total(store), len(listed(store))) == (1400, 2)


def test_a_file_that_is_bad_inside_holds_no_merge_up(store: Store) -> None:
    for _ in range(2):
        fill(store, 7, rows=2000)
        archive.archive(store, OLD, now=NOW)
    bad = files(store)[0]
    whole = bytearray(bad.read_bytes())
    whole[100 : len(whole) // 2] = bytes(len(whole) // 2 - 100)
    bad.write_bytes(whole)
    retention.enforce(store, Limits(hot_days=5, cold_files_per_day=1), now=NOW)
    for _ in range(2):
        assert total(store) == len(rows_of(store)) == 26_000
        ((state, text),) = cold_reasons(store)
        assert (state, text.split(". ")[0].endswith("is damaged inside")) == ("red", True)
        archive.note_spans(store)
    assert bad.exists()


@pytest.mark.parametrize("at", [200, -4000])
def test_a_byte_that_the_disk_changed_is_found_within_a_month(store: Store, at: int) -> None:
    """Parquet has no sums of its own in use: most such bytes are read as another value."""
    fill(store, 7, rows=2000)
    retention.enforce(store, OLD, now=NOW)
    bad = files(store)[0]
    before = bad.read_bytes()
    wrong = bytearray(before)
    wrong[at] ^= 0x10
    held = bad.stat()
    bad.write_bytes(wrong)
    os.utime(bad, ns=(held.st_atime_ns, held.st_mtime_ns))  # a disk changes no date
    for days, rows in ((29, 14_000), (31, 12_000)):
        retention.enforce(store, OLD, now=NOW + timedelta(days=days))
        assert total(store) == rows
    ((state, text),) = cold_reasons(store)
    assert (state, text.split(". ")[0].endswith(f"{bad} is damaged inside")) == ("red", True)
    retention.enforce(store, OLD, now=NOW + timedelta(days=31))
    assert total(store) == 12_000
    bad.write_bytes(before)  # a backup had it
    retention.enforce(store, OLD, now=NOW + timedelta(days=31))
    assert (total(store), cold_reasons(store)) == (14_000, [])


def test_cold_files_are_read_again_a_few_a_round(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 12)
    retention.enforce(store, OLD, now=NOW)
    monkeypatch.setattr(cold_sums, "ROUND_BYTES", 2 * files(store)[0].stat().st_size)
    later = NOW + timedelta(days=40)

    def due() -> int:
        with store.read() as reader:
            return int(reader.value("SELECT count(*) FROM cold_sum WHERE read_at < ?", [later]))

    assert due() == len(files(store)) == 6
    left = [6]
    while left[-1]:
        assert cold_sums.changed(store, now=later) == []
        left.append(due())
        assert 1 <= left[-2] - left[-1] <= 3
    retention.enforce(store, Limits(hot_days=5, keep_days=7), now=NOW)
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM cold_sum") == len(files(store)) < 6


def rows_of(store: Store) -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows("SELECT * FROM all_flow")
