from __future__ import annotations

import gzip
import lzma
import os
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.collect import compressed, parser_spec
from guardian.collect.base import Closing
from guardian.collect.eve import EveCollector
from guardian.collect.tail_held import Held
from guardian.collect.tail_mark import Mark
from guardian.collect.tailer import GONE, Tailer
from guardian.collect.text_log import TextLogCollector
from guardian.errors import CollectorError


class Follower:
    """Read a log step by step, through the bookmark's JSON form, as the store would."""

    def __init__(self, path: Path, held: Held | None = None, **limits: int) -> None:
        self.tailer = Tailer(path=path, held=held, **limits)
        self.bookmark: dict[str, object] | None = None
        self.lines: list[bytes] = []
        self.reasons: list[str] = []
        self.places: list[str] = []

    def read(self, *, final: bool = False, most: int = 1_000_000) -> None:
        for chunk in self.tailer.unread(Mark.from_json(self.bookmark), final=final):
            self.lines += chunk.data.splitlines()
            self.reasons += [reject.reason for reject in chunk.rejects]
            self.places += [reject.place for reject in chunk.rejects]
            self.bookmark = chunk.mark.as_json()
            most -= 1
            if not most:
                break  # killed here: what follows is not committed


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "eve.json"


def test_a_half_line_waits_for_its_end(log: Path) -> None:
    follower = Follower(log)
    log.write_bytes(b"one\ntw")
    follower.read()
    assert follower.lines == [b"one"]
    with log.open("ab") as file:
        file.write(b"o\n\xc3")
    follower.read()
    with log.open("ab") as file:
        file.write(b"\xa9\n")
    follower.read()
    assert follower.lines == [b"one", b"two", "é".encode()]


def test_the_last_line_of_a_finished_file_needs_no_newline(log: Path) -> None:
    log.write_bytes(b"one\ntwo")
    follower = Follower(log)
    follower.read(final=True)
    follower.read(final=True)
    assert follower.lines == [b"one", b"two"]


def test_a_renamed_log_is_read_to_its_end_before_its_successor(log: Path) -> None:
    log.write_bytes(b"a1\na2\n")
    follower = Follower(log)
    follower.read()
    with log.open("ab") as file:
        file.write(b"a3\n")
    log.rename(log.with_name("eve.json.1"))
    log.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"a3", b"b1"]


def test_a_writer_that_still_holds_the_renamed_log_is_waited_for(log: Path) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    with log.open("ab") as writer:
        log.rename(log.with_name("eve.json.1"))
        log.touch()  # logrotate's "create", before the writer is told
        writer.write(b"a2\na")
        writer.flush()
        follower.read()
        assert follower.lines == [b"a1", b"a2"]
        writer.write(b"3\n")
    log.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"a3", b"b1"]


@pytest.mark.parametrize("pack", ["plain", "gz", "zst"])
def test_logs_rotated_while_down_are_each_read_once(log: Path, pack: str) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    log.write_bytes(b"a1\na2\n")
    _rotate(log, "eve.json.2", pack, age_s=20)
    log.write_bytes(b"b1\nb2\n")
    _rotate(log, "eve.json.1", pack, age_s=10)
    log.write_bytes(b"c1\n")
    follower.read()
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"b1", b"b2", b"c1"]


def test_rotated_logs_are_read_even_when_the_one_we_were_in_is_gone(log: Path) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    _age(log, 30)
    follower.bookmark = {**(follower.bookmark or {}), "mtime_ns": log.stat().st_mtime_ns}
    log.write_bytes(b"old\n")
    _rotate(log, "eve.json.3", "plain", age_s=40)
    log.write_bytes(b"b1\n")
    _rotate(log, "eve.json.1", "plain", age_s=10)
    log.write_bytes(b"c1\n")
    follower.read()
    assert follower.lines == [b"a1", b"b1", b"c1"]


