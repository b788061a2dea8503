"""Write much at once: several batches in one transaction, by one thread.

DuckDB's caller spins, and takes Python's lock each time round, while another of its
threads finishes what it asked for. While a backlog is written that costs more than the
other thread gains, and the thread that decodes the next batch needs the processor.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.errors import CollectorError, StoreError, StoreRetryError
from guardian.store import engine, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.model.batch import Batch
    from guardian.store.connection import Store, Transaction
    from guardian.store.ingest import Position

GROUP_EVENTS = 250_000
"""A transaction takes no further batch from here on. Row groups of the commonest tables are
then nearly full; those that are full are written once, not also to the write-ahead log."""

GROUP_S = 0.5
"""Nor after so many seconds: others wait to write, and rows are seen once committed."""

ALONE_GROUP_S = 10.0
"""The same where a source is read to its end, and nobody waits."""

CHECKPOINT_AT = "256MB"
"""How large the write-ahead log may become under load. Every checkpoint writes the row groups
that are not full anew: a smaller log costs time, a larger one memory."""

LOAD_BYTES = 384 << 20
"""What DuckDB may take meanwhile, in bytes: the rows of a transaction and of such a log took
up to 220 MB; with less they would go to the disk twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one transaction stored, and counted as dropped."""

    events: int = 0
    rejected: int = 0
    dropped: int = 0


def commit_all(
    store: Store,
    source_id: int,
    batches: Iterator[Batch],
    *,
    position: Position | None = None,
    group_s: float = GROUP_S,
) -> Iterator[Written]:
    """Commit batches in their order and yield what each transaction stored.

    A batch that says that more waits (``Batch.full``) shares its transaction with what
    follows. When the source breaks, what it gave before is committed first. ``position`` is
    where the source was when its reading began; None: where it is now.

    Raises:
        CollectorError: the source broke.
        StoreError: the store could not commit; the bookmark says how far it came.
    """
    if position is None:
        with store.read() as reader:
            position = ingest.position(reader, source_id)
    with contextlib.ExitStack() as load:
        calm = False
        for batch in batches:
            if batch.full and not calm:
                load.enter_context(store.more_memory(LOAD_BYTES))
                load.enter_context(under_load(store))
                calm = True
            group = _Group(store, source_id, position)
            broken = group.commit(batch, batches, group_s)
            position = group.upto
            yield group.written
            if broken is not None:
                raise broken


@dataclass(slots=True)
class _Group:
    """What one transaction stores: where the source is before and after it."""

    store: Store
    source_id: int
    since: Position
    upto: Position = field(init=False)

    def __post_init__(self) -> None:
        self.upto = self.since

    @property
    def written(self) -> Written:
        """How much that is."""
        return Written(
            events=self.upto.events - self.since.events,
            rejected=self.upto.rejected - self.since.rejected,
            dropped=self.upto.dropped - self.since.dropped,
        )

    def commit(
        self, batch: Batch, following: Iterator[Batch], group_s: float
    ) -> CollectorError | None:
        """Commit a batch, and with it what follows while there is much of it.

        A small one is tried once more, with more memory, where the store could not do it this
        time: a live source cannot be read again. Returns what broke the source meanwhile.
        """
        self.store.require_room()
        until = time.monotonic() + group_s
        try:
            return self._first(batch, following, until)
        except StoreRetryError:
            if batch.full:
                raise
        with self.store.more_memory(LOAD_BYTES):
            self._again(batch)
        return None

    def _first(
        self, batch: Batch, following: Iterator[Batch], until: float
    ) -> CollectorError | None:
        with self.store.transaction() as tx:
            self._expect(tx)
            self._write(tx, batch)
            while batch.full and self.written.events < GROUP_EVENTS and time.monotonic() < until:
                try:
                    batch = next(following)
                except StopIteration:
                    break
                except CollectorError as error:
                    return error
                self._write(tx, batch)
        return None

    def _again(self, batch: Batch) -> None:
        """Commit the same batch, unless the failed COMMIT turns out to have stored it."""
        self.upto = self.since
        with self.store.transaction() as tx:
            if ingest.position(tx, self.source_id) == self.since.after(batch) != self.since:
                self.upto = self.since.after(batch)
                return
            self._expect(tx)
            self._write(tx, batch)

    def _write(self, tx: Transaction, batch: Batch) -> None:
        ingest.write(tx, self.source_id, batch)
        self.upto = self.upto.after(batch)

    def _expect(self, tx: Transaction) -> None:
        """Make sure that what is written follows what is stored: nothing twice."""
        if ingest.position(tx, self.source_id) != self.since:
            msg = "the store is not where this reading began; the source is read anew from there"
            raise StoreError(msg)


@contextlib.contextmanager
def under_load(store: Store) -> Iterator[None]:
    """Set DuckDB for writing much while the block runs; blocks may overlap.

    Raises:
        StoreError: the store is to be opened anew, or Guardian stops; nothing was set.
    """
    if _counted(store, +1) == 1:
        try:
            _set(store, loaded=True)
        except BaseException:
            _counted(store, -1)
            raise
    try:
        yield
    finally:
        if _counted(store, -1) == 0:
            with contextlib.suppress(StoreError):  # a file opened anew is set as usual
                _set(store, loaded=False)


_counting = threading.Lock()
_blocks: weakref.WeakKeyDictionary[Store, int] = weakref.WeakKeyDictionary()


def _counted(store: Store, change: int) -> int:
    with _counting:
        _blocks[store] = _blocks.get(store, 0) + change
        return _blocks[store]


def _set(store: Store, *, loaded: bool) -> None:
    usual = str(engine.SETTINGS["checkpoint_threshold"])
    with store.read() as reader:
        reader.execute("SET threads = 1" if loaded else "RESET threads")
        reader.execute(f"SET checkpoint_threshold = '{CHECKPOINT_AT if loaded else usual}'")
