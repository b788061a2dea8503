"""How incidents stand in the store: what they were written from, who owns what, what is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from guardian.store.connection import Reader, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The digest an incident was last written from, and where it stands."""

    state_hash: str
    status: str


def states(reader: Reader) -> dict[int, State]:
    """Return where every incident stands, by its number."""
    rows = reader.rows("SELECT id, state_hash, status FROM incident")
    return {row["id"]: State(state_hash=row["state_hash"], status=row["status"]) for row in rows}


def claim(tx: Transaction, anchors: pl.DataFrame) -> None:
    """Write which incident each anchor (``anchor``, ``incident_id``) belongs to."""
    with tx.registered("claimed", anchors):
        tx.execute(
            "INSERT INTO incident_anchor SELECT anchor, incident_id FROM claimed "
            "ON CONFLICT (anchor) DO UPDATE SET incident_id = excluded.incident_id"
        )


def assign(tx: Transaction, members: pl.DataFrame) -> None:
    """Write which incident each finding (``id``, ``incident_id``) belongs to."""
    with tx.registered("assigned", members):
        tx.execute(
            "UPDATE finding SET incident_id = a.incident_id FROM assigned AS a "
            "WHERE finding.id = a.id AND finding.incident_id IS DISTINCT FROM a.incident_id"
        )


def settle(tx: Transaction, *, quiet_before: datetime) -> None:
    """Let open incidents with nothing new go quiet."""
    tx.execute(
        "UPDATE incident SET status = 'quiet' WHERE status = 'open' AND last_seen < ?",
        [quiet_before],
    )


def stamp(reader: Reader) -> str:
    """Return a digest that changes when findings, device names or answers of people do."""
    return str(
        reader.value(
            """
            SELECT md5(concat_ws('|',
                (SELECT concat(count(*), max(updated_at), sum(hash(level, count, last_seen)))
                 FROM finding),
                (SELECT sum(hash(device_id, name, kind, owner, room, segment, merged_into))
                 FROM device),
                (SELECT concat(count(*), count(revoked_at)) FROM feedback),
                (SELECT count(*) FROM name_hit),
                (SELECT count(*) FROM incident)))
            """
        )
    )


def last_stamp(reader: Reader) -> str | None:
    """Return the digest of the last run."""
    value = reader.value("SELECT value ->> '$' FROM setting WHERE key = 'triage.stamp'")
    return None if value is None else str(value)


def write_stamp(tx: Transaction, digest: str) -> None:
    """Remember the digest of this run."""
    tx.execute(
        "INSERT INTO setting VALUES ('triage.stamp', to_json(?::VARCHAR)) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [digest],
    )
