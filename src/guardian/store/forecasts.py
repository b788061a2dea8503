"""Look back: which devices asked for some names, and how often; and keep what that forecasts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

# The mirror and the resolver's log tell the same questions, so the larger count is taken.
_ASKED = """
WITH wanted AS (SELECT unnest($names::VARCHAR[]) AS name),
told AS (
    SELECT 'dns' AS seen_by, src_ip, rrname, count(*) AS queries
    FROM dns WHERE ts >= $since AND ts < $until AND type = 'query'
      -- A resolver that passes a question on does not ask it again.
      AND src_ip NOT IN (
          SELECT dest_ip FROM dns
          WHERE ts >= $since AND ts < $until AND type = 'query' AND dest_ip IS NOT NULL
      )
    GROUP BY ALL
    UNION ALL
    SELECT 'dns_log', src_ip, rrname, count(*)
    FROM dns_log WHERE ts >= $since AND ts < $until
    GROUP BY ALL
),
matched AS (
    SELECT seen_by, src_ip, rrname, queries
    FROM told
    WHERE src_ip IS NOT NULL AND NOT list_contains($without::VARCHAR[], src_ip) AND EXISTS (
        SELECT 1 FROM wanted
        WHERE told.rrname = wanted.name
           OR ($subdomains AND ends_with(told.rrname, '.' || wanted.name))
    )
),
asked AS (
    SELECT src_ip, rrname, max(queries) AS queries FROM matched GROUP BY src_ip, rrname
)
"""


def names_below(
    reader: Reader, names: Sequence[str], *, since: datetime, until: datetime, limit: int
) -> list[str]:
    """Return the names that were asked for and are one of ``names`` or lie below one."""
    rows = reader.rows(
        _ASKED + "SELECT rrname, sum(queries) AS n FROM asked GROUP BY 1 ORDER BY n DESC, 1 "
        "LIMIT $limit",
        {
            "names": list(names),
            "since": since,
            "until": until,
            "subdomains": True,
            "without": [],
            "limit": limit,
        },
    )
    return [row["rrname"] for row in rows]


def names_of(
    reader: Reader,
    addresses: Sequence[str],
    *,
    device_ips: Sequence[str],
    since: datetime,
    until: datetime,
) -> list[str]:
    """Return the names that were answered with one of these addresses, sorted."""
    rows = reader.rows(
        """
        SELECT DISTINCT rrname FROM (
            SELECT rrname, answers, src_ip, ts FROM dns WHERE type = 'answer'
            UNION ALL
            SELECT rrname, answers, src_ip, ts FROM dns_log
        )
        WHERE ts >= $since AND ts < $until AND list_has_any(answers, $addresses::VARCHAR[])
          AND (len($ips) = 0 OR list_contains($ips, src_ip)) AND rrname IS NOT NULL
        ORDER BY rrname LIMIT 20
        """,
        {
            "addresses": list(addresses),
            "ips": list(device_ips),
            "since": since,
            "until": until,
        },
    )
    return [row["rrname"] for row in rows]


def look_back(
    reader: Reader,
    names: Sequence[str],
    *,
    subdomains: bool,
    device_ips: Sequence[str],
    since: datetime,
    until: datetime,
    without: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the questions for these names by device, most first (twenty at most).

    ``device_ips`` limits it to one device; empty means the whole house. ``without`` are
    addresses that ask for others: resolvers, and Guardian.
    """
    rows = reader.rows(
        _ASKED
        + """
        SELECT coalesce(d.device_id, '') AS device_id,
               coalesce(any_value(d.name), asked.src_ip) AS name,
               sum(queries)::BIGINT AS queries
        FROM asked
        LEFT JOIN (
            SELECT ip, arg_max(device_id, valid_from) AS device_id FROM device_address GROUP BY ip
        ) held ON held.ip = asked.src_ip
        LEFT JOIN device d ON d.device_id = held.device_id
        WHERE len($ips) = 0 OR list_contains($ips, asked.src_ip)
        GROUP BY d.device_id, CASE WHEN d.device_id IS NULL THEN asked.src_ip END, asked.src_ip
        ORDER BY queries DESC, name
        """,
        {
            "names": list(names),
            "since": since,
            "until": until,
            "subdomains": subdomains,
            "ips": list(device_ips),
            "without": list(without),
        },
    )
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = row["device_id"] or row["name"]
        if key in merged:
            merged[key]["queries"] += row["queries"]
        else:
            merged[key] = {**row, "device_id": row["device_id"] or None}
    devices = sorted(merged.values(), key=lambda d: (-d["queries"], d["name"]))
    return {
        "queries": sum(d["queries"] for d in devices),
        "devices": devices[:20],
        "device_count": len(devices),
    }


def first_asked(
    reader: Reader,
    *,
    device_ips: Sequence[str],
    since: datetime,
    until: datetime,
    known_since: datetime,
    without: Sequence[str] = (),
) -> list[str]:
    """Return the names that were asked for from ``since`` on and not since ``known_since``.

    Sorted, a thousand at most.
    """
    rows = reader.rows(
        """
        SELECT rrname FROM (
            SELECT ts, src_ip, rrname FROM dns WHERE type = 'query'
            UNION ALL
            SELECT ts, src_ip, rrname FROM dns_log
        )
        WHERE ts >= $known_since AND ts < $until AND rrname IS NOT NULL
          AND (len($ips) = 0 OR list_contains($ips, src_ip))
          AND NOT list_contains($without::VARCHAR[], src_ip)
        GROUP BY rrname HAVING min(ts) >= $since
        ORDER BY rrname LIMIT 1000
        """,
        {
            "ips": list(device_ips),
            "since": since,
            "until": until,
            "known_since": known_since,
            "without": list(without),
        },
    )
    return [row["rrname"] for row in rows]


