"""Sources of the soak that arrive over sockets, and what may be missing of them.

A file waits while the daemon is dead; a datagram does not. So these are not counted exactly
but bounded: no event is stored twice, none that was never sent, and each one that was sent
while the daemon listened is stored, or was counted as dropped. What arrived shortly before a
kill may have waited in the daemon's memory, and is lost with it: but only the last of what
was sent, without a gap, and nothing that was sent earlier than ``GRACE_S`` before the kill.

Each event carries its number as ``bytes_toserver`` of a flow.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import random
import socket
import struct
import time
from abc import ABC, abstractmethod
from array import array
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE_S = 10.0
"""A port is read twice a second, but after a start commits of what the files held come before
it: on two busy cores what waited was up to 3.8 s old. The figures say how much was used."""
HOST = "127.0.0.1"
PORTS = (20_000, 32_000)
"""Below Linux's ephemeral ports: nobody takes one by chance while the daemon is dead."""


@dataclass(slots=True)
class Gap:
    """A time in which nobody listened, on the monotonic clock."""

    killed: float
    heard: float | None = None
    """When somebody listened again; None: not yet."""

    def covers(self, moment: float) -> bool:
        """Tell whether a moment lies in it."""
        return self.killed <= moment <= (float("inf") if self.heard is None else self.heard)


@dataclass(slots=True)
class Sent:
    """What was sent: pieces (a datagram, a line) of one or more events, numbered from 1."""

    number: int = 0
    _firsts: array[int] = field(default_factory=lambda: array("Q"))
    _times: array[float] = field(default_factory=lambda: array("d"))

    def note(self, events: int, moment: float) -> int:
        """Note one piece before it is sent, and return the number of its first event."""
        first = self.number + 1
        self._firsts.append(first)
        self._times.append(moment)
        self.number += events
        return first

    def piece(self, number: int) -> tuple[int, float]:
        """Return the piece that an event went with, and when that was sent."""
        index = bisect.bisect_right(self._firsts, number) - 1
        return index, self._times[index]

    def last(self, moment: float) -> int:
        """Return the last event that was sent until a moment; 0: none."""
        index = bisect.bisect_right(self._times, moment)
        return self._firsts[index] - 1 if index < len(self._firsts) else self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the events of one socket."""

    sent: int
    stored: int
    """Different events that are there."""
    twice: int
    """Rows beyond the first of an event."""
    unknown: int
    """Rows that nobody sent."""
    lost_dead: int
    """Sent while nobody listened."""
    lost_grace: int
    """Sent at most ``GRACE_S`` before a kill, and gone with it."""
    grace_used_s: float
    """How long before a kill the earliest of those was sent, at most."""
    dropped: int
    """Pieces that the daemon counted as dropped."""
    unaccounted: int
    """Pieces sent while somebody listened, neither stored nor counted."""

    def wrong(self, kind: str) -> list[str]:
        """Return what must not be."""
        found = {"stored twice": self.twice, "stored but never sent": self.unknown}
        found["neither stored nor counted as dropped"] = self.unaccounted
        return [f"{kind}: {number} {what}" for what, number in found.items() if number]


def account(
    sent: Sent, stored: Iterable[int], gaps: Iterable[Gap], dropped: int, grace_s: float = GRACE_S
) -> Account:
    """Compare the numbers that are stored with what was sent."""
    seen = bytearray(sent.number + 1)
    twice = unknown = 0
    for number in stored:
        if not 1 <= number <= sent.number:
            unknown += 1
        elif seen[number]:
            twice += 1
        else:
            seen[number] = 1
    lost_dead = lost_grace = 0
    used = 0.0
    missing: set[int] = set()
    tails = [(_tail(seen, sent.last(gap.killed)), gap) for gap in gaps]
    for number in range(1, sent.number + 1):
        if seen[number]:
            continue
        piece, moment = sent.piece(number)
        if any(gap.covers(moment) for _, gap in tails):
            lost_dead += 1
            continue
        waited = [gap.killed - moment for tail, gap in tails if number in tail]
        if waited and min(waited) <= grace_s:
            lost_grace += 1
            used = max(used, min(waited))
        else:
            missing.add(piece)
    return Account(
        sent=sent.number,
        stored=seen.count(1),
        twice=twice,
        unknown=unknown,
        lost_dead=lost_dead,
        lost_grace=lost_grace,
        grace_used_s=round(used, 2),
        dropped=dropped,
        unaccounted=max(0, len(missing) - dropped),
    )


def _tail(seen: bytearray, last: int) -> range:
    """Return the events up to ``last`` after the last one that is stored."""
    first = last
    while first and not seen[first]:
        first -= 1
    return range(first + 1, last + 1)


class Sending(ABC):
    """What all three share: the numbers that were sent, and when nobody listened."""

    kind = ""
    path = ""
    """What the daemon's store calls the source."""

    def __init__(self) -> None:
        self.sent = Sent()
        self.gaps = [Gap(killed=0.0)]

    @abstractmethod
    def listening(self) -> bool:
        """Tell whether somebody listens."""

    @abstractmethod
    def grow(self, number: int, moment: datetime) -> None:
        """Send so many events of about that moment, whether anybody listens or not."""

    def killed(self, moment: float) -> None:
        """Note that the daemon is about to be killed."""
        if self.gaps[-1].heard is not None:
            self.gaps.append(Gap(killed=moment))

    def look(self) -> None:
        """Note when somebody listens again; afterwards nothing may be missing."""
        if self.gaps[-1].heard is None and self.listening():
            self.gaps[-1].heard = time.monotonic()

    @abstractmethod
    def end(self, _moment: datetime) -> None:
        """Leave nothing open."""


