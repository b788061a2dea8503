"""Join the lines that dnsmasq writes about one DNS query into one row.

dnsmasq (and Pi-hole, which is one) writes a line when a query comes in and one or
more about what became of it. With ``log-queries=extra`` they share a serial number;
without it they are matched by name, by the kind of answer, and by their order:
the lines of one answer follow each other.

How long an answer is waited for is told by our own clock, from when the query was read:
the log's may be slow, in another time zone, or written late.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from guardian.intel import addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_OPEN = 20_000
"""How many unanswered queries are held at once; the oldest leave first, unanswered."""

MAX_CANDIDATES = 64
"""How many unanswered queries for one name are looked at for an answer."""

MAX_ANSWERS = 64
"""How many values of one answer are kept."""

OLDEST = datetime(1970, 1, 1)  # noqa: DTZ001 - the store's times are naive UTC
"""A limit that lets nothing leave before it is answered."""

HOLD_S = 10.0
"""How long an answer is waited for; a resolver gives up well before."""

# The lines of one answer are written at once: a second after the query no more will come.
_MORE_LINES = timedelta(seconds=HOLD_S - 1.0)

_EXTRA = re.compile(r"(\d{1,10}) (\S+)/(\d{1,5}) ")
_QUERY = re.compile(r"query\[([^\]]{1,20})\] (.*) from (\S+)")
_FORWARDED = re.compile(r"forwarded (.*) to (\S+)")
_ANSWER = re.compile(r"(.+?) (\S*) is (.*)")
_TYPES = {"type=64": "SVCB", "type=65": "HTTPS", "type=257": "CAA", "type=255": "ANY"}

_PLAIN = {
    "reply": ("forwarded", "FORWARDED"),
    "cached": ("cached", "CACHE"),
    "cached-stale": ("cached", "CACHE_STALE"),
    "config": ("local", "CONFIG"),
    "DHCP": ("local", "DHCP"),
    "special domain": ("blocked", "SPECIAL_DOMAIN"),
    "gravity blocked": ("blocked", "GRAVITY"),
    "exactly denied": ("blocked", "DENYLIST"),
    "regex denied": ("blocked", "REGEX"),
    "exactly blacklisted": ("blocked", "DENYLIST"),
    "regex blacklisted": ("blocked", "REGEX"),
    "blocked upstream with known address": ("blocked", "EXTERNAL_BLOCKED_IP"),
    "blocked upstream with NULL address": ("blocked", "EXTERNAL_BLOCKED_NULL"),
    "blocked upstream with NXRA address": ("blocked", "EXTERNAL_BLOCKED_NXRA"),
    "blocked upstream with EDE 15": ("blocked", "EXTERNAL_BLOCKED_EDE15"),
    "Rate-limiting": ("refused", "RATE_LIMIT"),
}
"""What dnsmasq and Pi-hole call an outcome: our status, and Pi-hole's own word for it."""

_CNAME_SUFFIX = " (CNAME)"
_IGNORED = ("dnssec-query[", "dnssec-retry[", "validation ", "validation result ")


@dataclass(slots=True)
class Query:
    """One query, when it was read by our clock, and what is known of its outcome."""

    ts: datetime
    src_ip: str
    rrname: str
    rrtype: str
    arrived: datetime
    order: int = 0
    serial: int | None = None
    status: str | None = None
    status_detail: str | None = None
    upstream: str | None = None
    rcode: str | None = None
    answers: list[str] = field(default_factory=list)
    answered: bool = False
    chain: bool = False
    inspected: bool = False
    said: str = ""

    def row(self) -> dict[str, object]:
        """Return the row of ``dns_log``."""
        return {
            "ts": self.ts,
            "src_ip": self.src_ip,
            "rrname": self.rrname,
            "rrtype": self.rrtype,
            "status": self.status or "unknown",
            "status_detail": self.status_detail,
            "blocked": self.status == "blocked",
            "rcode": self.rcode,
            "answers": self.answers or None,
            "upstream": self.upstream,
        }


