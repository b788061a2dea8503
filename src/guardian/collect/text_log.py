"""Collect text and JSON logs by the formats in ``parsers/``: no Python for a new one.

A growing log is followed over rotations (``tailer``). A snapshot, such as a leases
file, is read whole when it changed, and only its new lines become rows.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from guardian.collect import columns, compressed, dnsmasq, parser_spec, snapshot
from guardian.collect.blocks import BLOCK_BYTES, MAX_LINE_BYTES, Block, Refused
from guardian.collect.tail_held import Held
from guardian.collect.tail_mark import Mark
from guardian.collect.tailer import Tailer
from guardian.collect.text_rows import LineError, LineParser
from guardian.collect.text_values import Clock
from guardian.collect.zeek import ZeekCollector
from guardian.collect.zeek_files import Layout
from guardian.errors import CollectorError
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from guardian.collect.base import Collector
    from guardian.collect.parser_spec import Spec

BATCH_LINES = 50_000
"""How many lines make one batch."""

SNIFF_LINES = 50

ZONE_NOTE = re.compile(r"# guardian: timezone=(?P<zone>[\w+:/-]{1,64})\s")
"""A first line by which a log that is passed on can say in which time zone it was written."""

_UTC_MICROSECONDS = pl.Datetime("us")
_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "ts": _UTC_MICROSECONDS, "end_ts": _UTC_MICROSECONDS,
    "src_port": pl.Int32, "dest_port": pl.Int32, "blocked": pl.Boolean,
    "answers": pl.List(pl.String), "reply_ms": pl.Float64, "foreign_id": pl.Int64,
    "vlan": pl.List(pl.UInt16),
    "bytes_toserver": pl.Int64, "bytes_toclient": pl.Int64, "pkts_toserver": pl.Int64,
    "pkts_toclient": pl.Int64, "tcp_flags_ts": pl.UInt8, "tcp_flags_tc": pl.UInt8,
    "icmp_type": pl.UInt8, "icmp_code": pl.UInt8, "lease_time": pl.Int64, "dhcp_id": pl.Int64,
    "flow_id": pl.Int64, "ttl": pl.Int64, "tx_id": pl.Int64, "status_code": pl.Int32,
    "signature_id": pl.Int64, "gid": pl.Int64, "severity": pl.Int32,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLogCollector:
    """Read a log of one declared format.

    ``timezone`` is that of times without an offset (``local``, ``UTC``, ``+01:00`` or a
    name); ``reference`` is when the log was written, for times without a year (default:
    the file's modification time); ``first_days``: see ``Settings``.
    """

    path: Path
    spec: Spec
    timezone: str = "local"
    reference: datetime | None = None
    name: str | None = None
    first_days: float = 0.0
    _held: Held = field(default_factory=Held, repr=False, compare=False)

    def close(self) -> None:
        """Let go of the log, which is kept open between two readings."""
        self._held.close()

    @property
    def source(self) -> SourceInfo:
        """The log by its path."""
        where = str(self.path.absolute())
        kind = self.spec.kind
        return SourceInfo(name=self.name or f"{kind}:{where}", kind=kind, path=where)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield what is unread; queries whose answer is still to come wait in the bookmark.

        Raises:
            CollectorError: the log cannot be read.
        """
        written = self._written_at(known=bookmark is not None)
        reference = self.reference or datetime.fromtimestamp(written, UTC).replace(tzinfo=None)
        clock = Clock(_noted_zone(self.path) or self.timezone, reference)
        reading = Reading(self.spec, clock, file_time=written)
        if self.spec.snapshot:
            yield from self._snapshot(reading, bookmark or {}, final=final)
            return
        yield from self._log(reading, bookmark or {}, final=final)

    def _written_at(self, *, known: bool) -> float:
        """Return when the log was written; a known one may be away while it is rotated."""
        try:
            return compressed.written_at(self.path)
        except FileNotFoundError as error:
            if known and not self.spec.snapshot:
                return time.time()
            msg = f"{self.path}: no such file"
            raise CollectorError(msg) from error
        except OSError as error:
            msg = f"cannot read {self.path}: {error.strerror}"
            raise CollectorError(msg) from error

    def _log(
        self, reading: Reading, bookmark: Mapping[str, object], *, final: bool
    ) -> Iterator[Batch]:
        reading.arrived = _now()
        reading.restore(bookmark)
        held = bookmark.get("mark")
        mark = Mark.from_json(held if isinstance(held, dict) else None)
        tailer = Tailer(
            path=self.path,
            max_line_bytes=MAX_LINE_BYTES,
            chunk_bytes=BLOCK_BYTES,
            first_days=self.first_days,
            held=self._held,
        )
        broken: CollectorError | None = None
        try:
            for chunk in tailer.unread(mark, final=final):
                lines = bytes(chunk.data).removesuffix(b"\n").split(b"\n") if chunk.data else []
                block = Block(lines=lines, start=chunk.start, end=chunk.start + len(chunk.data))
                at = chunk.start
                reading.arrived = _now()
                for index, line in enumerate(lines):
                    reading.take(line, block, index)
                    at += len(line) + 1
                    if reading.lines >= BATCH_LINES:
                        so_far = replace(chunk.mark, offset=min(at, block.end), skipping=False)
                        yield reading.batch(so_far, before=dnsmasq.OLDEST)
                reading.rejects.extend(chunk.rejects)
                mark = chunk.mark
        except CollectorError as error:
            broken = error  # what was read before it is stored first, or it would never be
        before = None if final else dnsmasq.hold_limit(_now())
        if reading.pending(before):
            yield reading.batch(mark, before=before)
        if broken is not None:
            raise broken

    def _snapshot(
        self, reading: Reading, bookmark: Mapping[str, object], *, final: bool
    ) -> Iterator[Batch]:
        try:
            seen = snapshot.look(self.path, bookmark, final=final, header=self.spec.header)
        except OSError as error:
            msg = f"cannot read {self.path}: {error.strerror}"
            raise CollectorError(msg) from error
        if not seen.changed:
            return
        reading.rejects.extend(seen.rejects)
        for line, block in seen.lines:
            reading.take(line, block, 0)
        yield reading.batch(None, before=None, more=seen.bookmark)


def _noted_zone(path: Path) -> str | None:
    """Return the time zone that a log names in its first line; see ``ZONE_NOTE``."""
    try:
        found = ZONE_NOTE.match(compressed.head(path, 256).decode("utf-8", "replace"))
    except OSError:
        return None
    return found["zone"] if found else None


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(slots=True)
class Reading:
    """Lines on their way into rows; ``arrived`` is when the next ones were read, by our clock."""

    spec: Spec
    clock: Clock
    file_time: float = 0.0
    arrived: datetime = field(default_factory=_now)
    rejects: list[Reject] = field(default_factory=list)
    refused: Refused = field(default_factory=Refused)
    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    lines: int = 0
    events: int = 0
    parser: LineParser = field(init=False)
    prefix: re.Pattern[str] | None = field(init=False)
    joined: dnsmasq.Assembler | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.parser = LineParser(self.spec, self.clock, file_time=self.file_time)
        self.prefix = re.compile(self.spec.prefix) if self.spec.prefix else None
        if self.spec.assemble == "dnsmasq":
            self.joined = dnsmasq.Assembler()

    def restore(self, bookmark: Mapping[str, object]) -> None:
        """Take up the queries and the header of the last batch."""
        held = bookmark.get("open")
        if self.joined is not None and isinstance(held, list):
            self.joined = dnsmasq.Assembler(held, arrived=self.arrived)
        header = bookmark.get("header")
        if isinstance(header, list):
            self.parser.header = [str(name) for name in header]

    def take(self, raw: bytes, block: Block, index: int) -> None:
        """Take one line; what is no row is counted with its place."""
        self.lines += 1
        first = index == 0 and block.start == 0
        line = raw.removeprefix(compressed.BOM if first else b"").decode("utf-8", "replace")
        line = line.rstrip("\r")
        if line.startswith("# guardian: "):
            return
        if self.spec.header and first:
            self.parser.header = [name.strip() for name in line.split(self.spec.separator)]
            return
        try:
            if self.joined is not None and self._join(line):
                return
            made = self.parser.parse(line)
        except LineError as error:
            self.refused.add(str(error), block, index)
            return
        if made is not None:
            self.events += 1
            self.rows.setdefault(made.table, []).append(made.row)

    def _join(self, line: str) -> bool:
        prefix = self.prefix.match(line) if self.prefix is not None else None
        if prefix is None or self.joined is None or prefix["program"] != "dnsmasq":
            return False
        ts = self.clock.read(prefix["time"])
        return ts is not None and self.joined.feed(line[prefix.end() :], ts, self.arrived)

    def pending(self, before: datetime | None) -> bool:
        """Tell whether a batch would hold anything new."""
        return bool(self.lines or self.rejects or (self.joined and self.joined.has_due(before)))

    def idle(self) -> bool:
        """Tell whether nothing waits here."""
        return not self.lines and not (self.joined and self.joined.has_due(None))

    def batch(
        self,
        mark: Mark | None,
        *,
        before: datetime | None,
        more: Mapping[str, object] | None = None,
    ) -> Batch:
        """Return all rows that are complete, and start again empty."""
        if self.joined is not None:
            done = self.joined.take(before)
            self.events += len(done)
            self.rows.setdefault("dns_log", []).extend(done)
        bookmark: dict[str, object] = {"mark": mark.as_json() if mark else None} | dict(more or {})
        if self.joined is not None:
            bookmark["open"] = self.joined.state()
        if self.spec.header:
            bookmark["header"] = self.parser.header
        batch = Batch(
            tables={table: table_of(rows) for table, rows in self.rows.items() if rows},
            bookmark=bookmark,
            rejects=(*self.rejects, *self.refused.found()),
            events=self.events,
            full=self.lines >= BATCH_LINES,
        )
        self.rejects, self.refused = [], Refused()
        self.rows, self.lines, self.events = {}, 0, 0
        return batch


def table_of(rows: list[dict[str, object]]) -> pa.Table:
    """Return rows as an Arrow table with the types of the store."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return columns.to_arrow(
        pl.DataFrame({name: _series(name, [row.get(name) for row in rows]) for name in names})
    )


def _series(name: str, values: list[object]) -> pl.Series:
    kind = _TYPES.get(name, pl.String)
    if isinstance(kind, pl.List):  # lists are quicker by way of Arrow
        inner = pa.uint16() if kind.inner == pl.UInt16 else pa.large_string()
        lists = pl.from_arrow(pa.array(values, pa.list_(inner)))
        assert isinstance(lists, pl.Series)
        return lists.alias(name)
    return pl.Series(name, values, dtype=kind, strict=False)


def is_kind(kind: str, path: Path, head: bytes) -> bool:
    """Tell whether a file's first lines are of a shipped format."""
    if not head:
        return False
    spec = parser_spec.shipped(kind)
    if spec.detect_name and not re.search(spec.detect_name, path.name):
        return False
    detect = re.compile(spec.detect)
    lines = head[: 64 << 10].decode("utf-8", "replace").splitlines()[:SNIFF_LINES]
    return any(detect.search(line) for line in lines)


def sniffers() -> list[tuple[str, Callable[[Path, bytes], bool]]]:
    """Return one sniffer for each shipped format."""

    def sniffer(kind: str) -> Callable[[Path, bytes], bool]:
        return lambda path, head: is_kind(kind, path, head)

    # A format that looks at the name as well is the surer one.
    kinds = sorted(parser_spec.files(), key=lambda kind: (kind != "pihole-log", kind))
    return [(kind, sniffer(kind)) for kind in kinds]


def collector(
    path: Path, spec: Spec, *, timezone: str = "local", reference: datetime | None = None
) -> Collector:
    """Return what reads a log of this format."""
    if spec.hand_over == "zeek":
        layout = Layout(path="conn", separator=spec.separator)
        return ZeekCollector(path=path, kind=spec.kind, layout=layout)
    return TextLogCollector(path=path, spec=spec, timezone=timezone, reference=reference)


def kinds() -> dict[str, Callable[[Path], Collector]]:
    """Return what makes a collector for each shipped format."""

    def maker(kind: str) -> Callable[[Path], Collector]:
        return lambda path: collector(path, parser_spec.shipped(kind))

    return {kind: maker(kind) for kind in parser_spec.files()}
