"""Pi-hole's database: every schema, growth, changed rows, another database, no database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from guardian.collect import pihole_db
from guardian.collect.kinds import detect_kind
from guardian.collect.pihole_db import PiholeDbCollector
from guardian.collect.reader import Progress, drain
from guardian.errors import UnknownFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

# The shape of schema 21, with what the collector reads.
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE query_storage (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
    type INTEGER NOT NULL, status INTEGER NOT NULL, domain INTEGER NOT NULL,
    client INTEGER NOT NULL, forward INTEGER, additional_info INTEGER, reply_type INTEGER,
    reply_time REAL, dnssec INTEGER, list_id INTEGER, ede INTEGER);
CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain TEXT NOT NULL);
CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip TEXT NOT NULL, name TEXT);
CREATE TABLE forward_by_id (id INTEGER PRIMARY KEY, forward TEXT NOT NULL);
CREATE TABLE ftl (id INTEGER PRIMARY KEY NOT NULL, value BLOB NOT NULL);
CREATE TABLE network (id INTEGER PRIMARY KEY NOT NULL, hwaddr TEXT UNIQUE NOT NULL,
    interface TEXT NOT NULL, firstSeen INTEGER NOT NULL, lastQuery INTEGER NOT NULL,
    numQueries INTEGER NOT NULL, macVendor TEXT, aliasclient_id INTEGER);
CREATE TABLE network_addresses (network_id INTEGER NOT NULL, ip TEXT UNIQUE NOT NULL,
    lastSeen INTEGER NOT NULL, name TEXT, nameUpdated INTEGER);
CREATE VIEW queries AS SELECT id, timestamp FROM query_storage;
INSERT INTO domain_by_id VALUES (1, 'Ads.Example'), (2, 'shop.example');
INSERT INTO client_by_id VALUES (1, '192.168.1.5', 'laptop'), (2, '::ffff:192.168.1.6', '');
INSERT INTO forward_by_id VALUES (1, '9.9.9.9#53');
INSERT INTO network VALUES (1, '02:00:00:AA:BB:CC', 'eth0', 1, 2, 3, '', NULL),
    (2, 'ip-192.168.1.6', 'eth0', 1, 2, 3, '', NULL);
INSERT INTO network_addresses VALUES (1, '192.168.1.5', 1781517600, 'laptop.lan', 0),
    (2, '192.168.1.6', 1781517601, NULL, 0);
"""
NOW = 1781517600.25


def make(path: Path, queries: list[tuple[object, ...]], schema: str = SCHEMA) -> None:
    """Write a database; a query is (id, seconds after NOW, type, status, domain, client)."""
    with closing(sqlite3.connect(path)) as db:
        if schema:
            db.executescript(schema)
        add(db, queries)


