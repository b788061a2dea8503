"""Read a source to its end for now: batch after batch, each committed with its bookmark."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardian.collect.base import Holding
from guardian.errors import CollectorError, StoreError
from guardian.store import bulk, ingest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardian.collect.base import Collector
    from guardian.model.batch import Batch
    from guardian.store import Store
    from guardian.store.ingest import Position


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
    after each commit. ``stop`` ends the reading, not the writing: what was read is stored. A
    collector that cannot be asked again (``Holding``) is read to the end of what it holds: it
    may have taken all of that out of its queue. Who drains a source that somebody else drains
    waits for them.

    Raises:
        StoreError: the store could not commit; the bookmark stands where it was.
    """
    source_id = ingest.register(store, collector.source)
    with _turn(store, source_id):
        with store.read() as reader:
            position = ingest.position(reader, source_id)
        given = _Given(
            collector.batches(position.mark(), final=final),
            None if isinstance(collector, Holding) else stop,
        )
        group_s = bulk.ALONE_GROUP_S if final else bulk.GROUP_S
        try:
            read = _written(store, source_id, position, given, group_s, progress)
        except StoreError:
            if isinstance(collector, Holding):
                collector.not_stored(given.number - given.stored)
            raise
        if read.error is None or stop is None or not stop.is_set():  # closed is not broken
            ingest.note_state(store, source_id, read.error)
    return read


def _written(
    store: Store,
    source_id: int,
    position: Position,
    given: _Given,
    group_s: float,
    progress: Callable[[Progress], None] | None,
) -> Progress:
    so_far = Progress()
    with contextlib.closing(_ahead(given)) as batches:
        try:
            for written in bulk.commit_all(
                store, source_id, batches, position=position, group_s=group_s
            ):
                so_far = Progress(
                    events=so_far.events + written.events,
                    rejected=so_far.rejected + written.rejected,
                )
                given.stored += written.events + written.rejected + written.dropped
                if progress is not None:
                    progress(so_far)
        except CollectorError as cause:
            return replace(so_far, error=str(cause))
    return so_far


_turns: weakref.WeakKeyDictionary[Store, dict[int, threading.Lock]] = weakref.WeakKeyDictionary()
_asking = threading.Lock()


def _turn(store: Store, source_id: int) -> threading.Lock:
    """Return what one thread at a time holds while it reads this source.

    At a stop the last reading may still write what it took when the end is read.
    """
    with _asking:
        return _turns.setdefault(store, {}).setdefault(source_id, threading.Lock())


@dataclass(slots=True)
class _Given:
    """Batches on their way: how many pieces they held so far, and how many of those are stored."""

    batches: Iterator[Batch]
    stop: threading.Event | None = None
    number: int = 0
    stored: int = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self.stop is not None and self.stop.is_set():
            raise StopIteration
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
