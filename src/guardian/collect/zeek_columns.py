"""Turn lines of one Zeek log into a frame of text columns, counting what is no record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from guardian.collect import columns
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from guardian.collect.blocks import Block
    from guardian.collect.zeek_files import Log

LISTS = frozenset(
    {
        "answers", "TTLs", "cert_chain_fuids", "cert_chain_fps", "resp_mime_types", "conn_uids",
        "tx_hosts", "rx_hosts", "msg_types", "uids", "san.dns",
    }
)  # fmt: skip
"""The columns that hold lists; all others are read as text."""

_WANTED = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service",
    "duration", "orig_bytes", "resp_bytes", "conn_state", "history", "orig_pkts",
    "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "community_id", "vlan", "inner_vlan",
    "orig_l2_addr", "resp_l2_addr", "trans_id", "rtt", "query", "qtype_name", "rcode_name",
    "answers", "TTLs",
    "version", "server_name", "resumed", "subject", "issuer", "ja3", "ja3s", "ja4",
    "cert_chain_fuids", "cert_chain_fps", "method", "host", "uri", "referrer", "user_agent",
    "response_body_len", "status_code", "resp_mime_types", "fuid", "id", "tx_hosts", "rx_hosts",
    "conn_uids", "source", "mime_type", "filename", "seen_bytes", "total_bytes",
    "missing_bytes", "md5", "sha1", "sha256", "fingerprint", "certificate.serial",
    "certificate.subject", "certificate.issuer", "certificate.not_valid_before",
    "certificate.not_valid_after", "san.dns", "uids", "mac", "assigned_ip", "assigned_addr",
    "requested_addr", "client_addr", "server_addr", "host_name", "lease_time", "msg_types",
    "name", "addl", "qtype", "rcode", "client_fqdn",
)  # fmt: skip
_JSON_SCHEMA = {name: pl.List(pl.String) if name in LISTS else pl.String for name in _WANTED}


@dataclass(slots=True)
class Records:
    """The records of a block, and the line that each came from.

    ``lines`` are only as many as ``frame`` has rows; ``rejects`` are the others.
    """

    log: Log
    block: Block
    frame: pl.DataFrame
    origin: list[int]
    rejects: list[Reject] = field(default_factory=list)

    def text(self, name: str) -> pl.Expr:
        """Return a text column, NULL where the log lacks it."""
        if name not in self.frame.columns:
            return pl.lit(None, dtype=pl.String).alias(name)
        return columns.short(pl.col(name))

    def listing(self, name: str) -> pl.Expr:
        """Return a column of lists, NULL where the log lacks it."""
        if name not in self.frame.columns:
            return pl.lit(None, dtype=pl.List(pl.String)).alias(name)
        return pl.col(name)

    def refuse(self, row: int, reason: str) -> None:
        """Count a record that holds no event."""
        index = self.origin[row]
        self.rejects.append(_reject(self, index, reason))

    def line(self, row: int) -> bytes:
        """Return the line that a row came from."""
        return self.block.lines[self.origin[row]]


def time(records: Records) -> pl.Expr:
    """Return the record's time: seconds since 1970, or ISO 8601 in some JSON logs."""
    text = records.text("ts")
    stamp = text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False, exact=True)
    iso = stamp.dt.replace_time_zone(None) if _has_iso(records) else pl.lit(None)
    return pl.coalesce(columns.seconds(text), iso.cast(pl.Datetime("us")))


def _has_iso(records: Records) -> bool:
    frame = records.frame
    return "ts" in frame.columns and bool(frame["ts"].str.contains(r"^\d{4}-\d\d-\d\dT").any())


def whole(records: Records, limit_chars: int) -> pl.Expr | pl.Series:
    """Return each record as JSON, for the logs that have no table of their own."""
    if records.log.is_json:
        lines = [records.line(row) for row in range(len(records.origin))]
        texts = [line.decode() if len(line) <= limit_chars else "{}" for line in lines]
        return pl.Series("whole", texts, dtype=pl.String)
    return pl.struct(pl.all()).struct.json_encode()


def lacks_connection(records: Records) -> bool:
    """Tell a log that has a known name, but none of the columns that its table needs."""
    need = {"conn": "id.orig_h", "dns": "query", "http": "method", "ssl": "version"}
    column = need.get(records.log.path)
    return column is not None and column not in records.frame.columns


