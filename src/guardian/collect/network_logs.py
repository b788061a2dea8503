"""Collect what routers and firewalls send by UDP: NetFlow, IPFIX, and syslog lines."""

from __future__ import annotations

import functools
import re
import struct
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from guardian.collect import dnsmasq, parser_spec
from guardian.collect.blocks import Block
from guardian.collect.datagrams import QUEUE_BYTES, QUEUE_DATAGRAMS, Listener
from guardian.collect.netflow_decode import Decoder, paired
from guardian.collect.text_log import Reading, table_of
from guardian.collect.text_values import Clock
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NETFLOW_PORT = 2055
SYSLOG_PORT = 514
LINE_FORMATS = ("filterlog", "netfilter", "unifi-cef", "dnsmasq", "unbound")
"""The formats that a syslog line may be of, tried in this order."""

MAX_LINE_CHARS = 8192

MAX_SENDERS = 64
"""How many senders of syslog are told apart; the one that was silent longest leaves first."""

STRANGE_LINES = 500
"""So many lines of a sender may be of no known format before they count as refused. A router
that forwards all it logs says something that Guardian knows well before; then none counts."""

BATCH_FLOWS = 50_000
"""How many flows make one batch, so that its columns take tens of megabytes at most."""

SET_CLOCK_S = 946_684_800
"""The year 2000: an exporter that says it is earlier has a clock that was never set."""

_ANYBODY = ""
"""Whose queries a bookmark holds that names no sender: the first that sends takes them over."""

_PRI = re.compile(r"<\d{1,3}>(?:1 (?=\d{4}-))?")
_RFC_5424 = re.compile(
    r"<\d{1,3}>1 (?P<time>\S+) (?P<host>\S+) (?P<program>\S+) (?P<pid>\S+) \S+ "
    r"(?:-|(?:\[(?:[^\]\\\"]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+) ?"
)


class _UdpCollector:
    """What both share: the port, what was dropped or refused, and the end."""

    kind = ""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._where = f"{listener.host}:{listener.port}"
        self._not_stored = 0

    @property
    def source(self) -> SourceInfo:
        """The port that is listened on."""
        return SourceInfo(name=f"{self.kind}:{self._where}", kind=self.kind, path=self._where)

    def holds(self) -> bool:
        """Tell whether something that arrived is still to be read."""
        return self.listener.held > 0

    def not_stored(self, number: int) -> None:
        """Count so many flows or lines as dropped."""
        self._not_stored += number

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self.listener.close()

    def _lost(self) -> tuple[int, list[Reject]]:
        """Return how many datagrams were dropped since the last call, and who was refused."""
        dropped, refused = self.listener.lost()
        dropped, self._not_stored = dropped + self._not_stored, 0
        why = "a sender from outside"
        found = [Reject(reason=why, place=self._where, count=refused)] if refused else []
        return dropped, found


class NetflowCollector(_UdpCollector):
    """Read NetFlow v5, v9 and IPFIX from a router."""

    kind = "netflow"

    def __init__(self, host: str = "0.0.0.0", port: int = NETFLOW_PORT) -> None:  # noqa: S104 - the router is another machine
        super().__init__(Listener(host, port))
        self._decoder = Decoder()
        self._unseen = 0
        self._taken: deque[tuple[float, str, bytes]] = deque()

    def holds(self) -> bool:
        """Tell whether something that arrived is still to be read."""
        return bool(self._taken) or super().holds()

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the flows that arrived since the last call; the first call begins to listen.

        Raises:
            CollectorError: the port is taken or may not be used.
        """
        del final  # what was sent cannot be asked for again
        self._decoder.templates.restore(bookmark)
        self.listener.start()
        left = sum(len(data) for *_, data in self._taken)
        if left < QUEUE_BYTES and len(self._taken) < QUEUE_DATAGRAMS:
            self._taken.extend(self.listener.take())  # else it waits, or is dropped and counted
        dropped, rejects = self._lost()
        self._unseen += dropped
        rows: list[dict[str, Any]] = []
        counts: dict[str, tuple[int, bytes]] = {}
        while self._taken:
            arrived_s, sender, data = self._taken.popleft()
            found, problems = self._decoder.decode(data, sender)
            rows += in_our_time(found, data, arrived_s)
            for problem in problems:
                counts[problem] = (counts.get(problem, (0, b""))[0] + 1, data[:2000])
            if len(rows) >= BATCH_FLOWS:
                yield self._batch(rows, counts, rejects, dropped + self._missing())
                rows, counts, rejects, dropped = [], {}, [], 0
        dropped += self._missing()
        if rows or counts or rejects or dropped or self._decoder.templates.changed:
            yield self._batch(rows, counts, rejects, dropped)

    def _missing(self) -> int:
        """Return what the routers' numbers say is missing, unless it was counted when dropped."""
        missing = self._decoder.gaps.take()
        if missing and self._unseen:
            self._unseen = missing = 0
        return missing

    def _batch(
        self,
        rows: list[dict[str, Any]],
        counts: Mapping[str, tuple[int, bytes]],
        rejects: list[Reject],
        dropped: int,
    ) -> Batch:
        flows = paired(rows)
        problems = [
            Reject(reason=why, place=self._where, count=count, sample=sample)
            for why, (count, sample) in counts.items()
        ]
        return Batch(
            tables={"flow": table_of(flows)} if flows else {},
            bookmark=self._decoder.templates.state(),
            rejects=(*rejects, *problems),
            events=len(flows),
            dropped=dropped,
        )


