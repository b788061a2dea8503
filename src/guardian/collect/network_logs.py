"""Collect what routers and firewalls send by UDP: NetFlow, IPFIX, and syslog lines."""

from __future__ import annotations

import functools
import re
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.collect import dnsmasq, parser_spec
from guardian.collect.blocks import Block
from guardian.collect.datagrams import Listener
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

SET_CLOCK_S = 946_684_800
"""The year 2000: an exporter that says it is earlier has a clock that was never set."""

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
        rows = []
        counts: dict[str, tuple[int, bytes]] = {}
        for arrived_s, sender, data in self.listener.take():
            found, problems = self._decoder.decode(data, sender)
            rows += in_our_time(found, data, arrived_s)
            for problem in problems:
                counts[problem] = (counts.get(problem, (0, b""))[0] + 1, data[:2000])
        dropped, rejects = self._lost()
        rejects += [
            Reject(reason=why, place=self._where, count=count, sample=sample)
            for why, (count, sample) in counts.items()
        ]
        if rows or rejects or dropped or self._decoder.templates.changed:
            flows = paired(rows)
            yield Batch(
                tables={"flow": table_of(flows)} if flows else {},
                bookmark=self._decoder.templates.state(),
                rejects=tuple(rejects),
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
        self._readings: dict[str, Reading] = {}
        self._waiting: dict[str, object] = {}
        self._begun = False

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the rows of the lines that arrived; the first call begins to listen.

        Raises:
            CollectorError: the port is taken or may not be used.
        """
        now = _now()
        for reading in self._readings.values():
            reading.clock.refer(now)  # some query may always wait, so a reading lives for days
        self._restore(bookmark or {})
        self.listener.start()
        dropped, rejects = self._lost()
        for number, (_, sender, data) in enumerate(self.listener.take()):
            line = unwrapped(data)
            kind = _format_of(line)
            if kind is None:
                why = "a syslog line of no known format"
                rejects.append(Reject(reason=why, place=sender, sample=data[:2000]))
                continue
            block = Block(lines=[line.encode()], start=number, end=number)
            self._reading(kind).take(block.lines[0], block, 0)
        before = None if final else dnsmasq.hold_limit(now)
        for kind, reading in list(self._readings.items()):
            if reading.pending(before):
                batch = reading.batch(None, before=before)
                self._waiting[kind] = batch.bookmark.get("open")
                yield Batch(
                    tables=batch.tables,
                    bookmark={"open": dict(self._waiting)},
                    rejects=(*batch.rejects, *rejects),
                    events=batch.events,
                    dropped=dropped,
                )
                rejects, dropped = [], 0
            if reading.idle():
                del self._readings[kind]
        if rejects or dropped:
            yield Batch(
                tables={},
                bookmark={"open": dict(self._waiting)},
                rejects=tuple(rejects),
                dropped=dropped,
            )

    def _restore(self, bookmark: Mapping[str, object]) -> None:
        """Take up the queries whose answer was still to come when Guardian ended."""
        held = bookmark.get("open")
        if self._begun or not isinstance(held, dict):
            self._begun = True
            return
        self._begun = True
        for kind in LINE_FORMATS:
            if held.get(kind):
                self._reading(kind).restore({"open": held[kind]})

    def _reading(self, kind: str) -> Reading:
        if kind not in self._readings:
            spec = parser_spec.shipped(kind)
            self._readings[kind] = Reading(spec, Clock(self._timezone, _now()))
        return self._readings[kind]


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