def _reject(records: Records, index: int, reason: str) -> Reject:
    place = f"{records.log.file.name}, {records.block.place(index)}"
    return Reject(reason=reason, place=place, sample=records.block.lines[index][:2000])


def read(log: Log, block: Block) -> Records:
    """Turn the lines of a block into text columns."""
    records = Records(log=log, block=block, frame=pl.DataFrame(), origin=[])
    if log.is_json:
        _read_json(records)
    else:
        _read_tsv(records)
    return records


def _read_tsv(records: Records) -> None:
    log = records.log
    separator = log.separator.encode()
    tabs = len(log.fields) - 1
    good: list[bytes] = []
    for index, line in enumerate(records.block.lines):
        if line.count(separator) == tabs and not line.startswith(b"#"):
            records.origin.append(index)
            good.append(line)
            continue
        bare = line.strip()
        if bare and not bare.startswith(b"#"):
            have = line.count(separator) + 1
            records.rejects.append(
                _reject(records, index, f"{log.path}: {have} columns, not {tabs + 1}")
            )
    if not good:
        return
    # A first row of our own: the reader would take a foreign first row that begins like a
    # compressed file for one.
    first = b"x" + separator * tabs
    frame = pl.read_csv(
        b"\n".join([first, *(line.rstrip(b"\r") or b" " for line in good)]),
        separator=log.separator,
        has_header=False,
        new_columns=list(log.fields),
        infer_schema=False,
        quote_char=None,
        null_values=[log.unset],
        encoding="utf8-lossy",
    ).slice(1)
    records.frame = frame.with_columns(
        _split(name, log) if name in LISTS else _unescaped(frame[name], log) for name in log.fields
    )


def _split(name: str, log: Log) -> pl.Expr:
    return (
        pl.when(pl.col(name) == log.empty)
        .then(pl.lit([], dtype=pl.List(pl.String)))
        .otherwise(pl.col(name).str.split(log.set_separator))
        .alias(name)
    )


def _unescaped(series: pl.Series, log: Log) -> pl.Series:
    """Undo the hexadecimal escapes of Zeek, and turn its word for an empty text into NULL."""
    empty = series == log.empty
    if empty.any():
        series = series.zip_with(~empty.fill_null(value=False), pl.Series([None], dtype=pl.String))
    if series.str.contains(r"\x", literal=True).any():
        return columns.mapped(series, _undo)
    return series


def _undo(text: str) -> str:
    if "\\x" not in text:
        return text
    raw = text.encode("utf-8", "replace")
    parts = raw.split(b"\\x")
    out = [parts[0]]
    for part in parts[1:]:
        try:
            out.append(bytes.fromhex(part[:2].decode("ascii")) + part[2:])
        except (ValueError, UnicodeDecodeError):
            out.append(b"\\x" + part)
    return b"".join(out).decode("utf-8", "replace")


def _read_json(records: Records) -> None:
    lines: list[bytes] = []
    for index, line in enumerate(records.block.lines):
        bare = line.strip()
        if bare.startswith(b"{"):
            records.origin.append(index)
            lines.append(bare)
        elif bare and not bare.startswith(b"#"):
            records.rejects.append(_reject(records, index, "not a JSON object"))
    frame = _ndjson(lines)
    if frame is None:
        good = _readable(lines)
        for row in sorted(set(range(len(lines))) - set(good)):
            records.refuse(row, "not a JSON object, or a column of another type")
        records.origin = [records.origin[row] for row in good]
        frame = _ndjson([lines[row] for row in good])
    records.frame = pl.DataFrame(schema=_JSON_SCHEMA) if frame is None else frame


def _readable(lines: list[bytes]) -> list[int]:
    """Return which lines can be read: strictly one by one, then by the bulk reader."""
    good = [row for row, line in enumerate(lines) if _decodes(line)]
    if _ndjson([lines[row] for row in good]) is None:
        good = [row for row in good if _ndjson([lines[row]]) is not None]
    return good


def _decodes(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        line.decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _ndjson(lines: list[bytes]) -> pl.DataFrame | None:
    if not lines:
        return pl.DataFrame(schema=_JSON_SCHEMA)
    try:
        frame = pl.read_ndjson(b"\n".join(lines), schema=_JSON_SCHEMA)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return frame if frame.height == len(lines) else None
