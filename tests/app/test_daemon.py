"""The real program as a person runs it: started, fed, asked, stopped, killed."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardian.cli import main
from guardian.errors import StoreLockedError
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 150.0


class Running:
    """A daemon of the test's own."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "guardian.cli",
                "run",
                "--data",
                str(data),
                "--listen",
                "127.0.0.1:0",
                *options,
            ],
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "NO_COLOR": "1",
                "PYTHONFAULTHANDLER": "1",
                "COLUMNS": "300",
                "GUARDIAN_CONFIG": "",
            },
        )
        self.url = self._url()

    def _url(self) -> str:
        assert self.process.stderr is not None
        said = b""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if select.select([self.process.stderr], [], [], 0.5)[0]:
                said += os.read(self.process.stderr.fileno(), 65536)
            found = re.search(rb"page: (http://\S+)", said)
            if found:
                return found[1].decode()
            if self.process.poll() is not None:
                break
        pytest.fail(f"the daemon did not start: {said.decode(errors='replace')}")

    def ask(self, *words: str) -> Any:
        return guardian(*words, "--data", str(self.data), "--format", "json")

    def wait_for_rows(self, number: int, table: str = "flow") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (seen := self.ask("status")["events"].get(table, 0)) < number:
            if time.monotonic() > deadline:
                pytest.fail(f"{seen} of {number} {table} rows after {PATIENCE_S} s")
            time.sleep(0.2)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler says where each thread is
            assert self.process.stderr is not None
            pytest.fail(self.process.stderr.read().decode(errors="replace"))


