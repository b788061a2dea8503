"""What the page and the digest read: incidents, proposals, devices, sources.

Each function takes a reader and returns plain rows, bounded, in a stated order.
Structured columns come back decoded. Nothing here writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.store.incidents import suppressed_incidents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.store.connection import Reader

DAY = timedelta(hours=24)
MAX_ROWS = 500
"""No list is longer than this, whatever was asked for."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The day that a page speaks of, half open. ``replayed``: it ended before today.

    ``newest`` is the time of the last event that any source gave.
    """

    since: datetime
    until: datetime
    newest: datetime | None
    replayed: bool = False


def window(reader: Reader, now: datetime) -> Window:
    """Return the last 24 hours, or the last 24 hours that anything was seen in.

    A replayed capture is old: its own last day is what a reader wants to see then.
    """
    newest: datetime | None = reader.value("SELECT max(last_event) FROM source")
    latest: datetime | None = reader.value("SELECT max(last_seen) FROM incident")
    seen = max((each for each in (newest, latest) if each), default=None)
    if seen is None or seen > now - DAY:
        return Window(since=now - DAY, until=now + timedelta(minutes=5), newest=seen)
    until = seen + timedelta(seconds=1)
    return Window(since=until - DAY, until=until, newest=seen, replayed=True)


_INCIDENT = """
SELECT i.*, coalesce(d.name, f.src_ip, i.device_id, 'unknown device') AS device,
       d.kind AS device_kind, f.src_ip, f.findings, f.finding_count, f.events
FROM incident i
LEFT JOIN device d ON d.device_id = i.device_id
LEFT JOIN (
    SELECT incident_id, min(src_ip) AS src_ip, list(id ORDER BY first_seen, id)[:200] AS findings,
           count(*) AS finding_count, sum(count) AS events
    FROM finding WHERE incident_id IS NOT NULL GROUP BY incident_id
) f ON f.incident_id = i.id
"""
_LEVEL_RANK = "list_position(['informational','low','medium','high','critical'], i.level)"


def incidents(
    reader: Reader,
    *,
    status: str | None = None,
    verdict: str | None = None,
    level: str | None = None,
    device_id: str | None = None,
    finding_class: str | None = None,
    since: datetime | None = None,
    text: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[Row]:
    """Return incidents, the last seen first. ``text`` is looked for in title and device.

    ``level`` is a lowest level. ``status`` may be ``active``: open, noted or quiet.
    Those that a person silenced, and those merged into another, are left out.
    """
    rows = reader.rows(
        f"""{_INCIDENT}
        WHERE ($status IS NULL OR i.status = $status
               OR ($status = 'active' AND i.status IN ('open', 'noted', 'quiet')))
          AND i.merged_into IS NULL AND NOT list_contains($hidden, i.id)
          AND ($verdict IS NULL OR i.verdict = $verdict)
          AND ($level IS NULL OR {_LEVEL_RANK} >= list_position(
               ['informational','low','medium','high','critical'], $level))
          AND ($device_id IS NULL OR i.device_id = $device_id)
          AND ($class IS NULL OR list_contains(i.classes, $class))
          AND ($since IS NULL OR i.last_seen >= $since)
          AND ($text IS NULL OR contains(lower(i.title || ' ' || i.summary || ' '
               || coalesce(d.name, f.src_ip, '')), lower($text)))
        ORDER BY i.last_seen DESC, i.id DESC LIMIT $limit OFFSET $offset
        """,
        {
            "status": status,
            "hidden": sorted(suppressed_incidents(reader)),
            "verdict": verdict,
            "level": level,
            "device_id": device_id,
            "class": finding_class,
            "since": since,
            "text": text,
            "limit": max(1, min(limit, MAX_ROWS)),
            "offset": max(0, offset),
        },
    )
    return [_decoded(row, "facts", "claims", "score", "model") for row in rows]


def incident(reader: Reader, incident_id: int) -> Row | None:
    """Return one incident with its device's name and the ids of its findings."""
    row = reader.one(f"{_INCIDENT} WHERE i.id = ?", [incident_id])
    return _decoded(row, "facts", "claims", "score", "model") if row else None


def findings(
    reader: Reader,
    *,
    incident_id: int | None = None,
    device_id: str | None = None,
    finding_class: str | None = None,
    level: str | None = None,
    limit: int = 200,
) -> list[Row]:
    """Return findings, the last seen first, each with its device's name."""
    rows = reader.rows(
        """
        SELECT f.*, coalesce(d.name, f.src_ip, f.device_id) AS device
        FROM finding f LEFT JOIN device d USING (device_id)
        WHERE ($incident IS NULL OR f.incident_id = $incident)
          AND ($device IS NULL OR f.device_id = $device OR f.src_ip = $device OR d.name = $device)
          AND ($class IS NULL OR f.class = $class)
          AND ($level IS NULL OR f.level = $level)
        ORDER BY f.last_seen DESC, f.id LIMIT $limit
        """,
        {
            "incident": incident_id,
            "device": device_id,
            "class": finding_class,
            "level": level,
            "limit": max(1, min(limit, 20 * MAX_ROWS)),
        },
    )
    return [_decoded(row, "facts") for row in rows]


