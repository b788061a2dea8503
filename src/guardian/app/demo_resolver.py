"""A resolver of the demo's own, so that an approved block can be seen to work.

dnsmasq on loopback, without upstream: it answers every name with an address of the
documentation range (RFC 5737), until a block says otherwise.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.respond.settings import Settings

START_TIMEOUT_S = 5.0
ANSWER = "192.0.2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResolver:
    """A running dnsmasq and the files it reads."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @classmethod
    def start(cls, directory: Path) -> DemoResolver | None:
        """Start dnsmasq in ``directory``; None where it is absent or does not start."""
        program = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            return None
        folder = (directory / "resolver").absolute()  # dnsmasq reads from another place
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("hosts", "servers"):
            (folder / name).touch()
        port = _free_port()
        process = subprocess.Popen(
            [
                program,
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                f"--user={getpass.getuser()}",
                f"--port={port}",
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
                "--no-resolv",
                "--no-hosts",
                f"--addn-hosts={folder / 'hosts'}",
                f"--servers-file={folder / 'servers'}",
                f"--address=/#/{ANSWER}",
                f"--pid-file={folder / 'pid'}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        resolver = cls(process=process, port=port, folder=folder)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (folder / "pid").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                resolver.close()
                return None
            time.sleep(0.02)
        return resolver

    def settings(self, settings: Settings) -> Settings:
        """Return settings that block through this resolver and ask it for the proof."""
        return dataclasses.replace(
            settings,
            dns_responder="dnsmasq",
            dnsmasq_hosts_file=str(self.folder / "hosts"),
            dnsmasq_servers_file=str(self.folder / "servers"),
            dnsmasq_pid_file=str(self.folder / "pid"),
            resolvers=(f"127.0.0.1#{self.port}",),
        )

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        try:
            self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _free_port() -> int:
    """Return a port that is free for both UDP and TCP now."""
    for _ in range(20):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        ):
            datagram.bind(("127.0.0.1", 0))
            port = int(datagram.getsockname()[1])
            try:
                stream.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return 0
