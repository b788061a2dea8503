"""What is deleted, and when: by age, for want of bytes, and for free disk.

Whole days go, oldest first, and each deletion is logged with its reason. Findings,
incidents, roll-ups by the hour and what people answered are never touched.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from guardian.errors import StoreError, StoreRetryError
from guardian.store import archive, clock, kept, rollup, room, settle
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from guardian.store.connection import Store
    from guardian.store.limits import Limits
    from guardian.store.reader import Reader

log = logging.getLogger(__name__)

NEWEST_ID = (1 << 63) - 1
"""Above every row's id."""
A_DAY = timedelta(days=1)
FRUITLESS_ROWS = 500_000
"""So many rows of the fast tier must give something back: DuckDB frees whole groups of 122,880
rows, and those that are left of a few are first moved together."""
FRUITLESS_PAUSE = timedelta(hours=1)
"""After deleting for free disk that gave none back, no more goes for that reason for so long."""
NOTHING_BACK = "; that gave no room back"
"""What the log of deletions says of it."""
FRUITLESS_BYTES = 2 << 20
"""So many bytes of cold files must show on the disk: noting that they went takes blocks too."""


def by_age(store: Store, limits: Limits, now: datetime, age_s: float) -> int:
    """Delete what happened, and was stored, longer ago than it is kept.

    Raises:
        StoreError: the disk refused, or a cold file is damaged; what could go is gone.
    """
    ages = dict.fromkeys(TABLES, limits.keep_days) | dict(limits.keep_days_by_table)
    failed: StoreError | None = None
    deleted = 0
    for table, days in ages.items():
        if table in TABLES:
            with store.read() as reader:
                stored = clock.stored_before(reader, age_s, timedelta(days=days))
            horizon = datetime.combine((now - timedelta(days=days)).date(), time.min)
            reason = f"older than {days} days"
            try:
                gone = _drop(store, table, horizon, now, reason, stored_before=stored)
            except StoreError as error:  # the other tables' days go all the same
                failed = error
            else:
                deleted += gone.rows
    rollup.forget(store, now=now, age_s=age_s, days=limits.rollup_5m_days)
    with store.transaction() as tx:
        tx.execute(
            "DELETE FROM size_sample WHERE sampled_at < (SELECT max(sampled_at) FROM size_sample) "
            "- INTERVAL 400 DAY"
        )
        kept.forget(tx)
    if failed:
        raise failed
    return deleted


def by_room(store: Store, limits: Limits, now: datetime) -> int:
    """Give up the oldest day of the largest table until there is room; of today, by the hour.

    No day goes while the log cannot be folded in: what went before gives its room back only
    then. Nor does one go on after another when that gives nothing back.

    Raises:
        StoreError: the disk refused; what could go is gone.
    """
    if _wanting(store, limits) is None or not _folded(store, needed=False):
        return 0
    deleted = rows = bytes_ = 0  # rows and bytes: since something was given back
    for _ in range(len(TABLES) * 400):
        wanting = _wanting(store, limits)
        horizon = _oldest_end(store, wanting.table, now) if wanting else None
        if wanting is None or horizon is None:
            break
        if wanting.disk and _fruitless_lately(store, now):
            break
        if wanting.disk and _held(store, wanting.table, horizon):
            log.warning(
                "%s, but a backup holds the oldest cold days of %s: none goes before it is done",
                wanting.reason,
                wanting.table,
            )
            break
        before = room.sizes(store)
        gone = _drop(store, wanting.table, horizon, now, wanting.reason)
        if not gone.rows:
            break
        deleted += gone.rows
        archive.sweep(store)
        if not _folded(store):
            break
        after = room.sizes(store)
        if wanting.eased(before, after):
            rows = bytes_ = 0
            continue
        rows += gone.hot
        bytes_ += before.cold_bytes - after.cold_bytes
        if rows >= FRUITLESS_ROWS or bytes_ >= FRUITLESS_BYTES:
            _note_fruitless(store, wanting, now)
            break
    return deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanting:
    """Why days have to go, and of which table; ``disk``: it is free disk that is wanted."""

    reason: str
    table: str
    disk: bool = False

    def eased(self, before: room.Sizes, after: room.Sizes) -> bool:
        """Return whether a deletion gave back something of what is wanted."""
        if self.disk:
            free = before.free_bytes + before.hole_bytes
            return after.free_bytes + after.hole_bytes > free
        used = before.hot_bytes + before.cold_bytes
        return after.hot_bytes + after.cold_bytes < used or after.cold_bytes < before.cold_bytes


def _wanting(store: Store, limits: Limits) -> Wanting | None:
    """Return what is over a limit now, or None."""
    measured = room.sizes(store)
    with store.read() as reader:
        by_table = table_bytes(reader)
    table = max(by_table, key=lambda name: by_table[name])
    used = measured.hot_bytes + measured.cold_bytes
    rows = sum(by_table.values())
    # Sums, findings and answers stay: where they outgrow the budget, no event makes it fit.
    if used > limits.max_bytes and rows > limits.max_bytes * limits.least_share:
        return Wanting(reason=f"all rows took more than {limits.max_bytes:,} bytes", table=table)
    if by_table[table] > limits.max_bytes * limits.max_share:
        reason = f"took more than {limits.max_share:.0%} of the room"
        return Wanting(reason=reason, table=table)
    if found := short(store, limits):
        return Wanting(reason=found.reason, table=found.table or table, disk=True)
    return None


