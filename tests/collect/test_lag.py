"""A source that is read more slowly than it grows is said to be behind, and only then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.model.batch import Batch, SourceInfo
from guardian.ops.health import health
from guardian.ops.status import status
from guardian.store import ingest
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store

LOG = SourceInfo(name="eve:/log", kind="eve", path="/log")
OLD = SourceInfo(name="eve:/old", kind="eve", path="/old")


def said(store: Store, now: datetime) -> list[str]:
    return [reason.text for reason in health(store, running=True, now=now).reasons]


def test_a_reader_that_never_reaches_the_end_is_behind(memory_store: Store) -> None:
    old = ingest.register(memory_store, OLD)
    ingest.commit(memory_store, old, Batch(tables={}, bookmark={}, events=1))
    ingest.begin(memory_store, [LOG])
    source = ingest.register(memory_store, LOG)
    now = utc_now()
    assert said(memory_store, now) == []
    later = now + timedelta(minutes=3)
    assert said(memory_store, later) == ["eve:/log was last read 3 minutes ago"]
    # It is read all the time, but its end is not reached.
    with memory_store.transaction() as tx:
        tx.execute("UPDATE source SET last_read = ? WHERE source_id = ?", [later, source])
    (text,) = said(memory_store, later)
    assert text == (
        "eve:/log grows faster than Guardian reads it: what is shown of it may be 3 minutes old; "
        "nothing is lost"
    )
    shown = {row["name"]: row for row in status(memory_store, running=True, now=later)["sources"]}
    assert shown["eve:/log"]["lag_seconds"] >= 180
    ingest.note_read(memory_store, {LOG.name: later})
    assert said(memory_store, later) == []


def test_a_source_of_yesterday_is_not_late(memory_store: Store) -> None:
    """Replayed once, or no longer configured: nobody waits for it."""
    ingest.begin(memory_store, [LOG, OLD])
    ingest.begin(memory_store, [LOG])
    later = utc_now() + timedelta(days=1)
    assert [text.split(" ")[0] for text in said(memory_store, later)] == ["eve:/log"]
