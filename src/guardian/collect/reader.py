"""Read a source to its end for now: batch after batch, each committed with its bookmark."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import CollectorError
from guardian.store import bulk, ingest

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from guardian.collect.base import Collector
    from guardian.model.batch import Batch
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
    after each commit; ``stop`` ends the reading after the transaction in hand.

    Raises:
        StoreError: the store could not commit; the bookmark stands where it was.
    """
    source_id = ingest.register(store, collector.source)
    so_far = Progress()
    error: str | None = None
    mark = ingest.bookmark(store, source_id)
    try:
        batches = _ahead(collector.batches(mark, final=final))
        patience_s = bulk.ALONE_GROUP_S if final else bulk.GROUP_S
        for written in bulk.commit_all(store, source_id, batches, group_s=patience_s):
            so_far = Progress(
                events=so_far.events + written.events,
                rejected=so_far.rejected + written.rejected,
            )
            if progress is not None:
                progress(so_far)
            if stop is not None and stop.is_set():
                break
    except CollectorError as cause:
        error = str(cause)
    ingest.note_state(store, source_id, error)
    return Progress(events=so_far.events, rejected=so_far.rejected, error=error)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield batches while the next ones are made in a thread: both cores have work.

    At most two batches wait, so memory stays bounded and a slow store slows the reader.
    A second one keeps it busy while a commit takes longer than a batch.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="collect") as pool:
        coming = deque(pool.submit(next, batches, None) for _ in range(2))
        try:
            while (batch := coming.popleft().result()) is not None:
                coming.append(pool.submit(next, batches, None))
                yield batch
        finally:
            for waiting in coming:
                waiting.cancel()
            pool.submit(_close, batches)


def _close(batches: Iterator[Batch]) -> None:
    if isinstance(batches, Generator):
        batches.close()