class Assembler:
    """Take lines one by one, and give the queries that are complete.

    Queries of a state that does not say when they were read were so at ``arrived``.
    """

    def __init__(
        self, state: Iterable[Mapping[str, object]] = (), *, arrived: datetime = OLDEST
    ) -> None:
        self._open: dict[int, Query] = {}
        self._names: dict[str, dict[int, Query]] = {}
        self._serials: dict[int, Query] = {}
        self._current: Query | None = None
        self._done: list[Query] = []
        self._count = 0
        for one in state:
            known = {k: v for k, v in one.items() if k in Query.__dataclass_fields__}
            known["ts"] = datetime.fromisoformat(str(known["ts"]))
            known["arrived"] = datetime.fromisoformat(str(known.get("arrived", arrived)))
            self._add(Query(**known))  # type: ignore[arg-type]  # our own bookmark

    def feed(self, message: str, ts: datetime, arrived: datetime) -> bool:
        """Take the message of a line (without time and program), read at ``arrived``.

        False says that it is none of ours.
        """
        serial: int | None = None
        if message[:1].isdigit():
            extra = _EXTRA.match(message)
            if extra is not None:
                serial, message = int(extra[1]), message[extra.end() :]
        if message.startswith("query["):
            return self._query(message, ts, arrived, serial)
        if message.startswith("forwarded "):
            return self._forwarded(message, serial)
        if message.startswith(_IGNORED):
            return True
        answer = _ANSWER.fullmatch(message)
        if answer is None:
            return False
        phrase, name, value = answer.groups()
        return self._answer(phrase, name.lower(), value, serial)

    @property
    def waiting(self) -> int:
        """How many queries are held."""
        return len(self._open)

    def take(self, before: datetime | None) -> list[dict[str, object]]:
        """Return the rows of the queries that are complete, or were read before ``before``.

        None gives them all: the log will not grow any more.
        """
        for key, query in list(self._open.items()):
            if self._due(query, before) or len(self._open) > MAX_OPEN:
                self._close(key, query)
        done, self._done = self._done, []
        done.sort(key=lambda query: (query.ts, query.order))
        return [query.row() for query in done]

    def has_due(self, before: datetime | None) -> bool:
        """Tell whether ``take`` would give a row."""
        return bool(self._done) or any(self._due(query, before) for query in self._open.values())

    def _due(self, query: Query, before: datetime | None) -> bool:
        if before is None or query.arrived < before:
            return True
        if before != OLDEST and query.arrived > before + timedelta(seconds=2 * HOLD_S):
            return True  # our own clock was set back since
        if not query.answered:
            return False
        return query is not self._current or query.arrived < before + _MORE_LINES

    def state(self) -> list[dict[str, object]]:
        """Return the queries that wait for their answer, as JSON values."""
        return [
            asdict(query) | {"ts": query.ts.isoformat(), "arrived": query.arrived.isoformat()}
            for query in self._open.values()
        ]

    def _query(self, message: str, ts: datetime, arrived: datetime, serial: int | None) -> bool:
        found = _QUERY.fullmatch(message)
        client = addresses.normalise(found[3]) if found else None
        if found is None or client is None:
            return False
        rrtype = _TYPES.get(found[1], found[1].replace("type=", "TYPE"))
        name = found[2].lower().removesuffix(".")
        if self._current is not None and serial is None:
            self._finish(self._current)  # the lines of its answer are over
        self._current = None
        query = Query(ts, client, name[:1024], rrtype, arrived, serial=serial)
        self._add(query)
        return True

    def _add(self, query: Query) -> None:
        self._count += 1
        query.order = self._count
        self._open[id(query)] = query
        self._names.setdefault(query.rrname, {})[id(query)] = query
        if query.serial is not None:
            self._serials[query.serial] = query
        if len(self._open) > MAX_OPEN:
            self._close(*next(iter(self._open.items())))

    def _close(self, key: int, query: Query) -> None:
        del self._open[key]
        same = self._names[query.rrname]
        del same[key]
        if not same:
            del self._names[query.rrname]
        if query.serial is not None and self._serials.get(query.serial) is query:
            del self._serials[query.serial]
        if self._current is query:
            self._current = None
        self._done.append(query)

    def _forwarded(self, message: str, serial: int | None) -> bool:
        found = _FORWARDED.fullmatch(message)
        if found is None:
            return False
        name = found[1].lower().removesuffix(".")
        query = self._fresh(name) if serial is None else self._serials.get(serial)
        if query is not None:
            query.status, query.status_detail = "forwarded", "FORWARDED"
            query.upstream = found[2][:255]
        return True

    def _answer(self, phrase: str, name: str, value: str, serial: int | None) -> bool:
        cname = phrase.endswith(_CNAME_SUFFIX)
        meaning = _PLAIN.get(phrase.removesuffix(_CNAME_SUFFIX))
        if meaning is None and phrase.startswith("/"):
            meaning = ("local", "HOSTS")  # the path of the hosts file that had the name
        if meaning is None:
            return False
        query = self._answered(phrase, name, value, serial)
        if query is None:
            return True
        if value == "blocked during CNAME inspection":
            query.inspected = True
            return True
        status, detail = meaning
        if status == "blocked" and (cname or query.inspected):
            detail += "_CNAME"
        if not query.answered or status == "blocked":
            query.status, query.status_detail = status, detail
        _note(query, name, value)
        if self._current is not None and self._current is not query:
            self._finish(self._current)
        self._current = query
        return True

    def _answered(self, phrase: str, name: str, value: str, serial: int | None) -> Query | None:
        """Return the query that a line of an answer belongs to."""
        current = self._current
        if serial is not None:
            return self._serials.get(serial)
        if current is not None and (current.chain or current.inspected):
            return current
        same = current is not None and name in {current.rrname, current.said}
        if current is not None and same and _goes_on(current, value):
            return current
        if phrase != "reply":
            return self._fresh(name) or (current if current and current.rrname == name else None)
        waiting = [one for one in self._candidates(name) if not one.answered]
        forwarded = [one for one in waiting if one.status == "forwarded"] or waiting
        fitting = [one for one in forwarded if _fits(one.rrtype, value)]
        if name == "error":
            return forwarded[-1] if forwarded else None
        return next(iter(fitting or forwarded), None)

    def _candidates(self, name: str) -> list[Query]:
        """Return the queries that an answer may belong to, oldest first, boundedly many."""
        if name == "error":  # an error names no name: it is the last one that was forwarded
            return list(islice(reversed(self._open.values()), MAX_CANDIDATES))[::-1]
        return list(islice(self._names.get(name, {}).values(), MAX_CANDIDATES))

    def _fresh(self, name: str) -> Query | None:
        """Return the newest query for a name of which nothing is known yet."""
        newest = islice(reversed(self._names.get(name, {}).values()), MAX_CANDIDATES)
        return next((one for one in newest if one.status is None), None)

    def _finish(self, query: Query) -> None:
        if query.answered and id(query) in self._open:
            self._close(id(query), query)


