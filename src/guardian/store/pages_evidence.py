"""The rows behind a finding, the rhythm of a story, and a device's day.

Evidence is named ``table:id``. What a finding names is kept at hand (``kept``); other rows
are found in both tiers: ids rise in the order of commit, so that a look-up by id touches
few blocks of even a very large table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.store import kept, own
from guardian.store.archive import relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from guardian.store.connection import Reader

MAX_IDS = 2000
"""No look-up asks for more evidence rows than this."""

Row = dict[str, Any]


def evidence(reader: Reader, ids: Iterable[str], *, limit: int = 100) -> list[Row]:
    """Return evidence rows, the newest first: source, id, ts, what, sides, port, sizes.

    ``own`` says that one side was Guardian itself.
    """
    found: list[Row] = []
    for table, numbers in _by_table(ids).items():
        found += kept.rows_of(reader, table, numbers)
    found.sort(key=lambda row: (row["ts"], row["id"]), reverse=True)
    mine = own.own(reader)
    for row in found:
        row["own"] = any(mine.holds(row[side], row["ts"]) for side in ("src_ip", "dest_ip"))
    return found[:limit]


def moments(reader: Reader, ids: Iterable[str]) -> list[datetime]:
    """Return when evidence rows happened, in order: the dots of a rhythm."""
    found: list[datetime] = []
    for table, numbers in _by_table(ids).items():
        found += [row["ts"] for row in kept.rows_of(reader, table, numbers)]
    return sorted(found)


def contacts(
    reader: Reader,
    *,
    sources: Sequence[str],
    peers: Sequence[str],
    since: datetime,
    until: datetime,
    limit: int = 600,
) -> list[Row]:
    """Return ``ts`` and whether the flow went to one of ``peers``, oldest first.

    ``sources`` are the device's addresses; the newest ``limit`` flows are kept.
    """
    flows = relation(reader, "flow", since=since, until=until)
    rows = reader.rows(
        f"""
        SELECT ts, list_contains($peers, dest_ip) AS same FROM {flows}
        WHERE ts >= $since AND ts < $until AND list_contains($sources, src_ip)
        ORDER BY ts DESC LIMIT $limit
        """,
        {
            "sources": list(sources),
            "peers": list(peers),
            "since": since,
            "until": until,
            "limit": limit,
        },
    )
    return rows[::-1]


def day_strip(
    reader: Reader, addresses: Sequence[str], *, since: datetime, until: datetime
) -> list[Row]:
    """Return a device's day in steps of ten minutes: flows, bytes up and down, look-ups."""
    flows = relation(reader, "flow", since=since, until=until)
    asked = relation(reader, "dns_log", since=since, until=until)
    return reader.rows(
        f"""
        SELECT slot, sum(flows)::BIGINT AS flows, sum(up)::BIGINT AS up, sum(down)::BIGINT AS down,
               sum(asked)::BIGINT AS asked
        FROM (
            SELECT time_bucket(INTERVAL 10 MINUTE, ts) AS slot, count(*) AS flows,
                   sum(bytes_toserver) AS up, sum(bytes_toclient) AS down, 0 AS asked
            FROM {flows}
            WHERE ts >= $since AND ts < $until AND list_contains($addresses, src_ip)
            GROUP BY 1
            UNION ALL
            SELECT time_bucket(INTERVAL 10 MINUTE, ts), 0, 0, 0, count(*) FROM {asked}
            WHERE ts >= $since AND ts < $until AND list_contains($addresses, src_ip)
            GROUP BY 1
        ) GROUP BY slot ORDER BY slot
        """,
        {"addresses": list(addresses), "since": since, "until": until},
    )


def _by_table(ids: Iterable[str]) -> dict[str, list[int]]:
    """Sort ``table:id`` texts by table; what names no table or no number is left out."""
    found: dict[str, list[int]] = {}
    for count, each in enumerate(ids):
        if count >= MAX_IDS:
            break
        table, _, number = each.partition(":")
        if table in kept.COLUMNS and number.isdecimal() and len(number) < 19:
            found.setdefault(table, []).append(int(number))
    return found
