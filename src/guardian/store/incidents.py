"""Incidents in the store: read them, write them, and keep their identity.

Suppressions are applied when incidents are read: an incident all of whose findings
a live suppression covers is left out of lists, and comes back when it expires.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from guardian.model.finding import FindingClass, Level
from guardian.model.incident import Claim, Fact, Incident, ScoreItem, Verdict
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.store.connection import Reader, Transaction

LIMIT = 200
"""How many incidents a list returns unless asked for more."""

_SELECT = """
SELECT i.*, d.name AS device_name
FROM incident AS i
LEFT JOIN device AS d ON d.device_id = i.device_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """Everything that triage writes of one incident; ``status`` is kept apart."""

    id: int
    key: str
    title: str
    verdict: Verdict
    confidence: float
    level: Level
    device_id: str | None
    devices: tuple[str, ...]
    classes: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    status: str
    summary: str
    explanation: str
    expert: str
    facts: tuple[Fact, ...]
    claims: tuple[Claim, ...]
    score: tuple[ScoreItem, ...]
    packet_hash: str
    state_hash: str


def incidents(
    reader: Reader,
    *,
    status: str | Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    device: str | None = None,
    limit: int = LIMIT,
    suppressed: bool = False,
    merged: bool = False,
    now: datetime | None = None,
) -> list[Incident]:
    """Return incidents, the worst and newest first.

    ``status`` is one status or several; ``since`` and ``until`` bound ``last_seen``
    (half open); ``device`` is a device's id or its name. Suppressed incidents and those
    merged into another are left out unless asked for.
    """
    wanted = [status] if isinstance(status, str) else list(status or ())
    hidden = set() if suppressed else suppressed_incidents(reader, now=now)
    rows = reader.rows(
        f"""{_SELECT}
        WHERE (len($status) = 0 OR list_contains($status, i.status))
          AND ($since IS NULL OR i.last_seen >= $since)
          AND ($until IS NULL OR i.last_seen < $until)
          AND ($device IS NULL OR i.device_id = $device OR d.name = $device
               OR list_contains(i.devices, $device))
          AND ($merged OR i.merged_into IS NULL)
          AND NOT list_contains($hidden, i.id)
        ORDER BY list_position($levels, i.level) DESC, i.last_seen DESC, i.id DESC
        LIMIT $limit
        """,
        {
            "status": wanted,
            "since": _naive(since),
            "until": _naive(until),
            "device": device,
            "merged": merged,
            "hidden": sorted(hidden),
            "levels": [level.value for level in Level],
            "limit": limit,
        },
    )
    return _decode(reader, rows)


def incident(reader: Reader, incident_id: int) -> Incident | None:
    """Return one incident, merged or suppressed ones too, or None when there is none."""
    found = _decode(reader, reader.rows(f"{_SELECT} WHERE i.id = ?", [incident_id]))
    return found[0] if found else None