def _note(query: Query, name: str, value: str) -> None:
    query.answered = True
    query.said = name
    query.chain = value == "<CNAME>"
    if query.chain:
        query.rcode = "NOERROR"
        return
    if name == "error" or value in {"NXDOMAIN", "REFUSED", "SERVFAIL", "NOTIMP", "FORMERR"}:
        query.rcode = value.split(" ", 1)[0][:20]
        return
    query.rcode = query.rcode or "NOERROR"
    if not value.startswith(("NODATA", "<")) and len(query.answers) < MAX_ANSWERS:
        query.answers.append(value[:512])


def _fits(rrtype: str, value: str) -> bool:
    """Tell whether an answer can be one to a query of this type."""
    if value == "NODATA-IPv4":
        return rrtype == "A"
    if value == "NODATA-IPv6":
        return rrtype == "AAAA"
    address = addresses.normalise(value)
    if address is None:
        return rrtype not in {"A", "AAAA"} or value.startswith(("<CNAME>", "N", "R", "S"))
    return rrtype in ({"AAAA", "ANY"} if ":" in address else {"A", "ANY"})


def _goes_on(query: Query, value: str) -> bool:
    """Tell whether an answer that has values already has this one too."""
    return bool(query.answers) and not value.startswith(("<", "N")) and _fits(query.rrtype, value)


def hold_limit(now: datetime) -> datetime:
    """Return the time before which a query that was read is stored without an answer."""
    return now - timedelta(seconds=HOLD_S)
