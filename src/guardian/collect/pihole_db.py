"""Collect queries and neighbours from Pi-hole's long-term database, pihole-FTL.db.

FTL writes it once a minute and may rewrite a row when a late answer changes it, so the
last minute before the bookmark is read again and replaces what changed. A database that
was replaced (its ids begin anew) is read on by time. Schemas 1 to 21 are known: before
10 one table held the names themselves, since then they are in tables of their own.
"""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import columns, compressed
from guardian.collect.pihole_names import Names, unhex
from guardian.collect.pihole_words import KEY, STATUSES, rcode, status_word, type_name
from guardian.errors import CollectorError
from guardian.model.batch import Batch, Reject, SourceInfo
from guardian.store.foreign import open_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from guardian.store.foreign import SqliteReader

OVERLAP_S = 60
"""How far before the bookmark rows are read again: FTL's DBinterval, so that each row
that a flush can still change is seen once more."""

CHUNK_ROWS = 100_000
"""How many ids are read and committed at once: some 25 MB of columns."""

FULL_ROWS = 20_000
"""A chunk with so many rows is one of a backlog, and is written like one."""

_MAX_US = 4_102_444_799_000_000
_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class PiholeDbCollector:
    """Read pihole-FTL.db: ``dns_log`` rows, and ``sighting`` rows of its network table."""

    path: Path
    name: str | None = None

    @property
    def source(self) -> SourceInfo:
        """The database by its path."""
        where = str(self.path.absolute())
        name = self.name or f"pihole-db:{where}"
        return SourceInfo(name=name, kind="pihole-db", path=where)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield new rows by id, and again those of the last minute that changed.

        Raises:
            CollectorError: the database cannot be read, or is not Pi-hole's.
        """
        mark = begun = _Mark.of(bookmark)
        state = self._file_state()
        if state == mark.state and not final:
            return
        with open_sqlite(self.path) as reader:
            query = _query(reader, self.path)
            start, newest = _limits(reader, query.table, mark)
            sightings = _sightings(reader, mark.seen_s)
            for first, frame in _chunks(reader, query, start, newest):
                known_us = begun.ts_us if first <= begun.id else None
                batch = _batch(frame, mark, known_us, state=state)
                batch = replace(batch, full=frame.height >= FULL_ROWS)
                mark = _Mark.of(batch.bookmark)
                yield batch
        if sightings.height:
            seen = int(sightings["seen_s"].max())  # type: ignore[arg-type]  # a column of integers
            mark = replace(mark, seen_s=seen, state=state)
            tables = {"sighting": columns.to_arrow(sightings.drop("seen_s"))}
            yield Batch(tables=tables, bookmark=mark.as_json(), events=sightings.height)

    def _file_state(self) -> list[int]:
        """Return what changes when FTL writes: sizes and times of the file and its log."""
        state: list[int] = []
        for file in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            try:
                status = file.stat()
                first = _MAGIC if file != self.path else compressed.head(file, len(_MAGIC))
            except OSError as error:
                if file == self.path:
                    msg = f"cannot read {self.path}: {error.strerror}"
                    raise CollectorError(msg) from error
                continue
            if first not in {_MAGIC, b""}:
                msg = f"{self.path} is not an SQLite database, so not Pi-hole's"
                raise CollectorError(msg)
            state += [status.st_ino, status.st_size, status.st_mtime_ns]
        return state


def is_pihole_db(path: Path, head: bytes) -> bool:
    """Tell FTL's database by its tables."""
    if not head.startswith(_MAGIC):
        return False
    try:
        with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)) as db:
            found = db.execute(
                "SELECT count(*) FROM sqlite_master WHERE name IN ('queries', 'ftl')"
            ).fetchone()
    except sqlite3.Error:
        return False
    return bool(found[0] == 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """How far the database was read: last id and its time, and the last sighting."""

    id: int = -1
    ts_us: int = 0
    seen_s: int = -1
    state: list[int] | None = None

    @classmethod
    def of(cls, bookmark: Mapping[str, object] | None) -> _Mark:
        if not bookmark:
            return cls()
        number, stamp, seen, state = (bookmark[k] for k in ("id", "ts_us", "seen_s", "state"))
        return cls(
            id=int(str(number)),
            ts_us=int(str(stamp)),
            seen_s=int(str(seen)),
            state=list(state) if isinstance(state, list) else None,
        )

    def as_json(self) -> dict[str, object]:
        return {"id": self.id, "ts_us": self.ts_us, "seen_s": self.seen_s, "state": self.state}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """How this schema's queries are read: the table and the text of the select."""

    table: str
    select: str
    linked: bool


def _query(reader: SqliteReader, path: Path) -> _Query:
    table = "query_storage"
    have = reader.columns(table)
    if not have:
        table = "queries"
        have = reader.columns(table)
    if not {"id", "timestamp", "type", "status", "domain", "client"} <= have:
        msg = f"{path} is not Pi-hole's database: it has no table of queries"
        raise CollectorError(msg)
    parts = [
        "id",
        "CAST(timestamp * 1000000 AS INTEGER) AS ts",
        "type",
        "status",
        *(f"{_number(name)} AS {name}" for name in ("domain", "client", "forward")),
        f"{'reply_type' if 'reply_type' in have else 'NULL'} AS reply_type",
        # A whole number is a third of the work that the text of a fraction is.
        f"{_NANOSECONDS if 'reply_time' in have else 'NULL'} AS reply_ns",
    ]
    linked = table == "query_storage"
    return _Query(table=table, select=f"SELECT {', '.join(parts)} FROM {table}", linked=linked)


_NANOSECONDS = (
    "CASE WHEN typeof(reply_time) IN ('real', 'integer') "
    "THEN CAST(reply_time * 1e9 + 0.5 AS INTEGER) END"
)


def _number(column: str) -> str:
    """Return the text of a column that holds an id; what holds the text itself gives -1."""
    return f"CASE typeof({column}) WHEN 'integer' THEN {column} WHEN 'null' THEN NULL ELSE -1 END"


def _limits(reader: SqliteReader, table: str, mark: _Mark) -> tuple[int, int]:
    """Return the first id to read and the last that is there."""
    edge = reader.rows(f"SELECT min(id) AS first, max(id) AS last FROM {table}")[0]
    if edge["last"] is None:
        return 0, -1
    if mark.id < 0:
        return int(edge["first"]), int(edge["last"])
    since_s = mark.ts_us / 1_000_000 - OVERLAP_S
    again = reader.rows(f"SELECT min(id) AS id FROM {table} WHERE timestamp >= {since_s:.6f}")
    first = again[0]["id"]
    known = reader.rows(
        f"SELECT CAST(timestamp * 1000000 AS INTEGER) AS ts FROM {table} WHERE id = {mark.id}"
    )
    if known and int(known[0]["ts"]) == mark.ts_us:
        start = mark.id + 1 if first is None else min(int(first), mark.id + 1)
        return start, int(edge["last"])
    # Another database under the same name: what is younger than the last row read is new.
    return (0, -1) if first is None else (int(first), int(edge["last"]))


_COLUMNS = """
SELECT TRY_CAST(id AS BIGINT) AS foreign_id, TRY_CAST(ts AS BIGINT) AS ts_us,
    TRY_CAST(type AS INTEGER) AS type, TRY_CAST(status AS INTEGER) AS status,
    TRY_CAST(domain AS BIGINT) AS domain, TRY_CAST(client AS BIGINT) AS client,
    TRY_CAST(forward AS BIGINT) AS forward, TRY_CAST(reply_type AS INTEGER) AS reply_type,
    TRY_CAST(reply_ns AS BIGINT) / 1e6 AS reply_ms
FROM rows
"""


def _chunks(
    reader: SqliteReader, query: _Query, start: int, newest: int
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the chunks with their first id; the next is read while the last is committed."""
    names = Names(reader, linked=query.linked)

    def read(at: int) -> tuple[pl.DataFrame, int]:
        frame = _chunk(reader, query, names, at, _end(at, newest))
        if frame.height or at + CHUNK_ROWS > newest:
            return frame, at + CHUNK_ROWS
        # A gap in the ids may be wider than any patience.
        rows = reader.rows(f"SELECT min(id) AS id FROM {query.table} WHERE id > {at}")
        return frame, newest + 1 if rows[0]["id"] is None else int(rows[0]["id"])

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pihole-db") as ahead:
        at = start
        waiting = ahead.submit(read, at) if at <= newest else None
        while waiting is not None:
            first, (frame, at) = at, waiting.result()
            waiting = ahead.submit(read, at) if at <= newest else None
            if frame.height:
                yield first, frame


def _end(start: int, newest: int) -> int:
    return min(start + CHUNK_ROWS, newest + 1)


def _chunk(reader: SqliteReader, query: _Query, names: Names, start: int, end: int) -> pl.DataFrame:
    """Return the rows of the ids from ``start`` to before ``end``, in order."""
    rows = f"{query.select} WHERE id >= {start} AND id < {end}"
    frame = pl.from_arrow(reader.arrow(_COLUMNS, rows))
    assert isinstance(frame, pl.DataFrame)
    frame = frame if frame["foreign_id"].is_sorted() else frame.sort("foreign_id")
    status = _worded(frame, "status", _status).fill_null("unknown")
    return names.given(frame, query.table).select(
        "foreign_id",
        "ts_us",
        "src_ip",
        "client_name",
        "rrname",
        _worded(frame, "type", type_name).alias("rrtype"),
        _worded(frame, "status", status_word).alias("status_detail"),
        status,
        (status == "blocked").alias("blocked"),
        _worded(frame, "reply_type", rcode).alias("rcode"),
        "upstream",
        "reply_ms",
    )


def _status(number: int) -> str:
    return STATUSES.get(status_word(number) or "", "unknown")


def _worded(frame: pl.DataFrame, column: str, word: Callable[[int], str | None]) -> pl.Series:
    """Return a column of words for one of numbers: each distinct number is looked up once."""
    numbers = frame[column]
    words = {number: word(number) for number in numbers.unique().drop_nulls().to_list()}
    return numbers.replace_strict(words, default=None, return_dtype=pl.String)


def _batch(frame: pl.DataFrame, mark: _Mark, known_us: int | None, *, state: list[int]) -> Batch:
    """Make a batch of a chunk; ``known_us``: it may hold rows again, up to this time."""
    stamp = pl.col("ts_us")
    good = frame.with_columns(
        pl.when(stamp.is_between(0, _MAX_US)).then(stamp.cast(pl.Datetime("us"))).alias("ts"),
    ).drop_nulls(["ts", "src_ip", "rrname"])
    rejects: tuple[Reject, ...] = ()
    lost = frame.height - good.height
    if lost:
        reason = "a query without time, client or name"
        bad = frame.join(good.select("foreign_id"), on="foreign_id", how="anti")
        rejects = (Reject(reason=reason, place=f"id {bad['foreign_id'].to_list()[0]}", count=lost),)
    last = good.tail(1)
    if known_us is not None and last.height and int(last["ts_us"][0]) < known_us:
        last = last.clear()  # all of it was read before: the mark stays
    new = good.height if known_us is None else good.filter(stamp > known_us).height
    after = _Mark(
        id=int(last["foreign_id"][0]) if last.height else mark.id,
        ts_us=int(last["ts_us"][0]) if last.height else mark.ts_us,
        seen_s=mark.seen_s,
        state=state,
    )
    return Batch(
        tables={"dns_log": columns.to_arrow(good.drop("ts_us"))},
        bookmark=after.as_json(),
        rejects=rejects,
        events=new,
        replace={} if known_us is None else {"dns_log": KEY},
    )


def _sightings(reader: SqliteReader, since_s: int) -> pl.DataFrame:
    """Return the addresses that FTL saw in the neighbour table since the last time."""
    schema = {"seen_s": pl.Int64, "mac": pl.String, "ip": pl.String, "name": pl.String,
              "detail": pl.String}  # fmt: skip
    have = reader.columns("network_addresses")
    if not have or not reader.columns("network"):
        return pl.DataFrame(schema=schema)
    rows = reader.rows(
        "SELECT CAST(a.lastSeen AS INTEGER) AS seen_s, hex(n.hwaddr) AS mac, hex(a.ip) AS ip, "
        f"hex({'a.name' if 'name' in have else 'NULL'}) AS name, hex(n.interface) AS detail "
        "FROM network_addresses a JOIN network n ON n.id = a.network_id "
        f"WHERE a.lastSeen > {since_s} ORDER BY a.lastSeen LIMIT 100000"
    )
    found = [
        {
            "seen_s": int(row["seen_s"] or 0),
            **{name: unhex(row[name]) for name in ("mac", "ip", "name")},
            "detail": json.dumps({"interface": unhex(row["detail"])}),
        }
        for row in rows
    ]
    frame = pl.DataFrame(found, schema=schema, orient="row")
    return frame.with_columns(
        pl.lit("neighbour").alias("method"),
        columns.seconds(pl.col("seen_s")).alias("ts"),
        columns.mac_column(frame["mac"]),  # FTL writes ip-<address> where it knows no MAC
        columns.address_column(frame["ip"]),
        pl.when(pl.col("name") != "").then(pl.col("name")),
    ).drop_nulls(["ts", "ip"])
