# ruff: noqa: E501 - a story is told by the line
"""Make the evening at home: three hours of a made-up house, known to the packet.

Six things in it do what somebody should know of: a television that reports what is
watched, a voice assistant that calls home every minute, a camera that searches the
network, a laptop with malware on it, a tablet that speaks with a language model at
night, and a phone that asks its own DNS server. The printer, the console and the
other laptop do nothing wrong. ``pcaps/MANIFEST.toml`` says what must be found.

``python -m guardian.lab.evening OUT`` writes the capture and the Pi-hole's log, the
same bytes every time; with Suricata installed also the EVE log made of the capture.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.lab.evening_house import (
    ADDRESSES,
    ANNAS,
    ASSISTANT,
    ATTACKER,
    BENS,
    C2_NAME,
    CAMERA,
    CONSOLE,
    HOSTS,
    PHONE,
    PIHOLE,
    PRINTER,
    ROUTER,
    TABLET,
    TUNNEL,
    TV,
)
from guardian.lab.packets import Host, Wire, write_gz

if TYPE_CHECKING:
    from collections.abc import Iterable

START = datetime(2026, 11, 20, 20, 30, tzinfo=UTC).timestamp()
"""A Friday evening in a house that keeps UTC."""
LENGTH_S = 3 * 3600
SEED = 20261120
UPSTREAM = "9.9.9.9"
CAPTURE, PIHOLE_LOG, EVE = "evening.pcap.gz", "evening.pihole.log.gz", "evening.eve.json.gz"


@dataclass(slots=True)
class Evening:
    """The wire and the resolver's log, as the story goes on."""

    wire: Wire
    lines: list[tuple[float, str]] = field(default_factory=list)
    cache: dict[str, float] = field(default_factory=dict)
    known: dict[tuple[str, str], float] = field(default_factory=dict)

    def lookup(self, when: float, host: Host, name: str, ttl: int = 300) -> tuple[float, str]:
        """Ask the Pi-hole, unless the host still knows; return when, and the address."""
        address = ADDRESSES[name]
        if self.known.get((host.ip, name), 0) > when:
            return when, address
        self.known[host.ip, name] = when + ttl
        self.ask(when, host, name, [address], ttl=ttl)
        return when + 0.04, address

    def ask(
        self,
        when: float,
        host: Host,
        name: str,
        answers: list[str],
        *,
        kind: str = "A",
        ttl: int = 300,
    ) -> None:
        """Put a question to the Pi-hole, and its question upstream when it does not know."""
        fresh = self.cache.get(name, 0) <= when
        self._log(when, f"query[{kind}] {name} from {host.ip}")
        if fresh:
            self.wire.dns(when + 0.001, PIHOLE.ip, UPSTREAM, name, answers, kind=kind, ttl=ttl)
            self._log(when + 0.001, f"forwarded {name} to {UPSTREAM}")
            self.cache[name] = when + ttl
        word = "reply" if fresh else "cached"
        for answer in answers:
            shown = f'"{answer}"' if kind == "TXT" else answer
            self._log(when + (0.02 if fresh else 0.0005), f"{word} {name} is {shown}")
        delay = 0.022 if fresh else 0.001
        self.wire.dns(when, host.ip, PIHOLE.ip, name, answers, kind=kind, ttl=ttl, delay=delay)

    def visit(self, when: float, host: Host, name: str, *, up: int = 700, down: int = 6000) -> None:
        """Open a TLS connection to a name, as a browser or an app does."""
        then, address = self.lookup(when, host, name)
        self.wire.tls(then, host.ip, address, name, up=up, down=down)

    def _log(self, when: float, text: str) -> None:
        self.lines.append((when, text))

    def log(self) -> bytes:
        """Return the log as Pi-hole's dnsmasq writes it, with the time zone noted on top."""
        rows = ["# guardian: timezone=UTC\n"]
        for when, text in sorted(self.lines, key=lambda item: item[0]):
            moment = datetime.fromtimestamp(int(when), UTC)
            rows.append(f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} dnsmasq[512]: {text}\n")
        return "".join(rows).encode()


