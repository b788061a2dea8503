"""Read from the store what grouping and telling need: a few wide queries, in columns."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.intel import addresses
from guardian.model.finding import FindingClass, Level
from guardian.triage.anchors import HOUSE, PUBLIC_RESOLVERS, Signal
from guardian.triage.families import FAMILY, Family

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardian.store import Reader

SAMPLES = 4
"""Findings of one class in one incident whose facts are told; the rest are counted."""

# How every private, shared and link-local address begins: the rest need no closer look.
_MAYBE_HOME = ("10.", "172.", "192.168.", "100.", "169.254.", "127.", "fc", "fd", "fe", ":")

PEERS = 8
"""Destinations of one incident that are looked up; the rest are counted."""

_SIGNALS = """
SELECT f.id, f.class, f.level, f.detector, f.key, f.src_ip, f.peers, f.first_seen, f.last_seen,
       f.count, coalesce(r.root, h.device_id) AS device_id,
       TRY_CAST(f.facts ->> '$.signature_id' AS BIGINT) AS signature_id,
       coalesce(f.facts ->> '$.fingerprint',
                CASE WHEN f.detector LIKE '%fingerprint%' THEN f.facts ->> '$.indicator' END)
           AS certificate
FROM finding AS f
LEFT JOIN v_device_root AS r ON r.device_id = f.device_id
LEFT JOIN (SELECT ip, arg_max(device_id, valid_from) AS device_id FROM v_device_address GROUP BY ip)
       AS h ON f.device_id IS NULL AND h.ip = f.src_ip
WHERE f.last_seen >= $since
   OR f.updated_at >= $judged  -- of an old capture that was replayed only now
   OR f.incident_id IN (SELECT id FROM incident WHERE last_seen >= $since)
ORDER BY f.first_seen, f.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Who lives at which address, and what devices are called."""

    holders: Mapping[str, str]
    devices: Mapping[str, Mapping[str, Any]]
    seen: dict[str, bool] = field(default_factory=dict)

    def is_home(self, ip: str) -> bool:
        """Say whether an address is one of the house's."""
        known = self.seen.get(ip)
        if known is None:
            known = ip in self.holders or (ip.startswith(_MAYBE_HOME) and addresses.is_internal(ip))
            self.seen[ip] = known
        return known

    def name(self, actor: str) -> str | None:
        """Return what a device, or the device at an address, is called."""
        device = self.devices.get(actor) or self.devices.get(self.holders.get(actor, ""))
        return None if device is None else str(device["name"])


def house(reader: Reader) -> House:
    """Return the devices and the addresses they hold."""
    holders = reader.rows(
        "SELECT ip, arg_max(device_id, valid_from) AS device_id FROM v_device_address GROUP BY ip"
    )
    devices = reader.rows(
        "SELECT device_id, name, kind, vendor, model, owner, room, segment, first_seen "
        "FROM device WHERE merged_into IS NULL"
    )
    return House(
        holders={row["ip"]: row["device_id"] for row in holders},
        devices={row["device_id"]: row for row in devices},
    )


def signals(reader: Reader, home: House, *, since: datetime, judged: datetime) -> list[Signal]:
    """Return every finding that may belong to a living story, oldest first.

    Those are of events since ``since``, were written since ``judged``, or belong to such a story.
    """
    columns = reader.arrow(_SIGNALS, {"since": since, "judged": judged}).to_pydict()
    ranks = {level.value: level.rank for level in Level}
    classes = {each.value: each for each in FindingClass}
    found = []
    for row in zip(*columns.values(), strict=True):
        each = dict(zip(columns, row, strict=True))
        kind = classes.get(each["class"])
        if kind is None:
            continue
        actor, outside = _actor(each, home, FAMILY[kind])
        found.append(
            Signal(
                id=each["id"],
                finding_class=kind,
                level=ranks.get(each["level"], 0),
                detector=each["detector"],
                key=each["key"],
                actor=actor,
                outside=outside,
                peers=tuple(each["peers"] or ()),
                first_seen=each["first_seen"],
                last_seen=each["last_seen"],
                count=each["count"],
                signature_id=each["signature_id"],
                certificate=each["certificate"],
            )
        )
    return found


def _actor(row: Mapping[str, Any], home: House, family: Family) -> tuple[str, bool]:
    """Return whose story a finding is, and whether that is somebody outside the house."""
    if row["device_id"]:
        return row["device_id"], False
    src = row["src_ip"]
    if not src:
        return HOUSE, False
    if home.is_home(src):
        return src, False
    victim = next((peer for peer in row["peers"] or () if home.is_home(peer)), None)
    if victim is None:
        return src, False
    if family in (Family.CONTROL, Family.BYPASS, Family.LISTENING):
        # Somebody outside talks with a device as its master would: it is the device's story.
        return home.holders.get(victim, victim), False
    return src, True


@dataclass(slots=True, kw_only=True)
class Case:
    """What is known of one incident before it is told."""

    devices: tuple[str, ...]
    outside: bool
    first_seen: datetime
    last_seen: datetime
    lead: FindingClass | None = None
    explained: frozenset[FindingClass] = frozenset()
    findings: int = 0
    events: int = 0
    detectors: tuple[str, ...] = ()
    classes: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    peers_total: int = 0
    hits: list[dict[str, Any]] = field(default_factory=list)
    other_devices: int | None = None
    blocked: int = 0
    asked: int = 0


def class_events(case: Case, *kinds: FindingClass) -> int:
    """Return how often these classes were seen; overlapping detectors count once."""
    return max((row["events"] for row in case.classes if row["class"] in kinds), default=0)