def as_json(
    reader: Reader,
    *,
    status: str | Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    device: str | None = None,
    verdict: str | None = None,
    level: str | None = None,
    limit: int = LIMIT,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return incidents in the JSON form of the command line.

    ``verdict`` keeps one verdict; ``level`` keeps that level and worse.
    """
    rank = Level(level).rank if level else 0
    return [
        to_json(each)
        for each in incidents(
            reader,
            status=status,
            since=since,
            until=until,
            device=device,
            limit=limit,
            **options,
        )
        if each.level.rank >= rank and verdict in (None, each.verdict.value)
    ]


def explained(reader: Reader, incident_id: int) -> dict[str, Any] | None:
    """Return one incident with its facts, score and evidence, as JSON values."""
    found = incident(reader, incident_id)
    if found is None:
        return None
    return {
        **to_json(found),
        "expert": found.expert,
        "facts": [
            {"id": fact.id, "kind": fact.kind, "text": fact.text, "values": dict(fact.values)}
            for fact in found.facts
        ],
        "score": [{"what": item.what, "weight": item.weight} for item in found.score],
        "written_by": found.written_by,
        "model": dict(found.model) if found.model else None,
        "evidence": evidence(reader, incident_id),
    }


def to_json(found: Incident) -> dict[str, Any]:
    """Return the JSON form of one incident, with times in RFC 3339 UTC."""
    return {
        "id": found.id,
        "title": found.title,
        "verdict": found.verdict.value,
        "confidence": round(found.confidence, 3),
        "strength": found.evidence,
        "level": found.level.value,
        "device": found.device,
        "device_id": found.device_id,
        "devices": list(found.devices),
        "classes": [each.value for each in found.classes],
        "findings": list(found.findings),
        "first_seen": rfc3339(found.first_seen),
        "last_seen": rfc3339(found.last_seen),
        "summary": found.summary,
        "explanation": found.explanation,
        "claims": [{"text": claim.text, "facts": list(claim.facts)} for claim in found.claims],
        "proposals": list(found.proposals),
        "status": found.status,
        "merged_into": found.merged_into,
    }


def evidence(reader: Reader, incident_id: int, *, limit: int = 100) -> list[str]:
    """Return the ids (``table:id``) of rows that an incident's findings rest on."""
    rows = reader.rows(
        """
        SELECT DISTINCT item FROM (
            SELECT unnest(evidence[:50]) AS item FROM finding WHERE incident_id = ?
        ) ORDER BY item LIMIT ?
        """,
        [incident_id, limit],
    )
    return [row["item"] for row in rows]


def suppressed_incidents(reader: Reader, *, now: datetime | None = None) -> set[int]:
    """Return the incidents all of whose findings a live suppression covers."""
    moment = _naive(now) or utc_now()
    if not reader.value("SELECT count(*) FROM suppression"):
        return set()
    rows = reader.rows(
        """
        SELECT incident_id FROM finding WHERE incident_id IS NOT NULL
        GROUP BY incident_id
        HAVING bool_and(id IN (SELECT id FROM suppressed_at($now)))
        """,
        {"now": moment},
    )
    return {int(row["incident_id"]) for row in rows}


def set_status(tx: Transaction, incident_id: int, status: str) -> None:
    """Write where an incident stands: ``open``, ``noted``, ``quiet``, ``handled``, ``closed``."""
    tx.execute("UPDATE incident SET status = ? WHERE id = ?", [status, incident_id])


def upsert(tx: Transaction, row: IncidentRow, *, now: datetime) -> None:
    """Write one incident as the templates tell it; a row of that id is replaced."""
    tx.execute(
        """
        INSERT INTO incident (
            id, key, title, verdict, confidence, level, device_id, devices, classes,
            first_seen, last_seen, status, summary, explanation, expert, facts, claims, score,
            packet_hash, state_hash, written_by, model, created_at, updated_at
        ) VALUES (
            $id, $key, $title, $verdict, $confidence, $level, $device_id, $devices, $classes,
            $first_seen, $last_seen, $status, $summary, $explanation, $expert, $facts, $claims,
            $score, $packet_hash, $state_hash, 'template', NULL, $now, $now
        )
        ON CONFLICT (id) DO UPDATE SET
            title = excluded.title, verdict = excluded.verdict,
            confidence = excluded.confidence, level = excluded.level,
            device_id = excluded.device_id, devices = excluded.devices,
            classes = excluded.classes, first_seen = excluded.first_seen,
            last_seen = excluded.last_seen, status = excluded.status,
            summary = excluded.summary, explanation = excluded.explanation,
            expert = excluded.expert, facts = excluded.facts, claims = excluded.claims,
            score = excluded.score, packet_hash = excluded.packet_hash,
            state_hash = excluded.state_hash, written_by = excluded.written_by,
            model = excluded.model, updated_at = excluded.updated_at
        """,
        {
            "id": row.id,
            "key": row.key,
            "title": row.title,
            "verdict": row.verdict.value,
            "confidence": row.confidence,
            "level": row.level.value,
            "device_id": row.device_id,
            "devices": list(row.devices),
            "classes": list(row.classes),
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
            "status": row.status,
            "summary": row.summary,
            "explanation": row.explanation,
            "expert": row.expert,
            "facts": facts_json(row.facts),
            "claims": claims_json(row.claims),
            "score": json.dumps([{"what": s.what, "weight": s.weight} for s in row.score]),
            "packet_hash": row.packet_hash,
            "state_hash": row.state_hash,
            "now": now,
        },
    )


def merge(tx: Transaction, loser: int, survivor: int) -> None:
    """Close an incident in favour of another; its row stays readable as it was."""
    tx.execute(
        "UPDATE incident SET status = 'closed', merged_into = ? WHERE id = ?", [survivor, loser]
    )
    tx.execute(
        "UPDATE incident_anchor SET incident_id = ? WHERE incident_id = ?", [survivor, loser]
    )


def facts_json(facts: Sequence[Fact]) -> str:
    """Return facts as the one JSON text that they always have: sorted keys, no spaces."""
    return json.dumps(
        [{"id": f.id, "kind": f.kind, "text": f.text, "values": dict(f.values)} for f in facts],
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
    )


def claims_json(claims: Sequence[Claim]) -> str:
    """Return claims as JSON text."""
    return json.dumps(
        [{"text": claim.text, "facts": list(claim.facts)} for claim in claims], ensure_ascii=False
    )


def rfc3339(moment: datetime) -> str:
    """Return a time of the store as RFC 3339 text in UTC."""
    return moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")


def _decode(reader: Reader, rows: Sequence[Mapping[str, Any]]) -> list[Incident]:
    ids = [int(row["id"]) for row in rows]
    if not ids:
        return []
    findings = _lists(
        reader,
        "SELECT incident_id AS id, list(id ORDER BY first_seen, id) AS items FROM finding "
        "WHERE list_contains($ids, incident_id) GROUP BY ALL",
        ids,
    )
    proposals = _lists(
        reader,
        "SELECT incident_id AS id, list(id ORDER BY id) AS items FROM proposal "
        "WHERE list_contains($ids, incident_id) AND status <> 'withdrawn' GROUP BY ALL",
        ids,
    )
    return [
        Incident(
            id=int(row["id"]),
            key=row["key"],
            title=row["title"],
            verdict=Verdict(row["verdict"]),
            confidence=row["confidence"],
            level=Level(row["level"]),
            device_id=row["device_id"],
            device=row["device_name"],
            devices=tuple(row["devices"]),
            classes=tuple(FindingClass(each) for each in row["classes"]),
            findings=tuple(findings.get(int(row["id"]), ())),
            first_seen=row["first_seen"],
            last_seen=row["last_seen"],
            status=row["status"],
            summary=row["summary"],
            explanation=row["explanation"],
            expert=row["expert"],
            facts=decode_facts(row["facts"]),
            claims=tuple(
                Claim(text=each["text"], facts=tuple(each["facts"]))
                for each in json.loads(row["claims"])
            ),
            score=tuple(ScoreItem(**each) for each in json.loads(row["score"])),
            written_by=row["written_by"],
            proposals=tuple(proposals.get(int(row["id"]), ())),
            packet_hash=row["packet_hash"],
            model=json.loads(row["model"]) if row["model"] else None,
            merged_into=row["merged_into"],
            updated_at=row["updated_at"],
        )
        for row in rows
    ]


def decode_facts(text: str) -> tuple[Fact, ...]:
    """Return facts from the store's JSON."""
    return tuple(
        Fact(id=each["id"], kind=each["kind"], text=each["text"], values=each["values"])
        for each in json.loads(text)
    )


def _lists(reader: Reader, sql: str, ids: list[int]) -> dict[int, list[Any]]:
    return {int(row["id"]): row["items"] for row in reader.rows(sql, {"ids": ids})}


def _naive(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)
