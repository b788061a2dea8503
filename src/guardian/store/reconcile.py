"""DNS-to-flow reconciliation: which flows the home's own resolver explains.

A flow out of the house is explained when the device had been given its destination
in an answer of a resolver at home before (on the wire, or in the resolver's log).
What is not explained is a hard-coded address, or a name asked for elsewhere: DNS
over HTTPS, a VPN. Where no resolver was seen at all, nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader

SLACK_S = 2
"""Seconds that a flow may begin before the answer that explains it: clocks and log lines."""

UNEXPLAINED_KEPT = 10
"""Destinations shown for each device, those with most flows first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somewhere a device went without having asked at home; ``name`` as the network showed it."""

    ip: str
    name: str | None
    flows: int
    bytes_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what a device sent out the home's resolver explains.

    ``asked`` says whether it asked a resolver at home at all; when no device did, the
    resolver was not seen and ``share`` is None.
    """

    device_id: str
    name: str
    flows: int
    explained: int
    share: float | None
    asked: bool
    bytes_up_unexplained: int
    unexplained: tuple[Destination, ...]


def coverage(
    reader: Reader, *, since: datetime | None = None, until: datetime | None = None
) -> list[Coverage]:
    """Return the coverage of each device with flows out of the house, the least covered first.

    Time servers (port 123) and questions in the clear (port 53) are left out: the first are
    handed out by DHCP, the second are judged by themselves.
    """
    span = {"since": since, "until": until}
    kept: dict[str, list[Destination]] = {}
    totals: dict[str, dict[str, int]] = {}
    for row in reader.rows(_QUERY, {**span, "slack": SLACK_S}):
        total = totals.setdefault(row["device_id"], {"flows": 0, "explained": 0, "bytes_up": 0})
        total["flows"] += row["flows"]
        total["explained"] += row["explained"]
        missing = row["flows"] - row["explained"]
        if missing:
            total["bytes_up"] += int(row["bytes_up"] or 0)
            where = kept.setdefault(row["device_id"], [])
            where.append(
                Destination(
                    ip=row["dest_ip"],
                    name=row["dest_name"],
                    flows=missing,
                    bytes_up=int(row["bytes_up"] or 0),
                )
            )
    asked = {row["device_id"] for row in reader.rows(_ASKED, span)}
    names = {
        row["device_id"]: row["name"] for row in reader.rows("SELECT device_id, name FROM device")
    }
    found = [
        Coverage(
            device_id=device,
            name=names.get(device, device),
            flows=total["flows"],
            explained=total["explained"],
            share=total["explained"] / total["flows"] if asked else None,
            asked=device in asked,
            bytes_up_unexplained=total["bytes_up"],
            unexplained=tuple(
                sorted(kept.get(device, ()), key=lambda item: (-item.flows, item.ip))
            )[:UNEXPLAINED_KEPT],
        )
        for device, total in totals.items()
    ]
    return sorted(found, key=lambda each: (each.share is None, each.share or 0.0, each.name))


_WITHIN = "({c} >= $since OR $since IS NULL) AND ({c} < $until OR $until IS NULL)"

# Every address that a device was told by a resolver at home, and when first.
_TOLD = """
told AS (
    SELECT a.device_id, t.ip, min(t.ts) AS ts
    FROM (
        SELECT src_ip, unnest(answers) AS ip, ts FROM dns JOIN address_info i ON i.ip = dest_ip
        WHERE type = 'answer' AND i.home
        UNION ALL
        SELECT src_ip, unnest(answers), ts FROM dns_log
    ) t
    JOIN v_device_address a ON a.ip = t.src_ip AND a.valid_from <= t.ts AND t.ts < a.valid_to
    GROUP BY ALL
)
"""

_QUERY = f"""
WITH {_TOLD},
sent AS (
    SELECT a.device_id, f.dest_ip, f.ts, f.bytes_toserver
    FROM v_flow f
    JOIN v_device_address a ON a.ip = f.src_ip AND a.valid_from <= f.ts AND f.ts < a.valid_to
    WHERE f.direction = 'outbound' AND f.proto IN ('TCP', 'UDP') AND f.dest_port NOT IN (53, 123)
      AND {_WITHIN.format(c="f.ts")}
)
SELECT s.device_id, s.dest_ip, any_value(n.name) AS dest_name, count(*) AS flows,
       count(*) FILTER (t.ts <= s.ts + to_seconds($slack)) AS explained,
       sum(s.bytes_toserver) FILTER (t.ts IS NULL OR t.ts > s.ts + to_seconds($slack)) AS bytes_up
FROM sent s
LEFT JOIN told t ON t.device_id = s.device_id AND t.ip = s.dest_ip
LEFT JOIN v_address_name n ON n.ip = s.dest_ip
GROUP BY s.device_id, s.dest_ip
ORDER BY s.device_id, s.dest_ip
"""

_ASKED = f"""
SELECT DISTINCT a.device_id
FROM (
    SELECT src_ip, ts FROM dns JOIN address_info i ON i.ip = dest_ip WHERE i.home
    UNION ALL SELECT src_ip, ts FROM dns_log
) q
JOIN v_device_address a ON a.ip = q.src_ip AND a.valid_from <= q.ts AND q.ts < a.valid_to
WHERE {_WITHIN.format(c="q.ts")}
"""
