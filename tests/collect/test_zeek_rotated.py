"""One Zeek log as a source: what it was rotated into, beside it and in the archive, read once."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.collect import zeek, zeek_memory, zeek_pass, zeek_rotated
from guardian.collect.kinds import detect_kind
from guardian.collect.reader import drain
from guardian.collect.zeek import ZeekCollector
from guardian.errors import InputError
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FIELDS = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "conn_state"]
FIRST = 1_700_000_000
HOUR_S = 3600


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeek, "LOOK_EVERY_S", 0.0)


class Zeek:
    """What Zeek and zeekctl do with one log; each record is a second after the one before."""

    def __init__(self, home: Path, *, json: bool = False) -> None:
        self.home = home
        self.current = home / "current"
        self.log = self.current / "conn.log"
        self.current.mkdir(parents=True)
        self.json = json
        self.written = 0
        self.hour = 0

    def write(self, count: int) -> None:
        """Append records, each with a second of its own."""
        with self.log.open("a") as file:
            if not self.json and not self.log.stat().st_size:
                file.write(f"#separator \\x09\n#path\tconn\n#open\t{self.hour}\n")
                file.write("#fields\t" + "\t".join(FIELDS) + "\n")
            for at in range(self.written, self.written + count):
                values = [FIRST + at, f"C{at}", "192.168.1.5", 4000, "192.0.2.9", 443, "tcp", "SF"]
                if self.json:
                    pairs = zip(FIELDS, values, strict=True)
                    line = ",".join(f'"{k}":{v!r}'.replace("'", '"') for k, v in pairs)
                    file.write("{" + line + "}\n")
                else:
                    file.write("\t".join(map(str, values)) + "\n")
            self.written += count
        settle(self.log, hours_ago=99.5 - self.hour)

    def beside(self) -> Path:
        """Rotate as Zeek itself does."""
        return self._to(self.current / f"conn.2026-11-20-{self.hour:02}-00-00.log")

    def queue(self) -> Path:
        """Rotate as a supervised Zeek does, for zeek-archiver."""
        hours = f"2026-11-20-{self.hour:02}-00-00__2026-11-20-{self.hour + 1:02}-00-00"
        return self._to(self.current / "log-queue" / f"conn__{hours}__.log")

    def archive(self) -> Path:
        """Rotate as zeekctl does: packed, in the folder of the day."""
        name = f"conn.{self.hour:02}:00:00-{self.hour + 1:02}:00:00.log"
        return packed(self._to(self.home / "2026-11-20" / name))

    def _to(self, place: Path) -> Path:
        if not self.json:
            with self.log.open("a") as file:
                file.write(f"#close\t{self.hour}\n")
        place.parent.mkdir(exist_ok=True)
        self.log.rename(place)
        settle(place, hours_ago=99 - self.hour)
        self.hour += 1
        return place


def settle(path: Path, *, hours_ago: float) -> None:
    """Give a file its age: rotated logs are not of one instant."""
    when = time.time() - hours_ago * HOUR_S
    os.utime(path, (when, when))


def packed(path: Path) -> Path:
    there = path.with_name(path.name + ".gz")
    there.write_bytes(gzip.compress(path.read_bytes()))
    settle(there, hours_ago=(time.time() - path.stat().st_mtime) / HOUR_S)
    path.unlink()
    return there


def seconds(store: Store) -> list[int]:
    with store.read() as reader:
        rows = reader.rows("SELECT epoch(ts)::BIGINT - 1700000000 AS s FROM flow ORDER BY id")
    return [row["s"] for row in rows]


def follower(home: Zeek, days: float = 7) -> ZeekCollector:
    return ZeekCollector(path=home.log, first_days=days)


@pytest.mark.parametrize("json", [False, True], ids=["tsv", "json"])
def test_what_was_rotated_while_down_is_read_once_and_in_order(
    tmp_path: Path, memory_store: Store, *, json: bool
) -> None:
    home = Zeek(tmp_path, json=json)
    home.write(5)
    assert drain(memory_store, follower(home)).events == 5
    home.write(4)  # the rest of the file that was being read
    home.archive()
    home.write(3)
    packed(home.beside())
    home.write(2)
    home.queue()
    home.write(2)
    home.beside()
    home.write(1)
    (home.current / "conn-summary.10:00:00-11:00:00.log").write_text("Lorem ipsum\n")
    (home.current / "dns.2026-11-20-10-00-00.log").write_text("of another log\n")
    assert drain(memory_store, follower(home)).events == 12
    for _ in range(2):
        assert drain(memory_store, follower(home)).events == 0
    assert drain(memory_store, follower(home), final=True).events == 0
    assert seconds(memory_store) == list(range(17))


def test_the_first_reading_goes_some_days_back_and_a_replay_does_not(tmp_path: Path) -> None:
    home = Zeek(tmp_path)
    home.write(3)
    settle(home.archive(), hours_ago=24 * 8)
    home.write(2)
    home.archive()
    home.write(1)
    for collector, final, expected in [
        (follower(home), False, [3, 4, 5]),
        (follower(home, days=0), False, [5]),
        (follower(home), True, [5]),
        (follower(home, days=30), False, [0, 1, 2, 3, 4, 5]),
    ]:
        store = Store.memory()
        drain(store, collector, final=final)
        drain(store, collector, final=final)
        assert seconds(store) == expected
        store.close()


def test_the_file_may_be_packed_moved_and_away_at_any_time(
    tmp_path: Path, memory_store: Store
) -> None:
    """Between its rotation and its next record there is no conn.log, which is no fault."""
    home = Zeek(tmp_path)
    home.write(3)
    drain(memory_store, follower(home))
    home.write(2)
    plain = home.beside()
    for _ in range(2):
        assert drain(memory_store, follower(home)).error is None
    there = packed(plain)
    settle(there, hours_ago=0.1)  # zeekctl packs by a pipe: the archive is younger than the log
    drain(memory_store, follower(home))
    (tmp_path / "2026-11-20").mkdir()
    there = there.rename(tmp_path / "2026-11-20" / "conn.00:00:00-01:00:00.log.gz")
    twin = there.with_name("conn.00:00:00-01:00:00.log.zst")
    twin.write_bytes(zstandard.compress(gzip.decompress(there.read_bytes())))
    settle(twin, hours_ago=0.05)
    home.write(1)
    progress = drain(memory_store, follower(home))
    assert (progress.events, progress.error) == (1, None)
    assert seconds(memory_store) == list(range(6))


def test_a_log_that_is_gone_for_good_is_an_error(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Zeek(tmp_path)
    error = drain(memory_store, follower(home)).error
    assert error == f"{home.log}: no such file"
    home.write(1)
    drain(memory_store, follower(home))
    home.log.unlink()
    assert drain(memory_store, follower(home)).error is None  # it may be being rotated
    monkeypatch.setattr(zeek_rotated, "GONE_S", 0.0)
    error = drain(memory_store, follower(home)).error
    assert error == f"{home.log}: the log is gone, and no other has taken its place"
    (home.current / "dns.log").write_text("Zeek is there, and has no connection to tell of\n")
    assert drain(memory_store, follower(home)).error is None


def test_a_last_line_without_its_end_is_read_once_nobody_will_end_it(
    tmp_path: Path, memory_store: Store
) -> None:
    home = Zeek(tmp_path, json=True)
    home.write(3)
    drain(memory_store, follower(home))
    home.write(2)
    rotated = home.beside()
    rotated.write_bytes(rotated.read_bytes().removesuffix(b"\n"))  # now: perhaps it grows on
    home.write(1)
    assert drain(memory_store, follower(home)).events == 2
    settle(rotated, hours_ago=1)
    assert drain(memory_store, follower(home)).events == 1
    assert drain(memory_store, follower(home)).events == 0
    assert sorted(seconds(memory_store)) == list(range(6))


@pytest.mark.parametrize("rotated", [False, True])
def test_the_bookmark_of_an_older_guardian_repeats_nothing(
    tmp_path: Path, memory_store: Store, *, rotated: bool
) -> None:
    home = Zeek(tmp_path)
    for _ in range(3):  # read by the older one as they were current; its bookmark forgot them
        home.write(2)
        home.archive()
    home.write(2)
    (batch,) = ZeekCollector(path=home.log).batches(None, final=True)
    files = batch.bookmark["files"]
    assert isinstance(files, dict)
    older = {"files": {key: at[:3] for key, at in files.items()}}
    assert len(older["files"]) == 1
    if rotated:
        home.archive()
    home.write(3)
    found = sum(batch.events for batch in follower(home).batches(older))
    assert found == 3


def test_what_was_read_long_ago_is_forgotten_in_the_bookmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeek_pass, "MAX_UNSEEN", 2)
    home = Zeek(tmp_path)
    mark = None
    for _ in range(90):
        home.write(1)
        home.beside()
    home.write(1)
    for _ in range(3):  # read, found to be read, forgotten
        for batch in follower(home).batches(mark):
            mark = batch.bookmark
        home.write(1)
    assert mark is not None
    kept = mark["files"]
    assert isinstance(kept, dict)
    assert 48 <= len(kept) <= 53  # two days of hourly ones, two that are unseen, and the log
    assert sum(batch.events for batch in follower(home).batches(mark)) == 1


def test_a_rotated_file_that_cannot_be_read_is_said_until_it_can(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Zeek(tmp_path)
    home.write(2)
    locked = home.beside()
    home.write(1)
    describe = zeek.zeek_files.describe

    def refusing(file: Path, **more: object) -> object:
        if file == locked:  # as a file mode would, if tests did not run as root
            raise PermissionError(13, "Permission denied", str(file))
        return describe(file, **more)  # type: ignore[arg-type] # handed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(zeek.zeek_files, "describe", refusing)
        for events in (1, 0):
            got = drain(memory_store, follower(home))
            assert (got.events, got.error) == (events, f"cannot read {locked}: Permission denied")
    assert drain(memory_store, follower(home)).events == 2
    assert sorted(seconds(memory_store)) == [0, 1, 2]


def test_zeek_is_found_from_its_spool_too(tmp_path: Path, memory_store: Store) -> None:
    spool = tmp_path / "spool" / "zeek"
    spool.mkdir(parents=True)
    logs = tmp_path / "logs"
    day = logs / "2026-11-20"
    day.mkdir(parents=True)
    (logs / "current").symlink_to(spool)
    home = Zeek(tmp_path / "elsewhere")
    home.write(2)
    there = home.archive()
    there.rename(day / there.name)
    home.write(1)
    home.log.rename(spool / "conn.log")
    for named in (spool / "conn.log", logs / "current" / "conn.log"):
        store = Store.memory()
        assert drain(store, ZeekCollector(path=named, first_days=7)).events == 3
        store.close()


def test_a_folder_still_reads_nothing_twice(tmp_path: Path, memory_store: Store) -> None:
    home = Zeek(tmp_path)
    folder = ZeekCollector(path=tmp_path, first_days=7)
    rotations: list[Callable[[], Path]] = [home.beside, home.archive, home.queue]
    for rotate in rotations:
        home.write(2)
        drain(memory_store, folder)
        home.write(1)
        rotate()
        drain(memory_store, folder)
    home.write(1)
    drain(memory_store, folder)
    assert sorted(seconds(memory_store)) == list(range(10))


def test_a_folder_is_read_with_what_current_links_to(tmp_path: Path, memory_store: Store) -> None:
    home = Zeek(tmp_path / "spool")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "current").symlink_to(home.current)
    (logs / "again").symlink_to(home.current)
    (logs / "itself").symlink_to(logs)
    (logs / "around").symlink_to(tmp_path)
    home.write(2)
    assert detect_kind(logs) == "zeek"
    folder = ZeekCollector(path=logs)
    assert drain(memory_store, folder).events == 2
    home.write(1)
    there = home.archive()
    day = logs / "2026-11-20"
    day.mkdir()
    there.rename(day / there.name)
    home.write(1)
    assert drain(memory_store, folder).events == 2
    assert sorted(seconds(memory_store)) == [0, 1, 2, 3]


def test_what_of_a_folder_cannot_be_listed_is_said(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Zeek(tmp_path)
    home.write(1)
    locked = tmp_path / "2026-11-20"
    locked.mkdir()
    scandir = os.scandir

    def refusing(path: str | Path = ".") -> object:
        if str(path) in refused:  # as a folder's mode would, if tests did not run as root
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    refused = {str(locked)}
    got = drain(memory_store, ZeekCollector(path=tmp_path))
    assert (got.events, got.error) == (1, f"cannot read {locked}: Permission denied")
    refused = {str(tmp_path)}
    error = drain(memory_store, ZeekCollector(path=tmp_path)).error
    assert error == f"cannot read {tmp_path}: Permission denied"
    with pytest.raises(InputError, match="Permission denied"):
        detect_kind(tmp_path)


def archive_of(home: Zeek, hours: int) -> None:
    """Fill a folder of a day for each 24 hours, a record in each file."""
    for hour in range(hours):
        home.write(1)
        there = home.beside()
        day = home.home / f"day-{hour // 24:03}"
        day.mkdir(exist_ok=True)
        there.rename(day / there.name)


def looks(home: Zeek, mark: dict[str, object] | None, times: int) -> tuple[dict[str, object], int]:
    """Look at a folder some times, each with a new record and nothing but the bookmark."""
    events = 0
    for _ in range(times):
        home.write(1)
        for batch in ZeekCollector(path=home.home).batches(mark):
            mark = json_of(batch.bookmark)
            events += batch.events
    assert mark is not None
    return mark, events


def json_of(bookmark: Mapping[str, object]) -> dict[str, object]:
    made = json.loads(json.dumps(bookmark))
    assert isinstance(made, dict)
    return made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what was read at the next look, not after hours."""
    monkeypatch.setattr(zeek_memory, "LATE_NS", 0)
    monkeypatch.setattr(zeek_pass, "MAX_UNSEEN", 2)


