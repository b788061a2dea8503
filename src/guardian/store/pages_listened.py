"""Who listened: contacts with companies that the catalogue knows, by device and purpose.

One visit leaves a DNS query, a TLS handshake and perhaps a resolver's log line. To count
it once, each kind of row is counted by itself and the largest count stands for all. What
the house's own resolver asks further on, on behalf of the devices, is not counted again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.model.finding import SURVEILLANCE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store.connection import Reader

Row = dict[str, Any]

_LISTENERS = sorted(str(each) for each in SURVEILLANCE_CLASSES)

_SEEN = """
WITH known AS (SELECT DISTINCT name FROM name_hit WHERE list_contains($classes, class)),
asked_of AS (
    SELECT DISTINCT dest_ip FROM dns WHERE ts >= $since AND ts < $until AND dest_port = 53
),
seen AS (
    SELECT 'tls' AS kind, src_ip, lower(sni) AS name, ts, false AS refused FROM tls
    WHERE ts >= $since AND ts < $until AND lower(sni) IN (SELECT name FROM known)
    UNION ALL
    SELECT 'quic', src_ip, lower(sni), ts, false FROM quic
    WHERE ts >= $since AND ts < $until AND lower(sni) IN (SELECT name FROM known)
    UNION ALL
    SELECT 'http', src_ip, lower(hostname), ts, false FROM http
    WHERE ts >= $since AND ts < $until AND lower(hostname) IN (SELECT name FROM known)
    UNION ALL
    SELECT 'dns', src_ip, lower(rrname), ts, false FROM dns
    WHERE ts >= $since AND ts < $until AND type = 'query' AND rrtype IN ('A', 'AAAA', 'HTTPS')
      AND lower(rrname) IN (SELECT name FROM known)
      AND src_ip NOT IN (SELECT dest_ip FROM asked_of WHERE dest_ip IS NOT NULL)
    UNION ALL
    SELECT 'dns_log', src_ip, lower(rrname), ts, blocked FROM dns_log
    WHERE ts >= $since AND ts < $until AND lower(rrname) IN (SELECT name FROM known)
),
counted AS (
    SELECT kind, src_ip, h.entry_id, h.company, h.service, h.class,
           count(*) AS contacts, count(*) FILTER (refused) AS refused, max(ts) AS last_seen
    FROM seen JOIN name_hit h USING (name)
    WHERE list_contains($classes, h.class)
      AND ($sources IS NULL OR list_contains($sources, src_ip))
    GROUP BY ALL
),
each AS (
    SELECT src_ip, entry_id, company, service, class, max(contacts) AS contacts,
           max(refused) AS refused, max(last_seen) AS last_seen
    FROM counted GROUP BY ALL
)
"""


def listened(
    reader: Reader,
    *,
    since: datetime,
    until: datetime,
    sources: Sequence[str] | None = None,
    limit: int = 12,
) -> list[Row]:
    """Return companies with purpose and contacts in a window, the most contacts first.

    ``refused`` of the contacts were answered by the resolver with nothing. ``sources``
    keeps only a device's addresses.
    """
    return reader.rows(
        f"""{_SEEN}
        SELECT company, class, sum(contacts)::BIGINT AS contacts, sum(refused)::BIGINT AS refused,
               max(last_seen) AS last_seen, count(DISTINCT src_ip) AS devices
        FROM each GROUP BY company, class
        ORDER BY contacts DESC, company, class LIMIT $limit
        """,
        {
            "since": since,
            "until": until,
            "classes": _LISTENERS,
            "sources": None if sources is None else list(sources),
            "limit": limit,
        },
    )


def refused_lookups(reader: Reader, *, since: datetime, until: datetime) -> int:
    """Return how many look-ups the resolver answered with nothing."""
    return int(
        reader.value(
            "SELECT count(*) FROM dns_log WHERE ts >= ? AND ts < ? AND blocked", [since, until]
        )
        or 0
    )
