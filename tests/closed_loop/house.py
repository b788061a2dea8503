"""A house of network namespaces: everybody on one switch that mirrors to a sensor port.

Each host has a namespace and a port of its own. The bridge forgets addresses at once
(``ageing_time 0``), so it floods like a hub, and the sensor port sees every frame. The
"internet" is one more namespace: the gateway, with an upstream DNS server and a TLS
server on an address of the documentation range (RFC 5737).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from guardian.collect import suricata_config
from guardian.collect.settings import Settings as CollectSettings

if TYPE_CHECKING:
    from pathlib import Path

WORLD = "203.0.113.5"
GATEWAY, RESOLVER, GUARDIAN, CLIENT = (f"192.168.77.{n}" for n in (1, 2, 3, 20))
HOSTS = {"world": GATEWAY, "dns": RESOLVER, "watch": GUARDIAN, "laptop": CLIENT}
PAGE = "127.0.0.1:8480"
_CAPTURE = """
af-packet:
  - interface: {port}
    cluster-id: 77
    cluster-type: cluster_flow
    defrag: yes
    checksum-checks: no
"""
_MAIN = "import sys; from guardian.cli import main; sys.exit(main())"
_TLS = """
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = socket.create_server(("0.0.0.0", 443))
def serve(plain):
    try:
        with context.wrap_socket(plain, server_side=True) as link:
            link.recv(4096)
            link.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
_CALL = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection((sys.argv[2], 443), 30) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[1]) as link:
        link.sendall(b"POST /report HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" + b"x" * 900)
        link.recv(4096)
