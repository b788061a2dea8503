"""What is usual for a device: a week of learning, and how it drifts after.

It is worked out from the hourly sums, which outlive the rows they were made of. A
device that is still learning has figures too, but nothing should be held against
them: the page shows since when it learns, and until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader

LEARN_DAYS = 7
"""Days until a baseline stands: weekends differ from working days, so a whole week."""

LONG_DAYS = 28
"""Days before the last week that drift is measured against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A device's usual hour and its usual destinations.

    Bytes are of hours in which it spoke at all. ``spread_bytes_up`` is the median
    distance from the median (MAD). ``drift`` is the last week's median upload over
    that of the four weeks before; None until there is something to compare.
    """

    device_id: str
    learning: bool
    since: datetime
    until: datetime
    active_hours: int
    median_bytes_up: int
    spread_bytes_up: int
    busiest_bytes_up: int
    destinations: int
    new_destinations: int
    drift: float | None


def baselines(reader: Reader, *, now: datetime) -> list[Baseline]:
    """Return the baseline of each device that sent anything in the last five weeks."""
    week = now - timedelta(days=LEARN_DAYS)
    rows = reader.rows(
        _QUERY, {"now": now, "week": week, "start": week - timedelta(days=LONG_DAYS)}
    )
    return [_baseline(row, now) for row in rows]


def baseline(reader: Reader, device_id: str, *, now: datetime) -> Baseline | None:
    """Return one device's baseline, or None when it sent nothing."""
    return next((each for each in baselines(reader, now=now) if each.device_id == device_id), None)


def _baseline(row: dict[str, Any], now: datetime) -> Baseline:
    until = row["since"] + timedelta(days=LEARN_DAYS)
    before, lately = row["median_before"], row["median_lately"]
    return Baseline(
        device_id=row["device_id"],
        learning=now < until,
        since=row["since"],
        until=until,
        active_hours=row["active_hours"],
        median_bytes_up=int(row["median_up"]),
        spread_bytes_up=int(row["spread_up"]),
        busiest_bytes_up=int(row["busiest_up"]),
        destinations=row["destinations"],
        new_destinations=row["new_destinations"],
        drift=round(lately / before, 2) if before and lately is not None else None,
    )


_QUERY = """
WITH hour AS (
    SELECT coalesce(r.root, h.device_id) AS device_id, h.bucket, sum(h.bytes_up) AS up
    FROM rollup_1h h LEFT JOIN v_device_root r ON r.device_id = h.device_id
    WHERE h.bucket >= $start AND h.bucket <= $now AND h.device_id IS NOT NULL GROUP BY ALL
),
usual AS (
    SELECT device_id, count(*) AS active_hours, median(up) AS median_up, mad(up) AS spread_up,
           max(up) AS busiest_up, median(up) FILTER (bucket < $week) AS median_before,
           median(up) FILTER (bucket >= $week) AS median_lately
    FROM hour GROUP BY device_id
),
place AS (
    SELECT coalesce(r.root, h.device_id) AS device_id, h.dest, min(h.bucket) AS first
    FROM rollup_1h h LEFT JOIN v_device_root r ON r.device_id = h.device_id
    WHERE h.bucket <= $now AND h.device_id IS NOT NULL GROUP BY ALL
),
places AS (
    SELECT device_id, count(*) AS destinations, min(first) AS since,
           count(*) FILTER (first >= $week) AS recent
    FROM place GROUP BY device_id
)
SELECT u.*, p.destinations, p.since,
       CASE WHEN p.since >= $week THEN 0 ELSE p.recent END AS new_destinations
FROM usual u JOIN places p USING (device_id) ORDER BY device_id
"""
