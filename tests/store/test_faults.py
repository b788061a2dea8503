"""Disks that are full or read-only, clocks that jump, logs that are torn: each for real."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from guardian.errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreRetryError,
)
from guardian.model.batch import Batch, SourceInfo
from guardian.ops import backup
from guardian.ops.health import health
from guardian.store import Store, clock, connection, engine, ingest, retention, room
from guardian.store.clock import Boot
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb

NOW = datetime(2026, 11, 20, 12)
DAY_S = 86400.0
ROWS = pa.table(
    {
        "ts": pa.array([NOW] * 20_000, pa.timestamp("us")),
        "community_id": [f"{number * 7919 % 1_000_003:x}" * 9 for number in range(20_000)],
    }
)
WRITER = """
import os, pathlib, sys
from datetime import datetime
import pyarrow as pa
from guardian.model.batch import Batch, SourceInfo
from guardian.store import Store, ingest
store = Store.open(pathlib.Path(sys.argv[1]))
store.reserve_bytes = 0
source = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
rows = pa.table({"ts": pa.array([datetime(2026, 11, 20)] * 1000, pa.timestamp("us")),
                 "flow_id": list(range(1000))})
for number in range(int(sys.argv[2])):
    ingest.commit(store, source, Batch(tables={"flow": rows}, bookmark={"n": number}, events=1000))
os._exit(9)  # as a power cut: nothing is closed
"""


def count(store: Store, table: str = "flow") -> int:
    with store.read() as reader:
        return int(reader.value(f"SELECT count(*) FROM {table}"))


def said(store: Store) -> str:
    return " / ".join(each.text for each in health(store, running=True, now=NOW).reasons)


def killed_while_writing(directory: Path, batches: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(directory), str(batches)], check=False, timeout=240
    )
    assert done.returncode == 9


# -- torn writes


@pytest.mark.parametrize("harm", ["cut", "flipped", "zeroed", "garbage behind"])
def test_a_torn_log_keeps_what_was_whole(tmp_path: Path, harm: str) -> None:
    killed_while_writing(tmp_path, 10)
    log = tmp_path / "guardian.duckdb.wal"
    whole = log.read_bytes()
    at = int(len(whole) * 0.8)
    log.write_bytes(
        {
            "cut": whole[:at],
            "flipped": whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :],
            "zeroed": whole[:at] + bytes(len(whole) - at),
            "garbage behind": whole + os.urandom(4096),
        }[harm]
    )
    store = Store.open(tmp_path)
    mark = ingest.bookmark(store, 1)
    assert mark is not None
    assert count(store) == (mark["n"] + 1) * 1000  # rows and bookmark agree: nothing twice
    assert 4 <= mark["n"] <= 9
    assert (mark["n"] == 9) == (harm == "garbage behind")
    aside = engine.damaged_logs(tmp_path)
    if harm in ("flipped", "zeroed"):
        assert aside[0].read_bytes() == log_as_left(whole, at, harm)
        assert "torn" in said(store)
        aside[0].unlink()
    assert "torn" not in said(store)
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 99}))
    store.close()
    again = Store.open(tmp_path)
    assert count(again) == (mark["n"] + 1) * 1000 + 20_000
    again.close()


def log_as_left(whole: bytes, at: int, harm: str) -> bytes:
    if harm == "flipped":
        return whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    return whole[:at] + bytes(len(whole) - at)


@pytest.mark.parametrize("harm", ["cut", "header", "not a store"])
def test_a_damaged_file_is_said_in_one_line_and_left_alone(tmp_path: Path, harm: str) -> None:
    Store.open(tmp_path).close()
    file = tmp_path / "guardian.duckdb"
    whole = file.read_bytes()
    broken = {
        "cut": whole[: len(whole) // 3],
        "header": whole[:5000] + bytes([whole[5000] ^ 0xFF]) + whole[5001:],
        "not a store": b"hello" * 9999,
    }[harm]
    file.write_bytes(broken)
    with pytest.raises(StoreDamagedError, match="guardian restore FILE --force") as error:
        Store.open(tmp_path)
    assert "\n" not in str(error.value)
    assert file.read_bytes() == broken
    answer = subprocess.run(
        [sys.executable, "-m", "guardian.cli", "status", "--data", str(tmp_path)],
        capture_output=True,
        check=False,
        timeout=240,
        env={**os.environ, "COLUMNS": "600", "GUARDIAN_CONFIG": ""},
    )
    assert answer.returncode == 3
    assert b"guardian restore FILE" in answer.stderr
    assert answer.stderr.count(b"\n") == 1


# -- disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disk(disk: Path) -> Path:
    """Take all the room that is left, as somebody else's file would."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return filler