def story() -> Evening:
    """Tell the whole evening."""
    evening = Evening(Wire(ROUTER, {host.ip: host for host in HOSTS}, SEED))
    for part in (
        _arrivals, _quiet_house, _television, _assistant, _camera, _annas_work, _malware, _tunnel,
        _bens_laptop, _tablet, _phone, _console, _printing,
    ):  # fmt: skip
        part(evening)
    return evening


def _every(
    evening: Evening, first: float, last: float, gap: float, jitter: float
) -> Iterable[float]:
    """Yield moments from ``first`` to ``last`` (minutes), ``gap`` seconds apart on average."""
    when, end = START + first * 60, START + last * 60
    while when < end:
        yield when
        when += gap * (1 + evening.wire.rng.uniform(-jitter, jitter))


def _arrivals(evening: Evening) -> None:
    """Everything renews its lease and says who it is, one after the other."""
    wire = evening.wire
    for place, host in enumerate(HOSTS[2:]):
        when = START + 3 + place * 2.7
        wire.dhcp(when, host)
        wire.arp(when + 0.2, host, ROUTER.ip)
        wire.arp(when + 0.4, host, PIHOLE.ip)
    wire.arp(START + 1, PIHOLE, ROUTER.ip)
    for minute in (1, 61, 121):
        when = START + minute * 60
        wire.mdns(when, TV, "Living-room TV", "_googlecast._tcp", "md=LG OLED55")
        wire.mdns(when + 2, PRINTER, "Office printer", "_ipp._tcp", "ty=Brother HL-L2350DW")
        wire.mdns(when + 4, ASSISTANT, "Kitchen Echo", "_amzn-alexa._tcp")
        wire.mdns(when + 6, CAMERA, "Front-door camera", "_rtsp._tcp")


def _quiet_house(evening: Evening) -> None:
    """Clocks are set; address tables are refreshed."""
    wire = evening.wire
    for place, host in enumerate((TV, CAMERA, BENS, PRINTER, CONSOLE)):
        for when in _every(evening, 2 + place, 180, 1024 + 90 * place, 0.02):
            then, address = evening.lookup(when, host, "0.pool.ntp.org", ttl=150)
            wire.ntp(then, host.ip, address)
    for place, host in enumerate(HOSTS[2:]):
        for when in _every(evening, 4 + place / 3, 180, 1200, 0.05):
            wire.arp(when, host, ROUTER.ip)
            wire.arp(when + 0.1, host, PIHOLE.ip)


def _television(evening: Evening) -> None:
    """A film, and every 15 seconds a fingerprint of what is on the screen."""
    for when in _every(evening, 12, 110, 240, 0.8):
        evening.visit(when, TV, "ipv4-c012-lhr001-ix.1.oca.nflxvideo.net", up=900, down=14000)
    for when in _every(evening, 10, 170, 15, 0.012):
        evening.visit(when, TV, "eu-acr4.alphonso.tv", up=860, down=120)


def _assistant(evening: Evening) -> None:
    """A heartbeat every minute, and twice somebody speaks to it."""
    name = "alexa.na.gateway.devices.a2z.com"
    for when in _every(evening, 1.5, 179, 60, 0.008):
        evening.visit(when, ASSISTANT, name, up=180, down=130)
    for minute in (36.4, 95.2):
        evening.visit(START + minute * 60, ASSISTANT, name, up=38000, down=9000)


def _camera(evening: Evening) -> None:
    """For seven minutes the camera looks for open Telnet doors, here and next door."""
    wire, rng = evening.wire, evening.wire.rng
    when = START + 74 * 60
    for last in range(1, 255):
        wire.arp(when, CAMERA, f"192.168.1.{last}")
        when += 0.21
    for host in HOSTS:
        for port in (23, 2323, 80, 8080, 5555):
            if host is not CAMERA:
                wire.refused(when, CAMERA.ip, host.ip, port, answered=True)
                when += 0.3
    for last in rng.sample(range(2, 250), 60):
        for port in (23, 2323):
            wire.refused(when, CAMERA.ip, f"192.168.0.{last}", port, answered=False)
            when += rng.uniform(0.9, 1.6)


