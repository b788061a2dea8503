"""A device's days, and its places by the week: a year of them without reading every hour.

A week that is over is summed once from the hourly sums, in a transaction of its own that
moves the mark; hours that come later, of weeks already summed, are added as they come. What
is younger than the mark is read from the hourly sums themselves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardian.store.connection import Store
    from guardian.store.reader import Reader, Transaction

_MARK = "week"
"""In ``rollup_mark``: seconds since 1970 at which the first week begins that is not summed."""
_SETTLED = timedelta(days=2)
"""A week is summed when it has been over for so long: most late hours have come by then."""
_START = datetime(1970, 1, 1)  # noqa: DTZ001 - times in the store are naive UTC

_DAYS = """
INSERT INTO device_day
SELECT bucket::DATE, device_id, sum(flows)::BIGINT, sum(up)::BIGINT, sum(down)::BIGINT
FROM {rows} GROUP BY ALL ORDER BY ALL
"""
_WEEKS = """
INSERT INTO device_week
SELECT date_trunc('week', bucket)::DATE AS week, device_id, dest, sum(flows)::BIGINT,
    sum(up)::BIGINT, sum(down)::BIGINT, min(date_trunc('hour', bucket)),
    max(date_trunc('hour', bucket))
FROM {rows} GROUP BY week, device_id, dest ORDER BY week, device_id
"""


def summed_until(reader: Reader) -> datetime:
    """Return the end of the last week that is summed; 1970 when none is."""
    seconds = reader.value("SELECT last_id FROM rollup_mark WHERE name = ?", [_MARK])
    return _START + timedelta(seconds=int(seconds or 0))


def update(store: Store) -> int:
    """Sum the weeks that are over and not summed yet, one at a time; return how many."""
    now = datetime.now(UTC).replace(tzinfo=None) - _SETTLED
    monday = datetime(now.year, now.month, now.day) - timedelta(days=now.weekday())  # noqa: DTZ001 - naive UTC
    with store.read() as reader:
        begun = summed_until(reader)
        if begun >= monday:
            return 0
        weeks = reader.rows(
            "SELECT DISTINCT date_trunc('week', bucket) AS week FROM rollup_1h "
            "WHERE bucket >= ? AND bucket < ? ORDER BY week",
            [begun, monday],
        )
    ends = [row["week"] + timedelta(days=7) for row in weeks]
    for since, until in zip([begun, *ends], [*ends, monday], strict=True):
        with store.transaction() as tx:
            if summed_until(tx) != since:
                break  # somebody else was here meanwhile
            rows = (
                "(SELECT bucket, device_id, dest, flows, bytes_up AS up, bytes_down AS down "
                "FROM rollup_1h WHERE bucket >= $since AND bucket < $until)"
            )
            for statement in (_DAYS, _WEEKS):
                tx.execute(statement.format(rows=rows), {"since": since, "until": until})
            _move(tx, until)
    return len(weeks)


def add_late(tx: Transaction, rows: str) -> None:
    """Add new rows of ``bucket, device_id, dest, flows, up, down`` that are of summed weeks."""
    until = summed_until(tx)
    if until > _START:
        for statement in (_DAYS, _WEEKS):
            tx.execute(statement.format(rows=f"(FROM {rows} WHERE bucket < $t)"), {"t": until})


def _move(tx: Transaction, until: datetime) -> None:
    tx.execute(
        "INSERT INTO rollup_mark VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id",
        [_MARK, int((until - _START).total_seconds())],
    )
