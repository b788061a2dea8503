"""Collect Suricata's EVE log: every event type, from version 4 to 8.

Speed decides how this works (docs/performance.md has the figures). A chunk of whole
lines is split once, looked at once by DuckDB to tell each line's type and whether
anything about it is doubtful, and then decoded by DuckDB straight into the typed
tables (``eve_columns``). Only doubtful lines are looked at by Python (``eve_check``),
one by one: what it cannot mend goes to quarantine with its place and reason.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from guardian.collect import eve_columns
from guardian.collect.eve_check import check
from guardian.collect.settings import Settings
from guardian.collect.tailer import Mark, Tailer
from guardian.errors import StoreError
from guardian.intel.addresses import normalise
from guardian.model.batch import Batch, Derived, Reject, SourceInfo
from guardian.store.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from guardian.collect.tailer import Chunk

SAMPLES = 50
"""Refused lines of one reason in one batch that are kept with their place; all are counted."""

_ROWS = 4096
"""Lines in one Arrow batch: what one thread of DuckDB takes at a time."""

_LONG_LINE = 2048
"""Only a longer line can nest deeply enough to need a look (``eve_check.MAX_DEPTH``)."""

_MANY_BRACKETS = 64

_ONCE = (b'"event_type"', b'"timestamp"')
"""Keys whose second occurrence would change what an event is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EveCollector:
    """Read an EVE log, its rotated files included. ``name`` overrides the source's name."""

    path: Path
    settings: Settings = Settings()  # noqa: RUF009 - frozen
    name: str | None = None

    @property
    def source(self) -> SourceInfo:
        """Which log this is."""
        name = self.name or f"eve:{self.path.absolute()}"
        return SourceInfo(name=name, kind="eve", path=str(self.path.absolute()))

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the unread events, oldest first.

        Raises:
            CollectorError: the log cannot be read, or not further.
        """
        tailer = Tailer(
            path=self.path,
            max_line_bytes=self.settings.max_line_bytes,
            chunk_bytes=self.settings.batch_bytes,
        )
        with Scratch() as scratch:
            for chunk in tailer.unread(Mark.from_json(bookmark), final=final):
                yield EveDecoder(scratch, self.settings.max_line_bytes).batch(chunk)


class EveDecoder:
    """Turn whole lines into a batch. One decoder serves any number of chunks."""

    def __init__(self, scratch: Scratch, max_line_bytes: int) -> None:
        self._scratch = scratch
        self._max_line_bytes = max_line_bytes

    def batch(self, chunk: Chunk) -> Batch:
        """Return the batch that stores the lines of a chunk."""
        lines = chunk.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        rejects = _Rejects(chunk, lines)
        repeated = any(chunk.data.count(key) != len(lines) for key in _ONCE)
        tables, newest = self._sorted_out(lines, rejects, repeated=repeated)
        return Batch(
            tables={},
            derived={
                table: Derived(
                    lines=part,
                    source=eve_columns.source(table),
                    columns=eve_columns.columns(table),
                )
                for table, part in tables.items()
            },
            bookmark=chunk.mark.as_json(),
            rejects=(*chunk.rejects, *rejects.found()),
            events=len(lines) - rejects.total,
            newest=newest,
        )

    def _sorted_out(
        self, lines: list[bytes], rejects: _Rejects, *, repeated: bool
    ) -> tuple[dict[str, pa.Table], datetime | None]:
        """Return the lines by table, doubtful ones mended or refused, and the latest time."""
        if not lines:
            return {}, None
        numbered = _numbered(range(len(lines)), lines)
        looked = self._look(numbered)
        doubtful = self._doubtful(lines, looked, repeated=repeated)
        mended = self._mended(lines, doubtful, rejects)
        wide = sorted(set(pc.filter(looked["n"], looked["wide"]).to_pylist()).difference(doubtful))
        kinds = looked["kind"].to_pylist() if wide else []
        narrowed = _numbered(
            wide,
            [
                _narrow(lines[at])
                if _KINDS[kinds[at]] in _ADDRESSES_WITHIN
                else _narrow_ends(lines[at])
                for at in wide
            ],
        )
        touched = pc.is_in(looked["n"], pa.array([*doubtful, *wide], pa.int32()))
        untouched = pc.invert(touched)
        parts = [
            (numbered.filter(untouched), looked.filter(untouched)),
            (narrowed, looked.take(pa.array(wide, pa.int32()))),
            mended,
        ]
        return _by_table(parts), max(
            (pc.max(seen["ts"]).as_py() for _, seen in parts if seen.num_rows), default=None
        )

    def _mended(
        self, lines: Sequence[bytes], doubtful: Sequence[int], rejects: _Rejects
    ) -> tuple[pa.Table, pa.Table]:
        """Look closely at doubtful lines; return those that can be stored after all."""
        kept: dict[int, bytes] = {}
        for at in doubtful:
            line = lines[at]
            seen = "line too long" if len(line) > self._max_line_bytes else check(line)
            if isinstance(seen, str):
                rejects.add(at, seen)
            else:
                kept[at] = _narrow(seen)
        numbered = _numbered(list(kept), list(kept.values()))
        looked = self._look(numbered)
        for at in pc.filter(looked["n"], looked["unfit"]).to_pylist():
            # Python and DuckDB disagree about this line; the stricter one is believed.
            rejects.add(at, "not JSON")
        fit = pc.invert(looked["unfit"])
        return numbered.filter(fit), looked.filter(fit)

    def _look(self, numbered: pa.Table) -> pa.Table:
        """Return for each line, in order, what ``_look`` selects."""
        with self._scratch.registered("incoming", _in_batches(numbered)):
            try:
                looked = self._scratch.arrow(_FAST_LOOK)
            except StoreError:  # a line is not JSON: ask about each before decoding it
                looked = self._scratch.arrow(_GUARDED_LOOK)
        return looked.take(pc.sort_indices(looked["n"]))

    def _doubtful(self, lines: Sequence[bytes], looked: pa.Table, *, repeated: bool) -> list[int]:
        found = set(pc.filter(looked["n"], looked["doubtful"]).to_pylist())
        found.update(
            at
            for at, line in enumerate(lines)
            if len(line) > _LONG_LINE
            and (
                len(line) > self._max_line_bytes
                or line.count(b"{") + line.count(b"[") > _MANY_BRACKETS
            )
        )
        if repeated:  # some line has a key twice, or within another: find which
            found.update(
                at for at, line in enumerate(lines) if any(line.count(key) != 1 for key in _ONCE)
            )
        return sorted(found)


class _Rejects:
    """Count what is refused by reason, and keep the first of each with its place."""

    def __init__(self, chunk: Chunk, lines: Sequence[bytes]) -> None:
        self._chunk = chunk
        self._lines = tuple(lines)  # as they were read: mending changes the list
        self._found: dict[str, list[int]] = {}

    @property
    def total(self) -> int:
        """How many lines were refused."""
        return sum(map(len, self._found.values()))

    def add(self, at: int, reason: str) -> None:
        """Refuse the line with this number."""
        self._found.setdefault(reason, []).append(at)

    def found(self) -> Iterator[Reject]:
        """Yield the refused lines; the last of a reason stands for all that are not kept."""
        if not self._found:
            return
        starts = list(itertools.accumulate((len(line) + 1 for line in self._lines), initial=0))
        for reason, places in self._found.items():
            for place in places[:SAMPLES]:
                last = place == places[:SAMPLES][-1]
                yield Reject(
                    reason=reason,
                    place=f"{self._chunk.file} byte {self._chunk.start + starts[place]}",
                    sample=self._lines[place][:2000],
                    count=1 + len(places) - len(places[:SAMPLES]) if last else 1,
                )


def _by_table(parts: Sequence[tuple[pa.Table, pa.Table]]) -> dict[str, pa.Table]:
    """Return lines by the table they belong to; ``parts`` are lines and what was seen of them."""
    kinds = {kind for _, seen in parts for kind in pc.unique(seen["kind"]).to_pylist()}
    return {
        _KINDS[kind]: _in_batches(
            pa.concat_tables(lines.filter(pc.equal(seen["kind"], kind)) for lines, seen in parts)
        )
        for kind in sorted(kinds)
    }


def _numbered(numbers: Sequence[int], lines: Sequence[bytes]) -> pa.Table:
    """Return lines as a table; one that is not UTF-8 becomes empty, hence doubtful."""
    texts = pa.array(lines, pa.binary())
    try:
        texts = texts.cast(pa.string())
    except pa.ArrowInvalid:
        texts = pa.array([_text(line) for line in lines], pa.string())
    return pa.table({"n": pa.array(numbers, pa.int32()), "line": texts})


def _narrow(line: bytes) -> bytes:
    """Bring the IPv6 addresses of a line to their normal form: Suricata writes them in full."""
    return _WIDE_ADDRESS.sub(_narrowed, line)


def _narrow_ends(line: bytes) -> bytes:
    """Do the same for the two ends of the event only, which is four times as fast."""
    for key in (b'"src_ip":"', b'"dest_ip":"'):
        start = line.find(key) + len(key)
        if start < len(key) or line[start + 39 : start + 40] != b'"':
            return _narrow(line)
        line = line[:start] + _short(line[start : start + 39]) + line[start + 39 :]
    return line


@functools.lru_cache(maxsize=1 << 16)
def _short(text: bytes) -> bytes:
    normal = normalise(text.decode(errors="replace"))
    return text if normal is None else normal.encode()


def _narrowed(match: re.Match[bytes]) -> bytes:
    return b'"%s"' % _short(match[1])


def _in_batches(table: pa.Table) -> pa.Table:
    return pa.Table.from_batches(table.to_batches(max_chunksize=_ROWS), schema=table.schema)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""


_WIDE_ADDRESS = re.compile(rb'"([0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f:]{29})"')

_V4 = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}"
_V4 += r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_USUAL_ADDRESS = rf"{_V4}|(?:[0-9a-f]{{4}}:){{7}}[0-9a-f]{{4}}"


_ADDRESSES_WITHIN = frozenset({"dns", "alert", "raw_event"})
"""Tables whose events hold more addresses than those of their two ends."""

_KINDS = (*sorted(eve_columns.TYPED), "raw_event")
_LOOKED_AT = json.dumps(
    {
        "timestamp": "VARCHAR",
        "event_type": "VARCHAR",
        "flow_id": "BIGINT",
        "src_ip": "VARCHAR",
        "dest_ip": "VARCHAR",
        "src_port": "USMALLINT",
        "dest_port": "USMALLINT",
        "proto": "VARCHAR",
        "flow": {
            "start": "VARCHAR",
            "end": "VARCHAR",
            "bytes_toserver": "BIGINT",
            "bytes_toclient": "BIGINT",
            "pkts_toserver": "BIGINT",
            "pkts_toclient": "BIGINT",
        },
    }
)


def _unusual_time(text: str) -> str:
    """Return SQL that is true for a time whose form or year is not the usual one."""
    return f"(strlen({text}) NOT IN (26, 31) OR {text} < '1970' OR {text} >= '2100')"


def _look(decoded: str) -> str:
    """Return the query that looks at every line once; ``decoded`` makes an event of a line."""
    kinds = " ".join(f"WHEN '{kind}' THEN {at}" for at, kind in enumerate(_KINDS))
    time = eve_columns.time("j.timestamp")
    # Only small numbers come out: fetching text from DuckDB costs more than all the rest.
    return f"""
