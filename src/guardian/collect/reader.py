"""Read a source to its end for now: batch after batch, each committed with its bookmark."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.collect.base import Holding
from guardian.errors import CollectorError, StoreError
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
    told = 0
    with store.read() as reader:
        position = ingest.position(reader, source_id)
    given = _Given(collector.batches(position.mark(), final=final))
    batches = _ahead(given)
    try:
        patience_s = bulk.ALONE_GROUP_S if final else bulk.GROUP_S
        for written in bulk.commit_all(
            store, source_id, batches, position=position, group_s=patience_s
        ):
            so_far = Progress(
                events=so_far.events + written.events,
                rejected=so_far.rejected + written.rejected,
            )
            told += written.events + written.rejected + written.dropped
            if progress is not None:
                progress(so_far)
            if stop is not None and stop.is_set():
                break
    except CollectorError as cause:
        error = str(cause)
    except StoreError:
        batches.close()
        if isinstance(collector, Holding):
            collector.not_stored(given.number - told)
        raise
    ingest.note_state(store, source_id, error)
    return Progress(events=so_far.events, rejected=so_far.rejected, error=error)


@dataclass(slots=True)
class _Given:
    """Batches on their way, and how many pieces of input they held so far."""

    batches: Iterator[Batch]
    number: int = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self.batches)
        self.number += batch.events + batch.rejected + batch.dropped
        return batch

    def close(self) -> None:
        """Let the source go."""
        if isinstance(self.batches, Generator):
            self.batches.close()


def _ahead(batches: _Given) -> Generator[Batch, None, None]:
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
            pool.submit(batches.close)