def _folded(store: Store, *, needed: bool = True) -> bool:
    """Fold the log in; False: a query holds it off.

    Unless it is ``needed``, not on a disk too full for it: that would close the file.
    """
    if not needed and not room.foldable(store):
        return True
    try:
        store.checkpoint()
    except StoreRetryError as error:
        log.info("no (more) days are deleted for room now: %s", error)
        return False
    return True


def _held(store: Store, table: str, before: datetime) -> bool:
    """Return whether cold files that would go have a second name: a backup is made of them.

    The disk gets their room back only when that name goes too.
    """
    if store.path is None or not any(store.path.parent.glob(f"{settle.WORK}*")):
        return False
    with store.read() as reader:
        files = reader.rows(
            "SELECT file FROM cold_file WHERE table_name = ? AND day < ?", [table, before.date()]
        )
    for row in files:
        with contextlib.suppress(OSError):
            if (store.path.parent / row["file"]).stat().st_nlink > 1:
                return True
    return False


def _fruitless_lately(store: Store, now: datetime) -> bool:
    """Return whether deleting for free disk gave none back a short while ago.

    Something else holds or eats it then: a snapshot of the disk, or another program.
    """
    with store.read() as reader:
        return bool(
            reader.value(
                "SELECT count(*) FROM retention_log WHERE deleted_at > ? AND deleted_at <= ? "
                "AND ends_with(reason, ?)",
                [now - FRUITLESS_PAUSE, now, NOTHING_BACK],
            )
        )


def _note_fruitless(store: Store, wanting: Wanting, now: datetime) -> None:
    log.warning(
        "%s, but deleting the oldest of %s gave no room back: no more goes in this round",
        wanting.reason,
        wanting.table,
    )
    with store.transaction() as tx:
        tx.execute(
            "UPDATE retention_log SET reason = reason || ? "
            "WHERE deleted_at = ? AND table_name = ? AND reason = ? AND before_ts = "
            "(SELECT max(before_ts) FROM retention_log WHERE deleted_at = ? AND table_name = ?)",
            [NOTHING_BACK, now, wanting.table, wanting.reason, now, wanting.table],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why days have to go, and of which table; None: of the largest."""

    reason: str
    table: str | None = None


def short(store: Store, limits: Limits) -> Shortage | None:
    """Return what is short of the disk, or None.

    Holes are room for rows, but not for the log nor for cold files: where little but holes is
    left, cold days go, which alone give the disk room back.
    """
    if store.path is None:
        return None
    measured = room.sizes(store)
    floor = room.floor_bytes(store, limits)
    if measured.free_bytes + measured.hole_bytes < floor:
        return Shortage(reason=f"less than {floor:,} bytes of disk were free")
    if measured.free_bytes >= min(floor, store.reserve_bytes):
        return None
    with store.read() as reader:
        table = reader.value(
            "SELECT table_name FROM cold_file GROUP BY 1 ORDER BY sum(bytes) DESC, 1 LIMIT 1"
        )
    reason = f"less than {min(floor, store.reserve_bytes):,} bytes of disk were free"
    return Shortage(reason=reason, table=table) if table else None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The rows that one deletion took, by tier."""

    hot: int
    cold: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.hot + self.cold


def _drop(
    store: Store,
    table: str,
    before: datetime,
    now: datetime,
    reason: str,
    *,
    stored_before: int = NEWEST_ID,
) -> Gone:
    """Delete the rows of a table before a moment from both tiers, and log it.

    ``stored_before`` keeps rows with that id and above: they came later.
    """
    old = "WHERE ts < ? AND id < ?"
    cold_before = stored_before
    if table == "flow":
        stored_before = _sum_first(store, before, stored_before)
    with store.transaction() as tx:
        hot = int(tx.value(f"SELECT count(*) FROM {table} {old}", [before, stored_before]))
        if hot:
            tx.execute(f"DELETE FROM {table} {old}", [before, stored_before])
        cold = archive.drop_before(tx, table, before.date(), stored_before=cold_before)
        tx.many(
            "INSERT INTO retention_log VALUES (?, ?, ?, ?, ?, ?)",
            [
                (now, table, tier, rows, before, reason)
                for tier, rows in (("hot", hot), ("cold", cold))
                if rows
            ],
        )
    return Gone(hot=hot, cold=cold)


def _sum_first(store: Store, before: datetime, stored_before: int) -> int:
    """Add flows that are to go to the sums, and return the id below which all are in them."""
    with store.read() as reader:
        newest = reader.value(
            "SELECT max(id) FROM flow WHERE ts < ? AND id < ?", [before, stored_before]
        )
        if newest is None or newest <= rollup.summed(reader):
            return int(newest or 0) + 1
    rollup.update(store, attributed=True, below=newest + 1)
    return int(newest) + 1


def table_bytes(reader: Reader) -> dict[str, int]:
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
