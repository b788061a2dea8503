"""Sums by device, destination and application: five minutes and an hour at a time.

They keep the page fast over a year and outlive the rows they were made from. Each run
adds only the flows that came since the last one, some at a time, in the transaction that
moves the mark, so that nothing is counted twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.store import settings, weeks

if TYPE_CHECKING:
    from guardian.store.connection import Store
    from guardian.store.reader import Reader, Transaction

_MARK = "flow"
_ATTRIBUTED = "devices"
"""The watermark of who is who: flows after it may have nobody yet (``detect.devices``)."""
_NEWEST_STEPS = "newest_steps"
"""The setting with [Guardian's age in seconds, the newest five minutes that had a sum then]."""
_STEPS = (("rollup_5m", "INTERVAL 5 MINUTES"), ("rollup_1h", "INTERVAL 1 HOUR"))
CHUNK = 500_000
"""So many flows are summed at once: memory stays the same, however much is behind."""

# A destination is called by the name that the flow itself showed; else by its address. A
# hello lies within its flow's time, so that few of them are looked at.
_NEW_FLOWS = """
CREATE OR REPLACE TEMP TABLE fresh_flow AS
WITH fresh AS (
    SELECT ts, flow_id, src_ip, dest_ip, app_proto, bytes_toserver, bytes_toclient
    FROM flow WHERE id > $last AND id <= $newest AND ($source IS NULL OR source_id = $source)
),
named AS (
    SELECT flow_id, any_value(name) AS name FROM (
        SELECT flow_id, sni AS name FROM tls
        WHERE sni IS NOT NULL AND ts BETWEEN $first_ts AND $last_ts
        UNION ALL SELECT flow_id, sni FROM quic
        WHERE sni IS NOT NULL AND ts BETWEEN $first_ts AND $last_ts
        UNION ALL SELECT flow_id, hostname FROM http
        WHERE hostname IS NOT NULL AND ts BETWEEN $first_ts AND $last_ts
    ) SEMI JOIN fresh USING (flow_id) GROUP BY flow_id
)
SELECT
    time_bucket(INTERVAL 5 MINUTES, fresh.ts) AS bucket, held.device_id,
    coalesce(named.name, fresh.dest_ip, '?') AS dest, app_proto, count(*) AS flows,
    sum(coalesce(bytes_toserver, 0)) AS up, sum(coalesce(bytes_toclient, 0)) AS down
FROM fresh
LEFT JOIN named USING (flow_id)
LEFT JOIN v_device_holder AS held
    ON held.ip = fresh.src_ip AND fresh.ts >= held.valid_from AND fresh.ts < held.valid_to
GROUP BY ALL
"""


def update(store: Store, *, attributed: bool = False, below: int = 0) -> int:
    """Add the flows that came since the last run; return how many.

    With ``attributed`` only those whose devices were looked at: the others come next time.
    Flows with an id ``below`` this do not wait for that.
    """
    added = 0
    while True:
        with store.transaction() as tx:
            step = _step(tx, attributed=attributed, below=below)
        if step == 0:
            weeks.update(store)
            return added
        added += step


def summed(reader: Reader) -> int:
    """Return the id up to which flows are in the sums; 0 when none is."""
    return int(reader.value("SELECT last_id FROM rollup_mark WHERE name = ?", [_MARK]) or 0)


def take_back(tx: Transaction, source_id: int) -> None:
    """Take a source's flows, which are about to be deleted, out of the sums they are in.

    Each is taken from the device and the name that it has now; where it was summed under
    others, only the sums of all are right again.
    """
    last, summed_to = 0, summed(tx)
    while span := _span(tx, last, summed_to, source_id):
        _sum(tx, last, span, source_id)
        last = span["newest"]


def _step(tx: Transaction, *, attributed: bool, below: int) -> int:
    last = summed(tx)
    seen = tx.value("SELECT last_id FROM detector_mark WHERE detector = ?", [_ATTRIBUTED])
    limit = max(int(seen or 0), below - 1) if attributed else None
    span = _span(tx, last, limit)
    if span is None:
        return 0
    _sum(tx, last, span)
    tx.execute(
        "INSERT INTO rollup_mark VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id",
        [_MARK, span["newest"]],
    )
    return int(span["flows"])


def _span(
    tx: Transaction, last: int, limit: int | None, source_id: int | None = None
) -> dict[str, Any] | None:
    """Return what the next chunk of flows is, up to ``limit``; None: there are no more."""
    # Ids are shared by all tables: the end of a chunk is the id of a flow.
    span = tx.one(
        """
        SELECT max(id) AS newest, min(ts) AS first_ts, max(coalesce(end_ts, ts)) AS last_ts,
               count(*) AS flows
        FROM (SELECT id, ts, end_ts FROM flow
              WHERE id > $last AND ($limit IS NULL OR id <= $limit)
                AND ($source IS NULL OR source_id = $source) ORDER BY id LIMIT $chunk)
        """,
        {"last": last, "limit": limit, "source": source_id, "chunk": CHUNK},
    )
    return span if span and span["flows"] else None


def _sum(tx: Transaction, last: int, span: dict[str, Any], source_id: int | None = None) -> None:
    """Add a chunk of flows to all sums; those of a source alone are taken out of them."""
    bound = {name: span[name] for name in ("newest", "first_ts", "last_ts")}
    tx.execute(_NEW_FLOWS, {"last": last, "source": source_id, **bound})
    if source_id is not None:
        tx.execute("UPDATE fresh_flow SET flows = -flows, up = -up, down = -down")
    for table, step in _STEPS:
        tx.execute(
            f"""
            INSERT INTO {table}
            SELECT time_bucket({step}, bucket), device_id, dest, app_proto,
                sum(flows)::BIGINT, sum(up), sum(down)
            FROM fresh_flow GROUP BY ALL
            """
        )
    weeks.add_late(tx, "fresh_flow")
    tx.execute("DROP TABLE fresh_flow")


def forget(store: Store, *, now: datetime, age_s: float, days: int) -> None:
    """Delete five-minute sums of more than ``days`` ago, by the clock and by Guardian's age.

    Once a day it is noted which was the newest step, and how old Guardian was then: only what
    was there already when it was ``days`` younger can be so old, wherever the clock jumps.
    """
    with store.read() as reader:
        newest = reader.value("SELECT max(bucket) FROM rollup_5m WHERE bucket <= ?", [now])
        marks = settings.get(reader, _NEWEST_STEPS)
    if newest is None:
        return
    month_ago = newest - timedelta(days=days)
    # Of a store from before, the sums are believed to be as old as they say.
    marks = marks or [[-1e9, month_ago.isoformat()]]
    younger = age_s - timedelta(days=days).total_seconds()
    kept = [mark for mark in marks if mark[0] > younger]
    was = max((mark for mark in marks if mark[0] <= younger), default=None)
    with store.transaction() as tx:
        if was is not None:
            before = min(month_ago, datetime.fromisoformat(was[1]))
            tx.execute("DELETE FROM rollup_5m WHERE bucket < ?", [before])
    if age_s - marks[-1][0] >= timedelta(days=1).total_seconds():
        noted = [*([was] if was else []), *kept, [age_s, newest.isoformat()]]
        settings.put(store, _NEWEST_STEPS, noted)


def fold(store: Store, *, since: datetime, before: datetime) -> int:
    """Make one row of each step of ``[since, before)`` that several runs added to.

    Only steps in which something stands twice are written anew. Returns the rows saved.
    """
    saved = 0
    span = {"since": since, "before": before}
    for table, _ in _STEPS:
        with store.transaction() as tx:
            tx.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE twice AS
                SELECT bucket FROM (
                    SELECT bucket, count(*) AS times FROM {table}
                    WHERE bucket >= $since AND bucket < $before
                    GROUP BY bucket, device_id, dest, app_proto
                ) GROUP BY bucket HAVING max(times) > 1
                """,
                span,
            )
            if not tx.value("SELECT count(*) FROM twice"):
                continue
            tx.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE folded AS
                SELECT bucket, device_id, dest, app_proto,
                    sum(flows)::BIGINT AS flows, sum(bytes_up) AS bytes_up,
                    sum(bytes_down) AS bytes_down
                FROM {table} SEMI JOIN twice USING (bucket)
                WHERE bucket >= $since AND bucket < $before GROUP BY ALL
                """,
                span,
            )
            old = "bucket >= $since AND bucket < $before AND bucket IN (SELECT bucket FROM twice)"
            count = int(tx.value(f"SELECT count(*) FROM {table} WHERE {old}", span))
            tx.execute(f"DELETE FROM {table} WHERE {old}", span)
            tx.execute(f"INSERT INTO {table} SELECT * FROM folded")
            saved += count - int(tx.value("SELECT count(*) FROM folded"))
            tx.execute("DROP TABLE folded")
            tx.execute("DROP TABLE twice")
    return saved
