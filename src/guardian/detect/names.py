"""Say of each name what a rule wants to know of it, once, and which address it stood for."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from guardian.detect.wordlike import randomness
from guardian.intel import names
from guardian.store import findings

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store, Transaction

FORGET_EVERY = timedelta(seconds=30)
CHUNK = 25_000
"""Names that are forgotten at once, at most. Nobody else writes meanwhile: a second's work is not
felt, while 400,000 took 10 s on a busy machine, and two million do not fit the everyday memory.
So eight hundred new names a second are kept up with."""
NAMES_OF_ADDRESS = 1_000
"""Beyond so many names of one address the older half of them is forgotten: a server of many
sites has some hundreds that one home asks for; more are made up by a device or a resolver."""
NAMES_OF_ALL = 500_000
"""Beyond so many names of all addresses the oldest are forgotten: a home has some ten thousand in
a season."""
MANY_NAMES = 200_000
"""From so many known names on, those that no row holds any more are looked for, once a day."""

_SOURCES = (
    ("dns", "rrname"),
    ("dns_log", "rrname"),
    ("tls", "sni"),
    ("quic", "sni"),
    ("http", "hostname"),
)

_PLAIN = re.compile(r"[a-z0-9._-]*\Z")
_LOCAL = (".arpa", ".local", ".lan", ".home", ".internal", ".localdomain")


def annotate(tx: Transaction, *, after: int) -> None:
    """Add every name of the rows after id ``after`` that is not known yet."""
    union = " UNION ".join(
        f"SELECT lower({column}) AS name FROM {table} WHERE id > $after"
        for table, column in _SOURCES
    )
    # Only the names asked for are looked up, so that memory does not grow with those known.
    fresh = tx.rows(
        f"WITH asked AS MATERIALIZED (SELECT name FROM ({union}) WHERE name IS NOT NULL) "
        "SELECT name FROM asked WHERE name NOT IN "
        "(SELECT name FROM name_info WHERE name IN (SELECT name FROM asked))",
        {"after": after},
    )
    if fresh:
        frame = pl.DataFrame([features(row["name"]) for row in fresh], schema=_SCHEMA, orient="row")
        with tx.registered("fresh_name", frame):
            tx.execute("INSERT INTO name_info SELECT * FROM fresh_name")
    _addresses(tx, after)


_SCHEMA = {
    "name": pl.String,
    "registrable": pl.String,
    "sub_len": pl.Int32,
    "labels": pl.Int32,
    "longest": pl.Int32,
    "entropy": pl.Float64,
    "digit_share": pl.Float64,
    "encoded": pl.Boolean,
    "randomness": pl.Float64,
}


def features(name: str) -> tuple[str, str | None, int, int, int, float, float, bool, float]:
    """Return the row of ``name_info`` for a lower-case name as it was asked."""
    bare = name.rstrip(".")
    owner = _owner(bare)
    sub = bare[: -len(owner)].rstrip(".") if owner else bare
    labels = [label for label in sub.split(".") if label]
    text = "".join(labels)
    encoded = not _PLAIN.match(sub)
    return (
        name,
        owner,
        len(sub),
        len(labels),
        max(map(len, labels), default=0),
        entropy(text),
        sum(map(str.isdigit, text)) / len(text) if text else 0.0,
        encoded,
        randomness(owner.split(".", 1)[0]) if owner else 0.0,
    )


def _owner(name: str) -> str | None:
    """Return the registered part, also of a name whose front is no host name."""
    if name.endswith(_LOCAL):
        return None
    tail = name
    while tail.count(".") >= 1:
        clean = names.normalise(tail)
        if clean is not None:
            return names.registrable(clean) if clean == tail else None
        tail = tail.split(".", 1)[1]
    return None


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text, in bits a character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if text else 0.0


def forget(store: Store, now: datetime) -> None:
    """Forget names where there are too many: of addresses often, each day those of no row.

    What is forgotten here is learned anew when it is seen again.
    """
    with store.read() as reader:
        marks = findings.marks(reader)
        often, daily = marks.get(_FORGET), marks.get(_FORGET_UNUSED)
    if often is None or not timedelta() <= now - often.ran_at < FORGET_EVERY:
        with store.transaction() as tx:
            begun = time.monotonic()
            _forget_addresses(tx)
            seconds = time.monotonic() - begun
            findings.set_mark(tx, _FORGET, last_id=0, ran_at=now, seconds=seconds)
    if daily is None or daily.ran_at.date() != now.date():
        with store.transaction() as tx:
            begun = time.monotonic()
            done = _forget_unused(tx)
            seconds = time.monotonic() - begun
            if done:
                findings.set_mark(tx, _FORGET_UNUSED, last_id=0, ran_at=now, seconds=seconds)


_FORGET, _FORGET_UNUSED = "forget names", "forget unused names"
_HELD = " UNION ALL ".join(
    f"SELECT lower({column}) AS name FROM {table}" for table, column in _SOURCES
)


def _forget_addresses(tx: Transaction) -> None:
    # By rank, not by age: an old capture that is replayed has old names only.
    tx.execute(
        "DELETE FROM address_name WHERE rowid IN (SELECT row FROM (SELECT rowid AS row, last_seen, "
        "row_number() OVER (PARTITION BY ip ORDER BY last_seen DESC, name) AS rank "
        "FROM address_name WHERE ip IN "
        "(SELECT ip FROM address_name GROUP BY ip HAVING count(*) > $most)) "
        "WHERE rank > $most // 2 ORDER BY last_seen LIMIT $chunk)",
        {"most": NAMES_OF_ADDRESS, "chunk": CHUNK},
    )
    if int(tx.value("SELECT count(*) FROM address_name")) > NAMES_OF_ALL:
        tx.execute(
            "DELETE FROM address_name WHERE rowid IN "
            "(SELECT rowid FROM address_name ORDER BY last_seen, ip, name LIMIT $chunk)",
            {"chunk": CHUNK},
        )


def _forget_unused(tx: Transaction) -> bool:
    """Forget names that no row holds; False while there may be more."""
    before = int(tx.value("SELECT count(*) FROM name_info"))
    if before <= MANY_NAMES:
        return True
    tx.execute(
        "DELETE FROM name_info WHERE rowid IN (SELECT known.rowid FROM name_info known "
        f"ANTI JOIN ({_HELD}) held USING (name) LIMIT $chunk)",
        {"chunk": CHUNK},
    )
    return before - int(tx.value("SELECT count(*) FROM name_info")) < CHUNK


def _addresses(tx: Transaction, after: int) -> None:
    """Keep which names an address was reached under."""
    tx.execute(
        """
        INSERT INTO address_name
        SELECT ip, name, kind, min(ts), max(ts) FROM (
            SELECT dest_ip AS ip, lower(sni) AS name, 'sni' AS kind, ts FROM tls WHERE id > $after
            UNION ALL SELECT dest_ip, lower(sni), 'sni', ts FROM quic WHERE id > $after
            UNION ALL SELECT dest_ip, lower(hostname), 'http', ts FROM http WHERE id > $after
            UNION ALL SELECT unnest(answers), lower(rrname), 'dns', ts FROM dns
                WHERE id > $after AND rrtype IN ('A', 'AAAA') AND type = 'answer'
            UNION ALL SELECT unnest(answers), lower(rrname), 'dns', ts FROM dns_log
                WHERE id > $after AND rrtype IN ('A', 'AAAA')
        )
        WHERE ip IS NOT NULL AND name <> ''
        GROUP BY ip, name, kind
        HAVING name <> ip AND regexp_matches(ip, '^[0-9a-f.:]+$') AND ip NOT IN ('0.0.0.0', '::')
        ON CONFLICT (ip, name, kind) DO UPDATE SET
            first_seen = least(first_seen, excluded.first_seen),
            last_seen = greatest(last_seen, excluded.last_seen)
        """,
        {"after": after},
    )
