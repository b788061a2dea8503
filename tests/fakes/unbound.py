"""A real unbound on a free loopback port, controlled over a socket of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from fakes.dnsmasq import PATIENCE_S, free_port
from guardian.respond.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: "{folder}/unbound.pid"
  interface: 127.0.0.1
  port: {port}
  do-daemonize: no
  use-syslog: no
  logfile: "{folder}/log"
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  include: "{folder}/guardian.conf"
  local-zone: "own.example." static
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream}
remote-control:
  control-enable: yes
  control-interface: "{folder}/control"
  control-use-cert: no
"""


@dataclass
class Unbound:
    folder: Path
    process: subprocess.Popen[bytes]
    port: int
    control: tuple[str, ...]

    @property
    def include(self) -> Path:
        return self.folder / "guardian.conf"

    def settings(self) -> Settings:
        return Settings(
            unbound_include_file=str(self.include),
            unbound_control=self.control,
            resolvers=(f"127.0.0.1#{self.port}",),
            verify_timeout_s=60.0,
            verify_pause_s=0.05,
            query_timeout_s=10.0,
        )

    def run(self, *words: str) -> str:
        return subprocess.run(
            [*self.control, *words], capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def zones(self) -> list[str]:
        return sorted(self.run("list_local_zones").splitlines())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def start(folder: Path, upstream_port: int) -> Unbound:
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    program, control = (
        shutil.which("unbound", path=path),
        shutil.which("unbound-control", path=path),
    )
    if program is None or control is None:
        pytest.skip("unbound is not installed")
    folder.mkdir()
    (folder / "guardian.conf").touch()
    until = time.monotonic() + PATIENCE_S
    while True:
        running = _start(folder, program, control, upstream_port)
        while running.process.poll() is None and not (folder / "control").exists():
            assert time.monotonic() < until, "unbound did not start in time"
            time.sleep(0.02)
        if running.process.poll() is None:
            return running
        # Somebody else took the port between the look and the start.
        assert time.monotonic() < until, "unbound does not start"


def _start(folder: Path, program: str, control: str, upstream_port: int) -> Unbound:
    port = free_port()
    config = folder / "unbound.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream_port))
    process = subprocess.Popen(
        [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return Unbound(folder=folder, process=process, port=port, control=(control, "-c", str(config)))
