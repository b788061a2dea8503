"""Keep which names and addresses the catalogue knows, for rules to join with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from guardian.store.connection import Reader, Transaction

_DIGEST = "catalogue.digest"

_NAMES = (
    ("dns", "rrname"),
    ("dns_log", "rrname"),
    ("tls", "sni"),
    ("quic", "sni"),
    ("http", "hostname"),
)
COLUMNS = (
    "name", "entry_id", "class", "company", "service", "purposes", "grade", "breakage", "pattern",
)  # fmt: skip


def catalogue_digest(reader: Reader) -> str | None:
    """Return which catalogue the hits were made with."""
    text = reader.value("SELECT value FROM setting WHERE key = ?", [_DIGEST])
    return None if text is None else str(json.loads(text))


def fresh_names(reader: Reader, *, after: int, upto: int, addresses: list[str]) -> list[str]:
    """Return the distinct names, lower case, of the rows in ``after < id <= upto``.

    Certificate names count where there is no server name; of the flows' addresses
    only those given are returned.
    """
    window = "id > $after AND id <= $upto"
    parts = [f"SELECT lower({column}) AS name FROM {t} WHERE {window}" for t, column in _NAMES]
    parts.append(
        f"SELECT lower(unnest(subjectaltname)) FROM tls WHERE {window} AND coalesce(sni, '') = ''"
    )
    if not after:  # names whose rows are gone are still known by their sums
        parts.append("SELECT name FROM contact_hour")
    values: dict[str, object] = {"after": after, "upto": upto}
    if addresses:
        parts.append(f"SELECT dest_ip FROM flow WHERE {window} AND list_contains($ips, dest_ip)")
        values["ips"] = addresses
    rows = reader.rows(f"SELECT name FROM ({' UNION '.join(parts)}) WHERE name <> ''", values)
    return [row["name"] for row in rows]


def set_fingerprints(tx: Transaction, rows: pl.DataFrame) -> None:
    """Keep the measured rhythms, whole: columns ``device, proto, name, period_s``.

    Learned ones (``store.rhythms``) are left as they are.
    """
    held = "SELECT count(*) FROM periodic_fingerprint WHERE origin = 'measured'"
    if int(tx.value(held)) == rows.height:
        return
    tx.execute("DELETE FROM periodic_fingerprint WHERE origin = 'measured'")
    with tx.registered("measured", rows):
        tx.execute(
            "INSERT INTO periodic_fingerprint (device, proto, name, period_s, origin) "
            "SELECT device, proto, name, period_s, 'measured' FROM measured"
        )


def replace(tx: Transaction, hits: pl.DataFrame, *, digest: str, all_of_them: bool) -> int:
    """Add hits; with ``all_of_them`` the old ones go first. Return how many are new."""
    if all_of_them:
        tx.execute("DELETE FROM name_hit")
    before = int(tx.value("SELECT count(*) FROM name_hit"))
    if hits.height:
        columns = ", ".join(COLUMNS)
        with tx.registered("fresh_hit", hits):
            tx.execute(
                f"INSERT INTO name_hit ({columns}) SELECT {columns} FROM fresh_hit "
                "ON CONFLICT DO NOTHING"
            )
    tx.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", [_DIGEST, json.dumps(digest)])
    return int(tx.value("SELECT count(*) FROM name_hit")) - before
