"""Keep the seldom calls of weeks in few rows, so that long sleeps are seen.

A day of connections is looked at again and again; weeks of them would be too many. An
implant that sleeps for hours needs one row an hour at most. The table is a sieve, not a
history: what several devices call, and what is called often, is left to other rules.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.store import findings

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store

MARK = "calls"
KEEP_DAYS = 21
"""Three weeks: six calls of an implant that sleeps three days."""
MAX_DEVICES = 3
"""What so many addresses of a home call within one batch is a service."""
MAX_CALLS = 12
"""Calls to one destination in an hour from which on it is no seldom one."""
PERIODIC_PORTS = (53, 67, 68, 123, 137, 138, 546, 547, 853, 1900, 3702, 5351, 5353, 5355)
"""Protocols that are periodic by design: names, time, leases, discovery."""


def update(store: Store, *, now: datetime) -> int:
    """Add what came since the last call; return the rows added."""
    started = time.monotonic()
    with store.read() as reader:
        upto = int(reader.value("SELECT next_id FROM row_counter")) - 1
        mark = findings.marks(reader).get(MARK)
        after = mark.last_id if mark else 0
        newest = reader.value("SELECT max(ts) FROM flow WHERE id > ?", [after])
    if upto <= after:
        return 0
    with store.transaction() as tx:
        before = int(tx.value("SELECT count(*) FROM rare_call"))
        tx.execute(
            _ADD,
            {
                "after": after,
                "upto": upto,
                "ports": list(PERIODIC_PORTS),
                "max_devices": MAX_DEVICES,
                "max_calls": MAX_CALLS,
            },
        )
        added = int(tx.value("SELECT count(*) FROM rare_call")) - before
        if newest is not None and added:
            # A clock that runs ahead must not make everything old.
            oldest = min(newest, now) - timedelta(days=KEEP_DAYS)
            tx.execute("DELETE FROM rare_call WHERE hour < ?", [oldest])
        seconds = time.monotonic() - started
        findings.set_mark(tx, MARK, last_id=upto, ran_at=now, seconds=seconds)
    return added


_ADD = """
INSERT INTO rare_call
WITH fresh AS (
    SELECT time_bucket(INTERVAL 1 HOUR, f.ts) AS hour, f.src_ip, f.dest_ip, f.dest_port, f.proto,
           min(f.ts) AS ts, count(*) AS calls, arg_min(f.bytes_toserver, f.ts) AS bytes_up,
           count(*) FILTER (coalesce(f.pkts_toclient, 0) = 0) AS failed, arg_min(f.id, f.ts) AS id
    FROM flow f JOIN address_info d ON d.ip = f.dest_ip
    WHERE f.id > $after AND f.id <= $upto AND NOT d.home AND d.scope = 'public'
      AND f.proto IN ('TCP', 'UDP') AND NOT list_contains($ports, f.dest_port)
      AND (f.proto = 'UDP' OR coalesce(f.tcp_flags_ts & 2 > 0, true))
    GROUP BY ALL HAVING count(*) <= $max_calls
),
service AS (
    SELECT dest_ip FROM fresh GROUP BY dest_ip HAVING count(DISTINCT src_ip) >= $max_devices
)
SELECT f.* FROM fresh f ANTI JOIN service s ON s.dest_ip = f.dest_ip
    ANTI JOIN rare_call r ON r.hour = f.hour AND r.src_ip = f.src_ip AND r.dest_ip = f.dest_ip
         AND r.dest_port IS NOT DISTINCT FROM f.dest_port AND r.proto = f.proto
"""