_PROPOSAL = """
SELECT p.*, i.title AS incident_title, i.summary, i.verdict, i.level, i.classes, i.device_id,
       i.first_seen, i.last_seen, i.confidence, i.status AS incident_status,
       coalesce(d.name, f.src_ip, 'this device') AS device, d.kind AS device_kind,
       c.verb, c.decided_at, c.actor, c.channel, c.carried_out,
       e.id AS enforcement_id, e.state, e.asked_at, e.applied_at, e.verified_at, e.reverted_at,
       e.ends_at, e.proof, e.error, e.attempts, e.watch,
       p.status = 'proposed' AS waits, r.body AS replayed
FROM proposal p
JOIN incident i ON i.id = p.incident_id
LEFT JOIN device d ON d.device_id = i.device_id
LEFT JOIN (SELECT incident_id, min(src_ip) AS src_ip FROM finding GROUP BY 1) f
       ON f.incident_id = i.id
LEFT JOIN (SELECT * FROM decision
           QUALIFY row_number() OVER (PARTITION BY proposal_id ORDER BY id DESC) = 1) c
       ON c.proposal_id = p.id
LEFT JOIN (SELECT * FROM enforcement
           QUALIFY row_number() OVER (PARTITION BY proposal_id ORDER BY id DESC) = 1) e
       ON e.proposal_id = p.id
LEFT JOIN forecast r ON r.proposal_id = p.id
"""


def proposals(
    reader: Reader,
    *,
    waiting: bool | None = None,
    incident_id: int | None = None,
    limit: int = 100,
) -> list[Row]:
    """Return proposals with their last decision and enforcement.

    Those that wait for an answer come first, the gravest incident first; then the rest,
    the last decided first. ``waiting`` keeps one of the two. What a person silenced does
    not wait.
    """
    rows = reader.rows(
        f"""
        SELECT * FROM ({_PROPOSAL}) i
        WHERE ($waiting IS NULL OR waits = $waiting)
          AND ($incident IS NULL OR incident_id = $incident)
          AND NOT (waits AND $incident IS NULL AND list_contains($hidden, incident_id))
        ORDER BY waits DESC,
                 CASE WHEN waits THEN {_LEVEL_RANK} END DESC,
                 CASE WHEN waits THEN incident_id END DESC,
                 CASE WHEN waits THEN id END,
                 decided_at DESC NULLS LAST, created_at DESC, id DESC
        LIMIT $limit
        """,
        {
            "waiting": waiting,
            "hidden": sorted(suppressed_incidents(reader)),
            "incident": incident_id,
            "limit": max(1, min(limit, MAX_ROWS)),
        },
    )
    return [_decoded(row, "target", "forecast", "proof", "watch", "replayed") for row in rows]


def proposal(reader: Reader, proposal_id: int) -> Row | None:
    """Return one proposal with its last decision and enforcement."""
    row = reader.one(f"{_PROPOSAL} WHERE p.id = ?", [proposal_id])
    return _decoded(row, "target", "forecast", "proof", "watch", "replayed") if row else None


def journal(reader: Reader, incident_id: int) -> list[Row]:
    """Return what was decided and done about an incident, oldest first."""
    return reader.rows(
        """
        SELECT c.decided_at AS moment, c.verb AS what, c.actor AS who, c.channel AS detail, p.title
        FROM decision c JOIN proposal p ON p.id = c.proposal_id WHERE p.incident_id = $id
        UNION ALL
        SELECT s.step_at, s.state, e.responder, s.detail, p.title
        FROM enforcement_step s JOIN enforcement e ON e.id = s.enforcement_id
        JOIN proposal p ON p.id = e.proposal_id WHERE p.incident_id = $id
        ORDER BY moment, what LIMIT 200
        """,
        {"id": incident_id},
    )


def said(reader: Reader, incident_id: int) -> list[Row]:
    """Return what people said of an incident and did not take back, newest first."""
    return reader.rows(
        "SELECT id, answer, reason, actor, given_at FROM feedback "
        "WHERE incident_id = ? AND revoked_at IS NULL ORDER BY id DESC LIMIT 20",
        [incident_id],
    )