@pytest.mark.usefixtures("at_once")
def test_a_folder_forgets_what_was_read_long_ago_and_repeats_nothing(tmp_path: Path) -> None:
    home = Zeek(tmp_path)
    archive_of(home, 90)
    mark, events = looks(home, None, 1)
    files = mark["files"]
    assert isinstance(files, dict)
    assert (events, len(files)) == (91, 91)
    mark, events = looks(home, mark, 4)
    files = mark["files"]
    assert isinstance(files, dict)
    assert events == 4
    assert 48 <= len(files) <= 53  # two days of hourly ones, two that are unseen, and the log
    old = tmp_path / "day-000" / "conn.2026-11-20-00-00-00.log"
    packed(old)
    (tmp_path / "day-000").rename(tmp_path / "first")
    mark, events = looks(home, mark, 3)
    assert events == 3


@pytest.mark.usefixtures("at_once")
def test_a_folder_of_old_logs_that_is_copied_in_later_is_read(tmp_path: Path) -> None:
    home = Zeek(tmp_path / "followed")
    archive_of(home, 60)
    mark, _ = looks(home, None, 4)
    other = Zeek(tmp_path / "other")
    other.written = 1000
    archive_of(other, 3)
    (other.home / "day-000").rename(home.home / "copied")
    mark, events = looks(home, mark, 1)
    assert events == 3 + 1
    assert looks(home, mark, 4)[1] == 4