@pytest.mark.parametrize("pack", ["plain", "gz", "zst"])
def test_the_first_reading_takes_in_the_last_days(log: Path, pack: str) -> None:
    for age, text in ((9, b"old\n"), (3, b"three\n"), (1, b"one\n")):
        log.write_bytes(text)
        _rotate(log, f"eve.json.{age}", pack, age_s=age * 86_400)
    log.write_bytes(b"now\n")
    follower = Follower(log, first_days=7)
    follower.read(most=1)  # killed after the first of them
    follower.read()
    follower.read()
    assert follower.lines == [b"three", b"one", b"now"]
    today = Follower(log)
    today.read()
    assert today.lines == [b"now"]
    named = Follower(log, first_days=7)
    named.read(final=True)  # one file that was named: its own lines only
    assert named.lines == [b"now"]


@pytest.mark.parametrize("pack", ["plain", "gz", "zst"])
def test_logs_that_all_begin_alike_are_told_apart(log: Path, pack: str) -> None:
    """A table with a line of names, or a note of the time zone, begins each file."""
    top = b"# guardian: timezone=UTC\n"
    log.write_bytes(top + b"a1\n")
    follower = Follower(log, first_days=7)
    follower.read()
    _rotate(log, "eve.json.3", pack, age_s=60)
    log.write_bytes(top + b"b1\n")
    _age(log, 50)
    follower.read()
    with log.open("ab") as file:
        file.write(b"b2\n")
    _rotate(log, "eve.json.2", pack, age_s=40)
    log.write_bytes(top + b"c1\n")
    _rotate(log, "eve.json.1", pack, age_s=30)
    log.write_bytes(top + b"d1\n")
    follower.read()
    follower.read()
    rows = [b"a1", b"b1", b"b2", b"c1", b"d1"]
    assert [line for line in follower.lines if line != top.strip()] == rows
    anew = Follower(log, first_days=7)
    anew.read(most=1)  # killed after the first file
    anew.read()
    assert [line for line in anew.lines if line != top.strip()] == rows


def test_a_log_of_which_only_the_common_line_was_read_is_found_by_its_time(log: Path) -> None:
    log.write_bytes(b"ts,a\nold\n")
    _rotate(log, "eve.json.2", "gz", age_s=90)
    log.write_bytes(b"ts,a\n")
    _age(log, 60)
    follower = Follower(log)
    follower.read()
    with log.open("ab") as file:
        file.write(b"b1\n")
    _rotate(log, "eve.json.1", "gz", age_s=30)
    log.write_bytes(b"ts,a\nc1\n")
    follower.read()
    assert [line for line in follower.lines if line != b"ts,a"] == [b"b1", b"c1"]


def test_a_file_that_only_begins_like_the_one_read_is_another(log: Path) -> None:
    log.write_bytes(b"ts,a\na1\n")
    follower = Follower(log)
    follower.read()
    log.write_bytes(b"ts,a\nb1\nb2\nb3\n")  # in its place, and longer
    follower.read()
    assert follower.lines == [b"ts,a", b"a1", b"ts,a", b"b1", b"b2", b"b3"]


