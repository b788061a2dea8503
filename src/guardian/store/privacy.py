"""The privacy ledger: device × company × purpose, how often, how much, when, and the trend.

One visit leaves a DNS query, a hello, a flow and perhaps a resolver's log line. Each
kind of row is counted by itself and the largest count stands for the contacts. Bytes
are those of flows: of a flow that names nobody, the address's last DNS answer tells.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.model.finding import SURVEILLANCE_CLASSES

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

Row = dict[str, Any]

CLASSES = sorted(map(str, SURVEILLANCE_CLASSES))
WEEKS = 4
"""Weeks of the trend."""
NIGHT_FROM_H, NIGHT_TO_H = 23, 6
"""The night, in hours of the home's day."""

# Contacts with what the catalogue knows: kind, src_ip, name, ts, bytes, refused. With $device
# it is one device's. DNS of the house's own resolver, asked for others, is left out.
_CONTACT = """
WITH known AS (SELECT DISTINCT name FROM name_hit WHERE list_contains($classes, class)),
resolver AS (SELECT DISTINCT dest_ip AS ip FROM dns WHERE ts >= $since AND ts < $until AND dest_port = 53),
spoken AS (
    SELECT 'tls' AS kind, source_id, flow_id, src_ip, lower(sni) AS name, ts FROM tls WHERE ts >= $since AND ts < $until
    UNION ALL SELECT 'quic', source_id, flow_id, src_ip, lower(sni), ts FROM quic WHERE ts >= $since AND ts < $until
    UNION ALL SELECT 'http', source_id, flow_id, src_ip, lower(hostname), ts FROM http WHERE ts >= $since AND ts < $until
),
own AS (
    SELECT source_id, flow_id, min(name) AS name FROM spoken
    WHERE flow_id IS NOT NULL AND name LIKE '%.%' AND name <> 'cloudflare-ech.com' GROUP BY ALL
),
contact AS (
    SELECT kind, src_ip, name, ts, NULL::BIGINT AS up, NULL::BIGINT AS down, false AS refused FROM spoken
    UNION ALL
    SELECT 'flow', f.src_ip, coalesce(o.name, n.name, f.dest_ip), f.ts, f.bytes_toserver, f.bytes_toclient, false
    FROM flow f JOIN address_info s ON s.ip = f.src_ip AND s.home
    LEFT JOIN own o USING (source_id, flow_id) LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    WHERE f.ts >= $since AND f.ts < $until AND coalesce(f.dest_port, 0) <> 53
    UNION ALL
    SELECT 'dns', src_ip, lower(rrname), ts, NULL, NULL, false FROM dns
    WHERE ts >= $since AND ts < $until AND type = 'query' AND rrtype IN ('A', 'AAAA', 'HTTPS')
      AND src_ip NOT IN (SELECT ip FROM resolver WHERE ip IS NOT NULL)
    UNION ALL
    SELECT 'dns_log', src_ip, lower(rrname), ts, NULL, NULL, coalesce(blocked, false) FROM dns_log
    WHERE ts >= $since AND ts < $until
),
seen AS (
    SELECT c.*, h.company, h.service, h.class, h.purposes, h.grade,
           coalesce(a.device_id, c.src_ip) AS device_id,
           hour(c.ts + to_seconds($offset_s)) AS hour_of_day
    FROM contact c SEMI JOIN known k USING (name) JOIN name_hit h USING (name)
    LEFT JOIN v_device_address a ON a.ip = c.src_ip AND a.valid_from <= c.ts AND c.ts < a.valid_to
    WHERE list_contains($classes, h.class)
)
"""  # noqa: E501 - a row of a union is one line


def ledger(
    reader: Reader, *, since: datetime, until: datetime, offset_s: int = 0, limit: int = 500
) -> list[Row]:
    """Return a row for each device, company and class, the busiest device first.

    ``contacts`` and ``refused`` count, ``bytes_up`` and ``bytes_down`` add up,
    ``night_share`` is the share of contacts between 23 and 6 o'clock (``offset_s``
    seconds ahead of UTC). ``weeks`` are the contacts of the four weeks before
    ``until``, oldest first; None stands for a week before the first row stored.
    ``trend`` says ``new``, ``more``, ``less``, ``steady``, or None where less than two
    weeks are stored. ``country`` is None: Guardian does not know where a server stands.
    """
    rows = _summed(reader, since=since, until=until, offset_s=offset_s, limit=limit)
    weekly, stored = _weekly(reader, until=until, offset_s=offset_s)
    for row in rows:
        counts = weekly.get((row["device_id"], row["company"], row["class"]), {})
        row["weeks"] = [counts.get(w, 0) if w < stored else None for w in range(WEEKS - 1, -1, -1)]
        row["trend"] = _trend(row["weeks"])
        row["country"] = None
    return rows


def _summed(
    reader: Reader, *, since: datetime, until: datetime, offset_s: int, limit: int
) -> list[Row]:
    return reader.rows(
        f"""{_CONTACT},
        counted AS (
            SELECT device_id, company, class, kind, count(*) AS contacts, count(*) FILTER (refused) AS refused,
                   count(*) FILTER (hour_of_day >= $night_from OR hour_of_day < $night_to) AS night,
                   sum(up) AS bytes_up, sum(down) AS bytes_down, min(ts) AS first_seen, max(ts) AS last_seen,
                   list_sort(list_distinct(list(service))) AS services,
                   list_sort(list_distinct(flatten(list(purposes)))) AS purposes, min(grade) AS grade
            FROM seen GROUP BY ALL
        )
        SELECT c.device_id, coalesce(any_value(d.name), c.device_id) AS device, company, class,
               list_sort(list_distinct(flatten(list(services)))) AS services,
               list_sort(list_distinct(flatten(list(purposes)))) AS purposes, min(grade) AS grade,
               max(contacts) AS contacts, max(refused) AS refused,
               coalesce(sum(bytes_up), 0)::BIGINT AS bytes_up, coalesce(sum(bytes_down), 0)::BIGINT AS bytes_down,
               round(arg_max(night / contacts, contacts), 2) AS night_share,
               min(c.first_seen) AS first_seen, max(c.last_seen) AS last_seen
        FROM counted c LEFT JOIN device d ON d.device_id = c.device_id
        GROUP BY c.device_id, company, class
        ORDER BY sum(max(contacts)) OVER (PARTITION BY c.device_id) DESC, device, contacts DESC, company, class
        LIMIT $limit
        """,  # noqa: E501 - a row of the result is one line
        {
            **_bound(since, until, offset_s),
            "night_from": NIGHT_FROM_H,
            "night_to": NIGHT_TO_H,
            "limit": limit,
        },
    )