@pytest.mark.root
@pytest.mark.parametrize("how", ["insert", "checkpoint"])
def test_a_disk_filled_by_others_stops_the_writer_only_while_it_is_full(
    disk: Path, how: str
) -> None:
    store = Store.open(disk / "data")
    store.reserve_bytes = 0  # so that DuckDB itself runs into the wall
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 0}))
    filler = fill_disk(disk)
    if how == "checkpoint":
        with pytest.raises(StoreError):
            store.checkpoint()  # after this, DuckDB gives the open file up for good
    with pytest.raises(StoreFullError, match="disk is full"):
        ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 1}))
    assert "full" in said(store)
    assert count(store) == 20_000  # the page goes on
    assert ingest.bookmark(store, source_id) == {"n": 0}
    filler.unlink()
    store._file.retry_at = 0.0  # it is tried again every two seconds
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 1}))
    assert count(store) == 40_000
    assert store.trouble is None
    store.close()
    again = Store.open(disk / "data")
    assert count(again) == 40_000
    again.close()


@pytest.mark.root
def test_a_full_disk_at_the_start_still_shows_what_is_stored(disk: Path) -> None:
    killed_while_writing(disk / "data", 5)
    filler = fill_disk(disk)
    store = Store.open(disk / "data")
    assert count(store) == 5000
    filler.unlink()
    store._file.retry_at = 0.0
    ingest.note_state(store, 1, "works")
    assert store.trouble is None
    store.close()


