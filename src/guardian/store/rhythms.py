"""The rhythms that devices keep, by the day; what this home has learned from them.

``periodic_fingerprint`` holds both what somebody measured of a model of device
(``origin`` measured, ``device_id`` NULL) and what a device of this home has kept for a
week (learned, for that device alone). A rule that explains a heartbeat joins on the
name, the period and ``device_id IS NULL OR device_id = …``.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.store.connection import Reader, Store, Transaction

Row = dict[str, Any]

_MARK = "rhythm_day"
MIN_CALLS = 12
"""Fewer calls on a day say too little of their spread; a period of two hours still has them."""
MAX_JITTER = 0.1
"""Median absolute deviation of the gaps over the period; 0 is a clock."""
MIN_PERIOD_S = 5.0
"""What comes faster is one conversation in pieces."""
MAX_DAYS_AT_ONCE = 30
"""Whole days taken in one go, as when a month of logs is replayed; the rest follows."""
KEEP_DAYS = 60
"""Days of rhythms that are kept: two months show when a habit changed."""
PERIODIC_PORTS = (53, 67, 68, 123, 137, 138, 546, 547, 853, 1900, 3702, 5351, 5353, 5355)
"""Periodic by design: names, time, leases, discovery."""

_DAY = """
INSERT INTO rhythm_day
WITH spoken AS (
    SELECT source_id, flow_id, min(name) AS name FROM (
        SELECT source_id, flow_id, lower(sni) AS name FROM tls WHERE ts >= $since AND ts < $until AND sni LIKE '%.%'
        UNION ALL SELECT source_id, flow_id, lower(sni) FROM quic WHERE ts >= $since AND ts < $until AND sni LIKE '%.%'
        UNION ALL SELECT source_id, flow_id, lower(hostname) FROM http WHERE ts >= $since AND ts < $until AND hostname LIKE '%.%')
    WHERE flow_id IS NOT NULL GROUP BY ALL
),
call AS (
    SELECT coalesce(a.device_id, f.src_ip) AS device_id, f.proto, coalesce(o.name, n.name, f.dest_ip) AS name, f.ts,
           coalesce(f.bytes_toserver, 0) AS up
    FROM v_flow f LEFT JOIN spoken o USING (source_id, flow_id) LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    LEFT JOIN v_device_address a ON a.ip = f.src_ip AND a.valid_from <= f.ts AND f.ts < a.valid_to
    WHERE f.ts >= $since AND f.ts < $until AND f.direction = 'outbound' AND NOT f.failed AND f.proto IN ('TCP', 'UDP')
      AND NOT list_contains($ports, f.dest_port)
),
many AS (SELECT device_id, proto, name FROM call GROUP BY ALL HAVING count(*) >= $min_calls),
gap AS (
    SELECT c.*, epoch(c.ts - lag(c.ts) OVER (PARTITION BY c.device_id, c.proto, c.name ORDER BY c.ts)) AS gap_s
    FROM call c SEMI JOIN many m USING (device_id, proto, name)
),
pair AS (
    SELECT device_id, proto, name, count(*) AS calls, median(gap_s) FILTER (gap_s > 0.5) AS period_s,
           mad(gap_s) FILTER (gap_s > 0.5) AS spread_s, median(up)::BIGINT AS up FROM gap GROUP BY ALL
)
SELECT $day, device_id, proto, name, calls, round(period_s, 2), round(spread_s / period_s, 4), up
FROM pair WHERE period_s >= $min_period_s AND spread_s <= $max_jitter * period_s ORDER BY device_id, name
"""  # noqa: E501 - a row of a union is one line


def update(store: Store) -> tuple[date, ...]:
    """Add the rhythms of whole days (UTC) that came since the last call; return those days."""
    with store.read() as reader:
        # The hours that are summed already: a small table, where flows are many.
        span = reader.one("SELECT min(bucket) AS first, max(bucket) AS last FROM active_hour")
        done = reader.value("SELECT last_id FROM rollup_mark WHERE name = ?", [_MARK])
    if span is None or span["first"] is None:
        return ()
    first = span["first"].date()
    if done is not None:
        first = max(first, date.fromordinal(int(done) + 1))
    days: list[date] = []
    while first < span["last"].date() and len(days) < MAX_DAYS_AT_ONCE:
        days.append(first)
        first += timedelta(days=1)
    for day in days:
        since = datetime.combine(day, time())
        with store.transaction() as tx:
            tx.execute(
                "DELETE FROM rhythm_day WHERE day = ? OR day < ?",
                [day, day - timedelta(days=KEEP_DAYS)],
            )
            tx.execute(
                _DAY,
                {
                    "day": day, "since": since, "until": since + timedelta(days=1),
                    "ports": list(PERIODIC_PORTS), "min_calls": MIN_CALLS,
                    "min_period_s": MIN_PERIOD_S, "max_jitter": MAX_JITTER,
                },
            )  # fmt: skip
            tx.execute(
                "INSERT INTO rollup_mark VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id",
                [_MARK, day.toordinal()],
            )
    return tuple(days)


def last_day(reader: Reader) -> date | None:
    """Return the last day whose rhythms were taken, or None."""
    done = reader.value("SELECT last_id FROM rollup_mark WHERE name = ?", [_MARK])
    return None if done is None else date.fromordinal(int(done))


def stable(
    reader: Reader, *, last: date, days: int, least: int, spread: float, kinds: Sequence[str],
    attacks: Sequence[str],
) -> list[Row]:  # fmt: skip
    """Return rhythms that a thing of the home kept on ``least`` of the last ``days`` days.

    Only to destinations that have a name, only of devices of these kinds, and never of a
    device or to a name that an attack finding of medium or more is about.
    """
    return reader.rows(
        """
        SELECT r.device_id, any_value(d.name) AS device, r.proto, r.name, median(period_s) AS period_s,
               count(DISTINCT day) AS days, median(bytes_up)::BIGINT AS bytes_up
        FROM rhythm_day r JOIN device d ON d.device_id = r.device_id
        WHERE day > $last - $days AND day <= $last AND list_contains($kinds, d.kind)
          AND NOT regexp_matches(r.name, '^[0-9.]+$|:')
          AND NOT EXISTS (SELECT 1 FROM finding f WHERE list_contains($attacks, f.class)
                          AND f.level IN ('medium', 'high', 'critical')
                          AND (f.device_id = r.device_id OR list_contains(f.peers, r.name)))
        GROUP BY r.device_id, r.proto, r.name
        HAVING count(DISTINCT day) >= $least AND max(period_s) - min(period_s) <= greatest(2, $spread * median(period_s))
        ORDER BY r.device_id, r.name, r.proto
        """,  # noqa: E501 - a row of a result is one line
        {"last": last, "days": days, "least": least, "spread": spread, "kinds": list(kinds),
         "attacks": list(attacks)},
    )  # fmt: skip


def learned(reader: Reader) -> list[Row]:
    """Return what was learned: ``device_id, device, proto, name, period_s, learned_at``."""
    return reader.rows(
        "SELECT p.device_id, coalesce(d.name, p.device_id) AS device, p.proto, p.name, p.period_s, "
        "p.learned_at FROM periodic_fingerprint p LEFT JOIN device d ON d.device_id = p.device_id "
        "WHERE p.origin = 'learned' ORDER BY device, p.name, p.proto"
    )


def learn(tx: Transaction, rows: Sequence[Row], *, now: datetime) -> int:
    """Keep stable rhythms; one that is known already only changes its period. Return the new."""
    fresh = 0
    for row in rows:
        key = {"device": row["device_id"], "proto": row["proto"], "name": row["name"]}
        known = tx.value(
            "SELECT count(*) FROM periodic_fingerprint WHERE origin = 'learned' "
            "AND device_id = $device AND proto = $proto AND name = $name",
            key,
        )
        if known:
            tx.execute(
                "UPDATE periodic_fingerprint SET period_s = $period WHERE origin = 'learned' "
                "AND device_id = $device AND proto = $proto AND name = $name",
                {**key, "period": row["period_s"]},
            )
            continue
        tx.execute(
            "INSERT INTO periodic_fingerprint VALUES "
            "($shown, $proto, $name, $period, 'learned', $device, $now)",
            {**key, "shown": f"this home's {row['device']}", "period": row["period_s"], "now": now},
        )
        fresh += 1
    return fresh


def forget(tx: Transaction, *, attacks: Sequence[str]) -> None:
    """Take back what was learned of a device or a name that an attack finding is about now."""
    tx.execute(
        """
        DELETE FROM periodic_fingerprint WHERE origin = 'learned' AND EXISTS (
            SELECT 1 FROM finding f WHERE list_contains($attacks, f.class)
              AND f.level IN ('medium', 'high', 'critical')
              AND (f.device_id = periodic_fingerprint.device_id
                   OR list_contains(f.peers, periodic_fingerprint.name)))
        """,
        {"attacks": list(attacks)},
    )


def of_days(reader: Reader, days: Sequence[date]) -> list[Row]:
    """Return the rhythms of some days, in the order of device, name and day."""
    return reader.rows(
        "SELECT * FROM rhythm_day WHERE list_contains($days, day) "
        "ORDER BY device_id, name, proto, day",
        {"days": list(days)},
    )


def active_days(reader: Reader, *, since: date, until: date) -> dict[tuple[str, date], int]:
    """Return in how many hours of each day a device was seen, by device and day."""
    rows = reader.rows(
        "SELECT device_id, bucket::DATE AS day, count(DISTINCT bucket) AS hours FROM active_hour "
        "WHERE bucket >= $since AND bucket < $until GROUP BY ALL",
        {"since": datetime.combine(since, time()), "until": datetime.combine(until, time())},
    )
    return {(row["device_id"], row["day"]): row["hours"] for row in rows}


def nameless(reader: Reader) -> list[Row]:
    """Return devices that gave no name or are of unknown kind, and were not named by a person."""
    return reader.rows(
        "SELECT device_id, name, kind FROM device WHERE merged_into IS NULL "
        "AND NOT list_contains(locked, 'name') AND (kind = 'unknown' "
        "OR contains(coalesce(reasons ->> '$.name', ''), 'gave no name') "
        "OR contains(coalesce(reasons ->> '$.name', ''), 'nothing but its address')) "
        "ORDER BY device_id LIMIT 500"
    )


def set_likenesses(tx: Transaction, rows: Sequence[Row], *, now: datetime) -> None:
    """Keep which measured devices the nameless ones keep time like, whole."""
    tx.execute("DELETE FROM device_likeness")
    for row in rows:
        tx.execute(
            "INSERT INTO device_likeness VALUES "
            "($device_id, $device, $matched, $known, $reason, $now)",
            {**row, "now": now},
        )


def likenesses(reader: Reader, *, device_id: str | None = None) -> list[Row]:
    """Return the suggestions: ``device_id``, its ``name``, the measured ``device``, ``reason``."""
    return reader.rows(
        "SELECT l.device_id, coalesce(d.name, l.device_id) AS name, l.device, l.matched, l.known, "
        "l.reason FROM device_likeness l LEFT JOIN device d ON d.device_id = l.device_id "
        "WHERE $id IS NULL OR l.device_id = $id ORDER BY name, l.matched DESC, l.device",
        {"id": device_id},
    )