def describe(reader: Reader, home: House, cases: Mapping[int, Case], members: pl.DataFrame) -> None:
    """Fill the cases from the store. ``members`` has ``number`` (of the case), ``id``, ``root``."""
    with reader.registered("member", members):
        for row in reader.rows(_CLASSES):
            cases[row["number"]].classes.append(row)
        for row in reader.rows(_SAMPLES, {"samples": SAMPLES}):
            row["facts"] = json.loads(row["facts"])
            cases[row["number"]].samples.append(row)
        for row in reader.rows(_PEERS, {"peers": PEERS}):
            case = cases[row["number"]]
            case.peers_total = row["total"]
            case.peers.append(row["peer"])
    for case in cases.values():
        case.findings = sum(row["findings"] for row in case.classes)
        case.events = sum(row["events"] for row in case.classes)
        case.detectors = tuple(sorted({d for row in case.classes for d in row["detectors"]}))
    _look_up(reader, home, cases)


_CLASSES = """
SELECT number, class, max(list_position(['informational','low','medium','high','critical'], level))
           - 1 AS level,
       count(*) AS findings, sum(count)::BIGINT AS events, min(first_seen) AS first_seen,
       max(last_seen) AS last_seen, list(DISTINCT detector ORDER BY detector)[:8] AS detectors
FROM member JOIN finding USING (id)
GROUP BY number, class ORDER BY number, class
"""
_SAMPLES = """
SELECT number, id, class, level, detector, title, src_ip, peers[:20] AS peers, first_seen,
       last_seen, count, facts, tags
FROM member JOIN finding USING (id)
QUALIFY row_number() OVER (
    PARTITION BY number, class
    ORDER BY list_position(['informational','low','medium','high','critical'], level) DESC,
             count DESC, id) <= $samples
ORDER BY number, class, list_position(['informational','low','medium','high','critical'], level)
         DESC, count DESC, id
"""
_PEERS = """
WITH spread AS (
    SELECT number, unnest(peers[:200]) AS peer, count,
           list_position(['informational','low','medium','high','critical'], level) AS rank
    FROM member JOIN finding USING (id)
), counted AS (
    SELECT number, peer, sum(count) AS events, max(rank) AS rank FROM spread GROUP BY ALL
)
SELECT number, peer, count(*) OVER (PARTITION BY number) AS total FROM counted
QUALIFY row_number() OVER (PARTITION BY number ORDER BY rank DESC, events DESC, peer) <= $peers
ORDER BY number, rank DESC, events DESC, peer
"""

LOOK_BACK = timedelta(hours=24)
"""How much traffic is searched for who else went there: one day before the last sign."""


def _look_up(reader: Reader, home: House, cases: Mapping[int, Case]) -> None:
    """Ask the catalogue, the resolver's log and the flows about the destinations."""
    rows = [
        {
            "number": number,
            "peer": peer,
            "since": max(case.first_seen, case.last_seen - LOOK_BACK),
            "until": case.last_seen + timedelta(seconds=1),
        }
        for number, case in cases.items()
        for peer in case.peers
        # What everybody in the house uses says nothing about who else went there.
        if peer not in PUBLIC_RESOLVERS and not home.is_home(peer)
    ]
    if not rows:
        return
    frame = pl.DataFrame(rows, schema=_PLACES)
    bounds = {"since": frame["since"].min(), "until": frame["until"].max()}
    with reader.registered("place", frame):
        for row in reader.rows(
            "SELECT number, h.* FROM place JOIN name_hit AS h ON h.name = place.peer "
            "ORDER BY number, h.name, h.entry_id"
        ):
            cases[row["number"]].hits.append(row)
        for row in reader.rows(_ASKED, bounds):
            cases[row["number"]].asked = row["asked"]
            cases[row["number"]].blocked = row["blocked"]
        for row in reader.rows(_OTHERS, bounds):
            case = cases[row["number"]]
            who = {each for each in row["who"] if each is not None}
            case.other_devices = len(who - set(case.devices))


_PLACES = {"number": pl.Int64, "peer": pl.String, "since": pl.Datetime, "until": pl.Datetime}

_ASKED = """
SELECT number, count(*) AS asked, count(*) FILTER (l.blocked) AS blocked
FROM place JOIN dns_log AS l ON l.rrname = place.peer AND l.ts >= place.since AND l.ts < place.until
WHERE l.ts >= $since AND l.ts < $until
GROUP BY number ORDER BY number
"""
_OTHERS = """
SELECT number, list(DISTINCT h.device_id ORDER BY h.device_id) AS who
FROM place
JOIN flow AS w ON w.dest_ip = place.peer AND w.ts >= place.since AND w.ts < place.until
JOIN (SELECT ip, arg_max(device_id, valid_from) AS device_id FROM v_device_address GROUP BY ip) AS h
  ON h.ip = w.src_ip
WHERE w.ts >= $since AND w.ts < $until
GROUP BY number ORDER BY number
"""


def past(reader: Reader) -> list[dict[str, Any]]:
    """Return earlier incidents, the newest first, with what a person said of them last."""
    return reader.rows(
        "SELECT i.id, i.title, i.device_id, i.classes[1] AS lead, i.first_seen, i.last_seen, "
        "(SELECT arg_max(answer, given_at) FROM feedback AS f "
        " WHERE f.incident_id = i.id AND f.revoked_at IS NULL) AS answer, "
        "(SELECT arg_max(reason, given_at) FROM feedback AS f "
        " WHERE f.incident_id = i.id AND f.revoked_at IS NULL) AS reason "
        "FROM incident AS i WHERE i.merged_into IS NULL ORDER BY i.last_seen DESC, i.id DESC"
    )
