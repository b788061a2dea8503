"""EVE by a unix socket: each whole line once, in whatever pieces it comes, within bounds."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian import resources
from guardian.app import sources
from guardian.collect import compressed, eve_socket, streams, suricata_config
from guardian.collect.eve_socket import EveSocketCollector
from guardian.collect.reader import drain
from guardian.collect.settings import Settings
from guardian.collect.streams import LineSocket
from guardian.config import Config, Sources
from guardian.errors import CollectorError, ConfigError
from guardian.ops.health import health
from guardian.store import ingest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardian.collect.streams import Taken
    from guardian.store import Store


def event(number: int, **more: object) -> bytes:
    fields = {
        "timestamp": f"2026-11-20T20:00:{number % 60:02d}.{number:06d}+0000",
        "flow_id": number + 1,
        "event_type": "tls",
        "src_ip": "192.168.1.30",
        "src_port": 40000,
        "dest_ip": "203.0.113.9",
        "dest_port": 443,
        "proto": "TCP",
        "tls": {"sni": f"n{number}.example"},
    }
    return json.dumps(fields | more, separators=(",", ":")).encode() + b"\n"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine, what the kernel holds is read to its end when it stops."""
    monkeypatch.setattr(streams, "_FINISH_S", 60.0)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "eve.sock"


@pytest.fixture
def listening(where: Path) -> Iterator[LineSocket]:
    made = LineSocket(where, queue_bytes=10_000, max_line_bytes=500)
    made.start()
    yield made
    made.close()


def connect(where: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.settimeout(60)
    sock.connect(str(where))
    return sock


def wait_for(condition: Callable[[], bool], *, limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def all_of(made: LineSocket) -> Taken:
    """Close the socket, which reads what the kernel still holds, and take everything."""
    made.close()
    return made.take(1 << 30)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(
        st.binary(min_size=0, max_size=60).map(lambda one: one.replace(b"\n", b"")), max_size=20
    ),
    cuts=st.lists(st.integers(1, 40), max_size=30),
    torn=st.binary(max_size=30).map(lambda one: one.replace(b"\n", b"")),
)
def test_any_chunking_gives_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], torn: bytes
) -> None:
    where = tmp_path_factory.mktemp("s") / "e"
    made = LineSocket(where, queue_bytes=1 << 20, max_line_bytes=500)
    made.start()
    data = b"".join(line + b"\n" for line in lines) + torn
    with connect(where) as writer:
        for cut in cuts:
            writer.sendall(data[:cut])
            data = data[cut:]
        writer.sendall(data)
    taken = all_of(made)
    assert taken.data.split(b"\n")[:-1] == [*lines, *([torn] if torn else [])]
    assert not taken.dropped
    assert not taken.rejects


def test_a_full_queue_drops_whole_lines_and_counts_them(listening: LineSocket, where: Path) -> None:
    with connect(where) as writer:
        for number in range(300):
            writer.sendall(b"%099d\n" % number)
    taken = all_of(listening)
    kept = taken.data.splitlines()
    assert len(taken.data) <= 10_000
    assert len(kept) + taken.dropped == 300
    assert 0 < len(kept) <= 100
    assert kept == [b"%099d" % number for number in range(len(kept))]  # oldest first


def test_a_line_without_end_costs_no_memory(listening: LineSocket, where: Path) -> None:
    with connect(where) as writer:
        writer.sendall(b"one\n")
        for _ in range(40):
            writer.sendall(b"x" * 100_000)
        writer.sendall(b"\ntwo\n")
    taken = all_of(listening)
    assert taken.data == b"one\ntwo\n"
    assert [(each.reason, each.count) for each in taken.rejects] == [("line too long", 1)]


def test_writers_come_and_go_and_each_has_its_own_half_line(
    listening: LineSocket, where: Path
) -> None:
    with connect(where) as first, connect(where) as second:
        first.sendall(b"on")
        second.sendall(b"tw")
        time.sleep(0.05)
        first.sendall(b"e\n")
        second.sendall(b"o\n")
    with connect(where) as third:
        third.sendall(b"three\n")
    assert sorted(all_of(listening).data.split()) == [b"one", b"three", b"two"]