def devices(reader: Reader, *, text: str | None = None, limit: int = 200) -> list[Row]:
    """Return devices, the last seen first, each with its addresses and open incidents."""
    return reader.rows(
        """
        SELECT d.*, a.addresses, d.device_id IN (SELECT device_id FROM v_own_device) AS own,
               coalesce(i.open, 0) AS open_incidents, coalesce(i.watch, 0) AS watch
        FROM device d
        LEFT JOIN (SELECT r.root AS device_id, list(DISTINCT ip ORDER BY ip) AS addresses
                   FROM device_address JOIN v_device_root r USING (device_id)
                   WHERE valid_to IS NULL GROUP BY 1) a USING (device_id)
        LEFT JOIN (SELECT device_id,
                          count(*) FILTER (verdict IN ('malicious', 'suspicious')) AS open,
                          count(*) FILTER (verdict = 'surveillance') AS watch
                   FROM incident WHERE status IN ('open', 'noted', 'quiet')
                   GROUP BY 1) i USING (device_id)
        WHERE d.merged_into IS NULL
          AND ($text IS NULL OR contains(lower(concat_ws(' ', d.name, d.kind, d.vendor, d.mac,
               array_to_string(a.addresses, ' '))), lower($text)))
        ORDER BY d.last_seen DESC, d.device_id LIMIT $limit
        """,
        {"text": text, "limit": max(1, min(limit, MAX_ROWS))},
    )


def device(reader: Reader, device_id: str) -> Row | None:
    """Return one device; ``history`` lists the addresses it held, newest first."""
    row = reader.one(
        "SELECT *, device_id IN (SELECT device_id FROM v_own_device) AS own FROM device "
        "WHERE device_id = ?",
        [device_id],
    )
    if row is None:
        return None
    row["history"] = reader.rows(
        "SELECT ip, mac, valid_from, valid_to FROM device_address WHERE device_id = ? "
        "ORDER BY valid_from DESC, ip LIMIT 100",
        [device_id],
    )
    row["addresses"] = list(
        dict.fromkeys(each["ip"] for each in row["history"] if each["valid_to"] is None)
    )
    return _decoded(row, "reasons")


def sources(reader: Reader) -> list[Row]:
    """Return the sources by name, each with its reasons for refusing input."""
    rows = reader.rows("SELECT * EXCLUDE (bookmark) FROM source ORDER BY name LIMIT 500")
    reasons: dict[int, list[Row]] = {}
    for each in reader.rows("SELECT * FROM reject_count ORDER BY count DESC, reason LIMIT 2000"):
        reasons.setdefault(each["source_id"], []).append(each)
    return [{**row, "reasons": reasons.get(row["source_id"], [])[:10]} for row in rows]


def quarantine(reader: Reader, *, limit: int = 50) -> list[Row]:
    """Return samples of refused input, newest first."""
    return reader.rows(
        "SELECT q.*, s.name AS source FROM quarantine q JOIN source s USING (source_id) "
        "ORDER BY noted_at DESC, place LIMIT ?",
        [min(limit, MAX_ROWS)],
    )


def components(reader: Reader) -> list[Row]:
    """Return the states of Guardian's parts, the worst first."""
    return reader.rows(
        "SELECT * FROM component_state "
        "ORDER BY list_position(['red', 'amber', 'green'], state), name LIMIT 200"
    )


def detector_errors(reader: Reader) -> list[Row]:
    """Return the detectors whose last run failed."""
    return reader.rows(
        "SELECT detector, error, ran_at FROM detector_mark WHERE error IS NOT NULL "
        "ORDER BY detector LIMIT 200"
    )


def mark(reader: Reader) -> str:
    """Return a short text that changes when there is news for an open page."""
    row = reader.one(
        """
        SELECT (SELECT count(*) FROM incident) AS incidents,
               (SELECT count(*) FROM proposal WHERE status = 'proposed') AS waiting,
               (SELECT coalesce(max(id), 0) FROM proposal) AS newest,
               (SELECT count(*) FROM device) AS devices
        """
    )
    return "-".join(str(value) for value in (row or {}).values())


def _decoded(row: Row, *columns: str) -> Row:
    for column in columns:
        if isinstance(row.get(column), str):
            row[column] = json.loads(row[column])
    return row


def names_of(reader: Reader, addresses: Sequence[str]) -> dict[str, str]:
    """Return the names of the devices that now hold these addresses."""
    rows = reader.rows(
        "SELECT a.ip, d.name FROM device_address a JOIN device d USING (device_id) "
        "WHERE a.valid_to IS NULL AND list_contains(?, a.ip) ORDER BY a.valid_from",
        [list(addresses)],
    )
    return {row["ip"]: row["name"] for row in rows}
