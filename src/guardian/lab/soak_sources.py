"""Sources that grow as a busy home's do, and know exactly what they wrote.

An EVE log that is rotated, a Pi-hole log, Pi-hole's database and a Zeek log. Every event
has a number of its own, so that a store can be compared with what was written: how many,
and the sum of their numbers. Names and addresses are made up (RFC 2606, RFC 5737, RFC 1918).
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from guardian.lab import eve_sample

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = 4000
"""So many different EVE events are repeated with new times and numbers."""
DOMAINS = 500
SENTINEL = "sentinel.example"
"""The last query of the Pi-hole log: it makes those before it complete."""

Totals = dict[str, tuple[int, int]]
"""By table: how many rows, and the sum of their numbers."""


class Growing(Protocol):
    """A source that grows."""

    kind: str
    option: tuple[str, str]
    """The option of ``guardian run`` that reads it, and its value."""

    def grow(self, number: int, moment: datetime) -> None:
        """Write so many events of about that moment."""

    def end(self, moment: datetime, /) -> None:
        """Write what makes everything before complete."""

    def totals(self) -> Totals:
        """Return what a store must hold now."""


class Eve:
    """Suricata's log; renamed and begun anew after every ``rotate_every`` events."""

    kind = "eve"
    query = "SELECT count(*) AS rows, coalesce(sum(flow_id), 0)::BIGINT AS sum FROM all_{table}"
    _STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+0000")
    _FLOW = re.compile(r'"flow_id":\d+')

    def __init__(self, folder: Path, *, rotate_every: int = 150_000, seed: int = 1) -> None:
        self.path = folder / "eve.json"
        self.option = ("--eve", str(self.path))
        self._rotate_every = rotate_every
        self._number = 0
        self._written: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        pattern = folder / "templates.json"
        eve_sample.write(pattern, TEMPLATES, seed=seed)
        self._templates = [self._template(line) for line in pattern.read_text().splitlines()]
        pattern.unlink()
        self._out = self.path.open("a")

    def _template(self, line: str) -> tuple[str, str]:
        """Return the table of an event and its text with places for number and time."""
        kind = re.search(r'"event_type":"(\w+)"', line)
        assert kind is not None
        table = {"ssh": "raw_event"}.get(kind[1], kind[1])
        text = self._FLOW.sub('"flow_id":%NUMBER%', self._STAMP.sub("%TIME%", line))
        return table, text

    def grow(self, number: int, moment: datetime) -> None:
        """Append events."""
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
        lines = []
        for _ in range(number):
            self._number += 1
            table, text = self._templates[self._number % len(self._templates)]
            lines.append(text.replace("%TIME%", stamp).replace("%NUMBER%", str(self._number)))
            self._written[table] += 1
            self._sums[table] += self._number
        self._out.write("\n".join(lines) + "\n")
        self._out.flush()
        before = self._number - number
        if before // self._rotate_every != self._number // self._rotate_every:
            self._rotate()

    def _rotate(self) -> None:
        self._out.close()
        number = self._number // self._rotate_every
        self.path.rename(self.path.with_name(f"eve.json.{number}"))
        self._out = self.path.open("a")

    def end(self, _moment: datetime) -> None:
        """Nothing is left open."""

    def totals(self) -> Totals:
        """Return events by table."""
        return {table: (self._written[table], self._sums[table]) for table in self._written}


