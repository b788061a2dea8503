"""Build frames quickly, byte for byte as scapy would.

scapy makes some 2,700 frames a second, which is little for hours of a house. The few
kinds of which there are many (TCP and UDP over IPv4) are packed here by hand; a test
holds them against scapy's. Everything rarer is made by scapy itself.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
SYN_OPTIONS = struct.pack("!BBHBBBBBBBB", 2, 4, 1460, 1, 1, 4, 2, 1, 3, 3, 7)
"""Largest segment 1460, selective acknowledgement, window scale 7: what most systems say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Who sends a frame to whom: hardware addresses, IPv4 addresses and ports."""

    src_mac: str
    dest_mac: str
    src: str
    dest: str
    sport: int
    dport: int
    ttl: int = 64

    def back(self) -> Ends:
        """Return the ends of an answer."""
        return Ends(
            src_mac=self.dest_mac, dest_mac=self.src_mac, src=self.dest, dest=self.src,
            sport=self.dport, dport=self.sport, ttl=self.ttl,
        )  # fmt: skip


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071) of some bytes.

    The ones' complement sum of 16-bit words is their number modulo 65535.
    """
    if len(data) % 2:
        data += b"\0"
    rest = int.from_bytes(data, "big") % 65535
    if rest == 0 and any(data):
        rest = 65535
    return 65535 - rest


def tcp(
    ends: Ends, flags: str, *, seq: int, ack: int = 0, data: bytes = b"", ident: int = 1,
    window: int = 64240,
) -> bytes:  # fmt: skip
    """Return a frame with a TCP segment; a SYN carries the usual options."""
    options = SYN_OPTIONS if "S" in flags else b""
    bits = sum(_FLAGS[flag] for flag in flags)
    offset = (5 + len(options) // 4) << 4
    head = struct.pack(
        "!HHIIBBHHH", ends.sport, ends.dport, seq, ack, offset, bits, window, 0, 0
    ) + options  # fmt: skip
    total = checksum(_pseudo(ends, 6, len(head) + len(data)) + head + data)
    segment = head[:16] + struct.pack("!H", total) + head[18:] + data
    return _frame(ends, 6, segment, ident)


def udp(ends: Ends, data: bytes, *, ident: int = 1) -> bytes:
    """Return a frame with a datagram."""
    head = struct.pack("!HHHH", ends.sport, ends.dport, 8 + len(data), 0)
    total = checksum(_pseudo(ends, 17, len(head) + len(data)) + head + data) or 0xFFFF
    return _frame(ends, 17, head[:6] + struct.pack("!H", total) + data, ident)


def _pseudo(ends: Ends, proto: int, length: int) -> bytes:
    addresses = socket.inet_aton(ends.src) + socket.inet_aton(ends.dest)
    return addresses + struct.pack("!BBH", 0, proto, length)


def _frame(ends: Ends, proto: int, payload: bytes, ident: int) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, 0x4000, ends.ttl, proto, 0,
        socket.inet_aton(ends.src), socket.inet_aton(ends.dest),
    )  # fmt: skip
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return _mac(ends.dest_mac) + _mac(ends.src_mac) + b"\x08\x00" + head + payload


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def pcap(frames: list[tuple[float, bytes]]) -> bytes:
    """Return frames with their times (seconds since 1970) as a classic pcap, in order of time."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)]
    for when, frame in sorted(frames, key=lambda item: item[0]):
        seconds, micro = divmod(round(when * 1_000_000), 1_000_000)
        parts.append(struct.pack("<IIII", seconds, micro, len(frame), len(frame)))
        parts.append(frame)
    return b"".join(parts)
