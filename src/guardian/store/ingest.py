"""Commit a batch of rows and its bookmark in one transaction: nothing lost, nothing twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from guardian.model.secrets import hide_bytes
from guardian.store import contacts, recall, rollup
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guardian.model.batch import Batch, Reject, SourceInfo
    from guardian.store.connection import Store, Transaction
    from guardian.store.reader import Reader

QUARANTINE_SAMPLES = 200
"""How many refused pieces are kept whole per source; all of them are counted."""

DROPS_WINDOW_S = 600.0
"""So long a source that lost something counts as one that cannot keep up."""


AHEAD = timedelta(hours=1)
"""Events dated further ahead than this come from a clock that is wrong."""


def latest(columns: Iterable[pa.ChunkedArray], now: datetime) -> datetime | None:
    """Return the latest of some columns of times: a few that are still to come do not count.

    One event from a device whose clock is wrong must not make everything else look old.
    Where all are still to come, it is the source's clock or ours, and the latest is told.
    """
    ahead: list[datetime] = []
    past: list[datetime] = []
    for moments in columns:
        newest = pc.max(moments).as_py()
        ahead.append(newest)
        if newest is not None and newest > now + AHEAD:
            limit = pa.scalar(now + AHEAD, moments.type)
            newest = pc.max(pc.filter(moments, pc.less_equal(moments, limit))).as_py()
        past.append(newest)
    found = [moment for moment in past if moment] or [moment for moment in ahead if moment]
    return max(found, default=None)


def utc_now() -> datetime:
    """Return the time as the store keeps it: UTC without an offset."""
    return datetime.now(UTC).replace(tzinfo=None)


def register(store: Store, source: SourceInfo) -> int:
    """Return the source's id, making its row when it is new."""
    with store.read() as reader:
        known = reader.value("SELECT source_id FROM source WHERE name = ?", [source.name])
    if known is not None:
        return int(known)
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO source (name, kind, path) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
            [source.name, source.kind, source.path],
        )
        return int(tx.value("SELECT source_id FROM source WHERE name = ?", [source.name]))


@dataclass(frozen=True, slots=True)
class Position:
    """Where a source was read to: its bookmark, and how much of it is stored and counted."""

    bookmark: str | None = None
    events: int = 0
    rejected: int = 0
    dropped: int = 0

    def mark(self) -> dict[str, Any] | None:
        """Return the bookmark as its collector gave it; None: never read."""
        return None if self.bookmark is None else json.loads(self.bookmark)

    def after(self, batch: Batch) -> Position:
        """Return where the source is once a batch is stored."""
        return Position(
            json.dumps(batch.bookmark),
            self.events + batch.events,
            self.rejected + batch.rejected,
            self.dropped + batch.dropped,
        )


def position(reader: Reader, source_id: int) -> Position:
    """Return where a source was read to, as this reader or transaction sees it."""
    row = reader.one(
        "SELECT bookmark, events, rejected, dropped FROM source WHERE source_id = ?", [source_id]
    )
    return Position(**row) if row else Position()


def bookmark(store: Store, source_id: int) -> dict[str, Any] | None:
    """Return where this source was read to, or None when it never was."""
    with store.read() as reader:
        return position(reader, source_id).mark()


def note_state(store: Store, source_id: int, error: str | None) -> None:
    """Note whether a source can be read (``error`` is None) or what is wrong with it."""
    state = "ok" if error is None else "error"
    with store.read() as reader:
        known = reader.one("SELECT state, detail FROM source WHERE source_id = ?", [source_id])
    if known == {"state": state, "detail": error}:
        return
    with store.transaction() as tx:
        tx.execute(
            "UPDATE source SET state = ?, detail = ? WHERE source_id = ?",
            [state, error, source_id],
        )


def forget(store: Store, source_id: int) -> None:
    """Take back every row of a source whose reading was cut short and begins anew.

    Those archived meanwhile are brought back first; flows that were summed are taken out of
    the sums, and contacts are counted anew, as far back as every row is at hand.
    """
    recall.recall(store, source_id)
    with store.transaction() as tx:
        rollup.take_back(tx, source_id)
        contacts.rebuild(tx)
        for table in TABLES:
            tx.execute(f"DELETE FROM {table} WHERE source_id = ?", [source_id])
        for table in ("reject_count", "quarantine"):
            tx.execute(f"DELETE FROM {table} WHERE source_id = ?", [source_id])
        tx.execute(
            "UPDATE source SET bookmark = NULL, events = 0, rejected = 0 WHERE source_id = ?",
            [source_id],
        )


def begin(store: Store, sources: Iterable[SourceInfo]) -> None:
    """Note which sources the daemon reads from now on: only these can fall behind."""
    named = list(sources)
    for source in named:
        register(store, source)
    with store.transaction() as tx:
        tx.execute("UPDATE source_pace SET caught_up = NULL WHERE caught_up IS NOT NULL")
        _caught_up(tx, {source.name: utc_now() for source in named})


def note_read(store: Store, read_at: Mapping[str, datetime]) -> None:
    """Note when each source, by name, was last read to its end."""
    if read_at:
        with store.transaction() as tx:
            tx.many(
                "UPDATE source SET last_read = ? WHERE name = ?",
                [(moment, name) for name, moment in read_at.items()],
            )
            _caught_up(tx, read_at)


def _caught_up(tx: Transaction, read_at: Mapping[str, datetime]) -> None:
    tx.many(
        "INSERT INTO source_pace (source_id, caught_up) "
        "SELECT source_id, ? FROM source WHERE name = ? "
        "ON CONFLICT (source_id) DO UPDATE SET caught_up = excluded.caught_up",
        [(moment, name) for name, moment in read_at.items()],
    )


