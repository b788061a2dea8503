"""What a proposal is made from, and how proposals are written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardian.store.connection import Reader, Store

OPEN = ("open", "quiet", "handled")
"""States of an incident in which there is something to propose, or something in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One incident as policy sees it.

    ``peers`` are the other sides by finding class; ``hits`` what the catalogue says
    of each name (company, breakage, grade); ``device_ips`` the device's addresses now.
    """

    id: int
    verdict: str
    status: str
    classes: tuple[str, ...]
    device_id: str | None
    device_name: str | None
    device_ips: tuple[str, ...]
    last_seen: datetime
    updated_at: datetime
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def harmless(self, name: str) -> bool:
        """Return whether the catalogue knows the name, on evidence, to break nothing."""
        hit = self.hits.get(name)
        return hit is not None and hit["breakage"] == "none" and hit["grade"] != "suspected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A proposal to insert (``id`` None) or to bring up to date. JSON columns are text."""

    id: int | None
    incident_id: int
    key: str
    action: str
    title: str
    consequence: str
    target: str
    duration_s: int
    responder: str
    forecast: str


_NEVER_CHANGED = frozenset({"incident", "key", "action"})

_HITS = """
SELECT name, any_value(company) AS company,
       arg_max(breakage, CASE breakage WHEN 'none' THEN 0 WHEN 'feature' THEN 1
                                       WHEN 'unknown' THEN 2 ELSE 3 END) AS breakage,
       CASE WHEN bool_or(grade = 'suspected') THEN 'suspected' ELSE any_value(grade) END AS grade
FROM name_hit
WHERE list_contains($names::VARCHAR[], name)
GROUP BY name
"""


def cases(reader: Reader) -> list[Case]:
    """Return the incidents that may lead to a proposal, oldest first."""
    incidents = reader.rows(
        """
        SELECT i.id, i.verdict, i.status, i.classes, i.device_id, i.last_seen, i.updated_at,
               d.name AS device_name
        FROM incident i LEFT JOIN device d ON d.device_id = i.device_id
        WHERE list_contains($open, i.status) ORDER BY i.id
        """,
        {"open": list(OPEN)},
    )
    ids = [row["id"] for row in incidents]
    peers: dict[int, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    sources: dict[int, dict[str, None]] = defaultdict(dict)
    for row in reader.rows(
        "SELECT incident_id, class, peers, src_ip FROM finding "
        "WHERE list_contains($ids::BIGINT[], incident_id) ORDER BY first_seen, id",
        {"ids": ids},
    ):
        peers[row["incident_id"]][row["class"]].update(dict.fromkeys(row["peers"]))
        if row["src_ip"]:
            sources[row["incident_id"]][row["src_ip"]] = None
    names = sorted({p for by_class in peers.values() for found in by_class.values() for p in found})
    hits = {row.pop("name"): row for row in reader.rows(_HITS, {"names": names})}
    held = _held(reader, [row["device_id"] for row in incidents if row["device_id"]])
    return [
        Case(
            id=row["id"],
            verdict=row["verdict"],
            status=row["status"],
            classes=tuple(row["classes"]),
            device_id=row["device_id"],
            device_name=row["device_name"],
            device_ips=held.get(row["device_id"]) or tuple(sorted(sources[row["id"]])),
            last_seen=row["last_seen"],
            updated_at=row["updated_at"],
            peers={name: tuple(found) for name, found in peers[row["id"]].items()},
            hits=hits,
        )
        for row in incidents
    ]


def _held(reader: Reader, devices: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the addresses that devices hold now."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in reader.rows(
        "SELECT DISTINCT device_id, ip FROM device_address "
        "WHERE valid_to IS NULL AND list_contains($devices::VARCHAR[], device_id) ORDER BY ip",
        {"devices": list(devices)},
    ):
        found[row["device_id"]].append(row["ip"])
    return {device: tuple(ips) for device, ips in found.items()}


def write(
    store: Store,
    changes: Sequence[Change],
    *,
    over: Sequence[int],
    looked_at: Sequence[int],
    now: datetime,
) -> None:
    """Insert or update proposals, withdraw those in ``over``, note which were looked at."""
    with store.transaction() as tx:
        tx.execute(
            "UPDATE proposal SET updated_at = $now WHERE list_contains($ids::BIGINT[], id)",
            {"now": now, "ids": list(looked_at)},
        )
        for change in changes:
            values = {
                "incident": change.incident_id,
                "key": change.key,
                "action": change.action,
                "title": change.title,
                "consequence": change.consequence,
                "target": change.target,
                "duration_s": change.duration_s,
                "responder": change.responder,
                "forecast": change.forecast,
                "now": now,
            }
            if change.id is None:
                tx.execute(
                    """
                    INSERT INTO proposal
                    SELECT nextval('proposal_seq'), $incident, $key, $action, $title,
                           $consequence, $target, $duration_s, $responder, $forecast,
                           'proposed', $now, $now
                    """,
                    values,
                )
            else:
                tx.execute(
                    """
                    UPDATE proposal SET title = $title, consequence = $consequence,
                        target = $target, duration_s = $duration_s, responder = $responder,
                        forecast = $forecast, status = 'proposed', updated_at = $now
                    WHERE id = $id
                    """,
                    {
                        "id": change.id,
                        **{k: v for k, v in values.items() if k not in _NEVER_CHANGED},
                    },
                )
        for proposal in over:
            tx.execute(
                "UPDATE proposal SET status = 'withdrawn', updated_at = ? "
                "WHERE id = ? AND status = 'proposed'",
                [now, proposal],
            )
