"""Keep the store within its limits: by age, by bytes, and above the free-space floor.

What goes, and in which order, says ``deletion``.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from guardian.errors import StoreError, StoreRetryError
from guardian.store import (
    archive,
    clock,
    cold_lost,
    deletion,
    engine,
    migrations,
    rollup,
    room,
    settings,
)
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from guardian.store.connection import Store
    from guardian.store.reader import Reader

log = logging.getLogger(__name__)

FORECAST_DAYS = 14
"""How far back growth is measured for "full in N days"."""
FULL_SOON_DAYS = 14.0
"""A store that is full sooner than this is told in health and in the letter."""
FORECAST, FLOOR = "full_in_days", "free_floor_bytes"
"""The settings that keep the last forecast, and what a person said of the disk's floor, for those
who do not know the limits."""
SQUEEZE_TRIES, SQUEEZE_PAUSE_S = 5, 0.5
"""How often, and how far apart, a moment without readers is looked for."""
ARCHIVE_BYTES = 384 << 20
"""The memory that writing cold files may take: a day that does not fit is sorted on the disk."""
FOLD_DAYS = 2
"""Roll-up steps of the last days may still get late rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one round did: rows moved to the cold tier, rows deleted, bytes given back."""

    moved: int = 0
    deleted: int = 0
    given_back: int = 0


class Keeper:
    """Keeps the running store within its limits: a short round often, a whole one when due."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._due_at = 0.0

    def round(self, *, now: datetime) -> Report | None:
        """Do what is due; None when that was not a whole round.

        A disk that is nearly full makes a whole round due.

        Raises:
            StoreError: the disk refused; what was done so far stands.
        """
        late: StoreRetryError | None = None
        try:
            tick(self._store, now=now)
        except StoreRetryError as error:  # sums that lack memory keep no limit from being kept
            late = error
        if monotonic() < self._due_at and deletion.short(self._store, self._limits) is None:
            if late:
                raise late
            return None
        if late:
            log.warning("before the round: %s", late)
        report = enforce(self._store, self._limits, now=now)
        self._due_at = monotonic() + self._limits.every_s
        return report


def tick(store: Store, *, now: datetime) -> None:
    """Do what cannot wait for the next round: note the clock, bring the roll-ups up to date.

    A file that was deleted or moved away under the running store is written anew, and what
    queries may put on the disk follows its free room.

    Raises:
        StoreError: the disk refused; what was done so far stands.
    """
    if store.replaced():
        restore_file(store)
    store.refresh_spill()
    clock.note(store, now)
    rollup.update(store, attributed=True)
    for _ in range(SQUEEZE_TRIES):
        if store.squeeze():
            break
        sleep(SQUEEZE_PAUSE_S)
    engine.release_memory()


def restore_file(store: Store) -> None:
    """Write the store's file anew where it is gone; the rows are all still at hand.

    Raises:
        StoreError: another file stands there, or the disk refused.
    """
    assert store.path is not None
    if store.path.exists():
        msg = (
            f"another file was put in the place of the running store ({store.path}); "
            "it is left alone: stop Guardian, look which one you want, start it again"
        )
        raise StoreError(msg)
    log.warning("%s was deleted while Guardian runs; it is written anew", store.path)
    if not store.rewrite():
        msg = f"{store.path} was deleted while Guardian runs; it will be written anew"
        raise StoreError(msg)