SELECT
    n::INTEGER AS n,
    CASE j.event_type {kinds} ELSE {len(_KINDS) - 1} END::UTINYINT AS kind,
    {time} AS ts,
    coalesce(
        j.event_type IS NULL OR j.event_type = '' OR strlen(j.event_type) > 64
        OR {time} IS NULL OR {_unusual_time("j.timestamp")}
        OR (j.src_ip IS NOT NULL AND NOT regexp_full_match(j.src_ip, '{_USUAL_ADDRESS}'))
        OR (j.dest_ip IS NOT NULL AND NOT regexp_full_match(j.dest_ip, '{_USUAL_ADDRESS}'))
        OR (coalesce(j.proto, '') IN ('TCP', 'UDP') AND (j.src_port IS NULL OR j.dest_port IS NULL))
        OR (j.flow_id IS NULL AND j.event_type IN ('flow', 'dns', 'tls', 'http', 'quic'))
        OR coalesce(j.flow_id, 0) < 0
        OR (j.event_type = 'flow' AND (
            j.flow IS NULL
            OR j.flow.start IS NOT NULL AND {_unusual_time("j.flow.start")}
            OR j.flow."end" IS NOT NULL AND {_unusual_time('j.flow."end"')}
            OR coalesce(j.flow.bytes_toserver, -1) < 0 OR coalesce(j.flow.bytes_toclient, -1) < 0
            OR coalesce(j.flow.pkts_toserver, -1) < 0 OR coalesce(j.flow.pkts_toclient, -1) < 0
        )),
        true
    ) AS doubtful,
    j.event_type IS NULL OR {time} IS NULL AS unfit,
    coalesce(strlen(j.src_ip) = 39, false) OR coalesce(strlen(j.dest_ip) = 39, false)
        OR coalesce(j.event_type = 'dns' AND contains(line, '"AAAA"'), false) AS wide
FROM (SELECT n, line, {decoded} AS j FROM incoming)
"""


_FAST_LOOK = _look(f"from_json(line, '{_LOOKED_AT}')")
_GUARDED_LOOK = _look(f"CASE WHEN json_valid(line) THEN from_json(line, '{_LOOKED_AT}') END")