def test_a_copy_into_a_known_folder_may_take_hours_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Zeek(tmp_path / "followed")
    archive_of(home, 90)
    day = home.home / "day-000"
    late = sorted(day.iterdir())[:5]
    for file in late:
        file.rename(tmp_path / file.name)
    mark, events = looks(home, None, 5)
    assert events == 85 + 5
    for file in late:
        (tmp_path / file.name).rename(file)
    mark, events = looks(home, mark, 1)
    assert events == 5 + 1
    monkeypatch.setattr(zeek_memory, "LATE_NS", 0)  # the hours have passed
    mark, events = looks(home, mark, 3)
    forgotten = mark["forgotten"]
    assert isinstance(forgotten, dict)
    assert forgotten["since_ns"] > (day / late[0].name).stat().st_mtime_ns
    assert events == 3


@pytest.mark.usefixtures("at_once")
def test_the_bookmark_of_an_older_guardian_of_a_folder_repeats_nothing(tmp_path: Path) -> None:
    home = Zeek(tmp_path)
    archive_of(home, 60)
    mark, _ = looks(home, None, 1)
    older: dict[str, object] = {"files": mark["files"]}
    mark, events = looks(home, older, 4)
    assert events == 4
    assert "forgotten" in mark


@pytest.mark.usefixtures("at_once")
def test_a_file_from_the_future_makes_a_folder_forget_nothing_that_comes(tmp_path: Path) -> None:
    home = Zeek(tmp_path)
    home.write(1)
    settle(home.beside(), hours_ago=-24 * 365)
    home.hour = 90  # written nine hours ago
    mark, events = looks(home, None, 4)
    assert events == 5
    held = mark["forgotten"]
    assert isinstance(held, dict)
    mark["forgotten"] = held | {"since_ns": time.time_ns() * 2}  # the clock was put back
    assert looks(home, mark, 2)[1] == 2