class _Udp(Sending):
    setting = ""

    def __init__(self, _folder: Path) -> None:
        super().__init__()
        self._port = free_port()
        self.path = f"{HOST}:{self._port}"
        self.option: tuple[str, ...] = ()
        self.config = f'{self.setting} = "{self.path}"\n'
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def listening(self) -> bool:
        """Look for the port among those that the kernel lists (proc(5), /proc/net/udp)."""
        wanted = f"0100007F:{self._port:04X}"
        lines = Path("/proc/net/udp").read_text().splitlines()[1:]
        return any(line.split()[1] == wanted for line in lines)

    def _send(self, data: bytes) -> None:
        self._out.sendto(data, (HOST, self._port))

    def end(self, _moment: datetime) -> None:
        """Close the socket."""
        self._out.close()


class Netflow(_Udp):
    """A router that exports NetFlow v5, several flows a datagram."""

    kind = "netflow"
    setting = "netflow_listen"
    _MOST = 24
    """A datagram of v5 has at most thirty records (Cisco), most routers send 24 to 30."""

    def grow(self, number: int, moment: datetime) -> None:
        """Send flows; the bytes of each are its number."""
        stamp = moment.replace(tzinfo=UTC).timestamp()
        while number:
            events = min(number, self._MOST)
            number -= events
            first = self.sent.note(events, time.monotonic())
            head = struct.pack(
                "!HHIIIIBBH", 5, events, 3_600_000, int(stamp), int(stamp % 1 * 1e9), first, 0, 0, 0
            )
            self._send(head + b"".join(self._record(at) for at in range(first, first + events)))

    def _record(self, at: int) -> bytes:
        source, target = bytes((192, 168, 1, 10 + at % 50)), bytes((203, 0, 113, 1 + at % 250))
        ports = (1024 + at % 60_000, 443)
        return struct.pack(
            "!4s4s4xHHIIIIHHxBBBHHBBH",
            source, target, 1, 2, 8, at, 3_590_000, 3_595_000, *ports, 0x1B, 6, 0, 0, 0, 24, 24, 0,
        )  # fmt: skip


class Syslog(_Udp):
    """A firewall (pf's filterlog) that sends its lines by syslog (RFC 5424)."""

    kind = "syslog"
    setting = "syslog_listen"

    def grow(self, number: int, moment: datetime) -> None:
        """Send lines, each in a datagram of its own; the length in each is its number."""
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for _ in range(number):
            at = self.sent.note(1, time.monotonic())
            self._send(
                f"<134>1 {stamp} gateway filterlog 512 - - 67,,,0,igb1,match,pass,out,4,0x0,,64,"
                f"{at % 65_536},0,none,17,udp,{at},192.168.1.{10 + at % 50},"
                f"203.0.113.{1 + at % 250},{1024 + at % 60_000},443,52".encode()
            )


class EveStream(Sending):
    """Suricata that writes to Guardian's unix socket, and connects again when it is gone."""

    kind = "eve-stream"
    _PATIENCE_S = 60.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = str((folder / "eve.sock").absolute())
        self.option: tuple[str, ...] = ("--eve", f"unix:{self.path}")
        self.config = ""
        self._out: socket.socket | None = None

    def listening(self) -> bool:
        """Connect, unless it is connected."""
        if self._out is None:
            out = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            out.settimeout(self._PATIENCE_S)
            if out.connect_ex(self.path):
                out.close()
                return False
            self._out = out
        return True

    def killed(self, moment: float) -> None:
        """Let go of the connection too: it leads nowhere now."""
        super().killed(moment)
        self._let_go()

    def grow(self, number: int, moment: datetime) -> None:
        """Send flows, one a line; the bytes of each are its number."""
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
        now = time.monotonic()
        lines = [
            json.dumps(self._event(self.sent.note(1, now), stamp)) + "\n" for _ in range(number)
        ]
        if self._out is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._out.sendall("".join(lines).encode())

    def _event(self, at: int, stamp: str) -> dict[str, Any]:
        flow = {"pkts_toserver": 8, "pkts_toclient": 9, "bytes_toserver": at, "bytes_toclient": 900}
        return {
            "timestamp": stamp, "flow_id": at, "event_type": "flow", "proto": "TCP",
            "src_ip": f"192.168.1.{10 + at % 50}", "src_port": 1024 + at % 60_000,
            "dest_ip": f"203.0.113.{1 + at % 250}", "dest_port": 443, "app_proto": "tls",
            "flow": {**flow, "start": stamp, "end": stamp, "state": "closed", "reason": "timeout"},
        }  # fmt: skip

    def end(self, _moment: datetime) -> None:
        """Close the connection."""
        self._let_go()

    def _let_go(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None


def free_port() -> int:
    """Return a UDP port of this machine that nobody uses."""
    for port in random.sample(range(*PORTS), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    msg = "no UDP port is free"
    raise RuntimeError(msg)


SOCKET_SHARES: tuple[tuple[type[Netflow] | type[Syslog] | type[EveStream], float], ...] = (
    (Netflow, 0.02),
    (Syslog, 0.02),
    (EveStream, 0.01),
)
"""What part of all events arrives over each."""
