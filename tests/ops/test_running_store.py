"""The store under the real daemon: a disk that fills up, and a backup made meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardian.lab.soak import Eve, Watched, compare, datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12)
PATIENCE_S = 180.0
SECRET = "a horse that is correct"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def wait_for(what: Callable[[], bool], text: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > until:
            pytest.fail(f"not within {PATIENCE_S:.0f} s: {text}")
        time.sleep(0.3)


def status(daemon: Watched) -> dict[str, Any]:
    shown: dict[str, Any] = httpx.get(f"{daemon.url}/api/status", timeout=60).json()
    return shown


def guardian(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "guardian.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "COLUMNS": "300", "GUARDIAN_CONFIG": "", **environment},
    )


@pytest.mark.root
def test_a_full_disk_and_a_backup_under_the_running_daemon(disk: Path, tmp_path: Path) -> None:
    eve = Eve(tmp_path)
    # A person's floor: rather nothing more is taken in than that the rows of yesterday go.
    config = "[store]\nfree_floor_bytes = 1000000\n"
    daemon = Watched(data=disk / "data", options=list(eve.option), config=config)
    daemon.start()
    try:
        eve.grow(2000, NOW)
        wait_for(lambda: sum(status(daemon)["events"].values()) >= 2000, "the first rows")
        filler = disk / "filler"
        fill(filler)
        eve.grow(2000, NOW)
        wait_for(lambda: "disk is full" in reasons(daemon), "the disk is said to be full")
        assert httpx.get(f"{daemon.url}/", timeout=60).status_code == 200
        filler.unlink()
        wait_for(lambda: sum(status(daemon)["events"].values()) >= 4000, "the rest of the rows")

        file, words = tmp_path / "copy.guardian", tmp_path / "passphrase"
        words.write_text(SECRET + "\n")
        data = ("--data", str(daemon.data))
        made = guardian("backup", str(file), "--passphrase-file", str(words), *data)
        assert made.returncode == 0, made.stderr
        assert "encrypted" in made.stdout
        assert daemon.process is not None
        said = daemon.process.stderr.read() or b"" if daemon.process.stderr else b""
        assert SECRET.encode() not in said
        assert SECRET not in made.stdout + made.stderr
        assert daemon.stop() == 0
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.kill()
    assert compare(daemon.data, [eve]) == []

    elsewhere = tmp_path / "elsewhere"
    back = guardian(
        "restore", str(file), "--data", str(elsewhere), GUARDIAN_BACKUP_PASSPHRASE=SECRET
    )
    assert back.returncode == 0, back.stderr
    assert compare(elsewhere, [eve]) == []


def reasons(daemon: Watched) -> str:
    return " / ".join(each["text"] for each in status(daemon)["health"]["reasons"])


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 18))
        except OSError:
            return
