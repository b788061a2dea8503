"""A real resolver subscribes to a real daemon, and refuses what stands on the list."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import dns.message
import dns.query
import dns.rcode
import httpx
import pytest

from fakes import dnsmasq as dnsmasq_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 150.0
UNBOUND = """
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
  verbosity: 2
  num-threads: 1
  module-config: "respip iterator"
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream}
rpz:
  name: "guardian.rpz"
  url: "{url}"
  zonefile: "{folder}/copy.rpz"
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[str]:
    """A daemon with built lists and a token; its page's address."""
    config = tmp_path / "guardian.toml"
    config.write_text(f'data = "{tmp_path}/data"\nlisten = "127.0.0.1:0"\n[lists]\ntoken = "k3y"\n')
    guardian = [sys.executable, "-m", "guardian.cli"]
    named = {**os.environ, "GUARDIAN_CONFIG": str(config), "NO_COLOR": "1", "COLUMNS": "300"}
    subprocess.run(
        [*guardian, "lists", "build", "--format", "json"],
        env=named, check=True, timeout=PATIENCE_S, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    process = subprocess.Popen([*guardian, "run"], env=named, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = b""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := re.search(rb"page: (http://\S+)", said)):
        assert time.monotonic() < deadline, said.decode()
        assert process.poll() is None, said.decode()
        if select.select([process.stderr], [], [], 0.5)[0]:
            said += os.read(process.stderr.fileno(), 65536)
    yield found[1].decode()
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0
    assert b"k3y" not in said + rest


def test_unbound_subscribes(daemon: str, tmp_path: Path) -> None:
    program = shutil.which("unbound", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("unbound is not installed")
    address = f"{daemon}/lists/guardian-acr.rpz"
    assert httpx.get(address).status_code == 403
    first = httpx.get(f"{address}?token=k3y")
    assert first.status_code == 200
    etag = first.headers["etag"]
    again = httpx.get(f"{address}?token=k3y", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    names = dict.fromkeys(("log-config.samsungacr.com", "fine.example"), "203.0.113.7")
    world = dnsmasq_part.start(tmp_path / "world", world=names)
    folder = tmp_path / "unbound"
    folder.mkdir()
    port = dnsmasq_part.free_port()
    config = folder / "unbound.conf"
    config.write_text(
        UNBOUND.format(folder=folder, port=port, upstream=world.port, url=f"{address}?token=k3y")
    )
    process = subprocess.Popen(
        [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while (answer := ask(port, "log-config.samsungacr.com")) != "NXDOMAIN":
            assert process.poll() is None
            assert time.monotonic() < deadline, f"{answer}\n{(folder / 'log').read_text()[-3000:]}"
            time.sleep(0.2)
        assert ask(port, "fine.example") == "203.0.113.7"
    finally:
        process.terminate()
        process.wait(60)
        world.close()


def ask(port: int, name: str) -> str:
    try:
        answer = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=1)
    except (dns.exception.Timeout, OSError):
        return "silence"
    if answer.answer:
        return str(answer.answer[0][0])
    return dns.rcode.to_text(answer.rcode())
