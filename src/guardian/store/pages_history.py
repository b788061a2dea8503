"""A year of a device, from sums by day, week and hour: they outlive the rows and stay fast."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.store import weeks

if TYPE_CHECKING:
    from guardian.store.reader import Reader

Row = dict[str, Any]

YEAR = timedelta(days=365)


def year(reader: Reader, device_id: str, *, until: datetime) -> list[Row]:
    """Return the device's days of a year: ``day, flows, up, down``, oldest first.

    Days without traffic are left out. Devices merged into this one count as it. The first
    day, and a last one whose week is summed, count whole.
    """
    own, values = _own(reader, device_id)
    return reader.rows(
        f"""
        SELECT day, sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS up,
               sum(bytes_down)::BIGINT AS down
        FROM (
            SELECT day, flows, bytes_up, bytes_down FROM device_day
            WHERE {own} AND day >= $since::DATE AND day < least($summed, $until)
            UNION ALL
            SELECT bucket::DATE, flows, bytes_up, bytes_down FROM rollup_1h
            WHERE {own} AND bucket >= greatest($summed, $since) AND bucket < $until
        ) GROUP BY day ORDER BY day
        """,
        {**values, **_span(reader, until)},
    )


def places(reader: Reader, device_id: str, *, until: datetime, limit: int = 10) -> list[Row]:
    """Return where most bytes of a year went: ``dest, flows, up, down, first, last``.

    Weeks that are summed count whole.
    """
    own, values = _own(reader, device_id)
    return reader.rows(
        f"""
        SELECT dest, sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS up,
               sum(bytes_down)::BIGINT AS down, min(first_hour) AS first, max(last_hour) AS last
        FROM (
            SELECT dest, flows, bytes_up, bytes_down, first_hour, last_hour FROM device_week
            WHERE {own} AND week >= date_trunc('week', $since::TIMESTAMP)
              AND week < least($summed, $until)
            UNION ALL
            SELECT dest, flows, bytes_up, bytes_down, bucket, bucket FROM rollup_1h
            WHERE {own} AND bucket >= greatest($summed, $since) AND bucket < $until
        ) GROUP BY dest ORDER BY sum(bytes_up) + sum(bytes_down) DESC, dest LIMIT $limit
        """,
        {**values, **_span(reader, until), "limit": limit},
    )


def _span(reader: Reader, until: datetime) -> Row:
    return {"since": until - YEAR, "until": until, "summed": weeks.summed_until(reader)}


def _own(reader: Reader, device_id: str) -> tuple[str, Row]:
    """Return a condition for a device and those merged into it: one comparison each."""
    rows = reader.rows("SELECT device_id FROM v_device_root WHERE root = ? LIMIT 50", [device_id])
    found = sorted({device_id, *(row["device_id"] for row in rows)})
    values = {f"device_{number}": each for number, each in enumerate(found)}
    return "(" + " OR ".join(f"device_id = ${name}" for name in values) + ")", values
