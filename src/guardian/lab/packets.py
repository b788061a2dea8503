"""Make well-formed frames for test captures: whole conversations, with right checksums.

Everything is determined by a seed and the times given, so that the same story gives
the same bytes. Addresses of attackers are from the documentation ranges (RFC 5737)
and their names end in ``.example`` (RFC 2606), so that no stranger is accused.
"""

from __future__ import annotations

import gzip
import random
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from guardian.lab.tls import tls_application, tls_client_hello, tls_server_hello

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from scapy.packet import Packet

MTU = 1400
"""Bytes of payload in one TCP segment."""
BROADCAST = "ff:ff:ff:ff:ff:ff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Something with a hardware address and an IPv4 address on the home's network."""

    name: str
    mac: str
    ip: str
    vendor_class: str = ""
    params: tuple[int, ...] = (1, 3, 6, 15, 26, 28, 51, 58, 59)
    ciphers: tuple[int, ...] = (0x1301, 0x1302, 0x1303, 0xC02F, 0xC030)
    ttl: int = 64


@dataclass(slots=True)
class Wire:
    """Frames with their times (seconds since 1970), as a mirrored port would show them."""

    gateway: Host
    home: dict[str, Host]
    seed: int
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    rng: random.Random = field(init=False)
    _ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Seed the choices."""
        self.rng = random.Random(self.seed)  # noqa: S311 - a repeatable story, not a secret

    def add(self, when: float, packet: Packet) -> None:
        """Put one frame on the wire."""
        self.frames.append((round(when, 6), bytes(packet)))

    def mac(self, ip: str) -> str:
        """Return the hardware address that carries an address here: its own, or the router's."""
        host = self.home.get(ip)
        return host.mac if host else self.gateway.mac

    def port(self, ip: str) -> int:
        """Return the next ephemeral port of a host."""
        used = self._ports.get(ip, 49152 + self.rng.randrange(2000))
        self._ports[ip] = 49152 + (used - 49152 + 1 + self.rng.randrange(3)) % 16000
        return used

    def ether(self, src: str, dest: str, *, ttl: int | None = None) -> Packet:
        """Return the Ethernet and IPv4 headers from one address to another."""
        host = self.home.get(src)
        hops = ttl or (host.ttl if host else 64 - 8 - len(src) % 6)
        return Ether(src=self.mac(src), dst=self.mac(dest)) / IP(
            src=src, dst=dest, ttl=hops, id=self.rng.randrange(1, 65535), flags="DF"
        )

    def udp(self, when: float, src: str, sport: int, dest: str, dport: int, data: bytes) -> None:
        """Put a datagram on the wire."""
        packet = self.ether(src, dest) / UDP(sport=sport, dport=dport) / Raw(data)
        self.add(when, packet)

    def tcp(
        self,
        when: float,
        src: str,
        dest: str,
        dport: int,
        talk: Sequence[tuple[str, bytes]],
        *,
        rtt: float = 0.02,
        gap: float = 0.0,
        close: bool = True,
    ) -> float:
        """Put a TCP conversation on the wire and return when it ended.

        ``talk`` is a list of ``(">" or "<", payload)``: from the client, or from the
        server; ``gap`` seconds pass before each piece.
        """
        sport = self.port(src)
        seq = {">": self.rng.randrange(2**31), "<": self.rng.randrange(2**31)}

        def send(way: str, flags: str, data: bytes = b"") -> None:
            nonlocal when
            ends = (src, dest) if way == ">" else (dest, src)
            ports = (sport, dport) if way == ">" else (dport, sport)
            other = "<" if way == ">" else ">"
            segment = TCP(
                sport=ports[0], dport=ports[1], flags=flags, seq=seq[way], window=64240,
                ack=seq[other] if "A" in flags else 0,
                options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)] if "S" in flags else [],
            )  # fmt: skip
            packet = self.ether(*ends) / segment
            self.add(when, packet / Raw(data) if data else packet)
            seq[way] = (seq[way] + len(data) + ("S" in flags or "F" in flags)) % 2**32

        send(">", "S")
        when += rtt
        send("<", "SA")
        when += 0.0002
        send(">", "A")
        for way, payload in talk:
            when += gap + (rtt / 2 if way == "<" else 0.001)
            for start in range(0, len(payload), MTU):
                send(way, "PA", payload[start : start + MTU])
                when += 0.0003
            when += rtt / 2
            send("<" if way == ">" else ">", "A")
        if close:
            send(">", "FA")
            when += rtt
            send("<", "FA")
            when += 0.0002
            send(">", "A")
        return when

    def refused(self, when: float, src: str, dest: str, dport: int, *, answered: bool) -> None:
        """Knock at a port that is closed (a reset) or where nobody is (silence)."""
        sport, seq = self.port(src), self.rng.randrange(2**31)
        syn = TCP(sport=sport, dport=dport, flags="S", seq=seq, window=14600)
        self.add(when, self.ether(src, dest) / syn)
        if answered:
            reset = TCP(sport=dport, dport=sport, flags="RA", seq=0, ack=seq + 1, window=0)
            self.add(when + 0.0015, self.ether(dest, src) / reset)

    def tls(
        self,
        when: float,
        src: str,
        dest: str,
        sni: str | None,
        *,
        up: int = 600,
        down: int = 1500,
        port: int = 443,
        more: Iterable[tuple[str, int]] = (),
        gap: float = 0.0,
        alpn: tuple[str, ...] = ("h2", "http/1.1"),
    ) -> float:
        """Put a TLS 1.3 conversation on the wire: hello, hello, and sealed application data."""
        ciphers = self.home[src].ciphers if src in self.home else (0x1301,)
        hello = tls_client_hello(self.rng, sni, ciphers, alpn)
        answer = tls_server_hello(self.rng, ciphers[0]) + tls_application(self.rng, 1900)
        talk = [(">", hello), ("<", answer), (">", tls_application(self.rng, 74))]
        for way, size in ((">", up), ("<", down), *more):
            talk.append((way, tls_application(self.rng, size)))
        return self.tcp(when, src, dest, port, talk, gap=gap, rtt=0.012 + len(dest) / 1000)

    def arp(self, when: float, src: Host, wanted: str) -> None:
        """Ask who has an address; whoever has it answers."""
        ask = ARP(op=1, hwsrc=src.mac, psrc=src.ip, hwdst="00:00:00:00:00:00", pdst=wanted)
        self.add(when, Ether(src=src.mac, dst=BROADCAST) / ask)
        holder = self.home.get(wanted)
        if holder:
            reply = ARP(op=2, hwsrc=holder.mac, psrc=wanted, hwdst=src.mac, pdst=src.ip)
            self.add(when + 0.0008, Ether(src=holder.mac, dst=src.mac) / reply)

    def dns(
        self,
        when: float,
        client: str,
        server: str,
        name: str,
        answers: Sequence[str],
        *,
        kind: str = "A",
        rcode: int = 0,
        ttl: int = 300,
        delay: float = 0.018,
    ) -> None:
        """Put a question and its answer on the wire."""
        ident, sport = self.rng.randrange(65536), self.port(client)
        question = DNSQR(qname=name, qtype=kind)
        ask = DNS(id=ident, rd=1, qd=question)
        self.add(when, self.ether(client, server) / UDP(sport=sport, dport=53) / ask)
        records = [
            DNSRR(rrname=name, type=kind, ttl=ttl, rdata=[value] if kind == "TXT" else value)
            for value in answers
        ]
        reply = DNS(id=ident, qr=1, rd=1, ra=1, rcode=rcode, qd=question, an=records)
        back = self.ether(server, client) / UDP(sport=53, dport=sport) / reply
        self.add(when + delay, back)

    def dhcp(self, when: float, host: Host, lease_s: int = 86400) -> None:
        """Let a host renew its lease: request and acknowledgement."""
        ident = self.rng.randrange(2**32)
        hardware = bytes.fromhex(host.mac.replace(":", ""))
        options: list[object] = [
            ("message-type", "request"),
            ("requested_addr", host.ip),
            ("hostname", host.name.encode()),
        ]
        if host.vendor_class:
            options.append(("vendor_class_id", host.vendor_class.encode()))
        options += [("param_req_list", list(host.params)), "end"]
        ask = BOOTP(op=1, chaddr=hardware, xid=ident) / DHCP(options=options)
        self.add(
            when,
            Ether(src=host.mac, dst=BROADCAST)
            / IP(src="0.0.0.0", dst="255.255.255.255", id=self.rng.randrange(65536), ttl=128)  # noqa: S104
            / UDP(sport=68, dport=67)
            / ask,
        )
        grant: list[object] = [
            ("message-type", "ack"),
            ("server_id", self.gateway.ip),
            ("lease_time", lease_s),
            ("subnet_mask", "255.255.255.0"),
            ("router", self.gateway.ip),
            ("name_server", next(ip for ip in self.home if ip != self.gateway.ip)),
            "end",
        ]
        reply = BOOTP(
            op=2, chaddr=hardware, xid=ident, yiaddr=host.ip, siaddr=self.gateway.ip
        ) / DHCP(options=grant)
        back = self.ether(self.gateway.ip, host.ip) / UDP(sport=67, dport=68) / reply
        self.add(when + 0.03, back)

    def mdns(self, when: float, host: Host, instance: str, service: str, txt: str = "") -> None:
        """Announce a service by multicast DNS, as a thing does that wants to be found."""
        full = f"{instance}.{service}.local"
        records = [
            DNSRR(rrname=f"{service}.local", type="PTR", ttl=4500, rdata=full),
            DNSRR(rrname=full, type="TXT", ttl=4500, rdata=[txt or "txtvers=1"]),
            DNSRR(rrname=f"{host.name}.local", type="A", ttl=120, rdata=host.ip),
        ]
        frame = Ether(src=host.mac, dst="01:00:5e:00:00:fb") / IP(
            src=host.ip, dst="224.0.0.251", ttl=255, id=self.rng.randrange(65536)
        )
        say = DNS(id=0, qr=1, aa=1, qd=[], an=records)
        self.add(when, frame / UDP(sport=5353, dport=5353) / say)

    def ntp(self, when: float, src: str, server: str) -> None:
        """Ask a time server for the time."""
        sport = self.port(src)
        stamp = struct.pack("!II", int(when) + 2208988800, self.rng.randrange(2**32))
        self.udp(when, src, sport, server, 123, b"\x23\x00\x06\xec" + bytes(36) + stamp)
        self.udp(when + 0.02, server, 123, src, sport, b"\x24\x02\x06\xe8" + bytes(36) + stamp)

    def pcap(self) -> bytes:
        """Return the frames as a classic pcap file, in order of time."""
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
        parts = [head]
        for when, frame in sorted(self.frames, key=lambda item: item[0]):
            seconds, micro = divmod(round(when * 1_000_000), 1_000_000)
            parts.append(struct.pack("<IIII", seconds, micro, len(frame), len(frame)))
            parts.append(frame)
        return b"".join(parts)


def write_gz(path: Path, data: bytes, *, mtime: float) -> None:
    """Write a gzip file whose bytes depend on nothing but its content and ``mtime``."""
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=mtime))
