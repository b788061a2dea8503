"""A real Suricata on a virtual cable: watched, reloaded, killed, started again, overrun."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guardian.collect import suricata_live
from guardian.collect.sensor_watch import Counts, Watch
from guardian.collect.settings import Settings
from guardian.collect.suricata_live import Sensor
from guardian.errors import CollectorError
from guardian.ops.status import status
from guardian.store import sensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardian.store import Store

SETTINGS = Settings()


def watched(*looks: tuple[float, Counts], settings: Settings = SETTINGS) -> Watch:
    watch = Watch("eth9", settings)
    for now_s, counts in looks:
        watch.note(now_s, counts)
    return watch


def test_a_share_of_missed_packets_is_said_and_passes() -> None:
    watch = watched((0, Counts(packets=100_000)), (10, Counts(packets=200_000, dropped=999)))
    assert watch.trouble() is None
    watch.note(20, Counts(packets=300_000, dropped=2001))
    assert watch.trouble() == (
        "Suricata on eth9 missed 1.0% of the packets of the last 5 minutes (2,001 of 200,000): "
        "the machine is too slow or too busy for this port"
    )
    watch.note(330, Counts(packets=400_000, dropped=2001))
    assert watch.trouble() is None
    assert watch.last.dropped == 2001


def test_the_first_look_counts_from_the_start() -> None:
    assert watched((0, Counts(packets=2000, dropped=1000))).trouble() is not None
    assert watched((0, Counts(packets=20, dropped=10))).trouble() is None  # too few to say


def test_a_sensor_that_was_started_again_counts_anew() -> None:
    watch = watched((0, Counts(packets=9_000_000, dropped=5)), (10, Counts(packets=5000)))
    assert watch.recent == (5000, 0, 0)


def test_a_port_that_says_nothing_is_said() -> None:
    watch = watched((0, Counts(packets=900)), (150, Counts(packets=900)))
    assert watch.trouble() is None
    watch.note(300, Counts(packets=900))
    assert "saw no packet in the last 5 minutes" in (watch.trouble() or "")
    watch.note(310, Counts(packets=901))
    assert watch.trouble() is None


def test_memory_is_watched() -> None:
    full = watched((0, Counts(packets=1, unfollowed=3)))
    assert "raise collect.suricata_memory_mb (now 512)" in (full.trouble() or "")
    large = watched((0, Counts(packets=1, memory_bytes=3 << 30)))
    assert "holds 3.2 GB of memory, more than collect.sensor_memory_mb" in (large.trouble() or "")


def test_rotated_logs_go_when_read_and_the_loss_of_unread_ones_is_said(tmp_path: Path) -> None:
    sensor = Sensor("eth9", tmp_path, SETTINGS)
    now = time.time()
    for age in range(12):
        path = tmp_path / f"eve.json.{1000 - age}"
        path.write_text("x" * 100)
        os.utime(path, (now - age, now - age))
    sensor._rotate(None)
    assert len(list(tmp_path.glob("eve.json.*"))) == suricata_live.KEEP_UNREAD
    assert sensor.lost_bytes == 400
    assert "removed unread" in (sensor.trouble() or "")
    reading = tmp_path / "eve.json.998"
    mark = {"head": "x", "inode": reading.stat().st_ino, "mtime_ns": reading.stat().st_mtime_ns}
    sensor._rotate(suricata_live.Mark.from_json(mark))
    left = sorted(path.name for path in tmp_path.glob("eve.json.*"))
    assert left == ["eve.json.1000", "eve.json.998", "eve.json.999"]


def test_how_a_sensor_does_is_in_the_status(memory_store: Store) -> None:
    sensor = Sensor("eth9", None, SETTINGS)  # type: ignore[arg-type]
    sensor._watch.note(0, Counts(packets=500, dropped=2, memory_bytes=1 << 28, rules=53))
    sensors.note(memory_store, sensor.state())
    sensors.note(memory_store, sensor.state())
    (row,) = status(memory_store, running=True)["sensors"]
    assert row["noted_at"].endswith("Z")
    assert (row["packets"], row["dropped"], row["memory_bytes"], row["rules"]) == (
        500, 2, 1 << 28, 53
    )  # fmt: skip


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    ends = (f"gs{os.getpid()}a"[-15:], f"gs{os.getpid()}b"[-15:])
    add = ["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]]
    if shutil.which("suricata") is None or subprocess.run(add, check=False).returncode:
        pytest.skip("no Suricata or no virtual cable here")
    for end in ends:
        subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1"], check=False)
        subprocess.run(["ip", "link", "set", end, "up"], check=True)
    yield ends
    subprocess.run(["ip", "link", "del", ends[0]], check=False)


@pytest.fixture
def running(cable: tuple[str, str], tmp_path: Path) -> Iterator[Sensor]:
    sensor = Sensor(cable[0], tmp_path / "sensor", SETTINGS)
    sensor.tend()
    yield sensor
    sensor.stop()


def until(condition: Callable[[], bool], what: str, *, limit_s: float = 180.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def stop(process_id: int) -> None:
    """Stop a process and wait until all its threads stand still."""
    os.kill(process_id, signal.SIGSTOP)
    tasks = Path(f"/proc/{process_id}/task")

    def stands() -> bool:
        return all("State:\tT" in (task / "status").read_text() for task in tasks.iterdir())

    until(stands, "it does not stop")


def well(sensor: Sensor) -> bool:
    with contextlib.suppress(CollectorError):
        return sensor.tend()
    return False


def flood(interface: str, number: int) -> None:
    frame = (
        bytes.fromhex("ffffffffffff0200000000010800")
        + bytes.fromhex(
            "45000594000100004011000ac0a80001c0a80002"  # UDP, with nothing of sense in it
        )
        + b"\x30\x39\x30\x3a\x05\x80\x00\x00"
        + b"x" * 1400
    )
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        for _ in range(number):
            sender.send(frame)


@pytest.mark.root
def test_a_sensor_is_watched_and_its_rules_reload(
    running: Sensor, cable: tuple[str, str], tmp_path: Path
) -> None:
    until(running.tend, "no look at the sensor")
    until(lambda: running.tend() and (running.state().rules or 0) > 0, "no rules")
    before = running.state().rules or 0

    def counted() -> bool:  # it answers before it captures
        flood(cable[1], 100)
        running._next_look = 0.0
        return running.tend() and running.state().packets >= 500

    until(counted, "packets not counted")
    state = running.state()
    assert (state.dropped, state.restarts) == (0, 0)
    assert 50e6 < (state.memory_bytes or 0) < 2e9
    assert running.trouble() is None
    more = tmp_path / "more.rules"
    more.write_text('alert tcp any any -> any 9 (msg:"x"; sid:9000001; rev:1;)\n')
    running.reload_rules(Settings(suricata_rules=(more,)))

    def reloaded() -> bool:
        running._next_look = 0.0
        return running.tend() and running.state().rules == before + 1

    until(reloaded, "the rules were not read again")


@pytest.mark.root
def test_a_sensor_that_dies_is_said_and_started_again(running: Sensor) -> None:
    assert running._process is not None
    first = running._process.pid
    os.kill(first, signal.SIGKILL)
    running._process.wait()
    with pytest.raises(CollectorError, match="was killed"):
        running.tend()
    with pytest.raises(CollectorError, match="was killed"):
        running.tend()  # started again, but not yet well: who tends it waits longer
    assert running._process.pid != first
    until(lambda: well(running), "no look at the new one")
    assert running.state().restarts == 1


@pytest.mark.root
def test_a_sensor_that_hangs_is_started_again(running: Sensor) -> None:
    until(running.tend, "no look at the sensor")
    assert running._process is not None
    stop(running._process.pid)
    running._silent_after = running._next_look = 0.0
    with pytest.raises(CollectorError, match="answered nothing"):
        running.tend()
    until(lambda: well(running), "no look at the new one")


@pytest.mark.root
def test_missed_packets_are_counted(running: Sensor, cable: tuple[str, str]) -> None:
    def listens() -> bool:  # it answers before it captures
        flood(cable[1], 10)
        running._next_look = 0.0
        return running.tend() and running.state().packets > 0

    until(listens, "it does not capture")
    assert running._process is not None
    stop(running._process.pid)  # a machine that is much too busy
    flood(cable[1], 50_000)  # 70 MB, into a buffer of 32 MB
    os.kill(running._process.pid, signal.SIGCONT)

    def seen() -> bool:
        running._next_look = 0.0
        return running.tend() and running.state().dropped > 0

    until(seen, "the drops were not counted")
    assert "missed" in (running.trouble() or "")
