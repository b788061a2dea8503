"""Hold each flow out of the house against the DNS answers, once, when they have come in."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.intel.fixed_addresses import fixed
from guardian.store import findings, reconcile

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.detect.devices.settings import Settings
    from guardian.store import Reader, Store

ANSWERS, FLOWS = "devices.answers", "devices.coverage"
"""The names of the watermarks in ``detector_mark``."""

CHUNK_ROWS = 1_000_000
"""Rows looked at in one transaction, which bounds the memory."""

_AHEAD = timedelta(hours=1)


def update(store: Store, settings: Settings, now: datetime) -> int:
    """Judge the flows that have settled; return how many went out of the house."""
    with store.read() as reader:
        marks = findings.marks(reader)
        upto = int(reader.value("SELECT next_id FROM row_counter")) - 1
        told = marks[ANSWERS].last_id if ANSWERS in marks else 0
        judged = marks[FLOWS].last_id if FLOWS in marks else 0
        settled = _settled(reader, settings, judged, upto, now)
    for low in range(told, upto, CHUNK_ROWS):
        high, begun = min(low + CHUNK_ROWS, upto), time.perf_counter()
        with store.transaction() as tx:
            reconcile.note_answers(tx, low, high)
            seconds = time.perf_counter() - begun
            findings.set_mark(tx, ANSWERS, last_id=high, ran_at=now, seconds=seconds)
    flows = 0
    for low in range(judged, settled, CHUNK_ROWS):
        high, begun = min(low + CHUNK_ROWS, settled), time.perf_counter()
        with store.transaction() as tx:
            flows += reconcile.judge(tx, low, high, first_day_s=settings.first_day_s, fixed=fixed)
            seconds = time.perf_counter() - begun
            findings.set_mark(tx, FLOWS, last_id=high, ran_at=now, seconds=seconds)
    last = marks.get(FLOWS)
    if settled > judged and (last is None or last.ran_at.date() != now.date()):
        with store.transaction() as tx:
            newest = tx.value("SELECT max(last_event) FROM source")
            if newest is not None:
                reconcile.tidy(tx, newest)
    return flows


def _settled(reader: Reader, settings: Settings, low: int, high: int, now: datetime) -> int:
    """Return the last id before the first flow that is too fresh to judge."""
    fresh = reader.value(
        "SELECT min(id) FROM flow WHERE id > $low AND id <= $high "
        "AND coalesce(end_ts, ts) > $since AND ts < $ahead",
        {
            "low": low,
            "high": high,
            "since": now - timedelta(seconds=settings.settle_s),
            "ahead": now + _AHEAD,
        },
    )
    return high if fresh is None else int(fresh) - 1
