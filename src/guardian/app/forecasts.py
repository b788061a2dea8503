"""Replay the last week against each proposed block, and keep what it would have done.

It stands here because respond proposes and detect knows what names are for: neither
may call the other, and the composition root may call both.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.detect import surveillance_forecast
from guardian.store import forecasts
from guardian.store.ingest import utc_now
from guardian.store.responses import target_from

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store

MAX_AT_ONCE = 20
"""Proposals in one go: the rest follows with the next."""
STALE = timedelta(hours=6)
"""A forecast of a proposal that still waits is made anew after so long."""


def update(store: Store, *, now: datetime | None = None, days: int = 7) -> int:
    """Forecast what waits for an answer and has none yet; return how many were made.

    The week ends with the incident's last event, so that a replayed capture is judged
    by its own days.
    """
    now = now or utc_now()
    with store.read() as reader:
        due = forecasts.due(reader, before=now - STALE, limit=MAX_AT_ONCE)
    for row in due:
        target = target_from(row["target"])
        body = surveillance_forecast.forecast(
            store,
            target.names,
            days=days,
            now=row["last_seen"] + timedelta(seconds=1),
            addresses=target.addresses,
            device_ips=target.device_ips,
        )
        with store.transaction() as tx:
            forecasts.keep(tx, row["id"], target=row["target"], body=body, now=now)
    return len(due)