def test_a_first_reading_that_is_killed_knows_what_it_read_only(tmp_path: Path) -> None:
    home = Zeek(tmp_path)
    archive_of(home, 60)
    home.write(1)
    reading = ZeekCollector(path=tmp_path, block_bytes=1).batches(None)
    events = 0
    while not events:
        first = next(iter(reading))
        events += first.events
    mark = json_of(first.bookmark)
    files = mark["files"]
    assert isinstance(files, dict)
    assert len(files) == 1
    rest = ZeekCollector(path=tmp_path).batches(mark)
    assert events + sum(batch.events for batch in rest) == 61


STEPS = st.lists(
    st.sampled_from(["write", "beside", "queue", "archive", "pack", "read", "restart"]),
    min_size=3,
    max_size=14,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, form=st.booleans(), folder=st.booleans())
def test_any_order_of_writing_rotating_and_reading_gives_each_record_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], *, form: bool, folder: bool
) -> None:
    """The bookmark is all that is kept from one reading to the next, as after a kill.

    Of a folder it forgets what is older than the file that was written last, and at once.
    """
    with pytest.MonkeyPatch.context() as patch:
        if folder:
            patch.setattr(zeek_memory, "LATE_NS", 0)
            patch.setattr(zeek_rotated, "KEPT_NS", 1)
            patch.setattr(zeek_pass, "MAX_UNSEEN", 1)
        home = Zeek(tmp_path_factory.mktemp("zeek"), json=form)
        _in_any_order(home, steps, folder=folder)