def _annas_work(evening: Evening) -> None:
    """Anna reads, and Windows looks for updates."""
    names = ("www.bbc.co.uk", "ichef.bbci.co.uk", "www.kew.org", "static01.nyt.com")
    rng = evening.wire.rng
    for when in _every(evening, 3, 170, 140, 0.8):
        evening.visit(when, ANNAS, rng.choice(names), down=rng.randrange(2000, 12000))
    then, address = evening.lookup(START + 8 * 60, ANNAS, "download.windowsupdate.com")
    ask = _http_get(
        "download.windowsupdate.com",
        "/msdownload/update/v5/list.cab",
        "Windows-Update-Agent/10.0.10011.16384 Client-Protocol/2.70",
    )
    evening.wire.tcp(
        then,
        ANNAS.ip,
        address,
        80,
        [(">", ask), ("<", _http_ok("application/vnd.ms-cab-compressed", b"MSCF" + bytes(3000)))],
    )


def _malware(evening: Evening) -> None:
    """At 20:58 a program from a bare address; from 21:02 on a call every minute."""
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
    ask = _http_get(ATTACKER, "/dl/invoice-viewer.exe", agent)
    program = _program(evening)
    talk = [(">", ask), ("<", _http_ok("application/octet-stream", program))]
    evening.wire.tcp(START + 28 * 60, ANNAS.ip, ATTACKER, 80, talk)
    for when in _every(evening, 32, 179, 60, 0.08):
        then, address = evening.lookup(when, ANNAS, C2_NAME, ttl=240)
        evening.wire.tls(then, ANNAS.ip, address, C2_NAME, up=212, down=148, alpn=())


def _tunnel(evening: Evening) -> None:
    """From 22:10 on the same laptop carries data out in the names of DNS questions."""
    rng = evening.wire.rng
    for number, when in enumerate(_every(evening, 100, 112, 1.6, 0.5)):
        labels = f"{number:04x}{rng.randbytes(26).hex()}.{rng.randbytes(24).hex()}"
        answer = rng.randbytes(48).hex()
        evening.ask(when, ANNAS, f"{labels}.{TUNNEL}", [answer], kind="TXT", ttl=1)


def _bens_laptop(evening: Evening) -> None:
    """Ben works: pages, packages, and a mail check every five minutes."""
    names = (
        "github.com", "avatars.githubusercontent.com", "en.wikipedia.org", "upload.wikimedia.org",
        "www.openstreetmap.org", "tile.openstreetmap.org",
    )  # fmt: skip
    rng = evening.wire.rng
    for when in _every(evening, 2, 178, 75, 0.9):
        evening.visit(when, BENS, rng.choice(names), down=rng.randrange(1500, 9000))
    for when in _every(evening, 4, 178, 300, 0.03):
        then, address = evening.lookup(when, BENS, "imap.fastmail.com")
        more = [("<", rng.randrange(200, 5000))] if rng.random() < 0.4 else []
        evening.wire.tls(
            then,
            BENS.ip,
            address,
            "imap.fastmail.com",
            port=993,
            up=210,
            down=420,
            more=more,
            alpn=(),
        )
    then, address = evening.lookup(START + 50 * 60, BENS, "mirror.linux-home.example")
    ask = _http_get(
        "mirror.linux-home.example", "/debian/dists/trixie/InRelease", "Debian APT-HTTP/1.3 (2.6.1)"
    )
    evening.wire.tcp(
        then,
        BENS.ip,
        address,
        80,
        [
            (">", ask),
            (
                "<",
                _http_ok("application/octet-stream", b"-----BEGIN PGP SIGNED MESSAGE-----\n" * 90),
            ),
        ],
    )


def _tablet(evening: Evening) -> None:
    """Mia reads in the evening; after eleven something talks to a language model."""
    rng = evening.wire.rng
    for when in _every(evening, 6, 70, 130, 0.7):
        evening.visit(when, TABLET, "kids.nationalgeographic.com", down=rng.randrange(2000, 9000))
    for when in _every(evening, 153, 177, 38, 0.6):
        evening.visit(
            when,
            TABLET,
            "api.openai.com",
            up=rng.randrange(4000, 14000),
            down=rng.randrange(1200, 5000),
        )


