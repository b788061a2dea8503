"""Write other sources' logs of any length, the same every time: a busy home's.

Names and addresses are made up (RFC 2606, RFC 5737, RFC 1918). The shape of each is that
of its program: Pi-hole's database of schema 21, dnsmasq's log of queries as Pi-hole writes
it, Zeek's connections as tab-separated text and as JSON.
"""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 1, 1)  # noqa: DTZ001 - times in the store and here are naive UTC
START_S = 1_767_225_600
_NAMES = 3000
_CLIENTS = 50

_FTL = """
CREATE TABLE query_storage (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
    type INTEGER NOT NULL, status INTEGER NOT NULL, domain INTEGER NOT NULL,
    client INTEGER NOT NULL, forward INTEGER, additional_info INTEGER, reply_type INTEGER,
    reply_time REAL, dnssec INTEGER, list_id INTEGER, ede INTEGER);
CREATE INDEX idx_queries_timestamps ON query_storage (timestamp);
CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain TEXT NOT NULL);
CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip TEXT NOT NULL, name TEXT);
CREATE TABLE forward_by_id (id INTEGER PRIMARY KEY, forward TEXT NOT NULL);
CREATE TABLE ftl (id INTEGER PRIMARY KEY NOT NULL, value BLOB NOT NULL);
CREATE TABLE network (id INTEGER PRIMARY KEY NOT NULL, hwaddr TEXT UNIQUE NOT NULL,
    interface TEXT NOT NULL, firstSeen INTEGER NOT NULL, lastQuery INTEGER NOT NULL,
    numQueries INTEGER NOT NULL, macVendor TEXT, aliasclient_id INTEGER);
CREATE TABLE network_addresses (network_id INTEGER NOT NULL, ip TEXT UNIQUE NOT NULL,
    lastSeen INTEGER NOT NULL, name TEXT, nameUpdated INTEGER);
INSERT INTO forward_by_id VALUES (1, '192.0.2.53#53');
INSERT INTO ftl VALUES (0, 21);
"""


def _name(number: int) -> str:
    return f"h{number}.service{number % 200}.example"


def pihole_db(path: Path, rows: int) -> None:
    """Write Pi-hole's database with so many queries."""
    chance = random.Random(1)  # noqa: S311 - the same every time is the point

    def queries() -> Iterator[tuple[float | int | None, ...]]:
        for number in range(rows):
            yield (
                START_S + number / 50,
                chance.choice((1, 2, 16)),
                chance.choice((1, 2, 2, 3)),
                chance.randrange(1, _NAMES),
                chance.randrange(1, _CLIENTS),
                1,
                chance.choice((1, 2, 3, 4)),
                chance.random() / 20,
            )

    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(_FTL)
        names = ((at, _name(at)) for at in range(1, _NAMES))
        db.executemany("INSERT INTO domain_by_id VALUES (?, ?)", names)
        clients = ((at, f"192.168.1.{at}", f"device-{at}") for at in range(1, _CLIENTS))
        db.executemany("INSERT INTO client_by_id VALUES (?, ?, ?)", clients)
        db.executemany(
            "INSERT INTO query_storage (timestamp, type, status, domain, client, forward, "
            "reply_type, reply_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            queries(),
        )


def pihole_log(path: Path, lines: int) -> None:
    """Write dnsmasq's log with so many lines: three for an answered query, two for a known one."""
    chance = random.Random(1)  # noqa: S311 - the same every time is the point
    written = 0
    moment = START
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        while written < lines:
            moment += timedelta(milliseconds=chance.randrange(40))
            name, client = _name(chance.randrange(_NAMES)), f"192.168.1.{chance.randrange(2, 60)}"
            address = f"203.0.113.{chance.randrange(1, 255)}"
            said = [f"query[A] {name} from {client}"]
            known = chance.random()
            if known < 0.2:
                said.append(f"gravity blocked {name} is 0.0.0.0")
            elif known < 0.5:
                said.append(f"cached {name} is {address}")
            else:
                said += [f"forwarded {name} to 192.0.2.53", f"reply {name} is {address}"]
            for text in said[: lines - written]:
                file.write(f"{moment:%b %d %H:%M:%S} dnsmasq[531]: {text}\n")
                written += 1


_FIELDS = {
    "ts": "time", "uid": "string", "id.orig_h": "addr", "id.orig_p": "port",
    "id.resp_h": "addr", "id.resp_p": "port", "proto": "enum", "service": "string",
    "duration": "interval", "orig_bytes": "count", "resp_bytes": "count", "conn_state": "string",
    "local_orig": "bool", "local_resp": "bool", "missed_bytes": "count", "history": "string",
    "orig_pkts": "count", "orig_ip_bytes": "count", "resp_pkts": "count",
    "resp_ip_bytes": "count", "tunnel_parents": "set[string]",
}  # fmt: skip


def _connections(rows: int) -> Iterator[dict[str, object]]:
    chance = random.Random(1)  # noqa: S311 - the same every time is the point
    moment = float(START_S)
    for _ in range(rows):
        moment += chance.random() / 100
        up, down = chance.randrange(500_000), chance.randrange(5_000_000)
        yield {
            "ts": round(moment, 6),
            "uid": f"C{chance.getrandbits(96):x}",
            "id.orig_h": f"192.168.1.{chance.randrange(2, 60)}",
            "id.orig_p": chance.randrange(1024, 65536),
            "id.resp_h": f"198.51.{chance.randrange(100, 104)}.{chance.randrange(1, 255)}",
            "id.resp_p": chance.choice((53, 80, 443)),
            "proto": chance.choice(("tcp", "udp")),
            "service": chance.choice(("ssl", "dns", "http")),
            "duration": round(chance.random() * 100, 6),
            "orig_bytes": up,
            "resp_bytes": down,
            "conn_state": chance.choice(("SF", "S0", "RSTO")),
            "local_orig": True,
            "local_resp": False,
            "missed_bytes": 0,
            "history": "ShADadFf",
            "orig_pkts": 1 + up // 1400,
            "orig_ip_bytes": up + 60,
            "resp_pkts": 1 + down // 1400,
            "resp_ip_bytes": down + 60,
        }


def zeek_tsv(path: Path, rows: int) -> None:
    """Write Zeek's ``conn.log`` as tab-separated text."""
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        file.write("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n")
        file.write("#path\tconn\n#open\t2026-01-01-00-00-00\n")
        file.write("#fields\t" + "\t".join(_FIELDS) + "\n")
        file.write("#types\t" + "\t".join(_FIELDS.values()) + "\n")
        for row in _connections(rows):
            texts = (
                ("T" if value else "F") if isinstance(value, bool) else str(value)
                for value in row.values()
            )
            file.write("\t".join(texts) + "\t-\n")


def zeek_json(path: Path, rows: int) -> None:
    """Write Zeek's ``conn.log`` as JSON."""
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        file.writelines(json.dumps(row) + "\n" for row in _connections(rows))