print("done")
"""
PATIENCE_S = 150.0


def need(*programs: str) -> None:
    """Skip where a part of the house is not installed."""
    for program in programs:
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")


@dataclass
class House:
    """The namespaces, and what runs in them."""

    folder: Path
    tag: str = field(default_factory=lambda: "g" + secrets.token_hex(3))
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    guardian: subprocess.Popen[bytes] | None = None

    @property
    def eve(self) -> Path:
        return self.folder / "suricata" / "eve.json"

    def __enter__(self) -> House:
        need("ip", "ethtool", "dnsmasq", "suricata", "openssl", "curl")
        try:
            self._wire()
            self._world()
            self._resolver()
            self._suricata()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in ("switch", *HOSTS):
            subprocess.run(["ip", "netns", "del", self._ns(name)], capture_output=True, check=False)

    def start_guardian(self, **respond: Any) -> None:
        """Run the daemon as people run it: one process, a configuration file, real sources."""
        config = self.folder / "guardian.toml"
        settings = {
            "dns_responder": "dnsmasq",
            "dnsmasq_hosts_file": str(self.folder / "dns" / "hosts"),
            "dnsmasq_servers_file": str(self.folder / "dns" / "servers"),
            "dnsmasq_pid_file": str(self.folder / "dns" / "pid"),
            "resolvers": [RESOLVER],
            "gateways": [GATEWAY],
            "verify_timeout_s": 60.0,
            "query_timeout_s": 10.0,
            **respond,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        config.write_text("\n".join(["[respond]", *lines]) + "\n")
        log = (self.folder / "guardian.log").open("ab")
        self.guardian = self._start(
            "watch",
            [
                sys.executable, "-c", _MAIN, "run", "--config", str(config),
                "--data", str(self.folder / "data"), "--eve", str(self.eve),
                "--pihole-log", str(self.folder / "dns" / "pihole.log"), "--listen", PAGE,
            ],
            log,
        )  # fmt: skip
        self.until(
            "the page answers", lambda: self.api("GET", "/api/incidents") is not None, PATIENCE_S
        )

    def stop_guardian(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal the daemon and return its exit status."""
        assert self.guardian is not None
        self.guardian.send_signal(how)
        return self.guardian.wait(PATIENCE_S)

    def api(self, method: str, path: str) -> Any:
        """Call the page's API from Guardian's own host; None when nobody answers."""
        done = self.inside(
            "watch",
            "curl", "-s", "--max-time", "60", "-X", method, "-H", "Content-Length: 0",
            f"http://{PAGE}{path}",
        )  # fmt: skip
        return json.loads(done) if done.startswith(("[", "{")) else None

    def resolve(self, name: str, kind: str = "A") -> list[str]:
        """Ask the house's resolver from the laptop, as any program there would."""
        script = (
            "import sys, dns.message, dns.query, dns.rdatatype\n"
            "asked = dns.message.make_query(sys.argv[1], sys.argv[2])\n"
            "said = dns.query.udp(asked, sys.argv[3], timeout=30)\n"
            "kind = dns.rdatatype.from_text(sys.argv[2])\n"
            "print(*(r for s in said.answer if s.rdtype == kind for r in s))\n"
        )
        done = self.inside("laptop", sys.executable, "-c", script, name, kind, RESOLVER)
        return done.split()

    def call(self, name: str, address: str) -> None:
        """Open a TLS connection from the laptop and send a report."""
        self.until(
            "a connection",
            lambda: self.inside("laptop", sys.executable, "-c", _CALL, name, address) == "done\n",
        )

    def inside(self, host: str, *command: str) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self._ns(host), *command],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return done.stdout

    def until(self, what: str, test: Any, timeout_s: float = PATIENCE_S) -> float:
        """Wait until ``test`` is true; return the seconds it took."""
        began = time.monotonic()
        while not test():
            if time.monotonic() - began > timeout_s:
                log = self.folder / "guardian.log"
                tail = log.read_text()[-3000:] if log.exists() else ""
                pytest.fail(f"{what}: not within {timeout_s} s\n{tail}")
            time.sleep(0.1)
        return time.monotonic() - began

    def _ns(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def _wire(self) -> None:
        for name in ("switch", *HOSTS):
            _run("ip", "netns", "add", self._ns(name))
            _run("ip", "-n", self._ns(name), "link", "set", "lo", "up")
        switch = self._ns("switch")
        _run("ip", "-n", switch, "link", "add", "br0", "type", "bridge", "ageing_time", "0")
        _run("ip", "-n", switch, "link", "set", "br0", "up")
        for name, address in HOSTS.items():
            self._port(name, "eth0", name)
            _run("ip", "-n", self._ns(name), "addr", "add", f"{address}/24", "dev", "eth0")
            if name != "world":
                _run("ip", "-n", self._ns(name), "route", "add", "default", "via", GATEWAY)
        self._port("watch", "sensor", "mirror")
        _run("ip", "-n", self._ns("world"), "addr", "add", f"{WORLD}/32", "dev", "lo")

    def _port(self, host: str, device: str, port: str) -> None:
        switch, ns = self._ns("switch"), self._ns(host)
        _run(
            "ip", "link", "add", f"p{self.tag[1:]}", "netns", switch,
            "type", "veth", "peer", "name", device, "netns", ns,
        )  # fmt: skip
        _run("ip", "-n", switch, "link", "set", f"p{self.tag[1:]}", "name", port, "master", "br0")
        for where, link in ((switch, port), (ns, device)):
            _run(
                "ip", "netns", "exec", where, "ethtool", "-K", link,
                "tx", "off", "rx", "off", "gso", "off", "gro", "off", "tso", "off",
            )  # fmt: skip
            _run("ip", "-n", where, "link", "set", link, "up")

    def _world(self) -> None:
        folder = self.folder / "world"
        folder.mkdir()
        key, certificate = folder / "key.pem", folder / "cert.pem"
        _run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=world.example",
            "-keyout", str(key), "-out", str(certificate),
        )  # fmt: skip
        self._start("world", [sys.executable, "-c", _TLS, str(certificate), str(key)])
        self._dnsmasq("world", folder, f"--address=/#/{WORLD}", f"--listen-address={GATEWAY}")

    def _resolver(self) -> None:
        folder = self.folder / "dns"
        folder.mkdir()
        for name in ("hosts", "servers", "pihole.log"):
            (folder / name).touch()
        self._dnsmasq(
            "dns", folder, f"--server={GATEWAY}", f"--listen-address={RESOLVER}",
            "--log-queries", f"--log-facility={folder / 'pihole.log'}",
            f"--addn-hosts={folder / 'hosts'}", f"--servers-file={folder / 'servers'}",
        )  # fmt: skip

    def _dnsmasq(self, host: str, folder: Path, *options: str) -> None:
        self._start(
            host,
            [
                "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                "--no-hosts", "--user=root", "--bind-interfaces",
                f"--pid-file={folder / 'pid'}", *options,
            ],
        )  # fmt: skip
        self.until(f"dnsmasq in {host}", (folder / "pid").exists)

    def _suricata(self) -> None:
        folder = self.eve.parent
        folder.mkdir()
        program = suricata_config.find()
        yaml = suricata_config.write(
            folder, program, CollectSettings(), capture=_CAPTURE.format(port="sensor")
        )
        log = (folder / "out.log").open("wb")
        self._start(
            "watch",
            [
                program.path, "-c", str(yaml), "-l", str(folder), "--af-packet=sensor",
                "-k", "none", "--set", "unix-command.enabled=no",
            ],
            log,
        )  # fmt: skip
        self.until("Suricata", lambda: "Engine started" in _text(folder / "out.log"))

    def _start(self, host: str, command: list[str], log: Any = None) -> subprocess.Popen[bytes]:
        out = log or subprocess.DEVNULL
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._ns(host), *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
        self.running.append(process)
        return process


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
