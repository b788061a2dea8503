"""Collect Suricata's EVE log: every event type, from version 4 to 8.

Speed decides how this works (docs/performance.md has the figures). A chunk of whole
lines becomes one Arrow column without a copy; a look for ``event_type`` in the text
tells each line's table; DuckDB then decodes each table's lines into columns, together
with a doubt about each (``eve_columns``). Addresses are brought to their normal form a
column at a time. Only doubtful lines are looked at by Python (``eve_check``), one by
one: what it cannot mend goes to quarantine with its place and reason.
"""

from __future__ import annotations

import array
import re
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from guardian.collect import eve_columns
from guardian.collect.eve_check import check
from guardian.collect.eve_query import query
from guardian.collect.eve_values import normal
from guardian.collect.settings import Settings
from guardian.collect.tail_held import Held
from guardian.collect.tail_mark import Mark
from guardian.collect.tailer import Tailer
from guardian.errors import StoreError
from guardian.model.batch import Batch, Reject, SourceInfo
from guardian.store.ingest import latest, utc_now
from guardian.store.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from guardian.collect.tail_mark import Chunk

SAMPLES = 50
"""Refused lines of one reason in one batch that are kept with their place; all are counted."""

FULL_LINES = 20_000
"""A chunk with so many lines is one of a backlog: more of the log waits."""

_LONG_LINE = 2048
"""Only a longer line can nest deeply enough to need a look (``eve_check.MAX_DEPTH``)."""

_MANY_BRACKETS = 64

_ONCE = ('"event_type"', '"timestamp"')
"""Keys whose second occurrence would change what an event is."""

_TYPE_KEY = '"event_type":"'
_SPACED_TYPE = r'"event_type"\s*:\s*"([^"\\]{1,64})"'

_DOUBTED = 255
"""Stands for the table of a line that is not decoded before Python has looked at it."""

_WORD = 4
"""So much of an event type, with the quote behind it, tells the typed tables apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EveCollector:
    """Read an EVE log, its rotated files included. ``name`` overrides the source's name."""

    path: Path
    settings: Settings = Settings()  # noqa: RUF009 - frozen
    name: str | None = None
    _held: Held = field(default_factory=Held, repr=False, compare=False)

    def close(self) -> None:
        """Let go of the log, which is kept open between two readings."""
        self._held.close()

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
            first_days=self.settings.first_days,
            reuse=True,
            held=self._held,
        )
        for chunk in tailer.unread(Mark.from_json(bookmark), final=final):
            with decoding(self.settings.max_line_bytes) as decoder:
                batch = decoder.batch(chunk)
            yield batch


@contextmanager
def decoding(max_line_bytes: int) -> Iterator[EveDecoder]:
    """Lend a decoder. Making one and its plans takes longer than a poll's few events."""
    try:
        decoder = _idle.pop()
    except IndexError:
        decoder = EveDecoder(Scratch())
    decoder.max_line_bytes = max_line_bytes
    try:
        yield decoder
    finally:
        if len(_idle) < _KEPT:
            _idle.append(decoder)
        else:
            decoder.close()


class EveDecoder:
    """Turn whole lines into a batch. One decoder serves any number of chunks."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._incoming = scratch.feed("incoming", _NOTHING)
        self.max_line_bytes = 4 << 20

    def close(self) -> None:
        """Give the memory back."""
        self._scratch.close()

    def batch(self, chunk: Chunk) -> Batch:
        """Return the batch that stores the lines of a chunk."""
        lines = _Lines(chunk.data)
        rejects = _Rejects(chunk, lines)
        tables, newest = self._decoded(lines, rejects)
        return Batch(
            tables=tables,
            numbered=len(lines),
            full=len(lines) >= FULL_LINES,
            bookmark=chunk.mark.as_json(),
            rejects=(*chunk.rejects, *rejects.found()),
            events=len(lines) - rejects.total,
            newest=newest,
        )

    def _decoded(
        self, lines: _Lines, rejects: _Rejects
    ) -> tuple[dict[str, pa.Table], datetime | None]:
        """Return the rows of each table, doubtful lines mended or refused, and the latest time."""
        if not lines:
            return {}, None
        kinds = self._kinds(lines)
        self._incoming.table = pa.table(
            {"n": _numbers(len(lines)), "kind": kinds.to_arrow(), "line": lines.text}
        )
        parts: dict[str, list[pa.Table]] = {}
        doubtful = (kinds == _DOUBTED).arg_true().to_list()
        for kind in kinds.unique().to_list():
            if kind != _DOUBTED:
                table = eve_columns.KINDS[kind]
                rows, doubted = _told_apart(normal(table, self._rows(table)), "doubtful")
                parts.setdefault(table, []).append(rows)
                doubtful += doubted
        for table, rows in self._mended(lines, sorted(doubtful), rejects):
            parts.setdefault(table, []).append(rows)
        self._incoming.table = _NOTHING  # frees the lines
        whole = {table: pa.concat_tables(rows) for table, rows in parts.items()}
        newest = latest(map(_times, whole.values()), utc_now())
        return {table: rows.drop_columns(_ASIDE) for table, rows in whole.items()}, newest

    def _kinds(self, lines: _Lines) -> pl.Series:
        """Return the number of each line's table, as far as its text tells."""
        text = lines.series()
        at = text.str.find(_TYPE_KEY, literal=True)
        word = text.str.slice(at + len(_TYPE_KEY), _WORD)
        kinds = word.replace_strict(_BY_WORD, default=_RAW, return_dtype=pl.UInt8)
        if at.null_count():  # written with spaces, or not at all
            spaced = pl.when(at.is_null()).then(text.str.extract(_SPACED_TYPE) + '"')
            word = pl.select(spaced.str.slice(0, _WORD)).to_series()
            told = word.replace_strict(_BY_WORD, default=_RAW, return_dtype=pl.UInt8)
            told = told.zip_with(word.is_not_null(), pl.repeat(_DOUBTED, len(text), eager=True))
            kinds = kinds.zip_with(at.is_not_null(), told.cast(pl.UInt8))
        return kinds.scatter(self._suspicious(lines, text), _DOUBTED)

    def _suspicious(self, lines: _Lines, text: pl.Series) -> list[int]:
        """Return the lines that DuckDB might read otherwise than they were meant, or not well."""
        found = {
            at
            for at in (text.str.len_bytes() > _LONG_LINE).arg_true().to_list()
            if len(lines[at]) > self.max_line_bytes
            or lines[at].count(b"{") + lines[at].count(b"[") > _MANY_BRACKETS
        }
        for key in _ONCE:
            found.update((text.str.count_matches(key, literal=True) != 1).arg_true().to_list())
        return sorted(found)

    def _rows(self, table: str) -> pa.Table:
        """Return the rows of one table as DuckDB decodes them."""
        try:
            return self._scratch.planned(query(table))
        except StoreError:  # a line is not JSON: ask about each before decoding it
            return self._scratch.planned(query(table, guarded=True))

    def _mended(
        self, lines: _Lines, doubtful: Sequence[int], rejects: _Rejects
    ) -> Iterator[tuple[str, pa.Table]]:
        """Look closely at doubtful lines; yield those that can be stored after all, by table."""
        kept: dict[int, bytes] = {}
        for at in doubtful:
            line = lines[at]
            seen = "line too long" if len(line) > self.max_line_bytes else check(line)
            if isinstance(seen, str):
                rejects.add(at, seen)
            else:
                kept[at] = seen
        if not kept:
            return
        kinds = [_kind(line) for line in kept.values()]
        self._incoming.table = pa.table(
            {
                "n": pa.array(kept, pa.int32()),
                "kind": pa.array(kinds, pa.uint8()),
                "line": pa.array([line.decode() for line in kept.values()], pa.string()),
            }
        )
        for kind in sorted(set(kinds)):
            table = eve_columns.KINDS[kind]
            decoded = self._scratch.planned(query(table, guarded=True))
            rows, unfit = _told_apart(normal(table, decoded), "unfit")
            for at in unfit:
                # Python and DuckDB disagree about this line; the stricter one is believed.
                rejects.add(at, "not JSON")
            yield table, rows