def _phone(evening: Evening) -> None:
    """The phone asks Google's DNS over HTTPS, and goes where the Pi-hole was never asked."""
    wire, rng = evening.wire, evening.wire.rng
    evening.lookup(START + 5 * 60, PHONE, "dns.google", ttl=86400)
    hidden = {
        "signal.org": "13.249.9.90", "www.rijksmuseum.nl": "20.50.2.70", "pad.disroot.org": "178.21.23.150",
        "www.ecosia.org": "104.18.13.220", "weather.metoffice.gov.uk": "18.245.60.5",
    }  # fmt: skip
    for when in _every(evening, 5.1, 178, 150, 0.7):
        more = [(way, rng.randrange(90, 400)) for _ in range(4) for way in (">", "<")]
        wire.tls(when, PHONE.ip, "8.8.8.8", "dns.google", up=140, down=320, more=more, gap=0.3)
        for name in rng.sample(sorted(hidden), 2):
            wire.tls(
                when + rng.uniform(2, 9),
                PHONE.ip,
                hidden[name],
                name,
                down=rng.randrange(1500, 8000),
            )


def _console(evening: Evening) -> None:
    """An update, a sign-in and half an hour of a game against others."""
    wire = evening.wire
    evening.visit(START + 15 * 60, CONSOLE, "auth.np.ac.playstation.net", up=1800, down=4000)
    evening.visit(START + 16 * 60, CONSOLE, "gs2.ww.prod.dl.playstation.net", up=600, down=60000)
    sport, server = wire.port(CONSOLE.ip), "188.42.96.31"
    for number, when in enumerate(_every(evening, 20, 48, 1.4, 0.3)):
        state = number.to_bytes(4, "big") * wire.rng.randrange(14, 24)
        wire.udp(when, CONSOLE.ip, sport, server, 9305, state)
        wire.udp(when + 0.03, server, 9305, CONSOLE.ip, sport, state[:-8])


def _printing(evening: Evening) -> None:
    """Ben prints four pages."""
    head = b"POST /ipp/print HTTP/1.1\r\nHost: office-printer.local:631\r\nContent-Type: application/ipp\r\nContent-Length: 24000\r\n\r\n"
    page = b"\x02\x00\x00\x02\x00\x00\x00\x01" + bytes(23992)
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\nContent-Length: 8\r\n\r\n" + page[:8]
    )
    for number in range(4):
        when = START + (45 + number * 0.3) * 60
        evening.wire.tcp(
            when, BENS.ip, PRINTER.ip, 631, [(">", head + page), ("<", answer)], rtt=0.002
        )


def _http_get(host: str, path: str, agent: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n".encode()


def _http_ok(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _program(evening: Evening) -> bytes:
    """Return the head of a Windows program: enough to be recognised, nothing that can run."""
    dos = b"MZ" + bytes(58) + (128).to_bytes(4, "little")
    stub = b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd!\xb8\x01L\xcd!This program cannot be run in DOS mode.\r\r\n$"
    return (dos + stub).ljust(128, b"\0") + b"PE\0\0d\x86" + evening.wire.rng.randbytes(64) * 300


def write(folder: Path) -> tuple[Path, Path]:
    """Write the capture and the resolver's log into ``folder``; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    evening = story()
    capture, log = folder / CAPTURE, folder / PIHOLE_LOG
    write_gz(capture, evening.wire.pcap(), mtime=START + LENGTH_S)
    write_gz(log, evening.log(), mtime=START + LENGTH_S)
    return capture, log


def write_eve(folder: Path) -> Path:
    """Write the EVE log that the installed Suricata makes of the capture.

    Raises:
        ComponentAbsentError: Suricata is not installed.
    """
    from guardian.collect.settings import Settings  # noqa: PLC0415 - only where Suricata is
    from guardian.collect.suricata import make_eve  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        capture = Path(scratch) / "evening.pcap"
        capture.write_bytes(gzip.decompress((folder / CAPTURE).read_bytes()))
        lines = make_eve(capture, Path(scratch) / "out", Settings()).read_bytes()
    target = folder / EVE
    write_gz(target, lines.replace(f"{scratch}/".encode(), b""), mtime=START + LENGTH_S)
    return target


if __name__ == "__main__":
    target_folder = Path(sys.argv[1])
    write(target_folder)
    if "--eve" in sys.argv[2:]:
        write_eve(target_folder)