def _bound(since: datetime, until: datetime, offset_s: int) -> Row:
    return {"since": since, "until": until, "classes": CLASSES, "offset_s": offset_s}


def _weekly(
    reader: Reader, *, until: datetime, offset_s: int
) -> tuple[dict[tuple[str, str, str], dict[int, int]], int]:
    """Return contacts by (device, company, class) and week (0 the last), and the weeks stored."""
    since = until - timedelta(weeks=WEEKS)
    rows = reader.rows(
        f"""{_CONTACT}
        SELECT device_id, company, class, week, max(contacts) AS contacts FROM (
            SELECT device_id, company, class, kind,
                   floor(epoch($until::TIMESTAMP - ts) / 604800)::INTEGER AS week,
                   count(*) AS contacts
            FROM seen GROUP BY ALL)
        GROUP BY ALL
        """,
        _bound(since, until, offset_s),
    )
    counts: dict[tuple[str, str, str], dict[int, int]] = {}
    for row in rows:
        key = (row["device_id"], row["company"], row["class"])
        counts.setdefault(key, {})[row["week"]] = row["contacts"]
    first = reader.value(
        "SELECT min(first) FROM (SELECT min(ts) AS first FROM flow UNION ALL "
        "SELECT min(ts) FROM dns UNION ALL SELECT min(ts) FROM dns_log)"
    )
    stored = 0 if first is None else int((until - first).total_seconds() // 604800) + 1
    return counts, min(stored, WEEKS)


def _trend(weeks: list[int | None]) -> str | None:
    """Compare the last week with the mean of those before it; half as much again is a change."""
    before = [count for count in weeks[:-1] if count is not None]
    now = weeks[-1] or 0
    if not before:
        return None
    usual = sum(before) / len(before)
    if usual == 0:
        return "new" if now else None
    if now > 1.5 * usual:
        return "more"
    return "less" if now < usual / 1.5 else "steady"


def hourly(
    reader: Reader, *, device_id: str, finding_class: str, company: str | None,
    since: datetime, until: datetime,
) -> list[Row]:  # fmt: skip
    """Return the hours in which a device was seen at all: ``hour, contacts, bytes_up``.

    Contacts are those with a class (of one company, or of every one), zeros included.
    """
    return reader.rows(
        f"""{_CONTACT},
        active AS (
            SELECT DISTINCT date_trunc('hour', t.ts) AS hour FROM (
                SELECT src_ip, ts FROM flow WHERE ts >= $since AND ts < $until
                UNION ALL SELECT src_ip, ts FROM dns WHERE ts >= $since AND ts < $until
                UNION ALL SELECT src_ip, ts FROM dns_log WHERE ts >= $since AND ts < $until
            ) t LEFT JOIN v_device_address a ON a.ip = t.src_ip AND a.valid_from <= t.ts AND t.ts < a.valid_to
            WHERE coalesce(a.device_id, t.src_ip) = $device
        ),
        met AS (
            SELECT hour, max(contacts) AS contacts, max(bytes_up) AS bytes_up FROM (
                SELECT date_trunc('hour', ts) AS hour, kind, count(*) AS contacts, coalesce(sum(up), 0)::BIGINT AS bytes_up
                FROM seen WHERE device_id = $device AND class = $class AND ($company IS NULL OR company = $company)
                GROUP BY ALL) GROUP BY hour
        )
        SELECT hour, coalesce(contacts, 0) AS contacts, coalesce(bytes_up, 0)::BIGINT AS bytes_up
        FROM active LEFT JOIN met USING (hour) ORDER BY hour
        """,  # noqa: E501 - a row of a union is one line
        {
            **_bound(since, until, 0),
            "device": device_id,
            "class": finding_class,
            "company": company,
        },
    )


def record_opt_out(
    tx: Transaction, *, device_id: str, finding_class: str, switched_off_at: datetime,
    author: str, now: datetime, company: str | None = None, note: str = "",
) -> int:  # fmt: skip
    """Keep what a person says was switched off, and return its id."""
    return int(
        tx.value(
            "INSERT INTO opt_out (device_id, class, company, switched_off_at, author, note, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            [device_id, finding_class, company, switched_off_at, author, note[:500], now],
        )
    )


def opt_outs(reader: Reader) -> list[Row]:
    """Return what was said to be switched off and not withdrawn, the newest first."""
    return reader.rows(
        "SELECT o.*, coalesce(d.name, o.device_id) AS device FROM opt_out o "
        "LEFT JOIN device d USING (device_id) WHERE withdrawn_at IS NULL ORDER BY o.id DESC"
    )


def withdraw_opt_out(tx: Transaction, opt_out: int, *, now: datetime) -> None:
    """Stop checking what was said to be switched off."""
    tx.execute("UPDATE opt_out SET withdrawn_at = ? WHERE id = ?", [now, opt_out])
