"""Say of each name what a rule wants to know of it, once, and which address it stood for."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from guardian.detect.wordlike import randomness
from guardian.intel import names

if TYPE_CHECKING:
    from guardian.store import Transaction

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
