from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import msgspec
import pyrage
import pytest
import zstandard

from guardian.errors import (
    InputError,
    RefusedError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    UsageError,
)
from guardian.ops import backup
from guardian.store import Store, archive, bundle, retention, settle
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12)


def home_of(store: Store) -> Path:
    """Return the data directory of a store on disk."""
    assert store.path is not None
    return store.path.parent


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a source, flows of ten days, and a cold tier of four of them."""
    with store.transaction() as tx:
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('eve', 'eve', 'eve')")
        tx.execute(
            "INSERT INTO flow (id, ts, source_id, src_ip) "
            "SELECT i, $now - to_hours(i::INTEGER), 1, '192.168.1.' || (i % 9) "
            "FROM range(240) t(i)",
            {"now": NOW},
        )
    archive.archive(store, Limits(hot_days=5), now=NOW)
    return store


def flows(store: Store) -> tuple[int, int]:
    with store.read() as reader:
        row = reader.one("SELECT count(*) AS n, sum(hash(id, ts, src_ip)) AS h FROM all_flow")
    assert row is not None
    return row["n"], row["h"]


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_backup_made_in_use_brings_both_tiers_back(
    filled: Store, tmp_path: Path, passphrase: str | None
) -> None:
    before = flows(filled)
    seen: list[tuple[int, int]] = []
    target = tmp_path / "copy.guardian"
    report = backup.backup(
        filled, target, passphrase=passphrase, progress=lambda *step: seen.append(step)
    )
    assert report.bytes == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert seen[-1][0] == seen[-1][1] > 0
    with filled.transaction() as tx:
        tx.execute("DELETE FROM flow")
    filled.close()
    shutil.rmtree(filled.path.parent / "cold")  # type: ignore[union-attr]

    elsewhere = tmp_path / "elsewhere"
    restored = backup.restore(target, elsewhere, passphrase=passphrase)
    assert (restored.rows, restored.kept) == (report.rows, None)
    again = Store.open(elsewhere)
    assert flows(again) == before
    with again.transaction() as tx:  # keys and sequences came along
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('a', 'b', 'c')")
    again.close()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["cold", "guardian.duckdb"]
    assert not list(tmp_path.glob(".copy*"))


def test_a_filled_store_is_replaced_only_by_force_and_kept(filled: Store, tmp_path: Path) -> None:
    home = filled.path.parent  # type: ignore[union-attr]
    target = tmp_path / "copy.guardian"
    backup.backup(filled, target)
    with filled.transaction() as tx:
        tx.execute("DELETE FROM flow")
    emptied = flows(filled)
    filled.close()
    with pytest.raises(RefusedError, match="--force"):
        backup.restore(target, home)
    report = backup.restore(target, home, force=True)
    assert report.kept is not None
    again = Store.open(home)
    assert flows(again)[0] == 240
    again.close()
    former = Store.open(report.kept)
    assert flows(former) == emptied
    former.close()


def test_a_kill_between_the_renames_is_finished_at_the_next_start(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = filled.path.parent  # type: ignore[union-attr]
    target = tmp_path / "copy.guardian"
    backup.backup(filled, target)
    filled.close()

    class Killed(BaseException):
        pass

    rename = type(home).rename
    for allowed in range(5):  # the mark; the former file and cold tier; the new ones
        left = allowed

        def dying(self: Path, to: Path) -> Path:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return rename(self, to)

        with monkeypatch.context() as patch:
            patch.setattr(type(home), "rename", dying)
            with pytest.raises(Killed):
                backup.restore(target, home, force=True)
        again = Store.open(home)
        assert flows(again)[0] == 240
        again.close()
        assert not (home / settle.STAGING).exists()


def cut_before_the_renames(backup_file: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Restore up to the moment when all is ready, and return the mark that says so."""

    class Killed(BaseException):
        pass

    def dying(_: Path) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("guardian.store.restore.move_in", dying)
        with pytest.raises(Killed):
            backup.restore(backup_file, home, force=True)
    return home / settle.STAGING / settle.READY


