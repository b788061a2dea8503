"""Keep what detectors said: each finding once, growing while it is seen again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.model.finding import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from guardian.model.finding import Finding
    from guardian.store.connection import Reader, Transaction

Row = dict[str, Any]

PIECE = 250
"""Findings that are held beside what is known of them at once: each may name 100 rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a growing finding is kept: distinct peers, and evidence rows."""

    peers: int = 50
    evidence: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a detector has looked, when it last ran, and how long that took in seconds."""

    last_id: int
    ran_at: datetime
    seconds: float


def marks(reader: Reader) -> dict[str, Mark]:
    """Return each detector's mark by its name."""
    return {
        row["detector"]: Mark(
            last_id=row["last_id"], ran_at=row["ran_at"], seconds=row["seconds"] or 0.0
        )
        for row in reader.rows("SELECT detector, last_id, ran_at, seconds FROM detector_mark")
    }


def set_mark(
    tx: Transaction, detector: str, *, last_id: int, ran_at: datetime, seconds: float
) -> None:
    """Note that a detector has looked at rows up to ``last_id``."""
    tx.execute(
        "INSERT OR REPLACE INTO detector_mark (detector, last_id, ran_at, seconds, error) "
        "VALUES (?, ?, ?, ?, NULL)",
        [detector, last_id, ran_at, seconds],
    )


def set_error(
    tx: Transaction, detector: str, *, ran_at: datetime, seconds: float, error: str
) -> None:
    """Note that a detector failed; its mark stays, so that it looks again."""
    tx.execute(
        "INSERT INTO detector_mark (detector, last_id, ran_at, seconds, error) "
        "VALUES (?, 0, ?, ?, ?) ON CONFLICT (detector) DO UPDATE "
        "SET ran_at = excluded.ran_at, seconds = excluded.seconds, error = excluded.error",
        [detector, ran_at, seconds, error],
    )


def upsert(
    tx: Transaction, findings: Iterable[Finding], *, now: datetime, limits: Limits | None = None
) -> int:
    """Write findings; one that is known grows. Return how many rows were new or changed.

    A finding never shrinks: the times widen, the count and the level are the
    larger, peers and evidence are united up to the limits. So a window that is
    looked at again, whole or in part, changes nothing.
    """
    limits = limits or Limits()
    fresh: dict[str, Row] = {}
    for finding in findings:
        row = _row(finding, limits)
        fresh[row["id"]] = _grown(fresh[row["id"]], row, limits) if row["id"] in fresh else row
    ids = list(fresh)
    return sum(
        _merge(tx, {key: fresh.pop(key) for key in ids[at : at + PIECE]}, now, limits)
        for at in range(0, len(ids), PIECE)
    )


def _merge(tx: Transaction, fresh: Mapping[str, Row], now: datetime, limits: Limits) -> int:
    """Write these rows, each with what is known of it; return how many were new or changed."""
    known = {
        row["id"]: row | {"facts": json.loads(row["facts"])}
        for row in tx.rows(
            f"SELECT {', '.join(_COLUMNS)} FROM finding WHERE id IN (SELECT unnest($ids))",
            {"ids": list(fresh)},
        )
    }
    new = [row for key, row in fresh.items() if key not in known]
    grown = [
        merged
        for key, row in fresh.items()
        if key in known and (merged := _grown(known[key], row, limits)) != known[key]
    ]
    _add(tx, new, now)
    _replace(tx, grown, now)
    return len(new) + len(grown)


_COLUMNS = (
    "id", "class", "level", "detector", "title", "key", "device_id", "src_ip", "peers",
    "first_seen", "last_seen", "count", "facts", "evidence", "tags",
)  # fmt: skip


def _row(finding: Finding, limits: Limits) -> Row:
    return {
        "id": finding.id,
        "class": str(finding.finding_class),
        "level": str(finding.level),
        "detector": finding.detector,
        "title": finding.title[:300],
        "key": finding.key[:300],
        "device_id": finding.device_id,
        "src_ip": finding.src_ip,
        "peers": _union((), finding.peers, limits.peers),
        "first_seen": finding.first_seen,
        "last_seen": finding.last_seen,
        "count": finding.count,
        "facts": json.loads(json.dumps(dict(finding.facts), default=_plain)),
        "evidence": _union((), finding.evidence, limits.evidence),
        "tags": list(finding.tags),
    }


