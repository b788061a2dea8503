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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import CollectorError
from guardian.store import engine, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.model.batch import Batch
    from guardian.store.connection import Store

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
    """What one transaction stored."""

    events: int = 0
    rejected: int = 0


def commit_all(
    store: Store, source_id: int, batches: Iterator[Batch], *, group_s: float = GROUP_S
) -> Iterator[Written]:
    """Commit batches in their order and yield what each transaction stored.

    A batch that says that more waits (``Batch.full``) shares its transaction with what
    follows. When the source breaks, what it gave before is committed first.

    Raises:
        CollectorError: the source broke.
        StoreError: the store could not commit; the bookmark stands where it was.
    """
    with contextlib.ExitStack() as load:
        calm = False
        for batch in batches:
            if batch.full and not calm:
                load.enter_context(store.more_memory(LOAD_BYTES))
                load.enter_context(under_load(store))
                calm = True
            yield from _group(store, source_id, batch, batches, group_s)


def _group(
    store: Store, source_id: int, batch: Batch, following: Iterator[Batch], group_s: float
) -> Iterator[Written]:
    """Commit a batch, and with it what follows while there is much of it."""
    store.require_room()
    until = time.monotonic() + group_s
    broken: CollectorError | None = None
    with store.transaction() as tx:
        ingest.write(tx, source_id, batch)
        events, rejected = batch.events, batch.rejected
        while batch.full and events < GROUP_EVENTS and time.monotonic() < until:
            try:
                batch = next(following)
            except StopIteration:
                break
            except CollectorError as error:
                broken = error
                break
            ingest.write(tx, source_id, batch)
            events += batch.events
            rejected += batch.rejected
    yield Written(events=events, rejected=rejected)
    if broken is not None:
        raise broken


@contextlib.contextmanager
def under_load(store: Store) -> Iterator[None]:
    """Set DuckDB for writing much while the block runs; blocks may overlap."""
    _count(store, +1)
    try:
        yield
    finally:
        _count(store, -1)


_counting = threading.Lock()
_blocks: weakref.WeakKeyDictionary[Store, int] = weakref.WeakKeyDictionary()


def _count(store: Store, change: int) -> None:
    with _counting:
        before = _blocks.get(store, 0)
        after = _blocks[store] = before + change
    if before and after:
        return
    usual = str(engine.SETTINGS["checkpoint_threshold"])
    with store.read() as reader:
        reader.execute("SET threads = 1" if after else "RESET threads")
        reader.execute(f"SET checkpoint_threshold = '{CHECKPOINT_AT if after else usual}'")
