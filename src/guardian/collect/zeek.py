"""Collect Zeek's logs: one file, or a folder with all of them, closed, open or rotated.

Tab-separated and JSON, plain or compressed. A folder is one source; a log is known
by its beginning (``zeek_files``), so a rotation or a restart costs and doubles nothing.
A single log that is followed is one source with all that it was rotated into, in the order
it was written (``zeek_rotated``); its first reading goes ``first_days`` back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import (
    blocks,
    columns,
    compressed,
    zeek_columns,
    zeek_files,
    zeek_folder,
    zeek_rotated,
    zeek_tables,
)
from guardian.collect.zeek_pass import Pass
from guardian.errors import CollectorError
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from guardian.collect.blocks import Block
    from guardian.collect.zeek_files import Log

FULL_ROWS = 20_000
"""A batch with so many rows is one of a backlog: more of the log waits."""

LOOK_EVERY_S = 2.0
"""A folder is listed at most this often while it is followed: it may hold thousands of files."""

MAX_CERTIFICATES = 50_000
"""How many certificates of x509.log are kept to complete the rows of ssl.log."""

MAX_RAW_CHARS = 65_536

MAX_ERRORS = 3
"""How many files that cannot be read are named at once."""

_FIRST = {"x509": 0, "conn": 2, "ssl": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeekCollector:
    """Read a Zeek log, or every Zeek log below a folder."""

    path: Path
    name: str | None = None
    kind: str = "zeek"
    layout: zeek_files.Layout | None = None
    first_days: float = 0.0
    block_bytes: int = blocks.BLOCK_BYTES
    _looked: list[float] = field(default_factory=list, repr=False, compare=False)

    @property
    def source(self) -> SourceInfo:
        """One source, whether it is a file or a folder."""
        where = str(self.path.absolute())
        name = self.name or f"{self.kind}:{where}"
        return SourceInfo(name=name, kind=self.kind, path=where)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield what is unread of all logs; open connections are replaced when they end.

        Raises:
            CollectorError: the path cannot be read, or holds no Zeek log.
        """
        if not final and bookmark is not None and self._just_looked():
            return
        reading = Pass.after(bookmark, final=final, layout=self.layout)
        files = self._files(reading, bookmark)
        logs, refused = reading.describe(files)
        replace = any(map(zeek_files.is_open, files)) or any(log.is_open for log in logs)
        gathered = _Gathered(replace=replace, rejects=refused if bookmark is None else [])
        for log in sorted(logs, key=self._order):
            for block in reading.blocks(log, self.block_bytes):
                gathered.add(log, block)
                reading.read(log, block.end)
                if gathered.size >= self.block_bytes:
                    yield gathered.batch(reading.bookmark())
                    gathered = _Gathered(replace=replace, certificates=gathered.certificates)
            reading.finished(log)
        if gathered.events or gathered.rejects or reading.moved:
            yield gathered.batch(reading.bookmark())
        if bookmark is None and not logs and refused and final:
            msg = f"{self.path}: no Zeek log to read; {refused[0].place}: {refused[0].reason}"
            raise CollectorError(msg)
        if reading.errors:
            self._looked.clear()  # to be said again at once, not only at the next look
            raise CollectorError("; ".join(reading.errors[:MAX_ERRORS]))

    def _just_looked(self) -> bool:
        now = time.monotonic()
        if self._looked and now - self._looked[0] < LOOK_EVERY_S:
            return True
        self._looked[:] = [now]
        return False

    def _files(self, reading: Pass, bookmark: Mapping[str, object] | None) -> list[Path]:
        try:
            if self.path.is_dir():
                reading.over(bookmark)
                logs, errors = zeek_folder.logs(self.path)
                reading.failed(errors, self.path)
                return logs
            if reading.final or self.kind != "zeek":
                self.path.stat()
                return [self.path]
        except OSError as error:
            msg = f"cannot read {error.filename}: {error.strerror}"
            raise CollectorError(msg) from error
        return reading.follow(self.path, bookmark, self.first_days)

    def _order(self, log: Log) -> tuple[int, bool, int, str]:
        if not self.path.is_dir():
            return 0, log.file == self.path, zeek_rotated.mtime_ns(log.file), ""
        return _FIRST.get(log.path, 1), not log.is_open, 0, str(log.file)


def is_zeek(path: Path, head: bytes) -> bool:
    """Tell a Zeek log by its header or its fields, and a folder by such logs being in it."""
    if path.is_dir():
        try:
            files = [file for file in zeek_folder.logs(path)[0] if ".log" in file.name][:200]
            return any(
                zeek_files.is_usual(file) or _begins(compressed.head(file)) for file in files
            )
        except OSError:
            return False
    return _begins(head)


