"""Collect queries from AdGuard Home by its API.

The log is read backwards from now until the last row known; what lies between is then
stored in order. The log is read at most as far back as memory allows, and says so when
that was not far enough. A page that fails costs no other: the next reading goes on there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.clients.adguard import AdguardClient
from guardian.collect import text_values
from guardian.collect.remote import Poller
from guardian.collect.text_log import table_of
from guardian.intel import addresses
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from guardian.clients.adguard import Entry

PAGE_ROWS = 500
MAX_ROWS = 200_000
"""How many queries one reading goes back: some 100 MB, and more than a home asks in a day."""

MAX_PAGES = 2_000
"""How many pages one reading asks for: more than ``MAX_ROWS`` need, and an end in any case."""

OVERLAP = timedelta(seconds=10)
"""How far before the last known query is read again: one is logged when it is answered,
which may be after a younger one."""

KEY = ("ts", "src_ip", "rrname", "rrtype")
"""AdGuard Home gives no ids: this tells a query, to the nanosecond that it was asked."""

_BLOCKED = "Filtered"
_SAFE_SEARCH = "FilteredSafeSearch"
"""The name is answered, with the address of a search that leaves out what is not for children."""

_LOCAL = ("Rewrite", _SAFE_SEARCH)


@dataclass(slots=True, kw_only=True)
class _Part:
    """What was read so far of what is younger than ``since``, newest first."""

    since: str
    found: list[Entry] = field(default_factory=list)
    older_than: str = ""
    pages: int = 0


class AdguardApiCollector:
    """Read AdGuard Home's query log by its API."""

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        *,
        every_s: float = 2.0,
        ca_file: Path | None = None,
        client: AdguardClient | None = None,
    ) -> None:
        self._url = url
        self._client = client or AdguardClient(url, user, password, ca_file=ca_file)
        self._poller = Poller(every_s)
        self._part: _Part | None = None
        self._clock = text_values.Clock("UTC", datetime.now(UTC).replace(tzinfo=None))

    @property
    def source(self) -> SourceInfo:
        """The server by its address."""
        return SourceInfo(name=f"adguard-api:{self._url}", kind="adguard-api", path=self._url)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the queries since the bookmark, oldest first.

        Raises:
            CollectorError: the server cannot be asked; says when it will be again.
        """
        if not self._poller.due(now=final):
            return
        since = str((bookmark or {}).get("time", ""))
        entries, whole = self._after(since)
        digest = hashlib.blake2b(repr(entries).encode(), digest_size=8).hexdigest()
        if not entries or digest == (bookmark or {}).get("digest"):
            return
        known = self._clock.read(since) if since else None
        rows: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        for entry in reversed(entries):
            row = _row(entry, self._clock)
            if row is None:
                reason = "a query without time, client or name"
                rejects.append(Reject(reason=reason, place=f"time {entry.time[:40]}"))
            else:
                rows.append(row)
        if not whole:
            reason = f"more than {MAX_ROWS} queries since the last reading: older ones are lost"
            rejects.append(Reject(reason=reason, place=f"before {entries[-1].time[:40]}"))
        yield Batch(
            tables={"dns_log": table_of(rows)} if rows else {},
            bookmark={"time": entries[0].time, "digest": digest},
            rejects=tuple(rejects),
            events=sum(known is None or row["ts"] > known for row in rows),
            replace={"dns_log": KEY},
        )

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._poller.close(self._client.aclose())

    def _after(self, since: str) -> tuple[list[Entry], bool]:
        """Return what is younger than ``since``, newest first, and whether that is all.

        Raises:
            CollectorError: a page could not be had; those before it are kept for the next time.
        """
        if self._part is None or self._part.since != since:
            self._part = _Part(since=since)
        part = self._part
        known = self._clock.read(since) if since else None
        if known is not None:  # a server whose clock was wrong once must not end the reading
            known = min(known, datetime.now(UTC).replace(tzinfo=None))
        whole = True
        while part.pages < MAX_PAGES:
            # Each page has its own time: a slow server's log takes longer than any one limit.
            page = self._poller.call(
                self._client.query_log(older_than=part.older_than, limit=PAGE_ROWS)
            )
            part.pages += 1
            entries = self._younger(page.data or (), known)
            part.found += entries
            if len(entries) < len(page.data or ()):
                break
            if len(part.found) >= MAX_ROWS:
                whole = False
                break
            # An empty page is not the end: the server looks at 50,000 lines of its file at a time.
            if not page.oldest or page.oldest == part.older_than:
                break
            part.older_than = page.oldest
        self._part = None
        return part.found, whole

    def _younger(self, entries: Sequence[Entry], known: datetime | None) -> Sequence[Entry]:
        """Return the entries before the first one that is known."""
        for number, entry in enumerate(entries if known is not None else ()):
            when = self._clock.read(entry.time)
            if known is not None and when is not None and when < known - OVERLAP:
                return entries[:number]
        return entries


def _row(entry: Entry, clock: text_values.Clock) -> dict[str, Any] | None:
    when = clock.read(entry.time)
    client = addresses.normalise(entry.client)
    name = text_values.name(entry.question.name)
    if when is None or client is None or name is None:
        return None
    reason = entry.reason or "NotFilteredNotFound"
    blocked = reason.startswith(_BLOCKED) and reason != _SAFE_SEARCH
    status = "blocked" if blocked else "cached" if entry.cached else "forwarded"
    answers = [str(item.value)[:512] for item in (entry.answer or ())[:64] if item.value]
    return {
        "ts": when,
        "src_ip": client,
        "client_name": entry.client_info.name[:255] or None if entry.client_info else None,
        "rrname": name,
        "rrtype": text_values.rrtype(entry.question.type or ""),
        "status": "local" if reason.startswith(_LOCAL) else status,
        "status_detail": reason[:64],
        "blocked": blocked,
        "rcode": entry.status[:20] if entry.status else None,
        "answers": answers or None,
        "upstream": entry.upstream[:255] if entry.upstream else None,
        "reply_ms": text_values.number(entry.elapsed_ms or ""),
    }
