"""What this house asks its resolvers for most: names that a blocklist must not suddenly hold."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader

DAYS = 7
MIN_DAYS = 3
"""A name of fewer days is no habit of the house."""
MIN_DEVICES = 2
"""A name of one device alone may be that device's tracker."""


def most_asked(reader: Reader, *, now: datetime, limit: int = 400) -> list[str]:
    """Return the names that most devices asked for on most days of the last week.

    What the resolver refused is left out: a house asks for blocked names most of all.
    """
    rows = reader.rows(
        """
        SELECT name FROM v_dns_query
        WHERE ts >= $since AND rrtype IN ('A', 'AAAA', 'HTTPS')
        GROUP BY name
        HAVING count(DISTINCT ts::DATE) >= $days AND count(DISTINCT src_ip) >= $devices
           AND count(*) FILTER (status = 'blocked') = 0
        ORDER BY count(DISTINCT src_ip) DESC, count(*) DESC, name LIMIT $limit
        """,
        {
            "since": now - timedelta(days=DAYS),
            "days": MIN_DAYS,
            "devices": MIN_DEVICES,
            "limit": limit,
        },
    )
    return [row["name"] for row in rows]