def test_too_many_writers_are_turned_away(listening: LineSocket, where: Path) -> None:
    with contextlib.ExitStack() as held:
        writers = []
        for _ in range(30):
            writers.append(held.enter_context(connect(where)))
            time.sleep(0.005)
        for number, writer in enumerate(writers):
            with contextlib.suppress(OSError):
                writer.sendall(b"%d\n" % number)
                time.sleep(0.01)
        assert len(all_of(listening).data.split()) <= 16


def test_the_socket_of_a_killed_guardian_is_taken_over(where: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(where))
    left.close()
    made = LineSocket(where, queue_bytes=1000, max_line_bytes=100)
    made.start()
    other = LineSocket(where, queue_bytes=1000, max_line_bytes=100)
    with pytest.raises(CollectorError, match="another program listens"):
        other.start()
    where.unlink()  # somebody cleans up: it is made again
    made.start()
    with connect(where) as writer:
        writer.sendall(b"here\n")
    assert all_of(made).data == b"here\n"
    assert not where.exists()
    where.write_text("precious")
    with pytest.raises(CollectorError, match="a file of that name"):
        other.start()
    assert where.read_text() == "precious"


def test_datagrams_are_lines(where: Path) -> None:
    made = LineSocket(where, queue_bytes=10_000, max_line_bytes=500, datagrams=True)
    made.start()
    with connect(where, socket.SOCK_DGRAM) as writer:
        writer.send(b"one")
        writer.send(b"two\n")
    assert all_of(made).data == b"one\ntwo\n"


def test_events_are_stored_and_hostile_lines_are_quarantined(
    memory_store: Store, where: Path
) -> None:
    collector = EveSocketCollector(Path(f"unix:{where}"))
    drain(memory_store, collector)
    with connect(where) as writer:
        writer.sendall(event(1) + b"\x00\xff\xfe\n" + b"[" * 10_000 + b"\n" + event(2))
        writer.sendall(event(3)[:-20])  # Suricata died within a line
    with connect(where) as writer:  # and comes back
        writer.sendall(event(4))
    wait_for(collector.holds)
    collector.close()
    got = drain(memory_store, collector, final=True)
    assert (got.events, got.rejected) == (3, 3)
    with memory_store.read() as reader:
        names = [row["sni"] for row in reader.rows("SELECT sni FROM tls ORDER BY ts")]
        kept = {row["reason"]: row["count"] for row in reader.rows("SELECT * FROM reject_count")}
    assert names == ["n1.example", "n2.example", "n4.example"]
    assert sum(kept.values()) == 3


