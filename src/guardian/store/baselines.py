"""What is usual for a device: a week of learning, and how it drifts after.

It is worked out from the hourly sums of what left the house, which outlive the rows
they were made of, and kept in ``baseline`` for the page and for rules (``v_baseline``,
``v_baseline_hour``). The usual value is the median of the last four weeks, so a habit
that changes becomes the usual one, and one odd night does not. A device that is still
learning has figures too, but nothing should be held against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

LEARN_DAYS = 7
"""Days until a baseline stands: weekends differ from working days, so a whole week."""

SPAN_DAYS = 28
"""Days that the usual value is the median of; older habits fade out of it."""

FLOORS = {
    "bytes_up": 50_000.0,
    "bytes_down": 200_000.0,
    "flows": 5.0,
    "destinations": 2.0,
    "new_destinations": 2.0,
}
"""The least spread of each metric, in its unit: below it a difference is noise. Without it a
gadget that sends the same every hour would have a spread of nothing."""

LEAST_SHARE = 0.1
"""The least spread as a share of the usual value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is usual for one device and metric, at any time of day.

    ``drift`` is the last week's median over that of the weeks before; None until there is
    something to compare.
    """

    device_id: str
    metric: str
    unit: str
    learned: bool
    since: datetime
    until: datetime
    expected: float
    spread: float
    busiest: float
    samples: int
    drift: float | None


def rebuild(tx: Transaction, *, offset_s: int, now: datetime | None = None) -> int:
    """Work out every baseline anew from the closed hours; return how many rows there are.

    Hours after ``now`` are of a clock that was ahead, and do not count; None: all do.
    ``offset_s`` is how many seconds the house's clock is ahead of UTC: what is usual at
    eight in the evening follows the clock on the wall.
    """
    newest = tx.value(
        "SELECT max(bucket) FROM rollup_1h WHERE $now IS NULL OR bucket <= $now", {"now": now}
    )
    tx.execute("DELETE FROM baseline")
    if newest is None:
        return 0
    span = {
        "newest": newest,
        "start": newest - timedelta(days=SPAN_DAYS),
        "week": newest - timedelta(days=LEARN_DAYS),
        "offset_s": offset_s,
        "share": LEAST_SHARE,
    }
    tx.execute(
        "CREATE OR REPLACE TEMP TABLE least_spread AS SELECT unnest($metrics) AS metric, "
        "unnest($floors) AS floor",
        {"metrics": list(FLOORS), "floors": list(FLOORS.values())},
    )
    tx.execute(_HOURS, {"newest": newest, "start": span["start"], "offset_s": offset_s})
    tx.execute(_REBUILD, {"newest": newest, "week": span["week"], "share": LEAST_SHARE})
    for name in ("device_hour", "least_spread"):
        tx.execute(f"DROP TABLE {name}")
    return int(tx.value("SELECT count(*) FROM baseline"))


def baselines(reader: Reader, *, device_id: str | None = None) -> list[Baseline]:
    """Return the baselines at any time of day, of one device or of all."""
    rows = reader.rows(
        "SELECT device_id, metric, unit, learned, since, until, expected, spread, busiest, "
        "samples, drift FROM v_baseline WHERE $device IS NULL OR device_id = $device "
        "ORDER BY device_id, metric",
        {"device": device_id},
    )
    return [Baseline(**row) for row in rows]


def day(
    reader: Reader, device_id: str, *, since: datetime, until: datetime, offset_s: int
) -> list[dict[str, Any]]:
    """Return 24 hours of a device: bucket, bytes sent out of the house, and the usual band.

    ``low`` and ``high`` are the usual value less and plus three spreads, and None where
    nothing was learned of that hour. ``usual_share`` is how often it speaks at all then.
    """
    return reader.rows(
        _DAY, {"device": device_id, "since": since, "until": until, "offset_s": offset_s}
    )


# What left the house by device and closed hour; destinations inside are no business of this.
_HOURS = """
CREATE OR REPLACE TEMP TABLE device_hour AS
SELECT coalesce(r.root, h.device_id) AS device_id, h.bucket,
       isodow(h.bucket + to_seconds($offset_s)) >= 6 AS weekend,
       hour(h.bucket + to_seconds($offset_s)) AS hour,
       sum(h.bytes_up)::DOUBLE AS bytes_up, sum(h.bytes_down)::DOUBLE AS bytes_down,
       sum(h.flows)::DOUBLE AS flows, count(DISTINCT h.dest)::DOUBLE AS destinations
FROM rollup_1h h LEFT JOIN v_device_root r ON r.device_id = h.device_id
LEFT JOIN address_info i ON i.ip = h.dest
WHERE h.bucket >= $start AND h.bucket < $newest AND h.device_id IS NOT NULL
  AND coalesce(i.scope = 'public' AND NOT i.home, true)