def add(db: sqlite3.Connection, queries: list[tuple[object, ...]]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO query_storage (id, timestamp, type, status, domain, client, "
        "forward, reply_type, reply_time) VALUES (?, ?, ?, ?, ?, ?, 1, 4, 0.0125)",
        [(row[0], NOW + float(str(row[1])), *row[2:]) for row in queries],
    )
    db.commit()


def read(store: Store, path: Path, *, final: bool = False) -> Progress:
    return drain(store, PiholeDbCollector(path=path), final=final)


def rows(store: Store, sql: str = "SELECT * FROM dns_log ORDER BY ts, id") -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows(sql)


def test_a_query_becomes_a_row(tmp_path: Path, memory_store: Store) -> None:
    path = tmp_path / "pihole-FTL.db"
    make(
        path, [(1, 0, 1, 1, 1, 1), (2, 1, 16, 2, 2, 2), (3, 2, 150, 3, "plain.example", "10.0.0.1")]
    )
    assert detect_kind(path) == "pihole-db"
    assert read(memory_store, path).events == 5  # three queries, two neighbours
    ads, shop, plain = rows(memory_store)
    assert ads["ts"].isoformat() == "2026-06-15T10:00:00.250000"
    assert (ads["rrname"], ads["rrtype"], ads["src_ip"], ads["client_name"]) == (
        "ads.example", "A", "192.168.1.5", "laptop"
    )  # fmt: skip
    assert (ads["status"], ads["status_detail"], ads["blocked"]) == ("blocked", "GRAVITY", True)
    assert (shop["rrtype"], shop["src_ip"], shop["client_name"]) == ("HTTPS", "192.168.1.6", None)
    assert (shop["status"], shop["upstream"], shop["rcode"]) == (
        "forwarded", "9.9.9.9#53", "NOERROR"
    )  # fmt: skip
    assert shop["reply_ms"] == pytest.approx(12.5)
    assert (plain["rrname"], plain["rrtype"], plain["src_ip"], plain["status"]) == (
        "plain.example", "TYPE50", "10.0.0.1", "cached"
    )  # fmt: skip
    first, second = rows(memory_store, "SELECT * FROM sighting ORDER BY ts")
    assert (first["mac"], first["ip"], first["name"], first["method"]) == (
        "02:00:00:aa:bb:cc", "192.168.1.5", "laptop.lan", "neighbour"
    )  # fmt: skip
    assert (second["mac"], second["ip"]) == (None, "192.168.1.6")


def test_growth_in_the_write_ahead_log_and_changed_rows(
    tmp_path: Path, memory_store: Store
) -> None:
    path = tmp_path / "pihole-FTL.db"
    make(path, [(1, 0, 1, 14, 1, 1), (2, 5, 1, 2, 2, 1)])
    assert read(memory_store, path).events == 4
    assert read(memory_store, path).events == 0
    with closing(sqlite3.connect(path)) as writer:  # stays open: all of it is in the -wal
        add(writer, [(1, 0, 1, 2, 1, 1), (3, 6, 1, 3, 2, 1)])
        assert (tmp_path / "pihole-FTL.db-wal").stat().st_size > 0
        assert read(memory_store, path).events == 1
        assert read(memory_store, path, final=True).events == 0
    found = [(row["foreign_id"], row["status"]) for row in rows(memory_store)]
    assert found == [(1, "forwarded"), (2, "forwarded"), (3, "cached")]
    # The unchanged row was not touched; the changed one is new to whoever counts on ids.
    by_id = rows(memory_store, "SELECT * FROM dns_log ORDER BY id")
    assert [row["foreign_id"] for row in by_id] == [2, 1, 3]


def test_a_database_that_begins_anew(tmp_path: Path, memory_store: Store) -> None:
    path = tmp_path / "pihole-FTL.db"
    make(path, [(n, n, 1, 2, 1, 1) for n in range(100, 110)])
    read(memory_store, path)
    path.unlink()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    make(path, [(n, 1000 + n, 1, 3, 2, 1) for n in range(5)])
    assert read(memory_store, path).events == 5
    statuses = [row["status"] for row in rows(memory_store)]
    assert statuses == ["forwarded"] * 10 + ["cached"] * 5
    assert read(memory_store, path, final=True).events == 0


def test_rows_without_time_or_name_are_counted(tmp_path: Path, memory_store: Store) -> None:
    path = tmp_path / "pihole-FTL.db"
    make(
        path,
        [(1, 0, 1, 2, 77, 1), (2, 1e15, 1, 2, 1, 1), (3, 2, 99, 99, 1, 1), (4, 3, 1, 2, 1, "x")],
    )
    progress = read(memory_store, path)
    assert progress.rejected == 3
    (row,) = rows(memory_store)
    assert (row["status"], row["status_detail"]) == ("unknown", None)


def test_names_are_looked_up_once_and_texts_one_by_one(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pihole_db, "CHUNK_ROWS", 3)
    path = tmp_path / "pihole-FTL.db"
    make(path, [(n, n, n % 3 - 1, n % 4 - 1, 1 + n % 2, 2 - n % 2) for n in range(10)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE query_storage SET forward = NULL WHERE id >= 5")
        db.execute("UPDATE query_storage SET forward = '1.1.1.1#53' WHERE id = 7")
        db.execute("UPDATE query_storage SET domain = 'Own.Example.' WHERE id = 8")
        db.execute("UPDATE query_storage SET client = x'00ff' WHERE id = 9")
        db.execute("UPDATE query_storage SET reply_time = 'soon' WHERE id = 4")
        db.execute("UPDATE network_addresses SET name = CAST(x'61ff' AS TEXT) WHERE ip LIKE '%5'")
    progress = read(memory_store, path)
    assert (progress.events, progress.rejected) == (11, 1)  # nine queries, two neighbours
    found = rows(memory_store)
    assert [row["rrname"] for row in found] == [
        *["ads.example", "shop.example"] * 4, "own.example"
    ]  # fmt: skip
    assert [row["src_ip"] for row in found] == [f"192.168.1.{6 - n % 2}" for n in range(9)]
    assert [row["upstream"] for row in found] == [
        *["9.9.9.9#53"] * 5,
        None,
        None,
        "1.1.1.1#53",
        None,
    ]
    assert [row["status"] for row in found[:4]] == ["unknown", "unknown", "blocked", "forwarded"]
    assert [row["rrtype"] for row in found[:3]] == [None, None, "A"]
    assert rows(memory_store, "SELECT name FROM sighting ORDER BY ts")[0]["name"] == "a\ufffd"
    assert [row["reply_ms"] for row in found[3:5]] == [pytest.approx(12.5), None]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO domain_by_id VALUES (3, 'new.example')")
        add(db, [(10, 10, 1, 2, 3, 1)])
    assert read(memory_store, path).events == 1
    assert rows(memory_store)[-1]["rrname"] == "new.example"


def test_what_is_no_database_of_pihole(tmp_path: Path, memory_store: Store) -> None:
    path = tmp_path / "pihole-FTL.db"
    assert "no such file" in (read(memory_store, path).error or "").lower()
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    error = read(memory_store, path).error
    assert error is not None
    assert "pihole-FTL.db" in error
    with pytest.raises(UnknownFormatError):
        detect_kind(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (id INTEGER)")
    assert "not Pi-hole's" in (read(memory_store, path).error or "")


def test_the_oldest_and_the_newest_schema_of_the_corpus(
    corpus: Path, tmp_path: Path, memory_store: Store
) -> None:
    live = corpus / "pihole-live" / "pihole-FTL.db"
    assert detect_kind(live) == "pihole-db"
    assert read(memory_store, live).rejected == 0
    assert len(rows(memory_store)) == 2643
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as db:
        db.executescript((corpus / "pihole" / "pihole-FTL.db.sql").read_text())
        db.execute(
            "INSERT INTO queries VALUES (7, 1592886833, 2, 5, 'x.example', '10.0.0.9', '', '')"
        )
        db.commit()
    assert detect_kind(old) == "pihole-db"
    assert read(memory_store, old).events == 4  # the query and three neighbours
    row = rows(memory_store)[0]
    assert (row["rrname"], row["status_detail"], row["foreign_id"]) == ("x.example", "DENYLIST", 7)
    macs = rows(
        memory_store, "SELECT DISTINCT mac FROM sighting WHERE mac IS NOT NULL ORDER BY mac"
    )
    assert [row["mac"] for row in macs] == ["00:11:22:33:44:55", "aa:bb:cc:dd:ee:ff"]
