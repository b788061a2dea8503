"""Apply a log format to one line: raw fields, then the first row that fits, then columns."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from guardian.collect import text_values
from guardian.collect.parser_spec import Column
from guardian.model import secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guardian.collect.parser_spec import Row, Spec
    from guardian.collect.text_values import Clock

MAX_FIELDS = 256
"""A line with more parts than this is refused."""

MAX_PATTERN_CHARS = 8192
"""A longer line is not tried against patterns, whose time may grow with its square."""

LINE = "@line"
"""The raw field that holds the whole line."""

FILE_TIME = "@file_time"
"""The raw field that holds when the file was written last, as seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Made:
    """A row and the table that it belongs to."""

    table: str
    row: dict[str, object]


class LineError(Exception):
    """A line could not be turned into a row; the message is the reason."""


class LineParser:
    """The rows of one format, compiled."""

    def __init__(self, spec: Spec, clock: Clock, *, file_time: float = 0.0) -> None:
        self._spec = spec
        self._clock = clock
        self._extra = {FILE_TIME: str(file_time)}
        self._prefix = re.compile(spec.prefix) if spec.prefix else None
        self._ignore = [re.compile(pattern) for pattern in spec.ignore]
        self._rows = [_Compiled(row, spec, clock) for row in spec.row]
        self.header: list[str] = list(spec.fields)

    def parse(self, line: str) -> Made | None:
        """Return the row of a line, or None when the format says that it holds none.

        Raises:
            LineError: no row of the format fits it, or a column that it needs is not there.
        """
        if not line.strip():
            return None
        if len(line) > MAX_PATTERN_CHARS and self._spec.format == "regex":
            msg = "line too long for a pattern"
            raise LineError(msg)
        found: dict[str, str] = {}
        rest = line
        if self._prefix is not None:
            prefix = self._prefix.match(line)
            if prefix is None:
                reason = "another beginning than this format's"
                raise LineError(reason)
            found = {key: value for key, value in prefix.groupdict().items() if value is not None}
            rest = line[prefix.end() :]
        raw = self._fields(rest) if self._spec.format != "regex" else None
        for row in self._rows:
            fields = row.fields(rest, raw, self.header)
            if fields is not None and row.fits(fields | found):
                return row.make(fields | found | self._extra | {LINE: secrets.hide(line)})
        if any(pattern.search(rest) or pattern.search(line) for pattern in self._ignore):
            return None
        reason = "no row of the format fits"
        raise LineError(reason)

    def _fields(self, text: str) -> dict[str, str] | list[str]:
        kind = self._spec.format
        if kind == "json":
            return _flat(text)
        if kind == "pairs":
            pairs = (part.partition("=") for part in text.split()[:MAX_FIELDS])
            return {key: value for key, _, value in pairs}
        if kind == "space":
            return text.split()[:MAX_FIELDS]
        if '"' in text:
            try:
                return next(csv.reader([text], delimiter=self._spec.separator), [])[:MAX_FIELDS]
            except csv.Error as error:
                raise LineError(str(error)) from error
        return text.split(self._spec.separator)[:MAX_FIELDS]


class _Compiled:
    """One row of a format with its pattern and converters ready."""

    def __init__(self, row: Row, spec: Spec, clock: Clock) -> None:
        self._row = row
        self._match = re.compile(row.match) if row.match else None
        self._when = {
            key: frozenset([value] if isinstance(value, str) else value)
            for key, value in row.when.items()
        }
        self._columns = [
            (name, _reader(_column(column, name), clock))
            for name, column in (spec.columns | row.columns).items()
        ]
        self._values = spec.values | row.values

    def fields(
        self, text: str, raw: dict[str, str] | list[str] | None, header: Sequence[str]
    ) -> dict[str, str] | None:
        """Return the raw fields of a line by name; None when the pattern does not match."""
        if raw is None:
            found = self._match.match(text) if self._match is not None else None
            if found is None:
                return None
            return {key: value for key, value in found.groupdict().items() if value is not None}
        if self._match is not None and not self._match.search(text):
            return None
        if isinstance(raw, dict):
            return raw
        return dict(zip([*header, *self._row.fields], raw, strict=False))

    def fits(self, fields: Mapping[str, str]) -> bool:
        """Tell whether the conditions hold."""
        return all(fields.get(key, "") in allowed for key, allowed in self._when.items())

    def make(self, fields: Mapping[str, str]) -> Made:
        """Return the row."""
        row: dict[str, object] = dict(self._values)
        for name, read in self._columns:
            value = read(fields)
            if isinstance(value, dict):
                row |= {key: one for key, one in value.items() if one is not None}
            elif value is not None:
                row[name] = value
        for name in self._row.need:
            if row.get(name) is None:
                msg = f"no {name} in it"
                raise LineError(msg)
        return Made(self._row.table, row)


def _column(column: Column | str, name: str) -> Column:
    if not isinstance(column, str):
        return column
    kinds = {"ts": "time", "src_ip": "address", "dest_ip": "address", "ip": "address",
             "src_port": "port", "dest_port": "port", "mac": "mac", "rrname": "name",
             "rrtype": "rrtype", "proto": "protocol"}  # fmt: skip
    return msgspec.convert({"from": column, "as": kinds.get(name, "text")}, Column)


def _reader(column: Column, clock: Clock) -> Callable[[Mapping[str, str]], object]:
    names = [column.from_] if isinstance(column.from_, str) else column.from_
    change: Callable[[str], object]
    if column.kind == "time":
        change = clock.read
    elif column.kind == "rdata":
        change = text_values.rdata
    else:
        change = text_values.SIMPLE[column.kind]

    def read(fields: Mapping[str, str]) -> object:
        raw = next((fields[name] for name in names if fields.get(name)), None)
        if column.map:
            return column.map.get(raw or "", column.otherwise)
        value = None if raw is None else change(raw)
        if value is None:
            return column.otherwise
        if column.unit != 1.0 and isinstance(value, int | float):
            return value * column.unit
        return value

    def less(fields: Mapping[str, str]) -> object:
        whole, part = (text_values.number(fields.get(key, "")) for key in (names[0], column.minus))
        if whole is None or part is None:
            return None
        rest = whole - part
        return change(str(int(rest) if rest.is_integer() else rest))

    return less if column.minus else read


def _flat(text: str) -> dict[str, str]:
    """Return a JSON object's values as text, by path (``a.b``), lists joined by commas."""
    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        reason = "not JSON"
        raise LineError(reason) from error
    if not isinstance(record, dict):
        reason = "not a JSON object"
        raise LineError(reason)
    flat: dict[str, str] = {}
    waiting: list[tuple[str, dict[str, object]]] = [("", record)]
    while waiting and len(flat) < MAX_FIELDS:
        path, part = waiting.pop()
        for key, value in list(part.items())[:MAX_FIELDS]:
            place = f"{path}{key}"
            if isinstance(value, dict):
                if place.count(".") < 8:
                    waiting.append((f"{place}.", value))
            elif isinstance(value, list):
                flat[place] = ",".join(_text(one) for one in value[:64])
            elif value is not None:
                flat[place] = _text(value)
    return flat


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)[:64]