def in_our_time(rows: list[dict[str, Any]], data: bytes, arrived_s: float) -> list[dict[str, Any]]:
    """Return flows in our time if their router never set its clock: it counts from 1970.

    Its datagram says what it takes for now: its flows' times are wrong by as much.
    """
    at = 4 if data[:2] == b"\x00\x0a" else 8  # IPFIX has no time since boot before it
    if not rows or len(data) < at + 4:
        return rows
    (sent_s,) = struct.unpack_from("!I", data, at)
    if sent_s >= SET_CLOCK_S:
        return rows
    late = timedelta(seconds=round(arrived_s) - sent_s)
    return [
        row | {"ts": row["ts"] + late, "end_ts": row["end_ts"] + late}
        if row["end_ts"].year < 2000
        else row
        for row in rows
    ]


@dataclass(slots=True)
class _Sender:
    """The lines of one sender by format, and the queries of each that the bookmark keeps.

    ``strange`` counts lines of no known format while none was understood, ``sample`` is one.
    """

    readings: dict[str, Reading] = field(default_factory=dict)
    waiting: dict[str, object] = field(default_factory=dict)
    understood: bool = False
    strange: int = 0
    limit: int = STRANGE_LINES
    sample: bytes = b""

    def held(self) -> dict[str, object]:
        """Return the queries that wait, by format."""
        return {kind: queries for kind, queries in self.waiting.items() if queries}

    def refused(self, name: str) -> list[Reject]:
        """Return the lines of a sender of whom nothing is understood, once they are many."""
        if self.understood or self.strange < self.limit:
            return []
        why = "syslog of a sender of whom no line is of a known format"
        found = Reject(reason=why, place=name, sample=self.sample, count=self.strange)
        self.strange, self.limit = 0, 1
        return [found]


