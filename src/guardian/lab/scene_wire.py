"""Put scenes on a wire: the same stories, as frames of one capture.

Every scene becomes a home network of its own in one capture, so that one run of
Suricata and of Guardian judges them all: its addresses, hardware addresses and
servers belong to it alone. Announcements and DNS are made by scapy; TCP and UDP,
of which there are many, by ``frames``. Servers have addresses from the documentation
ranges (RFC 5737).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from guardian.lab import frames
from guardian.lab.scene_rows import RESOLVER, Ask, Connect, Device, Fetch
from guardian.lab.tls import tls_application, tls_client_hello, tls_server_hello

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.lab.scene_rows import Scene

ROUTER_MAC = "3c:a6:2f:1d:40:01"
MAX_TRANSFER = 1_500_000
"""Bytes one way: greater transfers are made smaller, both ways alike, to keep captures short.
Nothing that is judged depends on more."""
SEGMENT, GREAT_SEGMENT = 1400, 48_000
"""Bytes of a segment; great ones, as a sensor sees them behind receive offload, for transfers
of more than ``GREAT``."""
GREAT = 60_000
_CIPHERS = (0x1301, 0x1302, 0xC02F)
_CERTIFICATE = 3000
"""Bytes of a sealed certificate chain: a full handshake."""


@dataclass(slots=True)
class Town:
    """Many homes on one wire; ``home`` gives a scene its place and says what it became."""

    seed: int
    wire: list[tuple[float, bytes]] = field(default_factory=list)
    chance: random.Random = field(init=False)
    _servers: dict[tuple[int, str], str] = field(default_factory=dict)
    _free: Iterator[str] = field(init=False)
    _port: int = 49152

    def __post_init__(self) -> None:
        """Seed the choices."""
        self.chance = random.Random(self.seed)  # noqa: S311 - a repeatable story, not a secret
        self._free = (
            f"{net}.{host}"
            for net in ("198.51.100", "203.0.113", "192.0.2")
            for host in range(1, 255)
        )

    def home(self, number: int, scene: Scene) -> None:
        """Let a scene happen in home ``number`` (1 to 250): network ``192.168.number.0``."""
        place = _Place(self, number, scene)
        for act in scene.acts:
            place.do(act)

    def rows(self, number: int, scene: Scene) -> dict[str, list[dict[str, Any]]]:
        """Return a scene's rows with the addresses that it has in home ``number``."""
        place = _Place(self, number, scene)
        for act in scene.acts:
            if isinstance(act, Device):
                place.meet(act)
        return {table: [place.moved(row) for row in rows] for table, rows in scene.tables.items()}

    def server(self, number: int, ip: str) -> str:
        """Return the address that a scene's server has in this capture."""
        if (number, ip) not in self._servers:
            self._servers[number, ip] = next(self._free)
        return self._servers[number, ip]

    def port(self) -> int:
        """Return the next ephemeral port; each conversation has one of its own."""
        self._port = 49152 + (self._port - 49151) % 16000
        return self._port

    def pcap(self) -> bytes:
        """Return everything as one capture."""
        return frames.pcap(self.wire)


def address_in(number: int, ip: str) -> str:
    """Return the address that a home address of a scene has in home ``number``."""
    return f"192.168.{number}.{ip.rsplit('.', 1)[1]}"