def commit(store: Store, source_id: int, batch: Batch) -> None:
    """Write the batch's rows, its refusals and its bookmark: all of it, or nothing.

    Raises:
        StoreFullError: there is no room; the bookmark stands where it was.
    """
    store.require_room()
    with store.transaction() as tx:
        write(tx, source_id, batch)


def write(tx: Transaction, source_id: int, batch: Batch) -> None:
    """Write a batch and its bookmark into an open transaction."""
    now = utc_now()
    times = []
    if batch.numbered:
        _insert_numbered(tx, batch, source_id)
    for table, columns in batch.tables.items():
        if columns.num_rows and not batch.numbered:
            times.append(columns["ts"])
            key = batch.replace.get(table)
            append(tx, table, _changed(tx, table, columns, source_id, key), source_id)
    _reject(tx, source_id, batch.rejects)
    tx.execute(
        """
        UPDATE source
        SET bookmark = $bookmark, events = events + $events, rejected = rejected + $rejected,
            last_read = $now,
            last_event = CASE WHEN last_event > $ahead THEN coalesce($newest, last_event)
                              ELSE greatest(last_event, $newest) END
        WHERE source_id = $source_id
        """,
        {
            "bookmark": json.dumps(batch.bookmark),
            "events": batch.events,
            "rejected": batch.rejected,
            "now": now,
            "ahead": now + AHEAD,
            "newest": batch.newest or latest(times, now),
            "source_id": source_id,
        },
    )
    if batch.dropped:
        _drop(tx, source_id, batch.dropped)


def _drop(tx: Transaction, source_id: int, number: int) -> None:
    """Count what a live source lost, in all and since drops began without a pause."""
    now = utc_now()
    tx.execute("UPDATE source SET dropped = dropped + ? WHERE source_id = ?", [number, source_id])
    tx.execute(
        """
        INSERT INTO source_pace (source_id, dropped_at, dropped_lately)
        VALUES ($source_id, $now, $number)
        ON CONFLICT (source_id) DO UPDATE SET
            dropped_lately = excluded.dropped_lately
                + CASE WHEN dropped_at >= $pause THEN dropped_lately ELSE 0 END,
            dropped_at = excluded.dropped_at
        """,
        {
            "number": number,
            "now": now,
            "pause": now - timedelta(seconds=DROPS_WINDOW_S),
            "source_id": source_id,
        },
    )


def _changed(
    tx: Transaction, table: str, columns: pa.Table, source_id: int, key: tuple[str, ...] | None
) -> pa.Table:
    """Return the rows that say something new, and delete those whose place they take."""
    if key is None:
        return columns
    names = ", ".join(f'"{name}"' for name in columns.column_names)
    limits = {
        "source_id": source_id,
        "first": pc.min(columns["ts"]).as_py(),
        "last": pc.max(columns["ts"]).as_py(),
    }
    held = "source_id = $source_id AND ts BETWEEN $first AND $last"
    with tx.registered("incoming", columns):
        rows = tx.arrow(
            f"SELECT {names} FROM incoming EXCEPT SELECT {names} FROM {table} WHERE {held} "
            "ORDER BY ts",
            limits,
        )
    if rows.num_rows:
        same = " AND ".join(f'{table}."{name}" IS NOT DISTINCT FROM new."{name}"' for name in key)
        with tx.registered("changed", rows):
            tx.execute(
                f"DELETE FROM {table} WHERE {held} "
                f"AND EXISTS (SELECT 1 FROM changed AS new WHERE {same})",
                limits,
            )
    return rows


def _insert_numbered(tx: Transaction, batch: Batch, source_id: int) -> None:
    """Add the rows of every table; a row's id follows from its number in the batch."""
    first = int(tx.value("SELECT next_id FROM row_counter"))
    for table, columns in batch.tables.items():
        names = ", ".join(f'"{name}"' for name in columns.column_names if name != "n")
        with tx.registered("incoming", columns):
            tx.execute(
                f"INSERT INTO {table} (id, source_id, {names}) "
                f"SELECT n + {first}, {source_id}, {names} FROM incoming"
            )
    tx.execute("UPDATE row_counter SET next_id = ?", [first + batch.numbered])


def append(tx: Transaction, table: str, columns: pa.Table, source_id: int) -> None:
    """Add rows to a typed table, giving each its id; absent columns become NULL."""
    first = int(tx.value("SELECT next_id FROM row_counter"))
    names = ", ".join(f'"{name}"' for name in columns.column_names)
    with tx.registered("incoming", columns):
        tx.execute(
            f"INSERT INTO {table} (id, source_id, {names}) "
            f"SELECT row_number() OVER () + {first - 1}, {source_id}, {names} FROM incoming"
        )
    tx.execute("UPDATE row_counter SET next_id = ?", [first + columns.num_rows])


def _reject(tx: Transaction, source_id: int, rejects: tuple[Reject, ...]) -> None:
    if not rejects:
        return
    kept = int(tx.value("SELECT count(*) FROM quarantine WHERE source_id = ?", [source_id]) or 0)
    now = utc_now()
    tx.many(
        "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)",
        [
            (source_id, now, reject.place, reject.reason, hide_bytes(reject.sample[:2000]))
            for reject in rejects[: max(0, QUARANTINE_SAMPLES - kept)]
        ],
    )
    counts: dict[str, int] = {}
    for reject in rejects:
        counts[reject.reason] = counts.get(reject.reason, 0) + reject.count
    tx.many(
        "INSERT INTO reject_count VALUES (?, ?, ?) "
        "ON CONFLICT (source_id, reason) DO UPDATE SET count = count + excluded.count",
        [(source_id, reason, count) for reason, count in counts.items()],
    )
