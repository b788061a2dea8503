"""Keep the store within its limits: by age, by bytes, and above the free-space floor.

Whole days go, oldest first, and each deletion is logged with its reason. Findings,
incidents, roll-ups by the hour and what people answered are never touched.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from guardian.errors import StoreError
from guardian.store import archive, clock, engine, kept, rollup, room, settings
from guardian.store.limits import TABLES, Limits

if TYPE_CHECKING:
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
NEWEST_ID = (1 << 63) - 1
"""Above every row's id."""
SQUEEZE_TRIES, SQUEEZE_PAUSE_S = 5, 0.5
"""How often, and how far apart, a moment without readers is looked for."""
A_DAY = timedelta(days=1)
FOLD_DAYS = 2
"""Roll-up steps of the last days may still get late rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the file in use, of its holes, of the cold files, and free on the disk."""

    hot_bytes: int
    hole_bytes: int
    cold_bytes: int
    free_bytes: int


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
        tick(self._store, now=now)
        if monotonic() < self._due_at and _short(self._store, self._limits) is None:
            return None
        report = enforce(self._store, self._limits, now=now)
        self._due_at = monotonic() + self._limits.every_s
        return report


def tick(store: Store, *, now: datetime) -> None:
    """Do what cannot wait for the next round: note the clock, bring the roll-ups up to date.

    A file that was deleted or moved away under the running store is written anew.

    Raises:
        StoreError: the disk refused; what was done so far stands.
    """
    if store.replaced():
        restore_file(store)
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


def enforce(store: Store, limits: Limits, *, now: datetime) -> Report:
    """Roll up, archive, delete and compact until every limit holds.

    Raises:
        StoreError: the disk refused; what was done so far stands.
    """
    age = clock.note(store, now)
    rollup.update(store)
    rollup.fold(store, since=now - timedelta(days=FOLD_DAYS), before=now - timedelta(hours=1))
    archive.note_spans(store)
    # On a full disk first: the cold files that are written next need some of it.
    deleted = _by_room(store, limits, now) if _short(store, limits) else 0
    with store.read() as reader:
        settled = clock.stored_before(reader, age, timedelta(days=limits.hot_days))
    moved = archive.archive(store, limits, now=now, stored_before=settled)
    archive.merge(store, limits)
    deleted += _by_age(store, limits, now, age) + _by_room(store, limits, now)
    if deleted:
        archive.refresh_views(store)
        archive.sweep(store)
    given_back = _give_back(store, limits, changed=bool(moved or deleted))
    _sample(store, now)
    settings.put(store, FORECAST, full_in_days(store, limits))
    settings.put(store, FLOOR, limits.free_floor_bytes)
    return Report(moved=moved, deleted=deleted, given_back=given_back)


def sizes(store: Store) -> Sizes:
    """Measure the store; all zero for one that lives in memory."""
    if store.path is None:
        return Sizes(hot_bytes=0, hole_bytes=0, cold_bytes=0, free_bytes=0)
    with store.read() as reader:
        row = reader.one(
            "SELECT block_size, used_blocks, free_blocks FROM pragma_database_size() "
            "WHERE database_name = current_database()"
        )
        cold = int(reader.value("SELECT coalesce(sum(bytes), 0) FROM cold_file"))
    block = row["block_size"] if row else 0
    return Sizes(
        hot_bytes=block * (row["used_blocks"] if row else 0) + room.log_bytes(store),
        hole_bytes=block * (row["free_blocks"] if row else 0),
        cold_bytes=cold,
        free_bytes=store.free_bytes(),
    )


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


def _by_age(store: Store, limits: Limits, now: datetime, age_s: float) -> int:
    """Delete what happened, and was stored, longer ago than it is kept."""
    ages = {**dict.fromkeys(TABLES, limits.keep_days), **dict(limits.keep_days_by_table)}
    deleted = 0
    for table, days in ages.items():
        if table in TABLES:
            with store.read() as reader:
                stored = clock.stored_before(reader, age_s, timedelta(days=days))
            horizon = datetime.combine((now - timedelta(days=days)).date(), time.min)
            deleted += _drop(
                store, table, horizon, now, f"older than {days} days", stored_before=stored
            )
    with store.transaction() as tx:
        # By their own time: a clock that jumped must not take them.
        newest = tx.value("SELECT max(bucket) FROM rollup_5m WHERE bucket <= ?", [now])
        if newest is not None:
            month_ago = newest - timedelta(days=limits.rollup_5m_days)
            tx.execute("DELETE FROM rollup_5m WHERE bucket < ?", [month_ago])
        tx.execute(
            "DELETE FROM size_sample WHERE sampled_at < (SELECT max(sampled_at) FROM size_sample) "
            "- INTERVAL 400 DAY"
        )
        kept.forget(tx)
    return deleted