@dataclass(slots=True)
class _Place:
    town: Town
    number: int
    scene: Scene
    macs: dict[str, str] = field(default_factory=dict)

    def when(self, second: float) -> float:
        return self.scene.moment(second).replace(tzinfo=UTC).timestamp()

    def ip(self, ip: str) -> str:
        own = RESOLVER.rsplit(".", 1)[0] + "."
        if ip.startswith(own):
            return address_in(self.number, ip)
        return self.town.server(self.number, ip)

    def mac(self, ip: str) -> str:
        """Return the hardware address of a home address as the scene writes it."""
        own = RESOLVER.rsplit(".", 1)[0] + "."
        if not ip.startswith(own):
            return ROUTER_MAC
        last = int(ip.rsplit(".", 1)[1])
        return self.macs.get(ip, f"02:00:5e:00:{self.number:02x}:{last:02x}")

    def ends(self, src: str, dest: str, dport: int) -> frames.Ends:
        return frames.Ends(
            src_mac=self.mac(src), dest_mac=self.mac(dest), src=self.ip(src), dest=self.ip(dest),
            sport=self.town.port(), dport=dport,
        )  # fmt: skip

    def add(self, when: float, frame: bytes) -> None:
        self.town.wire.append((when, frame))

    def do(self, act: Device | Ask | Connect | Fetch) -> None:
        if isinstance(act, Device):
            self._device(act)
        elif isinstance(act, Ask):
            self._ask(act)
        elif isinstance(act, Connect) and act.proto == "UDP":
            self._datagrams(act)
        elif isinstance(act, Connect):
            self._stream(act)
        else:
            self._fetch(act)

    def meet(self, act: Device) -> str:
        """Give a device the hardware address that it has here: its maker's, and its place."""
        vendor = act.mac.rsplit(":", 2)[0]
        self.macs[act.ip] = f"{vendor}:{self.number:02x}:{act.ip.rsplit('.', 1)[1]:>02.2}"
        return self.macs[act.ip]

    def moved(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with this place's addresses."""
        found = dict(row)
        for key in ("ip", "src_ip", "dest_ip"):
            if row.get(key):
                found[key] = self.ip(row[key])
        owner = row.get("ip") or row.get("src_ip")
        for key in ("mac", "src_mac"):
            if row.get(key):
                found[key] = self.mac(str(owner))
        if row.get("answers"):
            found["answers"] = [self.ip(ip) for ip in row["answers"]]
        if row.get("flow_id"):
            found["flow_id"] = row["flow_id"] + 1_000_000 * self.number
        return found

    def _device(self, act: Device) -> None:
        mac = self.meet(act)
        ip, now = self.ip(act.ip), self.when(0)
        ask = ARP(op=1, hwsrc=mac, psrc=ip, pdst=address_in(self.number, "0.0.0.1"))
        self.add(now, bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ask))
        if act.name:
            host = act.name.replace(" ", "-")
            record = DNSRR(rrname=f"{host}.local", type="A", ttl=120, rdata=ip)
            say = DNS(id=0, qr=1, aa=1, qd=[], an=[record])
            head = Ether(src=mac, dst="01:00:5e:00:00:fb") / IP(src=ip, dst="224.0.0.251", ttl=255)
            self.add(now + 1, bytes(head / UDP(sport=5353, dport=5353) / say))

    def _ask(self, act: Ask) -> None:
        ends = self.ends(act.src, RESOLVER, 53)
        question = DNSQR(qname=act.name, qtype="A")
        ident = self.town.chance.randrange(65536)
        now = self.when(act.second)
        self.add(now, frames.udp(ends, bytes(DNS(id=ident, rd=1, qd=question))))
        found = [DNSRR(rrname=act.name, type="A", ttl=300, rdata=self.ip(act.ip))] if act.ip else []
        reply = DNS(id=ident, qr=1, rd=1, ra=1, rcode=0 if found else 3, qd=question, an=found)
        self.add(now + 0.02, frames.udp(ends.back(), bytes(reply)))

    def _datagrams(self, act: Connect) -> None:
        ends = self.ends(act.src, act.ip, act.port)
        up, down = _smaller(act.up, act.down)
        count = max(1, -(-max(up, down) // SEGMENT)) if max(up, down) <= GREAT else 40
        step = act.lasts_s / count
        for index in range(count):
            now = self.when(act.second + index * step)
            self.add(now, frames.udp(ends, bytes(max(1, min(up // count, 60_000) - 42))))
            if down:
                body = bytes(max(1, min(down // count, 60_000) - 42))
                self.add(now + 0.02, frames.udp(ends.back(), body))

    def _stream(self, act: Connect) -> None:
        chance = self.town.chance
        up, down = _smaller(act.up, act.down)
        talk: list[tuple[str, bytes]] = []
        if act.name or act.hidden:
            hello = tls_client_hello(chance, act.name, _CIPHERS, ("h2",))
            answer = tls_server_hello(chance, _CIPHERS[0]) + tls_application(
                chance, 200 if act.resumed else _CERTIFICATE
            )
            talk = [(">", hello), ("<", answer), (">", tls_application(chance, 74))]
            talk += [(">", tls_application(chance, up)), ("<", tls_application(chance, down))]
        else:
            talk = [(">", bytes(up)), ("<", bytes(down))] if down else [(">", bytes(up))]
        self._tcp(act, talk)

    def _fetch(self, act: Fetch) -> None:
        ask = (
            f"GET {act.path} HTTP/1.1\r\nHost: {act.host}\r\nUser-Agent: {act.agent}\r\n"
            "Accept: */*\r\n\r\n"
        )
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {act.size}\r\n\r\n"
        visit = Connect(src=act.src, ip=act.ip, second=act.second, up=0, down=0, port=80)
        self._tcp(visit, [(">", ask.encode()), ("<", answer.encode() + bytes(act.size))])

    def _tcp(self, act: Connect, talk: list[tuple[str, bytes]]) -> None:
        out = self.ends(act.src, act.ip, act.port)
        way = {">": out, "<": out.back()}
        seq = {">": self.town.chance.randrange(2**31), "<": self.town.chance.randrange(2**31)}
        now = self.when(act.second)

        def send(side: str, flags: str, data: bytes = b"") -> None:
            other = "<" if side == ">" else ">"
            frame = frames.tcp(
                way[side], flags, seq=seq[side], ack=seq[other] if "A" in flags else 0, data=data
            )
            self.add(now, frame)
            seq[side] = (seq[side] + len(data) + ("S" in flags or "F" in flags)) % 2**32

        send(">", "S")
        now += 0.02
        send("<", "SA")
        now += 0.001
        send(">", "A")
        pieces = [
            (side, payload[start : start + size])
            for side, payload in talk
            for size in (GREAT_SEGMENT if len(payload) > GREAT else SEGMENT,)
            for start in range(0, len(payload), size)
        ]
        step = max(act.lasts_s - 0.1, 0.05) / max(1, len(pieces))
        for side, piece in pieces:
            now += step
            send(side, "PA", piece)
            now += 0.0005
            send("<" if side == ">" else ">", "A")
        send(">", "FA")
        now += 0.01
        send("<", "FA")
        now += 0.001
        send(">", "A")


def _smaller(up: int, down: int) -> tuple[int, int]:
    """Return both amounts, scaled down together where one is more than ``MAX_TRANSFER``."""
    share = min(1.0, MAX_TRANSFER / max(up, down, 1))
    return round(up * share), round(down * share)
