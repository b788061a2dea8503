"""Collect queries, devices and leases from Pi-hole v6 by its API, over one long session.

The API has no "after this id", ids are given again after a crash, and rows change while
answers come in. So it is read by time: each reading begins a little before the last row
known, and a row that changed since takes the place of the one that was stored. Windows
of time keep a day's catch-up in bounded memory and in order. FTL answers from memory,
which holds a day; what is older is asked of its database, and what that no longer holds
is said.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from guardian.clients.pihole import PiholeClient
from guardian.collect import columns, pihole_devices
from guardian.collect.pihole_words import KEY, RCODES, STATUSES
from guardian.collect.remote import Poller
from guardian.collect.text_values import LAST_S
from guardian.errors import ClientResponseError
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from guardian.clients.pihole import Query

OVERLAP_S = 30.0
"""How far before the last known row is read again: FTL waits for an answer no longer."""

FIRST_S = 86_400.0
"""How far back the first reading goes: what FTL keeps in memory (webserver.api.maxHistory)."""

MEMORY_S = 82_800.0
"""What is older than this is asked of FTL's database: it is in memory for 24 h, less an hour
for clocks that differ. A query has the same id and time in both, and each moment is asked of
one of them only, so that none is stored twice."""

DISK_S = 400 * 86_400.0
"""How far back the database is asked: it keeps 91 days (database.maxDBdays), or what one sets."""

WINDOW_S = 3600.0
"""How much time is read at once while catching up."""

LONGEST_WINDOW_S = 21_600.0
"""Windows grow up to this while nothing is found in them: a long absence takes few calls."""

PAGE_ROWS = 1000
MAX_WINDOW_ROWS = 200_000
"""A window with more rows is read in halves: bounded memory on the busiest day."""

MIN_WINDOW_S = 1.0

_NO_DISK = frozenset({400, 404, 500})
"""What a Pi-hole answers that cannot read its database, for now or for good."""

_DISK_TRIES = 3
"""After so many refusals one after the other the database is passed by: what is in memory
must not wait for it."""

DEVICES_EVERY_S = 60.0
"""How often devices and leases are asked for: FTL writes its network table once a minute."""


class PiholeApiCollector:
    """Read Pi-hole's queries by its API. ``close`` gives the session's seat back."""

    def __init__(
        self,
        url: str,
        password: str | None = None,
        *,
        every_s: float = 1.0,
        ca_file: Path | None = None,
        tls_name: str | None = None,
        client: PiholeClient | None = None,
    ) -> None:
        self._url = url
        self._client = client or PiholeClient(url, password, ca_file=ca_file, tls_name=tls_name)
        self._poller = Poller(every_s)
        self._devices_at = 0.0
        self._read_until = 0.0
        self._unseen: float | None = None
        self._refused = 0

    @property
    def source(self) -> SourceInfo:
        """The server by its address."""
        return SourceInfo(name=f"pihole-api:{self._url}", kind="pihole-api", path=self._url)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield new and changed queries, oldest first; nothing before it is time to ask.

        Raises:
            CollectorError: the server cannot be asked; says when it will be again.
        """
        if not self._poller.due(now=final):
            return
        mark = _Mark.of(bookmark)
        now = time.time()
        start, memory_from = self._begin(mark, now)
        width = WINDOW_S
        while start < now + OVERLAP_S:
            disk = start < memory_from
            end = min(start + width, memory_from) if disk else start + width
            rows = self._poller.call(self._window(start, end, disk=disk))
            if rows is None and width > MIN_WINDOW_S:
                width = max(MIN_WINDOW_S, width / 2)
                continue
            batch = _batch(rows or [], mark, lost=rows is None, gap=self._gap(rows or []))
            if batch is not None:
                mark = _Mark.of(batch.bookmark)
                yield batch
            start = end
            if not rows:
                width = min(LONGEST_WINDOW_S, width * 2)
            elif width > WINDOW_S:
                width = WINDOW_S
        self._read_until = now
        if final or time.monotonic() >= self._devices_at:
            self._devices_at = time.monotonic() + DEVICES_EVERY_S
            seen = self._poller.call(pihole_devices.ask(self._client))
            table, mark = _sightings(seen, mark)
            if table is not None:
                yield Batch(
                    tables={"sighting": table}, bookmark=mark.as_json(), events=table.num_rows
                )

    def close(self) -> None:
        """Log out. Safe to call twice."""
        self._poller.close(self._client.aclose())

    def _begin(self, mark: _Mark, now: float) -> tuple[float, float]:
        """Return where to begin, and from when on FTL's memory is enough."""
        if not mark.ts:
            return now - FIRST_S, now - FIRST_S
        # A server whose clock was wrong once must not end the reading.
        start = max(min(mark.ts, now) - OVERLAP_S, now - DISK_S)
        # A house where nobody asked for a day has an old mark, but was read all the time.
        away_s = now - max(mark.ts, self._read_until)
        if away_s > WINDOW_S:
            self._unseen = mark.ts
        return start, now - MEMORY_S if away_s > MEMORY_S - OVERLAP_S else start

    def _gap(self, rows: list[Query]) -> Reject | None:
        """Tell what is missing after an absence, if the server forgot the last query known."""
        times = [row.time for row in rows if 0 <= row.time < LAST_S]
        if self._unseen is None or not times:
            return None
        since, self._unseen = self._unseen, None
        first = min(times)
        if first <= since + 0.001:  # it is still there, and so is all that came after it
            return None
        reason = "Pi-hole no longer gives the queries of this time: they are lost"
        return Reject(reason=reason, place=f"{_utc(since)} to {_utc(first)}")

    async def _window(self, start: float, end: float, *, disk: bool) -> list[Query] | None:
        """Return the queries of a window; None when they are too many."""
        rows: list[Query] = []
        pages = self._client.queries(since=start, until=end, length=PAGE_ROWS, disk=disk)
        try:
            async for page in pages:
                rows.extend(page)
                if len(rows) > MAX_WINDOW_ROWS:
                    return None
        except ClientResponseError as error:
            if not disk or error.status not in _NO_DISK:
                raise
            self._refused += 1
            if self._refused < _DISK_TRIES:
                raise
            if self._unseen is None:  # from here on it is unknown what there was
                self._unseen = start
        else:
            self._refused = 0
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """The time of the newest row, and a digest of the last rows that may still change.

    ``seen_s`` is when the device was seen that was seen last, ``leases`` are digests.
    """

    ts: float = 0.0
    digest: str = ""
    seen_s: float = 0.0
    leases: tuple[str, ...] = ()

    @classmethod
    def of(cls, bookmark: Mapping[str, object] | None) -> _Mark:
        if not bookmark:
            return cls()
        leases = bookmark.get("leases")
        return cls(
            ts=float(str(bookmark["ts"])),
            digest=str(bookmark["digest"]),
            seen_s=float(str(bookmark.get("seen_s", 0.0))),
            leases=tuple(map(str, leases)) if isinstance(leases, list) else (),
        )

    def as_json(self) -> dict[str, object]:
        return {
            "ts": self.ts, "digest": self.digest, "seen_s": self.seen_s,
            "leases": list(self.leases),
        }  # fmt: skip