def test_a_steady_stream_lets_a_reading_end(
    memory_store: Store, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives while a reading goes on is for the next one: or it would never end."""
    collector = EveSocketCollector(Path(f"unix:{where}"), Settings(batch_bytes=1))
    drain(memory_store, collector)
    with connect(where) as writer:
        writer.sendall(event(0))
        wait_for(collector.holds)
    arrived = 1
    take = LineSocket.take

    def take_while_more_comes(made: LineSocket, most_bytes: int) -> Taken:
        nonlocal arrived
        taken = take(made, most_bytes)
        if arrived < 20:
            made._put(event(arrived) + event(arrived + 1))
            arrived += 2
        return taken

    monkeypatch.setattr(LineSocket, "take", take_while_more_comes)
    assert drain(memory_store, collector).events == 1
    assert drain(memory_store, collector).events == 2
    monkeypatch.undo()
    collector.close()
    drain(memory_store, collector, final=True)
    assert not collector.holds()
    with memory_store.read() as reader:
        assert reader.value("SELECT count(DISTINCT sni) FROM tls") == arrived


def test_what_could_not_be_stored_is_told_at_the_end_too(memory_store: Store, where: Path) -> None:
    collector = EveSocketCollector(Path(f"unix:{where}"))
    drain(memory_store, collector)
    collector.close()
    collector.not_stored(7)
    assert collector.holds()
    drain(memory_store, collector, final=True)
    assert not collector.holds()
    with memory_store.read() as reader:
        assert reader.value("SELECT dropped FROM source") == 7


def test_what_is_dropped_turns_health_amber_until_it_is_over(
    memory_store: Store, where: Path
) -> None:
    collector = EveSocketCollector(
        Path(f"unix:{where}"), Settings(socket_queue_bytes=4000, max_line_bytes=1000)
    )
    drain(memory_store, collector)
    ingest.begin(memory_store, [collector.source])
    assert health(memory_store, running=True).state == "green"
    with connect(where) as writer:
        for number in range(100):
            writer.sendall(event(number))
    collector.close()
    got = drain(memory_store, collector)
    assert 0 < got.events < 100
    with memory_store.read() as reader:
        row = reader.one("SELECT events, dropped FROM source")
    assert row == {"events": got.events, "dropped": 100 - got.events}
    said = health(memory_store, running=True)
    assert said.state == "amber"
    assert said.reasons[0].text.startswith(
        f"eve:unix:{where}: {100 - got.events} events were lost lately because they came faster"
    )
    with memory_store.transaction() as tx:  # ten minutes later
        tx.execute("UPDATE source_pace SET dropped_at = dropped_at - INTERVAL 10 MINUTE")
    assert health(memory_store, running=True).state == "green"


def test_a_socket_that_nobody_writes_to_is_said(
    memory_store: Store, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = EveSocketCollector(Path(f"unix:{where}"))
    assert drain(memory_store, collector).error is None
    monkeypatch.setattr(eve_socket, "ALONE_S", 0.2)
    time.sleep(0.3)
    assert "no Suricata is connected" in (drain(memory_store, collector).error or "")
    assert health(memory_store, running=True).state == "red"
    with connect(where) as writer:
        writer.sendall(event(1))
        wait_for(lambda: drain(memory_store, collector).error is None)
        assert health(memory_store, running=True).state == "green"
    collector.close()
    assert drain(memory_store, collector, final=True).error is None


def test_a_configured_path_that_is_a_socket_is_listened_on(tmp_path: Path) -> None:
    made = sources.collectors(
        Config(sources=Sources(eve=(Path("unix:/x/eve"), Path("/x/eve.json"), Path("/x/e.sock"))))
    )
    assert [each.source.name for each in made] == [
        "eve:/x/eve.json", "eve:unix:/x/eve", "eve:unix:/x/e.sock"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="whole path"):
        EveSocketCollector(Path("unix:eve"))


@pytest.mark.parametrize("kind", ["unix_stream", "unix_dgram"])
def test_suricata_itself_writes_to_it(
    memory_store: Store, tmp_path: Path, where: Path, kind: str
) -> None:
    if shutil.which("suricata") is None:
        pytest.skip("there is no Suricata here")
    program = suricata_config.find()
    plain = tmp_path / "in.pcap"
    with compressed.open_plain(resources.path("pcaps/evening.pcap.gz")) as data:
        plain.write_bytes(data.read())
    folder = tmp_path / "s"
    folder.mkdir()
    written = suricata_config.write(folder, program, Settings())
    text = written.read_text().replace("filetype: regular", f"filetype: {kind}")
    written.write_text(text.replace("filename: eve.json", f"filename: {where}"))
    prefix = "unix" if kind == "unix_stream" else "unix-dgram"
    collector = EveSocketCollector(Path(f"{prefix}:{where}"))
    drain(memory_store, collector)
    command = [program.path, "-c", str(written), "-r", str(plain), "-l", str(folder), "-k", "none"]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    collector.close()
    by_socket = drain(memory_store, collector)
    written.write_text(written.read_text().replace(f"filetype: {kind}", "filetype: regular"))
    written.write_text(written.read_text().replace(f"filename: {where}", "filename: eve.json"))
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    by_file = (folder / "eve.json").read_bytes().count(b"\n")
    assert by_socket.rejected == 0
    assert by_socket.events == by_file > 1000
