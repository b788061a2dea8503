"""Sums by device, destination and application: five minutes and an hour at a time.

They keep the page fast over a year and outlive the rows they were made from. Each run
adds only the flows that came since the last one, in the transaction that moves the
mark, so that nothing is counted twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Store

_MARK = "flow"
_STEPS = (("rollup_5m", "INTERVAL 5 MINUTES"), ("rollup_1h", "INTERVAL 1 HOUR"))

# A destination is called by the name that the flow itself showed; else by its address.
_NEW_FLOWS = """
CREATE OR REPLACE TEMP TABLE fresh_flow AS
WITH named AS (
    SELECT flow_id, any_value(name) AS name FROM (
        SELECT flow_id, sni AS name FROM tls WHERE sni IS NOT NULL
        UNION ALL SELECT flow_id, sni FROM quic WHERE sni IS NOT NULL
        UNION ALL SELECT flow_id, hostname FROM http WHERE hostname IS NOT NULL
    ) GROUP BY flow_id
)
SELECT
    flow.ts, held.device_id, coalesce(named.name, flow.dest_ip, '?') AS dest,
    flow.app_proto,
    coalesce(bytes_toserver, 0) AS up, coalesce(bytes_toclient, 0) AS down
FROM flow
LEFT JOIN named USING (flow_id)
LEFT JOIN v_device_address AS held
    ON held.ip = flow.src_ip AND flow.ts >= held.valid_from AND flow.ts < held.valid_to
WHERE flow.id > $last AND flow.id <= $newest
"""


def update(store: Store) -> int:
    """Add the flows that came since the last run; return how many."""
    with store.transaction() as tx:
        last = tx.value("SELECT last_id FROM rollup_mark WHERE name = ?", [_MARK]) or 0
        newest = tx.value("SELECT max(id) FROM flow") or 0
        if newest <= last:
            return 0
        tx.execute(_NEW_FLOWS, {"last": last, "newest": newest})
        for table, step in _STEPS:
            tx.execute(
                f"""
                INSERT INTO {table}
                SELECT time_bucket({step}, ts), device_id, dest, app_proto,
                    count(*), sum(up), sum(down)
                FROM fresh_flow GROUP BY ALL
                """
            )
        added = int(tx.value("SELECT count(*) FROM fresh_flow"))
        tx.execute("DROP TABLE fresh_flow")
        tx.execute(
            "INSERT INTO rollup_mark VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id",
            [_MARK, newest],
        )
    return added


def fold(store: Store, *, since: datetime, before: datetime) -> int:
    """Make one row of each step of ``[since, before)`` that several runs added to.

    Returns the rows saved.
    """
    saved = 0
    span = {"since": since, "before": before}
    inside = "bucket >= $since AND bucket < $before"
    with store.transaction() as tx:
        for table, _ in _STEPS:
            old = int(tx.value(f"SELECT count(*) FROM {table} WHERE {inside}", span))
            tx.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE folded AS
                SELECT bucket, device_id, dest, app_proto,
                    sum(flows)::BIGINT AS flows, sum(bytes_up) AS bytes_up,
                    sum(bytes_down) AS bytes_down
                FROM {table} WHERE {inside} GROUP BY ALL
                """,
                span,
            )
            new = int(tx.value("SELECT count(*) FROM folded"))
            if new < old:
                tx.execute(f"DELETE FROM {table} WHERE {inside}", span)
                tx.execute(f"INSERT INTO {table} SELECT * FROM folded")
                saved += old - new
        tx.execute("DROP TABLE folded")
    return saved
