"""A small house for triage tests: devices, addresses and findings, written as detectors do."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.model.finding import Finding, FindingClass, Level

if TYPE_CHECKING:
    from guardian.store import Store

T0 = datetime(2026, 10, 21, 19, 2)

DEVICES = {
    "laptop": ("Anna's laptop", "laptop", "192.168.30.14"),
    "tv": ("Living-room TV", "tv", "192.168.30.20"),
    "camera": ("Front-door camera", "camera", "192.168.30.30"),
    "phone": ("Ben's phone", "phone", "192.168.30.40"),
    "tablet": ("Kids' tablet", "tablet", "192.168.30.50"),
    "speaker": ("Kitchen speaker", "speaker", "192.168.30.60"),
}


def furnish(store: Store) -> None:
    """Put the devices into the store."""
    with store.transaction() as tx:
        for device, (name, kind, ip) in DEVICES.items():
            tx.execute(
                "INSERT INTO device (device_id, name, kind, first_seen, last_seen) "
                "VALUES (?, ?, ?, ?, ?)",
                [device, name, kind, T0 - timedelta(days=200), T0],
            )
            tx.execute(
                "INSERT INTO device_address (device_id, ip, valid_from, seen_at) "
                "VALUES (?, ?, ?, ?)",
                [device, ip, T0 - timedelta(days=200), T0],
            )


def finding(
    kind: str,
    device: str | None,
    *peers: str,
    at: float = 0,
    lasts: float = 600,
    level: str = "medium",
    detector: str = "",
    key: str = "",
    count: int = 1,
    src_ip: str | None = None,
    evidence: tuple[str, ...] = (),
    **facts: Any,
) -> Finding:
    """Return a finding; ``at`` and ``lasts`` are seconds from the story's beginning."""
    begins = T0 + timedelta(seconds=at)
    return Finding(
        finding_class=FindingClass(kind),
        level=Level(level),
        detector=detector or kind,
        title=kind,
        key=key or "/".join((kind, *peers)),
        device_id=device,
        src_ip=src_ip or (DEVICES[device][2] if device in DEVICES else None),
        peers=peers,
        first_seen=begins,
        last_seen=begins + timedelta(seconds=lasts),
        count=count,
        facts=facts,
        evidence=evidence,
    )


def write(store: Store, *findings: Finding) -> None:
    """Upsert findings as the detectors' engine does."""
    with store.transaction() as tx:
        for each in findings:
            tx.execute(
                "INSERT INTO finding (id, class, level, detector, title, key, device_id, src_ip, "
                "peers, first_seen, last_seen, count, facts, evidence, tags, updated_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, "
                "count = excluded.count, facts = excluded.facts, level = excluded.level",
                [
                    each.id, each.finding_class.value, each.level.value, each.detector, each.title,
                    each.key, each.device_id, each.src_ip, list(each.peers), each.first_seen,
                    each.last_seen, each.count, json.dumps(dict(each.facts)), list(each.evidence),
                    list(each.tags), each.last_seen,
                ],
            )  # fmt: skip


def hit(
    store: Store, name: str, company: str, kind: str = "acr", *, grade: str = "validated"
) -> None:
    """Say that the catalogue knows a name."""
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO name_hit (name, entry_id, class, company, service, purposes, grade, "
            "breakage, pattern) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [name, f"{kind}.{company.lower()}", kind, company, f"{company} service",
             ["viewing_profile"], grade, "none", name],
        )  # fmt: skip
