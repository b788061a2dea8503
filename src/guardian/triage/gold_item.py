"""Make an item of a gold set out of an incident: what triage saw, and what people say it is.

An item holds the findings, the device and what the catalogue knew, so that triage can be run
on it again anywhere. The verdict that is right comes from outside: a corpus's label, a scene's
truth, or a person of the house.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guardian.triage.gold_figures import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store import Reader

MAX_FINDINGS = 12
"""A story of more findings is told by its gravest."""
MAX_PEERS = 8
NEVER = ("harmless", "nothing to worry", "authorised", "is recording", "definitely")
"""What no words about an alarm may say."""
NEVER_QUIET = ("malware", "infected", "attacker", "broke in", "is recording", "stolen")
"""What no words about something harmless may say."""

_LEVELS = {"critical": 0, "high": 1, "medium": 2, "low": 3, "informational": 4}


def from_incident(
    reader: Reader,
    incident_id: int,
    *,
    ident: str,
    source: str,
    accept: Sequence[str],
    must: Sequence[str] = (),
    must_not: Sequence[str] = (),
    held_out: bool = True,
) -> dict[str, Any] | None:
    """Return the item, or None when the incident has no findings any more.

    ``accept`` are the verdicts that are right, the best first; ``must`` and ``must_not`` what
    words must and must not say, each possibly with alternatives between ``|``.
    """
    rows = reader.rows(
        "SELECT class, level, peers, first_seen, last_seen, count, facts, device_id, src_ip "
        "FROM finding WHERE incident_id = ? ORDER BY first_seen, id",
        [incident_id],
    )
    rows.sort(key=lambda row: _LEVELS.get(row["level"], 5))
    rows = rows[:MAX_FINDINGS]
    if not rows:
        return None
    begins = min(row["first_seen"] for row in rows)
    device = reader.one(
        "SELECT d.name, d.kind FROM incident i JOIN device d USING (device_id) WHERE i.id = ?",
        [incident_id],
    )
    peers = sorted({peer for row in rows for peer in row["peers"][:MAX_PEERS]})
    hits = reader.rows(
        "SELECT name, class, company, service, grade FROM name_hit "
        "WHERE list_contains($peers, name) ORDER BY ALL LIMIT 20",
        {"peers": peers},
    )
    return {
        "id": ident,
        "source": source,
        "device": {"name": "" if device is None else device["name"],
                   "kind": "unknown" if device is None else device["kind"]},
        "hits": hits,
        "findings": [_finding(row, begins) for row in rows],
        "verdict": accept[0],
        "accept": list(accept),
        "must": list(must),
        "must_not": list(must_not),
        "held_out": held_out,
    }  # fmt: skip


def of_this_house(reader: Reader) -> list[dict[str, Any]]:
    """Return an item for each incident that a person answered; taken back does not count.

    *Right* confirms the verdict; *wrong* and *expected here* say that it was no alarm, or, of
    something quiet, that it was one.
    """
    answers = reader.rows(
        "SELECT f.incident_id, arg_max(f.answer, f.given_at) AS answer, i.verdict "
        "FROM feedback f JOIN incident i ON i.id = f.incident_id "
        "WHERE f.revoked_at IS NULL GROUP BY f.incident_id, i.verdict ORDER BY f.incident_id"
    )
    items = []
    for row in answers:
        accept = _said(row["answer"], row["verdict"])
        alarm = kind_of(accept[0]) == "alarm"
        item = from_incident(
            reader,
            row["incident_id"],
            ident=f"house-{row['incident_id']}",
            source="house",
            accept=accept,
            must_not=NEVER if alarm else NEVER_QUIET,
        )
        if item is not None:
            items.append(item)
    return items


def _said(answer: str, verdict: str) -> tuple[str, ...]:
    if answer == "right":
        return (verdict,)
    if kind_of(verdict) == "alarm":
        return ("benign", "undetermined", "surveillance")
    return ("benign", "undetermined") if answer == "expected" else ("suspicious", "malicious")


def _finding(row: dict[str, Any], begins: datetime) -> dict[str, Any]:
    facts = row["facts"]
    return {
        "class": row["class"],
        "level": row["level"],
        "src_ip": row["src_ip"],
        "peers": row["peers"][:MAX_PEERS],
        "at_s": round((row["first_seen"] - begins).total_seconds(), 3),
        "lasts_s": round((row["last_seen"] - row["first_seen"]).total_seconds(), 3),
        "count": row["count"],
        "facts": json.loads(facts) if isinstance(facts, str) else facts,
    }