@pytest.mark.parametrize("left", [b"", b'{"kept": "befo', b"\0" * 28])
def test_a_mark_that_the_disk_lost_destroys_no_store(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    home, target = home_of(filled), tmp_path / "copy"
    backup.backup(filled, target)
    with filled.transaction() as tx:
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('precious', 'b', 'c')")
    before = flows(filled)
    filled.close()
    cut_before_the_renames(target, home, monkeypatch).write_bytes(left)
    for _ in range(2):
        again = Store.open(home)
        assert flows(again) == before
        with again.read() as reader:
            assert reader.value("SELECT count(*) FROM source") == 2
        again.close()
    report = backup.restore(target, home, force=True)  # nor is it in the way of the next
    assert report.kept is not None
    again = Store.open(home)
    with again.read() as reader:
        assert reader.value("SELECT count(*) FROM source") == 1
    again.close()
    assert not (home / settle.STAGING).exists()


def test_an_unreadable_mark_without_another_store_is_said(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = tmp_path / "new", tmp_path / "copy"
    backup.backup(filled, target)
    cut_before_the_renames(target, home, monkeypatch).write_bytes(b"{")
    with pytest.raises(StoreError, match="cannot be read: nothing was changed"):
        Store.open(home)
    assert not (home / "guardian.duckdb").exists()
    backup.restore(target, home)
    again = Store.open(home)
    assert flows(again)[0] == 240
    again.close()


@pytest.mark.parametrize("kept", ["", "before-restore-7"])
def test_a_mark_of_an_earlier_version_is_read(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    home, target = tmp_path / "new", tmp_path / "copy"
    backup.backup(filled, target)
    if kept:
        Store.open(home).close()
    cut_before_the_renames(target, home, monkeypatch).write_text(kept)
    again = Store.open(home)
    assert flows(again)[0] == 240
    again.close()
    folders = {path.name for path in home.iterdir() if path.is_dir()}
    assert folders == {"cold", *filter(None, [kept])}


@pytest.mark.parametrize("passphrase", [None, "geheim"])
def test_a_damaged_backup_changes_nothing(
    filled: Store, tmp_path: Path, passphrase: str | None
) -> None:
    before = flows(filled)
    home = filled.path.parent  # type: ignore[union-attr]
    target = tmp_path / "copy.guardian"
    backup.backup(filled, target, passphrase=passphrase)
    filled.close()
    whole = target.read_bytes()
    for where in (0.02, 0.3, 0.9) if passphrase is None else (0.4,):
        at = int(len(whole) * where)
        for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            target.write_bytes(broken)
            with pytest.raises(InputError):
                backup.restore(target, home, passphrase=passphrase, force=True)
    again = Store.open(home)
    assert flows(again) == before
    again.close()
    assert not (home / settle.STAGING).exists()


def test_the_passphrase_is_needed_and_must_be_the_one(filled: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.guardian"
    backup.backup(filled, target, passphrase="one")
    assert b"duckdb" not in target.read_bytes()
    for passphrase, text in ((None, "--passphrase-file"), ("two", "not the one")):
        with pytest.raises(UsageError, match=text):
            backup.restore(target, tmp_path / "new", passphrase=passphrase)
    with pytest.raises(UsageError, match="empty"):
        backup.backup(filled, tmp_path / "other", passphrase=" ")


def test_a_backup_is_not_written_over_another(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.guardian"
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        backup.backup(store, target)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("content", [b"", b"not a database", b"\0" * 9000])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.guardian"
    broken.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.guardian"):
        backup.restore(broken, tmp_path / "data")


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return zstandard.compress(buffer.getvalue())


def named(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size if kind == tarfile.REGTYPE else 0, kind
    info.linkname = "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "member",
    [
        named("../evil"),
        named("/etc/evil"),
        named("cold/../../evil"),
        named("cold/flow/day=2026-01-01/../../../../evil"),
        named("guardian.duckdb", kind=tarfile.SYMTYPE),
        named("guardian.duckdb", kind=tarfile.LNKTYPE),
        named("guardian.duckdb", kind=tarfile.FIFOTYPE),
        named("cold", kind=tarfile.DIRTYPE),
        named("guardian.sock"),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)
def test_nothing_is_written_outside_or_of_another_kind(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    hostile = tmp_path / "hostile.guardian"
    hostile.write_bytes(packed((member, b"x")))
    with pytest.raises(InputError):
        backup.restore(hostile, tmp_path / "data")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "hostile.guardian"]


def test_a_bomb_stops_at_the_room_there_is(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.guardian"
    size = 3 << 30
    info = named("guardian.duckdb", size)
    compressor = zstandard.ZstdCompressor(level=1)
    with bomb.open("wb") as out, compressor.stream_writer(out) as packing:
        packing.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            packing.write(bytes(1 << 20))
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(StoreFullError, match="nothing was changed"):
        bundle.extract(bomb, tmp_path / "x", None, room_bytes=1 << 30)
    with pytest.raises(InputError):  # it says 3 GB and holds 64 MB
        bundle.extract(bomb, tmp_path / "y", None, room_bytes=size)


def streamed(path: Path, *parts: bytes, zeros: int = 0) -> None:
    """Write a compressed tar piece by piece: these parts, then so many bytes of nothing."""
    with path.open("wb") as out, zstandard.ZstdCompressor(level=1).stream_writer(out) as packing:
        for part in parts:
            packing.write(part)
        for _ in range(zeros >> 20):
            packing.write(bytes(1 << 20))


@pytest.mark.parametrize(
    ("kind", "megabytes"),
    [
        (tarfile.XHDTYPE, 1024),
        (tarfile.XGLTYPE, 64),
        (tarfile.GNUTYPE_LONGNAME, 64),
        (tarfile.GNUTYPE_LONGLINK, 64),
    ],
)
def test_a_long_header_is_refused_in_little_memory(
    tmp_path: Path, kind: bytes, megabytes: int
) -> None:
    header = tarfile.TarInfo("x")
    header.size, header.type = megabytes << 20, kind
    hostile = tmp_path / "hostile.guardian"
    streamed(hostile, header.tobuf(tarfile.GNU_FORMAT), b"9999 path=", zeros=megabytes << 20)
    assert hostile.stat().st_size < 1 << 20
    refused_in_little_memory(hostile)


def test_a_long_header_beside_the_key_is_refused_in_little_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.size, header.type = 1 << 30, tarfile.XHDTYPE
    identity = str(pyrage.x25519.Identity.generate())
    key = pyrage.passphrase.encrypt(identity.encode(), "secret")
    hostile = tmp_path / "hostile.guardian"
    with hostile.open("wb") as out:
        out.write(named("key.age", len(key)).tobuf(tarfile.GNU_FORMAT))
        out.write(key + bytes(-len(key) % 512) + header.tobuf(tarfile.GNU_FORMAT))
        out.truncate(out.tell() + header.size)
    refused_in_little_memory(hostile)


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    key = pyrage.passphrase.encrypt(b"any", "secret")
    hostile = tmp_path / "hostile.guardian"
    block = named("key.age", len(key)).tobuf(tarfile.GNU_FORMAT)
    hostile.write_bytes(block + key + bytes(-len(key) % 512))
    with pytest.raises(InputError, match="its key is not one"):
        backup.restore(hostile, tmp_path / "data", passphrase="secret")


def refused_in_little_memory(path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            backup.restore(path, path.parent / "data", passphrase="secret")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_many_headers_are_no_deep_stack(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.size, header.type = 512, tarfile.XHDTYPE
    block = header.tobuf(tarfile.GNU_FORMAT) + b"11 path=ab\n".ljust(512, b"\0")
    deep = tmp_path / "deep.guardian"
    streamed(deep, block * 20_000)
    with pytest.raises(InputError):
        backup.restore(deep, tmp_path / "data")


def test_a_file_of_less_than_nothing_is_refused(tmp_path: Path) -> None:
    block = bytearray(named("guardian.duckdb").tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 11 + b"\x00"  # -256, in the form for large numbers
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert tarfile.TarInfo.frombuf(bytes(block), "utf-8", "strict").size < 0
    hostile = tmp_path / "hostile.guardian"
    streamed(hostile, bytes(block))
    with pytest.raises(InputError, match="no file"):
        backup.restore(hostile, tmp_path / "data")


def test_cold_files_that_are_merged_meanwhile_come_along(filled: Store, tmp_path: Path) -> None:
    before = flows(filled)
    merged: list[int] = []

    def merge(_done: int, _whole: int) -> None:
        if not merged:  # the first file is read: all are held on to
            with filled.transaction() as tx:
                for table in ("cold_file", "cold_span"):
                    tx.execute(f"DELETE FROM {table}")
            merged.append(archive.sweep(filled))

    target = tmp_path / "copy.guardian"
    backup.backup(filled, target, progress=merge)
    assert merged[0] > 0
    backup.restore(target, tmp_path / "new")
    again = Store.open(tmp_path / "new")
    assert flows(again) == before
    again.close()


def test_restore_under_a_running_daemon_is_refused(tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other")
    copy = tmp_path / "copy.guardian"
    backup.backup(other, copy)
    other.close()
    with a_daemon(tmp_path / "data"), pytest.raises(StoreLockedError):
        backup.restore(copy, tmp_path / "data", force=True)


@contextlib.contextmanager
def a_daemon(directory: Path) -> Iterator[None]:
    """Hold the store open in another process."""
    code = (
        "import sys, pathlib; from guardian.store import Store; "
        "s = Store.open(pathlib.Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield
        holder.communicate(b"")


def test_a_daemon_that_starts_while_a_backup_is_unpacked_keeps_its_store(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = home_of(filled), tmp_path / "copy"
    backup.backup(filled, target)
    before = flows(filled)
    filled.close()
    extract = bundle.extract
    with contextlib.ExitStack() as daemon:

        def slow(*words: Any, **more: Any) -> bundle.Manifest:
            found = extract(*words, **more)
            daemon.enter_context(a_daemon(home))
            return found

        monkeypatch.setattr(bundle, "extract", slow)
        with pytest.raises(StoreLockedError):
            backup.restore(target, home, force=True)
        assert sorted(path.name for path in home.iterdir()) == ["cold", "guardian.duckdb"]
    again = Store.open(home)
    assert flows(again) == before
    again.close()


def test_while_a_store_is_replaced_nobody_opens_it(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = home_of(filled), tmp_path / "copy"
    backup.backup(filled, target)
    filled.close()
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    tried: list[bytes] = []

    def watched(directory: Path, kept: str | None) -> None:
        answer = subprocess.run(
            [sys.executable, "-c", code, str(home / "guardian.duckdb")],
            capture_output=True,
            check=False,
        )
        tried.append(answer.stderr)
        settle.make_ready(directory, kept)

    monkeypatch.setattr("guardian.store.restore.make_ready", watched)
    backup.restore(target, home, force=True)
    assert [b"lock" in said for said in tried] == [True]


def test_a_restored_store_is_its_owners_only_from_the_start(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = tmp_path / "new", tmp_path / "copy"
    backup.backup(filled, target)
    home.mkdir(mode=0o755)
    seen: list[int] = []
    extract = bundle.extract

    def watched(path: Path, folder: Path, *words: Any, **more: Any) -> bundle.Manifest:
        seen.append(stat.S_IMODE(folder.stat().st_mode))
        return extract(path, folder, *words, **more)

    monkeypatch.setattr(bundle, "extract", watched)
    backup.restore(target, home)
    assert seen == [0o700]
    assert stat.S_IMODE((home / "guardian.duckdb").stat().st_mode) == 0o600


def test_a_store_that_was_begun_meanwhile_is_kept(filled: Store, tmp_path: Path) -> None:
    home, target = tmp_path / "new", tmp_path / "copy"
    backup.backup(filled, target)
    backup.restore(target, home / settle.STAGING)
    settle.make_ready(home, None)
    (home / "guardian.duckdb").write_text("begun")
    assert settle.settle(home)
    assert (home / "before-restore-1" / "guardian.duckdb").read_text() == "begun"
    again = Store.open(home)
    assert flows(again)[0] == 240
    again.close()


@pytest.mark.parametrize("left", ["guardian.duckdb.wal", "cold/flow/day=2026-11-01/x.parquet"])
def test_what_is_left_of_a_store_is_kept_too(filled: Store, tmp_path: Path, left: str) -> None:
    home, target = tmp_path / "new", tmp_path / "copy"
    backup.backup(filled, target)
    (home / left).parent.mkdir(parents=True)
    (home / left).write_text("rows")
    with pytest.raises(RefusedError, match="what is left of one"):
        backup.restore(target, home)
    assert (home / left).read_text() == "rows"
    report = backup.restore(target, home, force=True)
    assert report.kept is not None
    assert (report.kept / left).read_text() == "rows"
    again = Store.open(home)
    assert flows(again)[0] == 240
    again.close()


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_nothing_of_the_store_lies_in_clear_while_a_backup_is_made(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str | None
) -> None:
    home, target = home_of(filled), tmp_path / "usb" / "copy"
    target.parent.mkdir()
    home.chmod(0o755)
    seen: list[Path] = []
    write = bundle.write

    def watched(content: bundle.Content, part: Path, word: str | None) -> None:
        assert [path.name for path in target.parent.iterdir()] == [".copy.part"]
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        copy = content.files["guardian.duckdb"]
        assert copy.parent.parent == home
        assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        seen.append(copy.parent)
        write(content, part, word)

    monkeypatch.setattr(bundle, "write", watched)
    backup.backup(filled, target, passphrase=passphrase)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.exists() for path in seen] == [False]


def test_without_room_beside_the_store_the_clear_copy_is_not_put_elsewhere(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, usb = home_of(filled), tmp_path / "usb"
    usb.mkdir()
    usage = shutil.disk_usage

    def full(path: Path) -> object:
        return usage(path)._replace(free=1000 if path == home else 1 << 40)

    monkeypatch.setattr("guardian.store.backup._one_disk", lambda *_: False)
    monkeypatch.setattr(shutil, "disk_usage", full)
    with pytest.raises(StoreFullError, match="nothing was written"):
        backup.backup(filled, usb / "locked", passphrase="correct horse")
    write, seen = bundle.write, []

    def watched(content: bundle.Content, part: Path, word: str | None) -> None:
        folder = content.files["guardian.duckdb"].parent
        seen.append((folder.parent, stat.S_IMODE(folder.stat().st_mode)))
        write(content, part, word)

    monkeypatch.setattr(bundle, "write", watched)
    backup.backup(filled, usb / "open")
    assert seen == [(usb, 0o700)]
    assert [path.name for path in usb.iterdir()] == ["open"]


@pytest.mark.parametrize("error", [zstandard.ZstdError("no"), MemoryError()], ids=repr)
def test_a_backup_that_ends_early_is_none(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_tar = bundle._write_tar

    def failing(content: bundle.Content, out: IO[bytes]) -> None:
        write_tar(content, out)
        raise error

    monkeypatch.setattr(bundle, "_write_tar", failing)
    with pytest.raises((StoreError, MemoryError)):
        backup.backup(filled, tmp_path / "copy", passphrase="correct horse")
    assert not list(tmp_path.glob("*copy*"))


def test_a_target_that_fills_up_is_said_of_an_encrypted_backup_too(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: IO[bytes], *_: object) -> None:
        source.read(1 << 10)
        raise pyrage.EncryptError(str(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))

    monkeypatch.setattr(pyrage, "encrypt_io", full)
    job = backup.Job(filled, tmp_path / "copy", "correct horse")
    with pytest.raises(StoreFullError, match="copy could not be written: No space left"):
        job.state(wait_s=60)
    assert not list(tmp_path.glob("*copy*"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_backup_that_fails_unforeseen_is_not_waited_for_for_ever(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(bundle, "write", failing)
    job = backup.Job(filled, tmp_path / "copy", None)
    with pytest.raises(StoreError, match="backup failed, there is none: MemoryError"):
        job.state(wait_s=60)
    assert not job.running()


def test_a_backup_on_the_stores_disk_leaves_its_floor_free(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.checkpoint()
    with filled.read() as reader:
        floor = retention.kept_free(filled, reader)
    usage = shutil.disk_usage

    def tight(path: Path) -> object:
        return usage(path)._replace(free=floor + (1 << 16))

    def roomy(path: Path) -> object:
        return usage(path)._replace(free=floor + (1 << 30))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", tight)
        with pytest.raises(StoreFullError, match="stay free for the store; nothing was written"):
            backup.backup(filled, tmp_path / "copy")
        assert not list(tmp_path.glob("*copy*"))
        patch.setattr(shutil, "disk_usage", roomy)
        backup.backup(filled, tmp_path / "copy")


def cold_files(store: Store) -> list[Path]:
    assert store.path is not None
    return sorted((store.path.parent / "cold").rglob("*.parquet"))


def test_lost_and_damaged_cold_files_are_left_out_of_a_backup_and_named(
    filled: Store, tmp_path: Path
) -> None:
    home, target = home_of(filled), tmp_path / "copy"
    lost, damaged, *whole = cold_files(filled)
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-9])
    report = backup.backup(filled, target)
    assert report.left_out == tuple(str(path.relative_to(home)) for path in (lost, damaged))
    restored = backup.restore(target, tmp_path / "new")
    assert restored.left_out == ()
    assert restored.rows == report.rows
    again = Store.open(tmp_path / "new")
    assert len(cold_files(again)) == len(whole) > 0
    with again.read() as reader:
        listed = reader.value("SELECT sum(rows) FROM cold_file")
        hot = reader.value("SELECT count(*) FROM flow")
        missed = reader.rows("SELECT file, reason FROM cold_lost ORDER BY 1")
        assert flows(again)[0] == hot + listed
    assert [(row["file"], row["reason"]) for row in missed] == [
        (report.left_out[0], "is missing"),
        (report.left_out[1], "is damaged"),
    ]
    again.close()
    with filled.read() as reader:  # the store itself still says what it had
        assert reader.value("SELECT count(*) FROM cold_file") == 2 + len(whole)
    archive.refresh_views(filled)  # once that is noted, they are named all the same
    assert backup.backup(filled, tmp_path / "other").left_out == report.left_out


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_backup_with_a_damaged_cold_file_is_restored_but_for_it(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Damaged in its middle, which nobody reads, before the backup; or in the backup itself."""
    home, target = home_of(filled), tmp_path / "copy"
    spoilt, *whole = cold_files(filled)
    name = str(spoilt.relative_to(home))
    if when == "before":
        content = spoilt.read_bytes()
        spoilt.write_bytes(
            content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :]
        )
        monkeypatch.setattr("guardian.store.checks.unreadable", lambda *_: set())
    backup.backup(filled, target)
    if when == "after":
        unpack = bundle._unpack

        def flipped(content: Any, each: str, *more: Any) -> bundle.Entry:
            found = unpack(content, each, *more)
            return msgspec.structs.replace(found, sha256="0" * 64) if each == name else found

        monkeypatch.setattr(bundle, "_unpack", flipped)
    new = tmp_path / "new"
    with pytest.raises(InputError, match="with --force all but it is restored"):
        backup.restore(target, new)
    assert not list(new.iterdir())
    report = backup.restore(target, new, force=True)
    assert (report.left_out, report.kept) == ((name,), None)
    again = Store.open(new)
    assert len(cold_files(again)) == len(whole)
    with again.read() as reader:
        expected = reader.value("SELECT (SELECT sum(rows) FROM cold_file) + count(*) FROM flow")
        assert reader.value("SELECT file FROM cold_lost") == name
    assert flows(again)[0] == expected
    again.close()


def test_a_listed_cold_file_of_another_place_is_refused_and_stays(
    filled: Store, tmp_path: Path
) -> None:
    target, other = tmp_path / "copy", tmp_path / "precious"
    other.write_text("precious")
    with filled.transaction() as tx:
        tx.execute(
            "UPDATE cold_file SET file = '../precious' "
            "WHERE file = (SELECT min(file) FROM cold_file)"
        )
    filled.checkpoint()
    assert filled.path is not None
    bundle.write(
        bundle.Content(
            files={"guardian.duckdb": filled.path},
            guardian="",
            schema=1,
            made_at="",
            rows=0,
        ),
        target,
        None,
    )
    with pytest.raises(InputError, match="none of ours"):
        backup.restore(target, tmp_path / "new", force=True)
    assert other.read_text() == "precious"


def test_what_a_kill_left_is_cleared_at_the_next_start(filled: Store, tmp_path: Path) -> None:
    home, target = home_of(filled), tmp_path / "copy"
    before = flows(filled)
    code = (
        "import os, pathlib, sys; from guardian.store import Store, backup, bundle; "
        "bundle.write = lambda *_: os._exit(9); "
        "backup.write(Store.open(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))"
    )
    filled.close()
    killed = subprocess.run([sys.executable, "-c", code, str(home), str(target)], check=False)
    assert killed.returncode == 9
    cold = next((home / "cold").rglob("*.parquet"))
    assert cold.stat().st_nlink == 2
    (home / ".old.guardian.store.cold").mkdir()
    os.link(cold, home / ".old.guardian.store.cold" / "0.parquet")
    for name in (".guardian.duckdb.rewrite", ".guardian.duckdb.rewrite.wal"):
        (home / name).write_bytes(b"x")
    again = Store.open(home)
    assert flows(again) == before
    assert cold.stat().st_nlink == 1  # retention gets its room back
    assert not list(home.glob(".*"))
    with settle.work_folder(home) as used:  # a backup of this very process
        settle.clear_leftovers(home)
        assert used.is_dir()
    again.close()


@pytest.mark.root
def test_a_small_disk_is_refused_before_anything_is_written(filled: Store, tmp_path: Path) -> None:
    with filled.transaction() as tx:
        tx.execute(
            "INSERT INTO flow (id, ts, source_id, community_id) "
            "SELECT i, $now, 1, md5(i::VARCHAR) FROM range(300000) t(i)",
            {"now": NOW + timedelta(hours=1)},
        )
    filled.checkpoint()
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    try:
        with pytest.raises(StoreFullError, match="nothing was written"):
            backup.backup(filled, disk / "copy")
        assert not list(disk.iterdir())
        backup.backup(filled, tmp_path / "copy")
        with pytest.raises(StoreFullError, match="nothing was changed"):
            backup.restore(tmp_path / "copy", disk / "data")
        assert not list((disk / "data").iterdir())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.root
@pytest.mark.parametrize(("when", "passphrase"), [("copy", None), ("pack", None), ("pack", "x")])
def test_a_disk_that_others_fill_meanwhile_is_left_as_it_was(
    filled: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    passphrase: str | None,
) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)], check=True)

    def fill(*_: object) -> None:
        with contextlib.suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass

    try:
        if when == "copy":  # after it was seen that there is room

            def at_the_target(*_: object, **__: object) -> bool:
                fill()
                return False

            monkeypatch.setattr("guardian.store.backup._beside", at_the_target)
        with pytest.raises(StoreError, match="could not be written"):
            backup.backup(filled, disk / "copy", passphrase=passphrase, progress=fill)
        assert [path.name for path in disk.iterdir()] == ["filler"]
        with filled.transaction() as tx:  # the store itself goes on
            tx.execute("UPDATE source SET events = events")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