class SyslogCollector(_UdpCollector):
    """Read firewall and resolver lines that other machines send by syslog."""

    kind = "syslog"

    def __init__(
        self,
        host: str = "0.0.0.0",  # noqa: S104 - the firewall is another machine
        port: int = SYSLOG_PORT,
        *,
        timezone: str = "local",
    ) -> None:
        super().__init__(Listener(host, port))
        self._timezone = timezone
        self._senders: dict[str, _Sender] = {}
        self._leaving: list[Reading] = []
        self._begun = False

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the rows of the lines that arrived; the first call begins to listen.

        Raises:
            CollectorError: the port is taken or may not be used.
        """
        now = _now()
        for known in self._senders.values():
            for reading in known.readings.values():
                reading.clock.refer(now)  # some query may always wait, so a reading lives for days
                reading.arrived = now
        self._restore(bookmark or {})
        self.listener.start()
        dropped, rejects = self._lost()
        for number, (_, sender, data) in enumerate(self.listener.take()):
            line = unwrapped(data)
            kind = _format_of(line)
            known = self._sender(sender)
            if kind is None:
                known.strange += 1
                known.sample = data[:2000]
                continue
            known.understood = True
            block = Block(lines=[line.encode()], start=number, end=number)
            self._reading(known, kind).take(block.lines[0], block, 0)
        self._make_room()
        for name, known in self._senders.items():
            rejects += known.refused(name)
        done = [one.batch(None, before=None) for one in self._leaving]
        self._leaving = []
        before = None if final else dnsmasq.hold_limit(now)
        for known in self._senders.values():
            for kind, reading in list(known.readings.items()):
                if reading.pending(before):
                    done.append(reading.batch(None, before=before))
                    known.waiting[kind] = done[-1].bookmark.get("open")
                if reading.idle():
                    del known.readings[kind]
                    known.waiting.pop(kind, None)
        if done or rejects or dropped:
            yield self._batch(done, rejects, dropped)

    def _batch(self, done: list[Batch], rejects: list[Reject], dropped: int) -> Batch:
        """Return one batch of all senders: however many they are, it is one commit."""
        held = {name: waiting for name, one in self._senders.items() if (waiting := one.held())}
        tables: dict[str, list[pa.Table]] = {}
        for batch in done:
            for table, rows in batch.tables.items():
                tables.setdefault(table, []).append(rows)
        return Batch(
            tables={
                table: pa.concat_tables(rows, promote_options="default")
                for table, rows in tables.items()
            },
            bookmark={"open": held},
            rejects=(*(one for batch in done for one in batch.rejects), *rejects),
            events=sum(batch.events for batch in done),
            dropped=dropped,
        )

    def _restore(self, bookmark: Mapping[str, object]) -> None:
        """Take up the queries whose answer was still to come when Guardian ended."""
        held = bookmark.get("open")
        if self._begun or not isinstance(held, dict):
            self._begun = True
            return
        self._begun = True
        for name, kinds in held.items():
            if isinstance(kinds, list):  # an old one, by format alone
                self._take_up(_ANYBODY, name, kinds)
            elif isinstance(kinds, dict):
                for kind, queries in kinds.items():
                    self._take_up(name, kind, queries)

    def _take_up(self, sender: str, kind: str, queries: object) -> None:
        if kind in LINE_FORMATS and queries:
            known = self._sender(sender)
            self._reading(known, kind).restore({"open": queries})
            known.waiting[kind] = queries
            known.understood = True

    def _sender(self, name: str) -> _Sender:
        """Return what is known of a sender, who is now the latest."""
        known = self._senders.pop(name, None) or _Sender()
        self._senders[name] = known
        if len(self._senders) > MAX_SENDERS:
            self._let_go()
        return known

    def _reading(self, known: _Sender, kind: str) -> Reading:
        if kind not in known.readings:
            anybody = self._senders.get(_ANYBODY, known)
            if kind in anybody.readings:
                known.readings[kind] = anybody.readings.pop(kind)
                known.waiting[kind] = anybody.waiting.pop(kind, None)
            else:
                spec, now = parser_spec.shipped(kind), _now()
                clock = Clock(self._timezone, now)
                known.readings[kind] = Reading(spec, clock, arrived=now)
        return known.readings[kind]

    def _make_room(self) -> None:
        """Hold no more queries over all senders than one resolver's log may."""
        while len(self._senders) > 1 and self._waiting() > dnsmasq.MAX_OPEN:
            self._let_go()

    def _waiting(self) -> int:
        return sum(
            reading.joined.waiting
            for known in self._senders.values()
            for reading in known.readings.values()
            if reading.joined is not None
        )

    def _let_go(self) -> None:
        """Forget the sender that was silent longest; what it holds is stored as it is."""
        known = self._senders.pop(next(iter(self._senders)))
        self._leaving += [one for one in known.readings.values() if not one.idle()]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def unwrapped(data: bytes) -> str:
    """Return a syslog datagram (RFC 3164 or 5424) as the line that a file would have."""
    text = data.decode("utf-8", "replace").strip("\r\n\x00 ")[:MAX_LINE_CHARS]
    modern = _RFC_5424.match(text)
    if modern is not None:
        pid = "" if modern["pid"] == "-" else f"[{modern['pid']}]"
        return f"{modern['time']} {modern['host']} {modern['program']}{pid}: {text[modern.end() :]}"
    return _PRI.sub("", text, count=1)


@functools.cache
def _detectors() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(parser_spec.shipped(kind).detect)) for kind in LINE_FORMATS)


def _format_of(line: str) -> str | None:
    return next((kind for kind, detect in _detectors() if detect.search(line)), None)