@pytest.mark.root
def test_a_read_only_disk_is_read_and_backed_up(disk: Path, tmp_path: Path) -> None:
    killed_while_writing(disk / "data", 5)  # with a log that is not folded in
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    store = Store.open(disk / "data")
    assert count(store) == 5000
    with pytest.raises(StoreReadOnlyError, match="read-only"):
        ingest.note_state(store, 1, "x")
    assert "read-only" in said(store)
    backup.backup(store, tmp_path / "copy")  # when a disk fails, a backup is wanted
    backup.restore(tmp_path / "copy", tmp_path / "elsewhere")
    elsewhere = Store.open(tmp_path / "elsewhere")
    assert count(elsewhere) == 5000
    elsewhere.close()
    assert store.read_only
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    ingest.note_state(store, 1, "works")  # by itself, without a restart
    assert not store.read_only
    assert "read-only" not in said(store)
    store.close()


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A disk with a journal that can be made to go read-only under an open file."""
    image, folder = tmp_path / "image", tmp_path / "ext4"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(256 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", str(image)], check=False, capture_output=True)
    mounted = (
        made.returncode == 0
        and not subprocess.run(
            ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)],
            check=False,
            capture_output=True,
        ).returncode
    )
    if not mounted:
        pytest.skip("no loop devices here")
    device = subprocess.run(
        ["findmnt", "-no", "SOURCE", str(folder)], capture_output=True, text=True, check=True
    ).stdout.strip()

    def fail() -> None:
        with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w") as file:  # noqa: PTH123, PTH119
            file.write("a test")

    yield folder, fail
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.root
def test_a_disk_that_fails_while_in_use_leaves_the_page(
    failing_disk: tuple[Path, Callable[[], None]],
) -> None:
    folder, fail = failing_disk
    store = Store.open(folder / "data")
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 0}))
    fail()  # the kernel remounts it read-only, as after a real error
    with pytest.raises(StoreError):
        ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 1}))
    assert count(store) == 20_000
    assert store.trouble is not None
    assert ingest.bookmark(store, source_id) == {"n": 0}
    store.close()


def test_a_disk_that_can_be_written_is_written_after_any_number_of_failures(store: Store) -> None:
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    for number in range(3):
        store._distrust()  # as after a COMMIT that lacked memory
        store._give_up()
        ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": number}))
    assert not store.read_only
    assert count(store) == 60_000


def test_who_reads_what_a_failed_commit_left_is_not_waited_for(store: Store) -> None:
    began = threading.Event()
    ended: list[str] = []

    def read() -> None:
        with store.read() as reader:
            assert reader.value("SELECT count(*) FROM source") == 0
            began.set()
            try:
                reader.value("SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000) b")
            except StoreError as error:
                ended.append(str(error))

    reading = threading.Thread(target=read)
    reading.start()
    assert began.wait(60)
    store._distrust()
    store._give_up()
    until = time.monotonic() + 60
    while not ended and time.monotonic() < until:
        with contextlib.suppress(StoreRetryError):
            count(store)
    reading.join(60)
    assert ended == ["Interrupted: the store is opened anew, or Guardian stops"]
    ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    assert count(store, "source") == 1


def test_a_file_deleted_under_the_running_store_is_written_anew(store: Store) -> None:
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 0}))
    assert store.path is not None
    shutil.rmtree(store.path.parent)
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 1}))
    assert "deleted" in said(store)
    retention.tick(store, now=NOW)
    assert "deleted" not in said(store)
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 2}))
    store.close()
    again = Store.open(store.path.parent)
    assert count(again) == 60_000
    again.close()


def test_a_copy_that_cannot_take_the_place_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.path is not None
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    for number, deleted in enumerate([False, True]):
        ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": number}))
        if deleted:
            store.path.unlink()
        for call in ("mkdir", "replace"):
            with monkeypatch.context() as refusing:
                refusing.setattr(type(store.path), call, refuse)
                with pytest.raises(StoreError, match="written anew: Read-only file system"):
                    store.rewrite()
        ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": -number}))
        assert count(store) == 40_000 * (number + 1)
    assert store.rewrite()
    assert stored_after_a_restart(store) == 80_000


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("whose", ["the copy", "the log"])
def test_a_log_that_was_not_folded_in_is_kept_with_its_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    for number in range(2):  # the second is in the log when the file is written anew
        store.checkpoint()
        ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": number}))
    usual = engine.copy_database

    def no_room(opened: duckdb.DuckDBPyConnection, copy: Path) -> None:
        if whose == "the log":
            usual(opened, copy)
        # A checkpoint at the end of a file that meets a full disk says nothing, like this.
        opened.execute("PRAGMA disable_checkpoint_on_shutdown")
        if whose == "the copy":
            usual(opened, copy)

    monkeypatch.setattr(engine, "copy_database", no_room)
    with pytest.raises(StoreRetryError, match=f"{whose} .*could not be"):
        store.rewrite()
    assert count(store) == 40_000
    assert stored_after_a_restart(store) == 40_000


def stored_after_a_restart(store: Store) -> int:
    assert store.path is not None
    store.close()
    again = Store.open(store.path.parent)
    number = count(again)
    again.close()
    return number


@pytest.mark.parametrize("muddled", [False, True])
def test_a_file_deleted_under_a_store_that_failed_is_written_anew(
    store: Store, *, muddled: bool
) -> None:
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    ingest.commit(store, source_id, Batch(tables={"flow": ROWS}, bookmark={"n": 0}))
    assert store.path is not None
    store.path.unlink()
    store._give_up()
    if muddled:
        store._distrust()
        with pytest.raises(StoreError, match="was deleted"), store.read():
            pass
    else:
        assert count(store) == 20_000
    with pytest.raises(StoreError, match="was deleted"):
        ingest.note_state(store, source_id, "works")
    assert not store.path.exists(), "no empty file in its place"
    retention.tick(store, now=NOW)
    ingest.note_state(store, source_id, "works")
    assert stored_after_a_restart(store) == 20_000


def test_a_deleted_file_that_cannot_be_read_any_more_is_said(store: Store) -> None:
    assert store.path is not None
    ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    with pytest.raises(StoreRetryError, match="opened anew"), store.read() as reader:
        # It ends as one does that the disk refused.
        reader.execute("SET debug_checkpoint_abort = 'before_header'; CHECKPOINT")
    store.path.unlink()
    with pytest.raises(StoreError, match=r"cannot be read any more.*guardian restore FILE"):
        retention.tick(store, now=NOW)
    assert not store.path.exists()


def test_another_file_is_left_alone_by_a_store_that_failed(store: Store) -> None:
    assert store.path is not None
    store.path.unlink()
    store.path.write_bytes(b"somebody's")
    store._give_up()
    assert count(store) == 0
    for work in (lambda: ingest.note_state(store, 1, "works"), store.checkpoint, store.rewrite):
        with pytest.raises(StoreError, match="another file"):
            work()
    assert store.path.read_bytes() == b"somebody's"


def test_another_file_in_its_place_is_left_alone(store: Store) -> None:
    assert store.path is not None
    store.path.unlink()
    store.path.write_bytes(b"somebody's")
    with pytest.raises(StoreError, match="left alone"):
        retention.tick(store, now=NOW)
    assert store.path.read_bytes() == b"somebody's"


# -- clocks


def filled(store: Store, days: int = 60) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO flow (id, ts, source_id) SELECT i, $now - to_days(i::INTEGER), 1 "
            "FROM range(1, $days + 1) t(i)",
            {"now": NOW, "days": days},
        )
        tx.execute("UPDATE row_counter SET next_id = $days + 1", {"days": days})


def test_a_clock_ten_years_ahead_deletes_nothing(store: Store) -> None:
    filled(store)
    limits = Limits(keep_days=90)
    boot = Boot(name="one", up_s=1000.0)
    clock.backdate(store)
    clock.note(store, NOW, running=boot)
    ahead = NOW + timedelta(days=3650)
    age = clock.note(store, ahead, running=Boot(name="one", up_s=1060.0))
    assert age == pytest.approx(60)
    filled_later = Limits(keep_days=30)
    assert count(store) == 60
    # Rows stored within what Guardian itself lived through stay, whatever the clock says.
    with store.transaction() as tx:
        tx.execute("DELETE FROM stored_mark WHERE next_id > 1")
    retention.enforce(store, limits, now=ahead)
    retention.enforce(store, filled_later, now=ahead)
    assert count(store, "all_flow") == 60
    jump = said(store)
    assert "jumped forward by 3,650 days" in jump
    assert "Nothing is deleted because of it" in jump


def test_rows_grow_old_as_the_machine_runs(store: Store) -> None:
    filled(store)
    with store.transaction() as tx:
        tx.execute("DELETE FROM stored_mark WHERE next_id > 1")
    up, now = 1000.0, NOW
    for _ in range(8):  # 48 days, a note each week
        age = clock.note(store, now, running=Boot(name="one", up_s=up))
        up, now = up + 6 * DAY_S, now + timedelta(days=6)
    with store.read() as reader:
        assert clock.trouble(reader) is None
        assert clock.stored_before(reader, age, timedelta(days=40)) == 61
        assert clock.stored_before(reader, age, timedelta(days=43)) <= 1


def test_back_and_across_a_restart(store: Store) -> None:
    clock.note(store, NOW, running=Boot(name="one", up_s=5000.0))
    # The machine was off for three days: that is believed.
    age = clock.note(store, NOW + timedelta(days=3), running=Boot(name="two", up_s=20.0))
    assert age == pytest.approx(3 * DAY_S)
    with store.read() as reader:
        assert clock.trouble(reader) is None
    # It starts with the clock of its factory: time does not run backwards.
    age = clock.note(store, datetime(2000, 1, 1), running=Boot(name="three", up_s=20.0))
    assert age == pytest.approx(3 * DAY_S)
    with store.read() as reader:
        assert "back by" in str(clock.trouble(reader))
    # The network's time comes: believed for a week at most.
    age = clock.note(store, NOW + timedelta(days=3), running=Boot(name="three", up_s=90.0))
    assert age == pytest.approx(3 * DAY_S + 70)


def test_events_of_tomorrow_are_said(store: Store) -> None:
    source_id = ingest.register(store, SourceInfo(name="eve", kind="eve", path="eve"))
    ahead = pa.table({"ts": pa.array([NOW + timedelta(days=400)], pa.timestamp("us"))})
    ingest.commit(store, source_id, Batch(tables={"flow": ahead}, bookmark={}))
    assert "which is still to come" in said(store)


def test_rows_of_the_future_do_not_stay_for_good(store: Store) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO flow (id, ts, source_id, community_id) "
            "SELECT i, $now + to_days(900) + to_seconds(i), 1, md5(i::VARCHAR) "
            "FROM range(1, 200001) t(i)",
            {"now": NOW},
        )
    store.checkpoint()
    used = room.sizes(store)
    limits = Limits(max_bytes=used.hot_bytes // 2, compact_min_bytes=1 << 20)
    retention.enforce(store, limits, now=NOW)
    assert count(store) < 200_000


# -- one writer, many readers


def test_the_page_reads_while_a_long_commit_is_written(store: Store) -> None:
    with store.transaction() as tx:
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('a', 'b', 'c')")
    busy, enough = threading.Event(), threading.Event()

    def write() -> None:
        with store.transaction() as tx:
            busy.set()
            for _ in range(3):
                tx.execute(
                    "INSERT INTO flow (id, ts, source_id, community_id) "
                    "SELECT i, $now, 1, md5(i::VARCHAR) FROM range(200000) t(i)",
                    {"now": NOW},
                )
            assert enough.wait(60), "nobody can read while it is written"

    writer = threading.Thread(target=write)
    writer.start()
    assert busy.wait(60)
    read = 0
    while writer.is_alive():
        with store.read() as reader:
            assert reader.value("SELECT count(*) FROM source") == 1
            seen = reader.value("SELECT count(*) FROM flow")
            assert seen in (0, 600_000)
        read += seen == 0
        if read == 20:
            enough.set()
        time.sleep(0.01)
    writer.join()
    assert read >= 20
    assert count(store) == 600_000


def test_memory_that_is_only_kept_is_given_back(store: Store) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO flow (id, ts, source_id, community_id) "
            "SELECT i, $now, 1, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) "
            "FROM range(500000) t(i)",
            {"now": NOW},
        )
    with store.read() as reader:
        reader.rows("SELECT community_id, count(*) FROM flow GROUP BY 1 LIMIT 1")
        assert not store.squeeze()  # somebody reads
    held = memory(store)
    assert store.squeeze()
    assert memory(store) <= min(held, engine.KEPT_BYTES)
    with store.read() as reader:
        limit = reader.value("SELECT current_setting('memory_limit')")
        assert reader.value("SELECT count(*) FROM flow") == 500_000
    assert limit == f"{engine.EVERYDAY_BYTES / (1 << 20):.1f} MiB"


def test_a_query_that_reads_what_was_changed_holds_the_log_off(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FOLD_PATIENCE_S", 0.0)
    with store.transaction() as tx:
        tx.execute("CREATE TABLE noted (i INTEGER)")
        tx.execute("INSERT INTO noted SELECT * FROM range(1000)")
    store.checkpoint()
    with store.read() as reader:
        reader.execute("BEGIN TRANSACTION")
        assert reader.value("SELECT sum(i) FROM noted") == 499_500
        with store.transaction() as tx:
            tx.execute("UPDATE noted SET i = 0")
        with pytest.raises(StoreRetryError, match="a query still reads what was changed"):
            store.checkpoint()
        assert not store.squeeze()
        store.require_room()
        assert reader.value("SELECT sum(i) FROM noted") == 499_500
    store.checkpoint()
    assert store.squeeze()
    with store.read() as reader:
        assert reader.value("SELECT sum(i) FROM noted") == 0


def memory(store: Store) -> int:
    with store.read() as reader:
        return int(reader.value("SELECT sum(memory_usage_bytes) FROM duckdb_memory()"))


def test_single_rows_of_one_transaction_take_little_memory(store: Store) -> None:
    with store.transaction() as tx:
        for number in range(1500):
            tx.execute(
                "INSERT INTO device (device_id, name, first_seen, last_seen) VALUES (?, 'x', ?, ?)",
                [f"d{number}", NOW, NOW],
            )
        held = tx.value("SELECT sum(memory_usage_bytes) FROM duckdb_memory()")
    assert held < 32 << 20


def test_a_stop_does_not_wait_for_a_long_statement(store: Store) -> None:
    ended: list[str] = []

    def read() -> None:
        with store.read() as reader:
            try:
                reader.value("SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000) b")
            except StoreError as error:
                ended.append(str(error))

    def write() -> None:
        try:
            with store.transaction() as tx:
                tx.execute("INSERT INTO source (name, kind, path) VALUES ('a', 'b', 'c')")
                tx.execute("SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000) b")
        except StoreError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=read), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    until = time.monotonic() + 60
    while store.abandon() and time.monotonic() < until:
        time.sleep(0.01)
    for thread in threads:
        thread.join(60)
    assert len(ended) == 2
    with pytest.raises(StoreError, match="stopping"), store.read():
        pass