def _by_room(store: Store, limits: Limits, now: datetime) -> int:
    """Give up the oldest day of the largest table until there is room; of today, by the hour."""
    deleted = 0
    for _ in range(len(TABLES) * 400):
        measured = sizes(store)
        with store.read() as reader:
            by_table = _table_bytes(reader)
        table = max(by_table, key=lambda name: by_table[name])
        used = measured.hot_bytes + measured.cold_bytes
        rows = sum(by_table.values())
        # Sums, findings and answers stay: where they outgrow the budget, no event makes it fit.
        if used > limits.max_bytes and rows > limits.max_bytes * limits.least_share:
            reason = f"all rows took more than {limits.max_bytes:,} bytes"
        elif by_table[table] > limits.max_bytes * limits.max_share:
            reason = f"took more than {limits.max_share:.0%} of the room"
        elif short := _short(store, limits):
            reason = short.reason
            table = short.table or table
        else:
            break
        horizon = _oldest_end(store, table, now)
        if horizon is None:
            break
        gone = _drop(store, table, horizon, now, reason)
        if not gone:
            break
        deleted += gone
        archive.refresh_views(store)
        archive.sweep(store)
        store.checkpoint()
    return deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shortage:
    """Why days have to go, and of which table; None: of the largest."""

    reason: str
    table: str | None = None


def _short(store: Store, limits: Limits) -> _Shortage | None:
    """Return what is short of the disk, or None.

    Holes are room for rows, but not for the log nor for cold files: where little but holes is
    left, cold days go, which alone give the disk room back.
    """
    if store.path is None:
        return None
    measured = sizes(store)
    floor = room.floor_bytes(store, limits)
    if measured.free_bytes + measured.hole_bytes < floor:
        return _Shortage(reason=f"less than {floor:,} bytes of disk were free")
    if measured.free_bytes >= min(floor, store.reserve_bytes):
        return None
    with store.read() as reader:
        table = reader.value(
            "SELECT table_name FROM cold_file GROUP BY 1 ORDER BY sum(bytes) DESC, 1 LIMIT 1"
        )
    reason = f"less than {min(floor, store.reserve_bytes):,} bytes of disk were free"
    return _Shortage(reason=reason, table=table) if table else None


def _oldest_end(store: Store, table: str, now: datetime) -> datetime | None:
    """Return the end of a table's oldest day, or of its oldest hour when only today is left.

    Rows dated ahead go like old ones. None: it is empty, or only the last hour is left of it.
    """
    with store.read() as reader:
        oldest: datetime | None = reader.value(
            f"SELECT least((SELECT min(ts) FROM {table}), "
            "(SELECT min(first_ts) FROM cold_file WHERE table_name = ?))",
            [table],
        )
    if oldest is None:
        return None
    if oldest.date() < now.date() or oldest > now + A_DAY:
        return datetime.combine(oldest.date() + timedelta(days=1), time.min)
    hour_end = oldest.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return hour_end if hour_end <= now or oldest > now else None


def _drop(
    store: Store,
    table: str,
    before: datetime,
    now: datetime,
    reason: str,
    *,
    stored_before: int = NEWEST_ID,
) -> int:
    """Delete the rows of a table before a moment from both tiers, and log it.

    ``stored_before`` keeps rows with that id and above: they came later.
    """
    old = "WHERE ts < ? AND id < ?"
    with store.transaction() as tx:
        hot = int(tx.value(f"SELECT count(*) FROM {table} {old}", [before, stored_before]))
        if hot:
            tx.execute(f"DELETE FROM {table} {old}", [before, stored_before])
        cold = archive.drop_before(tx, table, before.date(), stored_before=stored_before)
        tx.many(
            "INSERT INTO retention_log VALUES (?, ?, ?, ?, ?, ?)",
            [
                (now, table, tier, rows, before, reason)
                for tier, rows in (("hot", hot), ("cold", cold))
                if rows
            ],
        )
    return hot + cold


def _table_bytes(reader: Reader) -> dict[str, int]:
    """Return the bytes of each table of events in both tiers."""
    cold = {
        row["table_name"]: int(row["bytes"])
        for row in reader.rows(
            "SELECT table_name, sum(bytes) AS bytes FROM cold_file GROUP BY table_name"
        )
    }
    block = reader.value("SELECT max(block_size) FROM pragma_database_size()") or 0
    return {
        table: cold.get(table, 0)
        + block
        * int(
            reader.value(
                f"SELECT count(DISTINCT block_id) FROM pragma_storage_info('{table}') "
                "WHERE persistent"
            )
        )
        for table in TABLES
    }


def _give_back(store: Store, limits: Limits, *, changed: bool) -> int:
    if changed:
        store.checkpoint()
    before = sizes(store)
    whole = before.hot_bytes + before.hole_bytes
    if whole < limits.compact_min_bytes or before.hole_bytes < whole * limits.compact_waste:
        return 0
    # The copy needs room beside the original: on a full disk the holes are used up instead.
    if before.free_bytes - before.hot_bytes < room.floor_bytes(store, limits) // 2:
        return 0
    return before.hole_bytes if store.rewrite() else 0


def _sample(store: Store, now: datetime) -> None:
    measured = sizes(store)
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO size_sample VALUES (?, ?, ?, ?)",
            [now, measured.hot_bytes, measured.cold_bytes, measured.free_bytes],
        )