def _sightings(found: pihole_devices.Found, mark: _Mark) -> tuple[pa.Table | None, _Mark]:
    """Return what is new among devices and leases, and the mark behind it."""
    table, seen_s = pihole_devices.sightings(found, since_s=mark.seen_s, known=mark.leases)
    leases = pihole_devices.digests(found)
    after = replace(mark, seen_s=seen_s, leases=leases)
    return (table if table.num_rows or after != mark else None), after


def _utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "foreign_id": pl.Int64, "seconds": pl.Float64, "src_ip": pl.String, "client_name": pl.String,
    "rrname": pl.String, "rrtype": pl.String, "status_detail": pl.String, "reply": pl.String,
    "upstream": pl.String, "reply_ms": pl.Float64,
}  # fmt: skip


def _batch(
    rows: list[Query], mark: _Mark, *, lost: bool, gap: Reject | None = None
) -> Batch | None:
    """Return the batch of a window, or None when it says nothing new."""
    frame = pl.DataFrame([_row(row) for row in rows], schema=_SCHEMA, orient="row")
    digest = hashlib.blake2b(repr(rows).encode(), digest_size=8).hexdigest()
    newest = max((row.time for row in rows if 0 <= row.time < LAST_S), default=0.0)
    if not lost and (not rows or (digest == mark.digest and newest <= mark.ts)):
        return None
    good = frame.with_columns(
        columns.seconds(pl.col("seconds")).alias("ts"),
        columns.address_column(frame["src_ip"]),
        pl.col("rrname").str.to_lowercase().str.strip_suffix(".").str.slice(0, 1024),
        pl.col("status_detail")
        .replace_strict(STATUSES, default="unknown", return_dtype=pl.String)
        .alias("status"),
        pl.col("reply").replace_strict(RCODES, default=None, return_dtype=pl.String).alias("rcode"),
    ).drop_nulls(["ts", "src_ip", "rrname"])
    good = good.with_columns((pl.col("status") == "blocked").alias("blocked"))
    rejects = [] if gap is None else [gap]
    if frame.height > good.height:
        reason = "a query without time, client or name"
        rejects.append(Reject(reason=reason, place="api", count=frame.height - good.height))
    if lost:
        reason = f"more than {MAX_WINDOW_ROWS} queries within {MIN_WINDOW_S:.0f} s"
        rejects.append(Reject(reason=reason, place="api"))
    last = max(newest, mark.ts)
    return Batch(
        tables={
            "dns_log": columns.to_arrow(good.drop("seconds", "reply").sort("ts", "foreign_id"))
        },
        bookmark=replace(mark, ts=last, digest=digest).as_json(),
        rejects=tuple(rejects),
        events=good.filter(pl.col("seconds") > mark.ts).height,
        replace={"dns_log": KEY},
    )


def _row(query: Query) -> tuple[object, ...]:
    wait = query.reply.time
    return (
        query.id if abs(query.id) < 2**62 else None,
        query.time,
        query.client.ip,
        query.client.name or None,
        query.domain or None,
        query.type,
        query.status,
        query.reply.type,
        query.upstream,
        wait * 1000.0 if wait is not None and wait >= 0 else None,
    )