class Steps:
    """Does one step after another: one that fails does not keep the others from being done."""

    def __init__(self) -> None:
        self._first: StoreError | OSError | None = None

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Note the error of the block instead of raising it."""
        try:
            yield
        except (StoreError, OSError) as error:
            log.warning("%s: %s", what, error)
            self._first = self._first or error

    def done(self) -> None:
        """Raise the first error, when everything was tried."""
        if self._first is not None:
            raise self._first


def enforce(store: Store, limits: Limits, *, now: datetime) -> Report:
    """Roll up, archive, delete and compact until every limit holds.

    Where one step fails the others are done all the same.

    Raises:
        StoreError: the disk refused; what could be done stands.
    """
    steps = Steps()
    age = clock.note(store, now)
    with store.read() as reader:
        settled = clock.stored_before(reader, age, timedelta(days=limits.hot_days))
    with steps.step("sums"):
        # A flow whose device is not looked at yet would have nobody for good; but those that
        # are about to leave the fast tier wait no longer.
        rollup.update(store, attributed=True, below=settled)
        rollup.fold(store, since=now - timedelta(days=FOLD_DAYS), before=now - timedelta(hours=1))
    with steps.step("cold files"):
        archive.note_spans(store)
    with steps.step("former files"):
        if store.path is not None and not store.read_only:
            short = deletion.short(store, limits) is not None
            migrations.drop_former(store.path, now=now, short=short)
    deleted = moved = 0
    # On a full disk first: the cold files that are written next need some of it.
    if deletion.short(store, limits):
        with steps.step("deleting for room"):
            deleted += deletion.by_room(store, limits, now)
    with steps.step("archiving"), store.more_memory(ARCHIVE_BYTES):
        moved = archive.archive(store, limits, now=now, stored_before=settled)
    with steps.step("merging cold files"), store.more_memory(ARCHIVE_BYTES):
        archive.merge(store, limits)
    with steps.step("deleting by age"):
        deleted += deletion.by_age(store, limits, now, age)
    with steps.step("deleting for room"):
        deleted += deletion.by_room(store, limits, now)
    if deleted:
        with steps.step("cold files"):
            archive.refresh_views(store)
            archive.sweep(store)
    with steps.step("reading cold files again"):
        cold_lost.read_again(store, now=now)
    given_back = 0
    with steps.step("giving room back"):
        given_back = _give_back(store, limits, changed=bool(moved or deleted))
    with steps.step("the forecast"):
        _forecast(store, limits, now)
    steps.done()
    return Report(moved=moved, deleted=deleted, given_back=given_back)


def full_in_days(store: Store, limits: Limits) -> float | None:
    """Forecast when the byte limit or the disk is reached, from the growth of two weeks.

    None means: not within ten years, or too early to say (less than a day of samples).
    """
    with store.read() as reader:
        first = reader.one(
            "SELECT * FROM size_sample WHERE sampled_at >= "
            "(SELECT max(sampled_at) FROM size_sample) - to_days(?) ORDER BY sampled_at LIMIT 1",
            [FORECAST_DAYS],
        )
        last = reader.one("SELECT * FROM size_sample ORDER BY sampled_at DESC LIMIT 1")
    if first is None or last is None:
        return None
    days = (last["sampled_at"] - first["sampled_at"]).total_seconds() / 86400
    used = last["hot_bytes"] + last["cold_bytes"]
    growth = used - first["hot_bytes"] - first["cold_bytes"]
    if days < 1 or growth <= 0:
        return None
    free = last["free_bytes"] + room.hole_bytes(store) - room.floor_bytes(store, limits)
    left = max(min(limits.max_bytes - used, free), 0) / (growth / days)
    return left if left < 3650 else None


def forecast(reader: Reader) -> float | None:
    """Return the days until the store is full, as forecast last; None: not foreseeable."""
    days = settings.get(reader, FORECAST)
    return None if days is None else float(days)


def kept_free(store: Store, reader: Reader) -> int:
    """Return the bytes of the disk that stay free: what a person said last, or what fits it."""
    return room.floor_bytes(store, Limits(free_floor_bytes=settings.get(reader, FLOOR)))


def full_soon(days: float) -> str:
    """Return one line about a store that will soon be full."""
    when = "today" if days < 1 else f"in {days:.0f} day{'s' if round(days) != 1 else ''}"
    return f"the store will be full {when}; then the oldest days are deleted"


def _give_back(store: Store, limits: Limits, *, changed: bool) -> int:
    if changed:
        store.checkpoint()
    before = room.sizes(store)
    whole = before.hot_bytes + before.hole_bytes
    if whole < limits.compact_min_bytes or before.hole_bytes < whole * limits.compact_waste:
        return 0
    # The copy needs room beside the original: on a full disk the holes are used up instead.
    if before.free_bytes - before.hot_bytes < room.floor_bytes(store, limits) // 2:
        return 0
    return before.hole_bytes if store.rewrite() else 0


def _forecast(store: Store, limits: Limits, now: datetime) -> None:
    measured = room.sizes(store)
    with store.transaction() as tx:
        # Samples of a clock that was ahead would be the latest until it has caught up.
        tx.execute("DELETE FROM size_sample WHERE sampled_at > ?", [now])
        tx.execute(
            "INSERT INTO size_sample VALUES (?, ?, ?, ?)",
            [now, measured.hot_bytes, measured.cold_bytes, measured.free_bytes],
        )
    settings.put(store, FORECAST, full_in_days(store, limits))
    settings.put(store, FLOOR, limits.free_floor_bytes)