def _times(rows: pa.Table) -> pa.ChunkedArray:
    """Return the times of events of the network.

    Statistics bear the time of the machine that reads, years after an old capture's packets.
    """
    if "event_type" in rows.column_names:
        rows = rows.filter(pc.not_equal(rows["event_type"], "stats"))
    return rows["seen"]


class _Lines:
    """The lines of a chunk: where each begins, and all of them as text without a copy."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        starts = array.array("i", [0])
        starts.extend([newline.end() for newline in _NEWLINE.finditer(data)])
        if starts[-1] != len(data):
            starts.append(len(data))
        self._starts = starts
        whole = pa.Array.from_buffers(
            pa.binary(), len(self), [None, pa.py_buffer(starts), pa.py_buffer(data)]
        )
        try:
            self.text = whole.cast(pa.string())
        except pa.ArrowInvalid:
            # What is not UTF-8 becomes empty, hence doubtful.
            texts = [_text(self[at]) for at in range(len(self))]
            self.text = pa.array(texts, pa.string())

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, at: int) -> bytes:
        return bytes(self._data[self._starts[at] : self._starts[at + 1]]).removesuffix(b"\n")

    def start(self, at: int) -> int:
        """Return at which byte of the chunk a line begins."""
        return self._starts[at]

    def series(self) -> pl.Series:
        """Return the lines for polars."""
        return pl.Series("line", self.text)


class _Rejects:
    """Count what is refused by reason, and keep the first of each with its place."""

    def __init__(self, chunk: Chunk, lines: _Lines) -> None:
        self._chunk = chunk
        self._lines = lines
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
        for reason, places in self._found.items():
            for place in places[:SAMPLES]:
                last = place == places[:SAMPLES][-1]
                yield Reject(
                    reason=reason,
                    place=f"{self._chunk.file} byte {self._chunk.start + self._lines.start(place)}",
                    sample=self._lines[place][:2000],
                    count=1 + len(places) - len(places[:SAMPLES]) if last else 1,
                )


_KEPT = 2
_idle: deque[EveDecoder] = deque()
_NEWLINE = re.compile(b"\n")
_RAW = eve_columns.KINDS.index(eve_columns.RAW)
_BY_WORD = {f'{kind}"'[:_WORD]: at for at, kind in enumerate(eve_columns.KINDS[:_RAW])}
_BY_NAME = {kind: at for at, kind in enumerate(eve_columns.KINDS[:_RAW])}
_ASIDE = ["seen", "doubtful", "unfit"]
_NOTHING = pa.table(
    {
        "n": pa.array([], pa.int32()),
        "kind": pa.array([], pa.uint8()),
        "line": pa.array([], pa.string()),
    }
)


class _Typed(msgspec.Struct):
    event_type: str


def _kind(line: bytes) -> int:
    return _BY_NAME.get(msgspec.json.decode(line, type=_Typed).event_type, _RAW)


def _numbers(count: int) -> pa.Array:
    return pa.array(range(count), pa.int32())


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""


def _told_apart(rows: pa.Table, doubt: str) -> tuple[pa.Table, list[int]]:
    """Return the rows without a doubt, and the numbers of the others."""
    doubted = rows[doubt]
    if not pc.any(doubted).as_py():
        return rows, []
    return rows.filter(pc.invert(doubted)), pc.filter(rows["n"], doubted).to_pylist()