GROUP BY ALL
"""
_REBUILD = """
INSERT INTO baseline
WITH place AS (
    SELECT coalesce(r.root, h.device_id) AS device_id, h.dest, min(h.bucket) AS first
    FROM rollup_1h h LEFT JOIN v_device_root r ON r.device_id = h.device_id
    LEFT JOIN address_info i ON i.ip = h.dest
    WHERE h.bucket < $newest AND h.device_id IS NOT NULL
      AND coalesce(i.scope = 'public' AND NOT i.home, true)
    GROUP BY ALL
),
began AS (SELECT device_id, min(first) AS since FROM place GROUP BY device_id),
active_day AS (SELECT DISTINCT device_id, bucket::DATE AS day FROM device_hour),
fresh AS (
    SELECT a.device_id, a.day, count(p.dest)::DOUBLE AS value
    FROM active_day a JOIN began b USING (device_id)
    LEFT JOIN place p ON p.device_id = a.device_id AND p.first::DATE = a.day
    WHERE a.day > b.since::DATE
    GROUP BY ALL
),
long AS (
    SELECT device_id, bucket, weekend, hour, metric, value
    FROM (UNPIVOT device_hour ON bytes_up, bytes_down, flows, destinations
          INTO NAME metric VALUE value)
    UNION ALL SELECT device_id, day::TIMESTAMP, NULL, NULL, 'new_destinations', value FROM fresh
),
-- The hours beside it count too: a week alone has one Tuesday at eight.
slot AS (
    SELECT device_id, bucket, metric, value, weekend, (hour + near + 24) % 24 AS hour
    FROM long, (SELECT unnest([-1, 0, 1]) AS near) WHERE hour IS NOT NULL
    UNION ALL SELECT device_id, bucket, metric, value, NULL, NULL FROM long
),
watched AS (SELECT DISTINCT bucket, weekend, hour FROM device_hour),
possible AS (
    SELECT b.device_id, w.weekend, (w.hour + near + 24) % 24 AS hour, count(*) AS hours
    FROM began b JOIN watched w ON w.bucket >= b.since, (SELECT unnest([-1, 0, 1]) AS near)
    GROUP BY ALL
    UNION ALL
    SELECT b.device_id, NULL, NULL, count(*) FROM began b JOIN watched w ON w.bucket >= b.since
    GROUP BY b.device_id
),
usual AS (
    SELECT device_id, metric, weekend, hour, median(value) AS expected, mad(value) AS away,
           max(value) AS busiest, count(*) AS samples,
           median(value) FILTER (bucket >= $week) AS lately,
           median(value) FILTER (bucket < $week) AS before
    FROM slot GROUP BY ALL
)
SELECT u.device_id, u.metric, u.weekend, u.hour, u.expected,
       greatest(1.4826 * u.away, $share * u.expected, l.floor), u.busiest, u.samples,
       least(1, u.samples / greatest(1, coalesce(p.hours, u.samples))),
       CASE WHEN u.before > 0 THEN round(u.lately / u.before, 2) END,
       b.since, $newest
FROM usual u JOIN began b USING (device_id) JOIN least_spread l USING (metric)
LEFT JOIN possible p ON p.device_id = u.device_id
     AND p.weekend IS NOT DISTINCT FROM u.weekend AND p.hour IS NOT DISTINCT FROM u.hour
"""
_DAY = """
WITH sent AS (
    SELECT time_bucket(INTERVAL 1 HOUR, f.ts) AS bucket, sum(f.bytes_toserver) AS up
    FROM v_flow f JOIN v_device_address a
        ON a.ip = f.src_ip AND a.valid_from <= f.ts AND f.ts < a.valid_to
    WHERE a.device_id = $device AND f.ts >= $since AND f.ts < $until AND f.direction = 'outbound'
    GROUP BY 1
),
hours AS (
    SELECT unnest(generate_series(time_bucket(INTERVAL 1 HOUR, $since::TIMESTAMP),
           $until::TIMESTAMP - INTERVAL 1 SECOND, INTERVAL 1 HOUR)) AS bucket
)
SELECT h.bucket, coalesce(s.up, 0)::BIGINT AS up, b.expected, b.active_share AS usual_share,
       CASE WHEN b.samples >= 3 THEN greatest(0, b.expected - 3 * b.spread) END AS low,
       CASE WHEN b.samples >= 3 THEN b.expected + 3 * b.spread END AS high
FROM hours h LEFT JOIN sent s USING (bucket)
LEFT JOIN v_baseline_hour b ON b.device_id = $device AND b.metric = 'bytes_up'
    AND b.hour = hour(h.bucket + to_seconds($offset_s))
    AND b.weekend = (isodow(h.bucket + to_seconds($offset_s)) >= 6)
ORDER BY h.bucket
"""