def _grown(old: Row, new: Row, limits: Limits) -> Row:
    """Return the finding that is at least as much as each of two."""
    larger = max(old, new, key=lambda row: (row["count"], row is old))
    louder = max(old, new, key=lambda row: (Level(row["level"]).rank, row is larger))
    return {
        **larger,
        "device_id": new["device_id"] or old["device_id"],
        "level": louder["level"],
        "title": louder["title"],
        "peers": _union(old["peers"], new["peers"], limits.peers),
        "first_seen": min(old["first_seen"], new["first_seen"]),
        "last_seen": max(old["last_seen"], new["last_seen"]),
        "evidence": _union(old["evidence"], new["evidence"], limits.evidence),
    }


def _union(old: Sequence[str], new: Sequence[str], limit: int) -> list[str]:
    return list(dict.fromkeys((*old, *(item[:300] for item in new))))[:limit]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return str(value)


def _add(tx: Transaction, rows: Sequence[Row], now: datetime) -> None:
    """Write new findings at once: a flood brings thousands."""
    if not rows:
        return
    names = ", ".join((*_COLUMNS, "updated_at"))
    with tx.registered("fresh_finding", _frame(rows, now)):
        tx.execute(f"INSERT INTO finding ({names}) SELECT {names} FROM fresh_finding")


def _replace(tx: Transaction, rows: Sequence[Row], now: datetime) -> None:
    """Write findings that grew, at once: the collectors wait for this transaction."""
    if not rows:
        return
    sets = ", ".join(f"{name} = new.{name}" for name in (*_COLUMNS, "updated_at") if name != "id")
    with tx.registered("grown_finding", _frame(rows, now)):
        tx.execute(f"UPDATE finding SET {sets} FROM grown_finding AS new WHERE finding.id = new.id")


def _frame(rows: Sequence[Row], now: datetime) -> pl.DataFrame:
    return pl.DataFrame(
        [[*(_stored(row)[name] for name in _COLUMNS), now] for row in rows],
        schema={name: _TYPES.get(name, pl.String()) for name in (*_COLUMNS, "updated_at")},
        orient="row",
    )


_TYPES: dict[str, pl.DataType] = {
    **dict.fromkeys(("peers", "evidence", "tags"), pl.List(pl.String)),
    **dict.fromkeys(("first_seen", "last_seen", "updated_at"), pl.Datetime("us")),
    "count": pl.Int64(),
}


def _stored(row: Row) -> Row:
    return row | {"facts": json.dumps(row["facts"])}


def as_json(
    reader: Reader,
    *,
    finding_class: str | None = None,
    level: str | None = None,
    device: str | None = None,
    limit: int = 1000,
    suppressed: bool = False,
) -> list[Row]:
    """Return findings as the command line prints them, the last seen first.

    ``level`` is the least level shown. Suppressed ones are left out unless asked
    for; ``device`` is an id, a name or an address.
    """
    least = Level(level).rank if level else 0
    rows = reader.rows(
        f"""
        SELECT f.id, f.class, f.level, f.detector, f.title, f.device_id, d.name AS device,
               f.src_ip, f.peers, f.first_seen, f.last_seen, f.count, f.facts, f.evidence,
               f.tags, f.incident_id
        FROM finding f LEFT JOIN device d ON d.device_id = f.device_id
        WHERE ($class IS NULL OR f.class = $class)
          AND list_position(['informational', 'low', 'medium', 'high', 'critical'], f.level)
              > $least
          AND ($device IS NULL OR $device IN (f.device_id, d.name, f.src_ip))
          {"" if suppressed else "AND NOT EXISTS (SELECT 1 FROM v_suppressed s WHERE s.id = f.id)"}
        ORDER BY f.last_seen DESC, f.id LIMIT $limit
        """,
        {"class": finding_class, "least": least, "device": device, "limit": limit},
    )
    return [_shown(row) for row in rows]


def _shown(row: Mapping[str, Any]) -> Row:
    shown = dict(row)
    shown["device"] = row["device"] or row["device_id"]
    shown["facts"] = json.loads(row["facts"])
    for name in ("first_seen", "last_seen"):
        shown[name] = row[name].isoformat() + "Z"
    return shown