def _begins(head: bytes) -> bool:
    text = head.removeprefix(compressed.BOM).lstrip()
    if text.startswith((b"#separator", b"#fields")):
        return b"#fields" in head
    first = text.partition(b"\n")[0]
    return (
        first.startswith(b"{")
        and b'"ts"' in first
        and (b'"uid"' in first or b'"id.orig_h"' in first or b'"_path"' in first)
    )


@dataclass(slots=True)
class _Gathered:
    """Rows of several logs on their way into one batch."""

    replace: bool
    rejects: list[Reject] = field(default_factory=list)
    certificates: dict[str, tuple[object, ...]] = field(default_factory=dict)
    tables: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    events: int = 0
    size: int = 0

    def add(self, log: Log, block: Block) -> None:
        """Turn a block's lines into rows."""
        self.size += block.end - block.start
        self.rejects.extend(
            Reject(reason=one.reason, place=f"{log.file.name}, {one.place}", sample=one.sample)
            for one in block.rejects
        )
        records = zeek_columns.read(log, block)
        if records.frame.height:
            _prepare(records)
        self.rejects.extend(records.rejects)
        if not records.frame.height:
            return
        self.events += records.frame.height
        mapping = zeek_tables.MAPPINGS.get(log.path)
        if mapping is None or zeek_columns.lacks_connection(records):
            kind = zeek_tables.RAW_TYPES.get(log.path, f"zeek_{log.path}"[:64])
            tables = {"raw_event": zeek_tables.raw(records, records.frame, kind)}
            if log.path == "x509":
                self._learn(records)
        else:
            tables = mapping(records)
        if "tls" in tables:
            tables["tls"] = self._certified(tables["tls"])
        for table, frame in tables.items():
            self.tables.setdefault(table, []).append(frame)

    def _learn(self, records: zeek_columns.Records) -> None:
        text = records.text
        rows = records.frame.select(
            pl.coalesce(text("id"), text("fingerprint")).alias("fuid"),
            text("certificate.serial").alias("serial"),
            columns.seconds(text("certificate.not_valid_before")).alias("notbefore"),
            columns.seconds(text("certificate.not_valid_after")).alias("notafter"),
        )
        for fuid, *rest in rows.iter_rows():
            if fuid and len(self.certificates) < MAX_CERTIFICATES:
                self.certificates[fuid] = tuple(rest)

    def _certified(self, rows: pl.DataFrame) -> pl.DataFrame:
        known = [(fuid, *rest) for fuid, rest in self.certificates.items()]
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            "fuid": pl.String,
            "serial": pl.String,
            "notbefore": pl.Datetime("us"),
            "notafter": pl.Datetime("us"),
        }
        table = pl.DataFrame(known, schema=schema, orient="row")
        return rows.join(table, on="fuid", how="left", maintain_order="left").drop("fuid")

    def batch(self, bookmark: dict[str, object]) -> Batch:
        """Return the batch of all that was gathered."""
        tables = {name: pl.concat(frames, how="diagonal") for name, frames in self.tables.items()}
        replace: dict[str, tuple[str, ...]] = {}
        if self.replace and "flow" in tables:
            flows = tables["flow"]
            last = pl.col("flow_id").is_null() | pl.struct("ts", "flow_id").is_last_distinct()
            tables["flow"] = flows.filter(last)
            replace["flow"] = ("ts", "flow_id")
        return Batch(
            tables={name: columns.to_arrow(frame) for name, frame in tables.items()},
            bookmark=bookmark,
            rejects=tuple(self.rejects),
            events=self.events,
            full=self.events >= FULL_ROWS,
            replace=replace,
        )


def _prepare(records: zeek_columns.Records) -> None:
    """Add what all tables need, and refuse the records that have no time."""
    text = records.text
    frame = records.frame.with_columns(
        zeek_columns.time(records).alias("ts_utc"),
        text("uid").alias("flow_id"),
        text("id.orig_h").alias("src_ip"),
        text("id.resp_h").alias("dest_ip"),
        zeek_columns.whole(records, MAX_RAW_CHARS).alias("whole"),
    )
    bad = frame["ts_utc"].is_null()
    for row in bad.arg_true().to_list():
        records.refuse(row, f"{records.log.path}: no time in it")
    records.frame = frame.with_columns(
        columns.hashed(frame["flow_id"]),
        columns.address_column(frame["src_ip"]),
        columns.address_column(frame["dest_ip"]),
    ).filter(~bad)
    records.origin = []