@pytest.mark.parametrize("pack", ["plain", "gz"])
def test_the_mark_of_an_older_guardian_is_gone_on_from(log: Path, pack: str) -> None:
    log.write_bytes(b"a1\na2\n")
    follower = Follower(log)
    follower.read()
    told = follower.bookmark or {}
    follower.bookmark = {
        key: told[key] for key in ("head", "inode", "offset", "mtime_ns", "skipping")
    }
    with log.open("ab") as file:
        file.write(b"a3\n")
    _rotate(log, "eve.json.1", pack)
    log.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"a3", b"b1"]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Return the files that are to be refused, as by their mode if tests did not run as root."""
    names: set[Path] = set()
    asked = compressed.is_compressed

    def refusing(path: Path) -> bool:
        if path in names:
            raise PermissionError(13, "Permission denied", str(path))
        return asked(path)

    monkeypatch.setattr(compressed, "is_compressed", refusing)
    return names


def test_an_old_rotated_file_that_cannot_be_read_is_not_even_opened(
    log: Path, refused: set[Path]
) -> None:
    log.write_bytes(b"old\n")
    refused.add(_rotate(log, "eve.json.5", "gz", age_s=86_400))
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    log.rename(log.with_name("eve.json.1"))
    log.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"a1", b"b1"]
    assert not follower.reasons


@pytest.mark.parametrize("how", ["refused", "damaged"])
def test_a_rotated_file_that_cannot_be_read_is_said_once_and_passed_over(
    log: Path, refused: set[Path], how: str
) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    with log.open("ab") as file:
        file.write(b"a2\n")
    _rotate(log, "eve.json.3", "plain")
    for name, ahead_s in (("eve.json.2", 5), ("eve.json.1", 10)):
        log.write_bytes(name.encode() + b"\n")
        _rotate(log, name, "gz", age_s=-ahead_s)
    lost = log.with_name("eve.json.2.gz")
    why = "Permission denied" if how == "refused" else "damaged at its beginning"
    if how == "refused":
        refused.add(lost)
    else:
        lost.write_bytes(lost.read_bytes()[:3] + b"\xff" * 20)
        _age(lost, -5)
    log.write_bytes(b"c1\n")
    with pytest.raises(CollectorError, match=f"^cannot read {lost}: {why}$"):
        follower.read()
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"eve.json.1", b"c1"]
    assert follower.reasons == [f"a rotated log was not read: {why}"]
    assert follower.places == [str(lost)]


def test_the_file_that_was_being_read_may_be_the_one_that_cannot(
    log: Path, refused: set[Path]
) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    refused.add(_rotate(log, "eve.json.1", "gz", age_s=-5))
    log.write_bytes(b"b1\n")
    with pytest.raises(CollectorError, match="Permission denied"):
        follower.read()
    follower.read()
    assert follower.lines == [b"a1", b"b1"]
    assert follower.reasons == ["a rotated log was not read: Permission denied"]


def test_a_file_that_is_being_packed_is_read_from_the_plain_one(
    log: Path, refused: set[Path]
) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    _rotate(log, "eve.json.1", "plain", age_s=-5)
    begun = log.with_name("eve.json.1.gz")
    begun.write_bytes(b"\x1f\x8b\x08")
    _age(begun, -6)
    refused.add(begun)  # gzip opens it for its owner only
    log.write_bytes(b"b1\n")
    follower.read()
    refused.clear()
    follower.read()
    assert follower.lines == [b"a1", b"b1"]
    assert not follower.reasons


def _lose(log: Path, how: str) -> None:
    """Rotate a log to where nobody looks, or nobody can read it."""
    if how == "deleted":
        log.unlink()
    elif how == "packed":
        log.with_name(log.name + ".1.xz").write_bytes(lzma.compress(log.read_bytes()))
        log.unlink()
    else:
        log.with_name("old").mkdir(exist_ok=True)
        log.rename(log.with_name("old") / "eve.json.1")


@pytest.mark.parametrize("how", ["moved", "packed", "deleted"])
def test_the_rest_of_a_log_that_got_out_of_reach_is_read_by_who_has_it_open(
    log: Path, how: str
) -> None:
    follower = Follower(log, Held())
    log.write_bytes(b"a1\n")
    follower.read()
    with log.open("ab") as writer:
        writer.write(b"a2\na3\n")
        writer.flush()
        _lose(log, how)
        follower.read()
        assert follower.lines == [b"a1", b"a2", b"a3"]
        writer.write(b"a4\na5")  # by who was not told yet
    log.write_bytes(b"b1\n")
    follower.read()
    follower.read()
    _lose(log, how)
    log.write_bytes(b"c1\n")
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"a3", b"a4", b"a5", b"b1", b"c1"]
    assert not follower.reasons


def test_one_file_is_held_for_a_log_and_none_when_it_is_closed(log: Path) -> None:
    def opened() -> int:
        found = Path("/proc/self/fd").iterdir()
        return sum(str(log) in str(each.readlink()) for each in found if each.is_symlink())

    held = Held()
    follower = Follower(log, held)
    for number in range(5):
        log.write_bytes(b"%d\n" % number)
        follower.read()
        follower.read()
        assert opened() == 1
        _lose(log, "deleted")
    held.close()
    held.close()
    log.write_bytes(b"last\n")
    follower.read()
    assert opened() == 0
    assert follower.lines == [b"0", b"1", b"2", b"3", b"4", b"last"]
    spec = parser_spec.shipped("pihole-log")
    for collector in (EveCollector(path=log), TextLogCollector(path=log, spec=spec)):
        assert isinstance(collector, Closing)
        list(collector.batches(None))
        assert opened() == 1
        collector.close()
        assert opened() == 0


def test_a_log_that_got_out_of_reach_while_down_is_said_once(log: Path) -> None:
    follower = Follower(log)
    log.write_bytes(b"a1\n")
    follower.read()
    with log.open("ab") as file:
        file.write(b"a2\n")
    _lose(log, "moved")
    follower.read()
    log.write_bytes(b"b1\nb2\n")
    follower.read()
    follower.read()
    assert follower.lines == [b"a1", b"b1", b"b2"]
    assert follower.reasons == [GONE]
    assert follower.places == ["eve.json byte 3"]


def test_a_log_that_was_cut_or_read_to_its_end_is_not_said_to_be_gone(log: Path) -> None:
    follower = Follower(log)
    log.write_bytes(b"a1\na2\n")
    follower.read()
    log.write_bytes(b"b1\n")  # cut where it lies
    follower.read()
    log.rename(log.with_name("eve.json.1"))
    with log.with_name("eve.json.1").open("ab") as file:
        file.write(b"b2\n")
    log.write_bytes(b"c1\n")
    follower.read(most=1)  # killed at the end of the rotated one
    _lose(log.with_name("eve.json.1"), "moved")
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"b1", b"b2", b"c1"]
    held = Held()
    follower.tailer = Tailer(path=log, held=held)
    follower.read()
    log.rename(log.with_name("other"))
    log.with_name("other").write_bytes(b"")
    _lose(log.with_name("other"), "moved")
    log.write_bytes(b"d1\n")
    follower.read()
    assert follower.lines[-1] == b"d1"
    assert not follower.reasons


def test_a_log_under_another_name_in_its_folder_is_found(log: Path) -> None:
    follower = Follower(log)
    log.write_bytes(b"a1\n")
    follower.read()
    with log.open("ab") as file:
        file.write(b"a2\n")
    log.rename(log.with_name("saved"))
    log.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"a1", b"a2", b"b1"]
    assert not follower.reasons


@pytest.mark.parametrize("pack", ["plain", "gz"])
def test_a_log_that_is_a_link_is_followed_where_it_lies(
    log: Path, tmp_path: Path, pack: str
) -> None:
    real = tmp_path / "disk" / "events.json"
    real.parent.mkdir()
    log.symlink_to(real)
    real.write_bytes(b"old\n")
    _rotate(real, "events.json.1", pack, age_s=60)
    real.write_bytes(b"a1\n")
    follower = Follower(log, first_days=7)
    follower.read()
    with real.open("ab") as file:
        file.write(b"a2\n")
    _rotate(real, "events.json.2", pack)
    real.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"old", b"a1", b"a2", b"b1"]
    assert not follower.reasons


def test_another_log_beside_ours_is_no_rotated_one(log: Path) -> None:
    log.write_bytes(b"a1\n")
    follower = Follower(log)
    follower.read()
    log.with_name("eve-tls.json").write_bytes(b"other\n")
    log.with_name("eve.json.swp").write_bytes(b"other\n")
    log.unlink()
    log.write_bytes(b"b1\n")
    follower.read()
    assert follower.lines == [b"a1", b"b1"]


def test_a_line_without_end_is_passed_over_in_bounded_memory(log: Path) -> None:
    follower = Follower(log, max_line_bytes=1000, chunk_bytes=4096)
    log.write_bytes(b"one\n" + b"x" * 50_000)
    follower.read()
    with log.open("ab") as file:
        file.write(b"x" * 50_000 + b"\ntwo\n")
    follower.read()
    follower.read()
    assert follower.lines == [b"one", b"two"]
    assert follower.reasons == ["line too long"]
    assert follower.places == ["eve.json byte 4"]


@pytest.mark.parametrize("pack", ["gz", "zst"])
def test_a_cut_compressed_log_gives_what_can_be_read(log: Path, pack: str) -> None:
    lines = [b"%06d %032x" % (at, hash(str(at)) & (2**128 - 1)) for at in range(20_000)]
    log.write_bytes(b"\n".join(lines) + b"\n")
    packed = _rotate(log, f"eve.json.{pack}", pack)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    follower = Follower(packed, chunk_bytes=100_000, max_line_bytes=1000)
    # A cut Zstandard stream looks like its end: only what was readable comes, without a word.
    with pytest.raises(CollectorError, match="broken at byte") if pack == "gz" else nullcontext():
        follower.read(final=True)
    assert len(follower.lines) > 5000
    read = follower.lines[: -1 if pack == "zst" else None]
    assert read == lines[: len(read)]


def test_an_absent_log_is_said_once_and_clearly(log: Path) -> None:
    with pytest.raises(CollectorError, match="no such file"):
        Follower(log).read()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5), st.booleans()),
        st.tuples(st.just("rename"), st.sampled_from(["plain", "gz", "zst"])),
        st.tuples(st.just("copytruncate")),
        st.tuples(st.just("read"), st.integers(1, 3)),
    ),
    max_size=25,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_any_interleaving_gives_each_whole_line_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    """Append, rotate either way, read a little and restart, in any order.

    Copytruncate happens here as its own rule demands: nobody writes between its copy and
    its truncation.
    """
    log = tmp_path_factory.mktemp("tail") / "eve.json"
    follower = Follower(log, chunk_bytes=32, max_line_bytes=31)
    written: list[bytes] = []
    pending = b""
    rotations = 0
    log.touch()
    for step in steps:
        match step:
            case ("append", int(count), bool(half)):
                for _ in range(count):
                    line = b"line %05d \xc3\xa9" % len(written)
                    written.append(line)
                    pending += line + b"\n"
                cut = len(pending) - 7 if half else len(pending)
                with log.open("ab") as file:
                    file.write(pending[:cut])
                pending = pending[cut:]
            case ("rename", str(pack)):
                _flush(log, pending)
                pending = b""
                rotations += 1
                if log.stat().st_size:
                    _rotate(log, f"eve.json.{1000 - rotations}", pack, age_s=1000 - rotations)
                    log.touch()
            case ("copytruncate",):
                _flush(log, pending)
                pending = b""
                rotations += 1
                if log.stat().st_size:
                    copy = log.with_name(f"eve.json.{1000 - rotations}")
                    shutil.copy2(log, copy)
                    _age(copy, 1000 - rotations)
                    log.write_bytes(b"")
            case ("read", int(most)):
                if follower.bookmark or log.stat().st_size:
                    follower.read(most=most)
    _flush(log, pending)
    started = follower.bookmark is not None
    follower.read()
    follower.read()
    if started or not rotations:
        missed = len(written) - len(follower.lines)
        first = written.index(follower.lines[0]) if follower.lines else missed
        # Before the first read there is no bookmark: what was rotated by then is not ours.
        assert follower.lines == written[first:]
        assert not follower.reasons


def _flush(log: Path, pending: bytes) -> None:
    with log.open("ab") as file:
        file.write(pending)


def _rotate(log: Path, name: str, pack: str, *, age_s: int = 0) -> Path:
    target = log.with_name(name)
    log.rename(target)
    if pack == "gz":
        packed = target.with_name(target.name + ".gz")
        packed.write_bytes(gzip.compress(target.read_bytes()))
        target.unlink()
        target = packed
    elif pack == "zst":
        packed = target.with_name(target.name + ".zst")
        packed.write_bytes(zstandard.ZstdCompressor().compress(target.read_bytes()))
        target.unlink()
        target = packed
    _age(target, age_s)
    return target


def _age(path: Path, seconds: int) -> None:
    """Give a file the modification time it would have: rotated logs are not of one instant."""

    then = time.time() - seconds
    os.utime(path, (then, then))