def guardian(*words: str) -> Any:
    answer = subprocess.run(
        [sys.executable, "-m", "guardian.cli", *words],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr.decode()
    return json.loads(answer.stdout)


def flow(number: int) -> str:
    second, fraction = divmod(number, 1000)
    stamp = f"2026-11-20T20:{second // 60 % 60:02d}:{second % 60:02d}.{fraction:03d}000+0000"
    return json.dumps(
        {
            "timestamp": stamp,
            "flow_id": number + 1,
            "event_type": "flow",
            "src_ip": "192.168.1.30",
            "src_port": 40000 + number % 20000,
            "dest_ip": "203.0.113.9",
            "dest_port": 443,
            "proto": "TCP",
            "app_proto": "tls",
            "flow": {
                "pkts_toserver": 5,
                "pkts_toclient": 4,
                "bytes_toserver": 500 + number,
                "bytes_toclient": 400,
                "start": stamp,
                "end": stamp,
                "state": "closed",
                "reason": "timeout",
            },
        }
    )


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    path = tmp_path / "eve.json"
    path.write_text("".join(flow(number) + "\n" for number in range(200)))
    return path


@pytest.fixture
def daemon(tmp_path: Path, eve: Path) -> Iterator[Running]:
    started = Running(tmp_path / "data", "--eve", str(eve))
    yield started
    if started.process.poll() is None:
        started.stop(signal.SIGKILL)


def rows_of(data: Path) -> list[int]:
    code = (
        "import sys, pathlib, json; from guardian.store import Store\n"
        "store = Store.open(pathlib.Path(sys.argv[1]))\n"
        "with store.read() as r:\n"
        "    rows = r.rows('SELECT flow_id FROM flow ORDER BY 1')\n"
        "print(json.dumps([row['flow_id'] for row in rows]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(data)], capture_output=True, check=True
    )
    return json.loads(answer.stdout)


def test_it_follows_answers_and_stops_cleanly(daemon: Running, eve: Path) -> None:
    daemon.wait_for_rows(200)
    with eve.open("a") as log:
        log.writelines(flow(number) + "\n" for number in range(200, 300))
        log.write('{"half')
        log.flush()
    daemon.wait_for_rows(300)
    status = daemon.ask("status")
    assert status["running"] is True
    assert status["sources"][0]["rejected"] == 0
    assert status["sources"][0]["state"] == "ok"
    assert httpx.get(daemon.url + "/").status_code == 200
    assert httpx.get(daemon.url + "/api/status").json()["events"]["flow"] == 300
    refused = subprocess.run(
        [sys.executable, "-m", "guardian.cli", "replay", str(eve), "--data", str(daemon.data)],
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 5
    assert f"process {daemon.process.pid} owns the store".encode() in refused.stderr
    assert daemon.stop() == 0
    assert rows_of(daemon.data) == list(range(1, 301))


def test_what_a_person_says_of_devices_goes_through_the_daemon(
    daemon: Running, eve: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of devices over the socket; what one says, the next and the page show."""

    def say(*words: str) -> None:
        assert main([*words, "--data", str(daemon.data)]) == 0
        capsys.readouterr()

    def ask(*words: str) -> Any:
        assert main([*words, "--data", str(daemon.data), "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    with eve.open("a") as log:
        log.write(flow(300).replace("192.168.1.30", "192.168.1.31") + "\n")
    deadline = time.monotonic() + PATIENCE_S
    while len(found := ask("devices")) < 2:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    with pytest.raises(StoreLockedError):
        Store.open(daemon.data)
    one, two = (row["id"] for row in sorted(found, key=lambda row: row["addresses"]))
    say("device", "set", one, "--kind", "tv", "--room", "attic")
    say("rename", one, "Old TV")
    shown = ask("device", "show", "Old TV")
    assert (shown["kind"], shown["room"], shown["locked"]) == (
        "tv",
        "attic",
        ["kind", "name", "room"],
    )
    assert "Old TV" in httpx.get(f"{daemon.url}/devices/{one}").text
    say("device", "unlock", one, "kind", "room")
    assert ask("device", "show", one)["locked"] == ["name"]
    say("device", "merge", two, one)
    assert [row["id"] for row in ask("devices")] == [one]
    say("device", "split", two)
    assert len(ask("devices")) == 2
    say("segments", "192.168.1.0/24", "--role", "iot", "--name", "Things")
    (network,) = ask("segments")
    assert (network["role"], network["name"]) == ("iot", "Things")
    assert main(["device", "set", "nobody", "--kind", "tv", "--data", str(daemon.data)]) == 3
    assert daemon.stop() == 0
    # The store itself holds it: without a daemon the same commands read the file.
    assert ask("device", "show", one)["name"] == "Old TV"


def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path) -> None:
    log, data, total = tmp_path / "eve.json", tmp_path / "data", 60_000
    log.touch()
    with log.open("a", buffering=1 << 16) as growing:
        daemon = Running(data, "--eve", str(log))
        try:
            for number in range(total):
                growing.write(flow(number) + "\n")
                if number % 15_000 == 14_999 and number < total - 1:
                    growing.flush()
                    time.sleep(0.4)
                    daemon.stop(signal.SIGKILL)
                    daemon = Running(data, "--eve", str(log))
            growing.flush()
            daemon.wait_for_rows(total)
            assert daemon.stop() == 0
        finally:
            if daemon.process.poll() is None:
                daemon.stop(signal.SIGKILL)
    assert rows_of(data) == list(range(1, total + 1))


def test_reachable_from_outside_it_wants_a_password_first(tmp_path: Path) -> None:
    words = ["run", "--data", str(tmp_path), "--listen", "0.0.0.0:0"]
    answer = subprocess.run(
        [sys.executable, "-m", "guardian.cli", *words],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert answer.returncode == 5
    assert b"guardian password" in answer.stderr


def test_an_address_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["run", "--data", str(tmp_path), "--listen", listen]
        answer = subprocess.run(
            [sys.executable, "-m", "guardian.cli", *words],
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "COLUMNS": "300"},
        )
    assert answer.returncode == 2
    assert f"the page cannot listen on {listen}" in answer.stderr.decode()
    assert b"Traceback" not in answer.stderr