def _in_any_order(home: Zeek, steps: list[str], *, folder: bool) -> None:
    def reader() -> ZeekCollector:
        return ZeekCollector(path=home.home) if folder else follower(home)

    home.write(1)
    collector, mark, events = reader(), None, 0
    rotated: list[Path] = []
    for step in [*steps, "write", "read", "read"]:
        if step == "write":
            home.write(2)
        elif step in {"beside", "queue", "archive"} and home.log.exists():
            rotated.append(getattr(home, step)())
        elif step == "pack" and rotated and rotated[-1].suffix != ".gz":
            rotated[-1] = packed(rotated[-1])
        elif step in {"read", "restart"}:
            if step == "restart":
                collector = reader()
            for batch in collector.batches(mark):
                mark = json_of(batch.bookmark)
                events += batch.events
                assert not batch.rejects
    assert events == home.written


READER = """
import sys
from pathlib import Path
from guardian.collect import zeek
from guardian.collect.reader import drain
from guardian.store import Store
zeek.LOOK_EVERY_S = 0.0
store = Store.open(Path(sys.argv[1]))
collector = zeek.ZeekCollector(path=Path(sys.argv[2]), first_days=7, block_bytes=20_000)
while True:
    drain(store, collector)
    print("round", flush=True)
"""


def test_kill_between_rotations_loses_and_repeats_nothing(tmp_path: Path) -> None:
    home = Zeek(tmp_path / "zeek")
    data = tmp_path / "data"
    for number, rotate in enumerate([home.archive, home.beside, None]):
        home.write(3000)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(data), str(home.log)], stdout=subprocess.PIPE
        )
        assert reader.stdout is not None
        if number != 1:  # once it is killed at its first commits or before
            assert reader.stdout.readline() == b"round\n"
        home.write(2000)
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        reader.stdout.close()
        if rotate is not None:
            rotate()
    store = Store.open(data)
    drain(store, follower(home))
    found = seconds(store)
    store.close()
    assert sorted(found) == list(range(15_000))
