"""Read a source to its end for now: batch after batch, each committed with its bookmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import CollectorError
from guardian.store import ingest

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from guardian.collect.base import Collector
    from guardian.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What reading a source gave. ``error`` says what broke and where; what was read is stored."""

    events: int = 0
    rejected: int = 0
    error: str | None = None


def drain(
    store: Store,
    collector: Collector,
    *,
    final: bool = False,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> Progress:
    """Read what is unread of a source into the store.

    A source that breaks midway keeps what was read before. ``progress`` is called
    after each commit; ``stop`` ends the reading after the batch in hand.

    Raises:
        StoreError: the store could not commit; the bookmark stands where it was.
    """
    source_id = ingest.register(store, collector.source)
    so_far = Progress()
    error: str | None = None
    try:
        for batch in collector.batches(ingest.bookmark(store, source_id), final=final):
            ingest.commit(store, source_id, batch)
            so_far = Progress(
                events=so_far.events + batch.events, rejected=so_far.rejected + batch.rejected
            )
            if progress is not None:
                progress(so_far)
            if stop is not None and stop.is_set():
                break
    except CollectorError as cause:
        error = str(cause)
    ingest.note_state(store, source_id, error)
    return Progress(events=so_far.events, rejected=so_far.rejected, error=error)