def by_day(
    reader: Reader,
    names: Sequence[str],
    *,
    device_ips: Sequence[str],
    since: datetime,
    until: datetime,
) -> list[dict[str, Any]]:
    """Return the questions for these names and those below on each day (UTC): ``day, queries``."""
    return reader.rows(
        """
        WITH wanted AS (SELECT unnest($names::VARCHAR[]) AS name),
        told AS (
            SELECT 'dns' AS seen_by, ts::DATE AS day, src_ip, lower(rrname) AS name FROM dns
            WHERE ts >= $since AND ts < $until AND type = 'query'
              AND src_ip NOT IN (SELECT dest_ip FROM dns WHERE ts >= $since AND ts < $until AND dest_ip IS NOT NULL)
            UNION ALL SELECT 'dns_log', ts::DATE, src_ip, lower(rrname) FROM dns_log WHERE ts >= $since AND ts < $until
        )
        SELECT day, max(n)::BIGINT AS queries FROM (
            SELECT day, seen_by, count(*) AS n FROM told
            WHERE (len($ips) = 0 OR list_contains($ips, src_ip))
              AND EXISTS (SELECT 1 FROM wanted w WHERE told.name = w.name OR ends_with(told.name, '.' || w.name))
            GROUP BY ALL)
        GROUP BY day ORDER BY day
        """,  # noqa: E501 - a row of a union is one line
        {"names": list(names), "ips": list(device_ips), "since": since, "until": until},
    )


def reached(
    reader: Reader,
    addresses: Sequence[str],
    *,
    device_ips: Sequence[str],
    since: datetime,
    until: datetime,
) -> list[dict[str, Any]]:
    """Return who reached these addresses: ``device_id, name, flows, bytes_up``, most first."""
    return reader.rows(
        """
        SELECT any_value(a.device_id) AS device_id, coalesce(any_value(d.name), f.src_ip) AS name,
               count(*) AS flows, coalesce(sum(f.bytes_toserver), 0)::BIGINT AS bytes_up
        FROM flow f
        LEFT JOIN v_device_address a
               ON a.ip = f.src_ip AND a.valid_from <= f.ts AND f.ts < a.valid_to
        LEFT JOIN device d ON d.device_id = a.device_id
        WHERE f.ts >= $since AND f.ts < $until AND list_contains($addresses::VARCHAR[], f.dest_ip)
          AND (len($ips) = 0 OR list_contains($ips, f.src_ip))
        GROUP BY f.src_ip ORDER BY flows DESC, name LIMIT 20
        """,
        {"addresses": list(addresses), "ips": list(device_ips), "since": since, "until": until},
    )


def spoken(
    reader: Reader,
    names: Sequence[str],
    *,
    device_ips: Sequence[str],
    since: datetime,
    until: datetime,
) -> list[dict[str, Any]]:
    """Return who opened connections that showed one of these names: ``name, flows``, most first."""
    return reader.rows(
        """
        WITH wanted AS (SELECT unnest($names::VARCHAR[]) AS name),
        said AS (
            SELECT src_ip, ts, lower(sni) AS name FROM tls WHERE ts >= $since AND ts < $until
            UNION ALL SELECT src_ip, ts, lower(sni) FROM quic WHERE ts >= $since AND ts < $until
            UNION ALL SELECT src_ip, ts, lower(hostname) FROM http
            WHERE ts >= $since AND ts < $until
        )
        SELECT coalesce(any_value(d.name), s.src_ip) AS name, count(*) AS flows FROM said s
        LEFT JOIN v_device_address a
               ON a.ip = s.src_ip AND a.valid_from <= s.ts AND s.ts < a.valid_to
        LEFT JOIN device d ON d.device_id = a.device_id
        WHERE (len($ips) = 0 OR list_contains($ips, s.src_ip))
          AND EXISTS (
              SELECT 1 FROM wanted w WHERE s.name = w.name OR ends_with(s.name, '.' || w.name)
          )
        GROUP BY s.src_ip ORDER BY flows DESC, name LIMIT 20
        """,
        {"names": list(names), "ips": list(device_ips), "since": since, "until": until},
    )


def keep(
    tx: Transaction, proposal: int, *, target: str, body: dict[str, Any], now: datetime
) -> None:
    """Keep what a proposal's block would have done; an older one of it is replaced."""
    tx.execute(
        "INSERT OR REPLACE INTO forecast VALUES (?, ?, ?, ?)",
        [proposal, target, now, json.dumps(body)],
    )


def due(reader: Reader, *, before: datetime, limit: int) -> list[dict[str, Any]]:
    """Return proposals that wait for an answer and have no forecast for their target since then."""
    return reader.rows(
        "SELECT p.id, p.target::VARCHAR AS target, i.last_seen FROM proposal p "
        "JOIN incident i ON i.id = p.incident_id LEFT JOIN forecast f ON f.proposal_id = p.id "
        "WHERE p.status = 'proposed' AND (f.proposal_id IS NULL OR f.made_at < $before "
        "OR f.target <> p.target::VARCHAR) ORDER BY f.made_at NULLS FIRST, p.id LIMIT $limit",
        {"before": before, "limit": limit},
    )


def kept(reader: Reader, proposals: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the forecasts of these proposals, by proposal."""
    rows = reader.rows(
        "SELECT proposal_id, body::VARCHAR AS body FROM forecast "
        "WHERE list_contains($ids::BIGINT[], proposal_id)",
        {"ids": list(proposals)},
    )
    return {row["proposal_id"]: json.loads(row["body"]) for row in rows}