class PiholeLog:
    """Pi-hole's log: three lines a query, each for a name of its own."""

    kind = "pihole-log"
    query = (
        "SELECT count(*) AS rows, coalesce(sum(substr(rrname, 2, length(rrname) - 9)::BIGINT), 0)"
        f"::BIGINT AS sum FROM all_{{table}} WHERE rrname <> '{SENTINEL}'"
    )

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pihole.log"
        self.option = ("--pihole-log", str(self.path))
        self._number = 0
        self._out = self.path.open("a")

    def grow(self, number: int, moment: datetime) -> None:
        """Append queries with their answers."""
        stamp = f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} dnsmasq[512]: "
        lines: list[str] = []
        for _ in range(number):
            self._number += 1
            name = f"q{self._number}.example"
            client = f"192.168.1.{10 + self._number % 50}"
            lines += (
                f"{stamp}query[A] {name} from {client}",
                f"{stamp}forwarded {name} to 9.9.9.9",
                f"{stamp}reply {name} is 198.51.100.{self._number % 250}",
            )
        self._out.write("\n".join(lines) + "\n")
        self._out.flush()

    def end(self, moment: datetime) -> None:
        """Ask once more, so much later that nothing before can still get a line."""
        stamp = f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} dnsmasq[512]: "
        self._out.write(f"{stamp}query[A] {SENTINEL} from 192.168.1.9\n")
        self._out.flush()

    def totals(self) -> Totals:
        """Return queries and the sum of the numbers in their names."""
        return {"dns_log": (self._number, self._number * (self._number + 1) // 2)}


class PiholeDb:
    """Pi-hole's database, as FTL 6 writes it: linked tables, write-ahead log."""

    kind = "pihole-db"
    query = "SELECT count(*) AS rows, coalesce(sum(foreign_id), 0)::BIGINT AS sum FROM all_{table}"
    _SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE query_storage (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
        type INTEGER NOT NULL, status INTEGER NOT NULL, domain INTEGER NOT NULL,
        client INTEGER NOT NULL, forward INTEGER, additional_info INTEGER, reply_type INTEGER,
        reply_time REAL, dnssec INTEGER, list_id INTEGER, ede INTEGER);
    CREATE INDEX idx_query_storage_timestamps ON query_storage (timestamp);
    CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain TEXT NOT NULL);
    CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip TEXT NOT NULL, name TEXT);
    CREATE TABLE forward_by_id (id INTEGER PRIMARY KEY, forward TEXT NOT NULL);
    CREATE TABLE ftl (id INTEGER PRIMARY KEY NOT NULL, value BLOB NOT NULL);
    CREATE VIEW queries AS SELECT id, timestamp FROM query_storage;
    INSERT INTO forward_by_id VALUES (1, '9.9.9.9#53');
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pihole-FTL.db"
        self.option = ("--pihole-db", str(self.path))
        self._number = 0
        self._db = sqlite3.connect(self.path)
        self._db.executescript(self._SCHEMA)
        self._db.executemany(
            "INSERT INTO domain_by_id VALUES (?, ?)",
            [(number, f"d{number}.example") for number in range(DOMAINS)],
        )
        self._db.executemany(
            "INSERT INTO client_by_id VALUES (?, ?, '')",
            [(number, f"192.168.1.{10 + number}") for number in range(50)],
        )
        self._db.commit()

    def grow(self, number: int, moment: datetime) -> None:
        """Insert queries in one transaction, as FTL does."""
        stamp = moment.replace(tzinfo=UTC).timestamp()
        first = self._number + 1
        self._number += number
        self._db.executemany(
            "INSERT INTO query_storage (id, timestamp, type, status, domain, client, forward, "
            "reply_type, reply_time) VALUES (?, ?, 1, 2, ?, ?, 1, 4, 0.01)",
            [(at, stamp, at % DOMAINS, at % 50) for at in range(first, self._number + 1)],
        )
        self._db.commit()

    def end(self, _moment: datetime) -> None:
        """Close the database, as FTL does when it stops."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def totals(self) -> Totals:
        """Return queries and the sum of their ids."""
        return {"dns_log": (self._number, self._number * (self._number + 1) // 2)}


class Zeek:
    """Zeek's log of connections."""

    kind = "zeek"
    query = (
        "SELECT count(*) AS rows, coalesce(sum(bytes_toserver), 0)::BIGINT AS sum FROM all_{table}"
    )
    _FIELDS = (
        "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service",
        "duration", "orig_bytes", "resp_bytes", "conn_state", "history", "orig_pkts",
        "orig_ip_bytes", "resp_pkts", "resp_ip_bytes",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.path = folder / "zeek" / "conn.log"
        self.path.parent.mkdir(exist_ok=True)
        self.option = ("--read", str(self.path))
        self._number = 0
        self._chance = random.Random(2)  # noqa: S311 - the same every time is the point
        self._out = self.path.open("a")
        self._out.write(
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
            "#path\tconn\n#open\t2026-01-01-00-00-00\n#fields\t" + "\t".join(self._FIELDS) + "\n"
        )
        self._out.flush()

    def grow(self, number: int, moment: datetime) -> None:
        """Append connections; their bytes are their numbers."""
        stamp = f"{moment.replace(tzinfo=UTC).timestamp():.6f}"
        lines = []
        for _ in range(number):
            self._number += 1
            at = self._number
            lines.append(
                f"{stamp}\tC{at:x}{self._chance.getrandbits(40):x}\t192.168.1.{10 + at % 50}\t"
                f"{1024 + at % 60000}\t203.0.113.{1 + at % 250}\t443\ttcp\tssl\t1.5\t{at}\t2000\t"
                f"SF\tShADadFf\t8\t{at + 400}\t9\t2400"
            )
        self._out.write("\n".join(lines) + "\n")
        self._out.flush()

    def end(self, _moment: datetime) -> None:
        """Nothing is left open."""

    def totals(self) -> Totals:
        """Return connections and the sum of their bytes."""
        return {"flow": (self._number, self._number * (self._number + 1) // 2)}


SHARES: tuple[tuple[type[Eve] | type[PiholeLog] | type[PiholeDb] | type[Zeek], float], ...] = (
    (Eve, 0.66),
    (PiholeLog, 0.13),
    (PiholeDb, 0.08),
    (Zeek, 0.08),
)
"""What part of all events each source has; the rest comes over sockets (``soak_sockets``)."""
