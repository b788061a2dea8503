"""Work out anew what is usual for each device, once an hour and after a merge."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.detect.base import utc_offset_s
from guardian.store import baselines, findings, rollup
from guardian.store.devices import BASELINE_MARK as MARK

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store

EVERY = timedelta(hours=1)
"""The sums are of hours, so nothing is new before one has closed."""


def update(store: Store, now: datetime) -> bool:
    """Rebuild the baselines when an hour has passed and there are new sums."""
    with store.read() as reader:
        mark = findings.marks(reader).get(MARK)
        newest = rollup.summed(reader)
    if newest == 0:
        return False
    # A rebuild dated ahead was made while the clock was wrong: its figures are, too.
    lately = mark is not None and timedelta(0) <= now - mark.ran_at < EVERY
    if mark is not None and (newest == mark.last_id or lately):
        return False
    begun = time.perf_counter()
    with store.transaction() as tx:
        baselines.rebuild(tx, offset_s=utc_offset_s(now), now=now)
        seconds = time.perf_counter() - begun
        findings.set_mark(tx, MARK, last_id=newest, ran_at=now, seconds=seconds)
    return True
