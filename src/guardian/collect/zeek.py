"""Collect Zeek's logs: one file, or a folder with all of them, closed, open or rotated.

Tab-separated and JSON, plain or compressed. A folder is one source; a log is known
by its beginning (``zeek_files``), so a rotation or a restart costs and doubles nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import blocks, columns, compressed, zeek_columns, zeek_files, zeek_tables
from guardian.errors import CollectorError
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from guardian.collect.blocks import Block
    from guardian.collect.zeek_files import Log

FULL_ROWS = 20_000
"""A batch with so many rows is one of a backlog: more of the log waits."""

MAX_FILES = 20_000
"""How many files of a folder are looked at; a year of hourly rotation is 8,760 a log."""

LOOK_EVERY_S = 2.0
"""A folder is listed at most this often while it is followed: it may hold thousands of files."""

MAX_CERTIFICATES = 50_000
"""How many certificates of x509.log are kept to complete the rows of ssl.log."""

MAX_RAW_CHARS = 65_536

_LOG_NAME = re.compile(r"\.(?:log|json|ndjson)(?:[._-].*)?$|\.log$", re.IGNORECASE)
_FIRST = {"x509": 0, "conn": 2, "ssl": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeekCollector:
    """Read a Zeek log, or every Zeek log below a folder."""

    path: Path
    name: str | None = None
    kind: str = "zeek"
    layout: zeek_files.Layout | None = None
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
        reading = _Pass(known=_known(bookmark), final=final, layout=self.layout)
        files = self._files()
        logs, refused = reading.describe(files)
        replace = any(map(zeek_files.is_open, files)) or any(log.is_open for log in logs)
        gathered = _Gathered(replace=replace, rejects=refused if bookmark is None else [])
        for log in sorted(logs, key=_order):
            for block in blocks.blocks(
                log.file, reading.offset(log), final=final, size=self.block_bytes
            ):
                gathered.add(log, block)
                reading.read(log, block.end)
                if gathered.size >= self.block_bytes:
                    yield gathered.batch(reading.bookmark())
                    gathered = _Gathered(replace=replace, certificates=gathered.certificates)
            reading.finished(log)
        if gathered.events or gathered.rejects:
            yield gathered.batch(reading.bookmark())
        if bookmark is None and not logs and refused and final:
            msg = f"{self.path}: no Zeek log to read; {refused[0].place}: {refused[0].reason}"
            raise CollectorError(msg)

    def _just_looked(self) -> bool:
        now = time.monotonic()
        if self._looked and now - self._looked[0] < LOOK_EVERY_S:
            return True
        self._looked[:] = [now]
        return False

    def _files(self) -> list[Path]:
        try:
            if not self.path.is_dir():
                self.path.stat()
                return [self.path]
            found = sorted(self.path.rglob("*"))
        except OSError as error:
            msg = f"cannot read {error.filename}: {error.strerror}"
            raise CollectorError(msg) from error
        logs = [file for file in found if _LOG_NAME.search(file.name) and file.is_file()]
        return logs[-MAX_FILES:]


def is_zeek(path: Path, head: bytes) -> bool:
    """Tell a Zeek log by its header or its fields, and a folder by such logs being in it."""
    if path.is_dir():
        try:
            files = [file for file in sorted(path.rglob("*.log*"))[:200] if file.is_file()]
            return any(
                zeek_files.is_usual(file) or _begins(compressed.head(file)) for file in files
            )
        except OSError:
            return False
    return _begins(head)


def _begins(head: bytes) -> bool:
    text = head.lstrip()
    if text.startswith((b"#separator", b"#fields")):
        return b"#fields" in head
    first = text.partition(b"\n")[0]
    return (
        first.startswith(b"{")
        and b'"ts"' in first
        and (b'"uid"' in first or b'"id.orig_h"' in first or b'"_path"' in first)
    )


def _order(log: Log) -> tuple[int, bool, str]:
    return _FIRST.get(log.path, 1), not log.is_open, str(log.file)


def _known(bookmark: Mapping[str, object] | None) -> dict[str, tuple[int, int, int]]:
    files = (bookmark or {}).get("files")
    if not isinstance(files, dict):
        return {}
    return {str(key): (int(at[0]), int(at[1]), int(at[2])) for key, at in files.items()}


@dataclass(slots=True)
class _Pass:
    """One look at all files.

    ``known`` and ``now``: a log's identity → how far it was read, its inode, and its
    size when it was read to its end (-1 before that), by which it need not be opened
    again as long as it stays as it is.
    """

    known: dict[str, tuple[int, int, int]]
    final: bool
    layout: zeek_files.Layout | None
    now: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def describe(self, files: list[Path]) -> tuple[list[Log], list[Reject]]:
        """Return the logs that have something unread, and the files that are no logs."""
        unchanged = {at[1:]: identity for identity, at in self.known.items()}
        logs: list[Log] = []
        refused: list[Reject] = []
        for file in files:
            try:
                status = file.stat()
                identity = unchanged.get((status.st_ino, status.st_size))
                if identity is not None:
                    self.now[identity] = self.known[identity]
                    self.sizes[identity] = status.st_size
                    if not self.final or self.known[identity][0] >= status.st_size:
                        continue
                    del self.sizes[identity]  # a last line without its end is read now
                log = zeek_files.describe(file, final=self.final, layout=self.layout)
            except OSError as error:
                refused.append(Reject(reason=f"{error.strerror or error}", place=file.name))
                continue
            except zeek_files.NotZeekError as error:
                refused.append(Reject(reason=f"not a Zeek log: {error}", place=str(file)))
                continue
            if log is None or log.path in zeek_tables.NOT_EVENTS or log.identity in self.sizes:
                continue
            offset = self.known.get(log.identity, (log.header_bytes, 0, 0))[0]
            self.now[log.identity] = (offset, status.st_ino, -1)
            self.sizes[log.identity] = status.st_size
            logs.append(log)
        return logs, refused

    def offset(self, log: Log) -> int:
        return self.now[log.identity][0]

    def read(self, log: Log, end: int) -> None:
        self.now[log.identity] = (end, *self.now[log.identity][1:])

    def finished(self, log: Log) -> None:
        offset, inode, _ = self.now[log.identity]
        self.now[log.identity] = (offset, inode, self.sizes[log.identity])

    def bookmark(self) -> dict[str, object]:
        return {"files": {identity: list(at) for identity, at in self.now.items()}}


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
