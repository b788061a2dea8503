"""A real dnsmasq on a free loopback port, with a world of its own behind it."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from guardian.respond.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0


def free_port() -> int:
    """A port that is free for UDP and TCP right now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.bind(("127.0.0.1", 0))
            port = datagram.getsockname()[1]
            with socket.socket() as stream:
                try:
                    stream.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port


@dataclass
class Dnsmasq:
    """One process; ``world`` maps names to the address they have."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    @property
    def servers(self) -> Path:
        return self.folder / "servers"

    def settings(self, **changes: object) -> Settings:
        values: dict[str, object] = {
            "dnsmasq_hosts_file": str(self.hosts),
            "dnsmasq_servers_file": str(self.servers),
            "dnsmasq_pid_file": str(self.folder / "pid"),
            "resolvers": (f"127.0.0.1#{self.port}",),
            "verify_timeout_s": 60.0,
            "verify_pause_s": 0.05,
            "query_timeout_s": 10.0,
        }
        return Settings(**{**values, **changes})

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def start(
    folder: Path, upstream: str | None = None, world: dict[str, str] | None = None
) -> Dnsmasq:
    """Start one that answers ``world`` itself, or asks ``upstream`` (address#port)."""
    program = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("dnsmasq is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("hosts", "servers"):
        (folder / name).touch()
    until = time.monotonic() + PATIENCE_S
    while True:
        running = _start(folder, program, upstream, world or {})
        while running.process.poll() is None and not (folder / "pid").exists():
            assert time.monotonic() < until, "dnsmasq did not start in time"
            time.sleep(0.01)
        if running.process.poll() is None:
            return running
        # Somebody else took the port between the look and the start.
        assert time.monotonic() < until, "dnsmasq does not start"


def _start(folder: Path, program: str, upstream: str | None, world: dict[str, str]) -> Dnsmasq:
    port = free_port()
    process = subprocess.Popen(
        [
            program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            f"--user={getpass.getuser()}", f"--port={port}", "--listen-address=127.0.0.1",
            "--bind-interfaces", f"--addn-hosts={folder / 'hosts'}",
            f"--servers-file={folder / 'servers'}", f"--pid-file={folder / 'pid'}",
            *([f"--server={upstream}"] if upstream else []),
            *(f"--address=/{name}/{address}" for name, address in world.items()),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return Dnsmasq(folder=folder, process=process, port=port)
