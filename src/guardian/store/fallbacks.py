"""What devices do beside the names that are blocked for them: bare addresses, other resolvers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store.connection import Reader

LIMIT = 20
MIN_FLOWS = 2
"""One connection to an address without a name may be anything."""


def askers(
    reader: Reader, names: Sequence[str], *, since: datetime, until: datetime,
    without: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """Return the addresses that asked for one of these names or for one below it, sorted."""
    rows = reader.rows(
        """
        WITH wanted AS (SELECT unnest($names::VARCHAR[]) AS name)
        SELECT DISTINCT src_ip FROM (
            SELECT src_ip, lower(rrname) AS name, ts FROM dns WHERE type = 'query'
            UNION ALL SELECT src_ip, lower(rrname), ts FROM dns_log
        ) q WHERE ts >= $since AND ts < $until AND src_ip IS NOT NULL
          AND NOT list_contains($without::VARCHAR[], src_ip)
          AND EXISTS (
              SELECT 1 FROM wanted w WHERE q.name = w.name OR ends_with(q.name, '.' || w.name)
          )
        ORDER BY src_ip LIMIT 200
        """,
        {"names": list(names), "since": since, "until": until, "without": list(without)},
    )
    return [row["src_ip"] for row in rows]


def callers(
    reader: Reader, addresses: Sequence[str], *, device_ips: Sequence[str], since: datetime,
    until: datetime, without: Sequence[str] = (),
) -> dict[str, int]:  # fmt: skip
    """Return who tried to reach some addresses (empty ``device_ips``: any), and how often."""
    rows = reader.rows(
        "SELECT src_ip, count(*) AS tries FROM flow WHERE ts >= $since AND ts < $until "
        "AND list_contains($addresses::VARCHAR[], dest_ip) AND src_ip IS NOT NULL "
        "AND (len($ips) = 0 OR list_contains($ips, src_ip)) "
        "AND NOT list_contains($without::VARCHAR[], src_ip) "
        "GROUP BY src_ip ORDER BY tries DESC, src_ip LIMIT 200",
        {"addresses": list(addresses), "ips": list(device_ips), "since": since, "until": until,
         "without": list(without)},
    )  # fmt: skip
    return {row["src_ip"]: row["tries"] for row in rows}


def bare_addresses(
    reader: Reader, device_ips: Sequence[str], *, since: datetime, until: datetime,
    known_since: datetime,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return outside addresses that devices reach since ``since`` without a DNS answer for them.

    Only those that they did not reach between ``known_since`` and ``since``; the most
    connections first. Time, names themselves and calls (STUN) have no names by design.
    """
    return reader.rows(
        """
        WITH now_reached AS (
            SELECT dest_ip AS ip, count(*) AS flows, sum(bytes_toserver)::BIGINT AS bytes_up, min(f.ts) AS first_seen
            FROM flow f JOIN address_info d ON d.ip = f.dest_ip AND d.scope = 'public' AND NOT d.home
            WHERE f.ts >= $since AND f.ts < $until AND list_contains($ips, f.src_ip)
              AND NOT list_contains([53, 67, 68, 123, 853, 3478, 5353], f.dest_port)
              AND NOT (f.proto = 'TCP' AND coalesce(f.tcp_flags_tc, 18) & 18 <> 18)
            GROUP BY dest_ip HAVING count(*) >= $least
        )
        SELECT n.* FROM now_reached n
        WHERE NOT EXISTS (SELECT 1 FROM address_name a WHERE a.ip = n.ip AND a.kind = 'dns')
          -- A public resolver is told as one.
          AND NOT EXISTS (SELECT 1 FROM address_name a JOIN name_hit h ON h.name = a.name AND h.class = 'doh_bypass' WHERE a.ip = n.ip)
          AND NOT EXISTS (SELECT 1 FROM flow f WHERE f.ts >= $known_since AND f.ts < $since
                          AND f.dest_ip = n.ip AND list_contains($ips, f.src_ip))
        ORDER BY flows DESC, ip LIMIT $limit
        """,  # noqa: E501 - a row of a result is one line
        {"ips": list(device_ips), "since": since, "until": until, "known_since": known_since,
         "least": MIN_FLOWS, "limit": LIMIT},
    )  # fmt: skip


def other_resolvers(
    reader: Reader, device_ips: Sequence[str], *, since: datetime, until: datetime,
    known_since: datetime,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return resolvers outside the home that devices ask since ``since``, and did not before.

    ``way`` is ``encrypted`` (a name of a public resolver, or DNS over TLS or QUIC) or
    ``plain`` (port 53 of an outside address).
    """
    return reader.rows(
        """
        WITH resolver_name AS (SELECT DISTINCT name FROM name_hit WHERE class = 'doh_bypass'),
        used AS (
            SELECT lower(sni) AS resolver, 'encrypted' AS way, ts, src_ip FROM tls WHERE lower(sni) IN (SELECT name FROM resolver_name)
            UNION ALL SELECT lower(sni), 'encrypted', ts, src_ip FROM quic WHERE lower(sni) IN (SELECT name FROM resolver_name)
            UNION ALL
            SELECT coalesce(n.name, f.dest_ip), CASE WHEN f.dest_port = 53 THEN 'plain' ELSE 'encrypted' END, f.ts, f.src_ip
            FROM flow f JOIN address_info d ON d.ip = f.dest_ip AND d.scope = 'public' AND NOT d.home
            LEFT JOIN v_address_name n ON n.ip = f.dest_ip
            WHERE f.ts >= $known_since AND f.ts < $until AND f.dest_port IN (53, 784, 853, 8853)
        )
        SELECT resolver, way, count(*) AS contacts, min(ts) AS first_seen FROM used
        WHERE ts >= $known_since AND ts < $until AND list_contains($ips, src_ip)
        GROUP BY resolver, way HAVING min(ts) >= $since
        ORDER BY contacts DESC, resolver LIMIT $limit
        """,  # noqa: E501 - a row of a union is one line
        {"ips": list(device_ips), "since": since, "until": until, "known_since": known_since,
         "limit": LIMIT},
    )  # fmt: skip
