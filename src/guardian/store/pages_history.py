"""A year of a device, from the hourly sums: they outlive the rows and stay fast."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardian.store.reader import Reader

Row = dict[str, Any]

YEAR = timedelta(days=365)


def year(reader: Reader, device_id: str, *, until: datetime) -> list[Row]:
    """Return the device's days of a year: ``day, flows, up, down``, oldest first.

    Days without traffic are left out. Devices merged into this one count as it.
    """
    own, values = _own(reader, device_id)
    return reader.rows(
        f"""
        SELECT bucket::DATE AS day, sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS up,
               sum(bytes_down)::BIGINT AS down
        FROM rollup_1h WHERE {own} AND bucket >= $since AND bucket < $until
        GROUP BY 1 ORDER BY 1
        """,
        {**values, "since": until - YEAR, "until": until},
    )


def places(reader: Reader, device_id: str, *, until: datetime, limit: int = 10) -> list[Row]:
    """Return where most bytes of a year went: ``dest, flows, up, down, first, last``."""
    own, values = _own(reader, device_id)
    return reader.rows(
        f"""
        SELECT dest, sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS up,
               sum(bytes_down)::BIGINT AS down, min(bucket) AS first, max(bucket) AS last
        FROM rollup_1h WHERE {own} AND bucket >= $since AND bucket < $until
        GROUP BY dest ORDER BY sum(bytes_up) + sum(bytes_down) DESC, dest LIMIT $limit
        """,
        {**values, "since": until - YEAR, "until": until, "limit": limit},
    )


def _own(reader: Reader, device_id: str) -> tuple[str, Row]:
    """Return a condition for a device and those merged into it: one comparison each."""
    rows = reader.rows("SELECT device_id FROM v_device_root WHERE root = ? LIMIT 50", [device_id])
    found = sorted({device_id, *(row["device_id"] for row in rows)})
    values = {f"device_{number}": each for number, each in enumerate(found)}
    return "(" + " OR ".join(f"device_id = ${name}" for name in values) + ")", values
