"""Describe a text or JSON log format: which files are of it, and field to column.

A format is one TOML file in ``parsers/``; ``parsers/README.md`` says what may stand
in it. It is checked whole when it is loaded: a wrong key, type or pattern is an
error that names the file.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from guardian import resources
from guardian.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal[
    "text", "name", "address", "mac", "port", "integer", "number", "boolean", "words",
    "time", "epoch", "protocol", "flags", "milliseconds", "rdata", "rrtype", "json", "known_name",
]  # fmt: skip
"""What a raw field is turned into; ``text_values`` has one function for each."""

Table = Literal["flow", "dns", "dns_log", "dhcp", "sighting", "raw_event", "http", "tls", "alert"]


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the value of a column comes from.

    ``from`` is a raw field (or several: the first that is there); ``map`` translates
    its text, ``else`` stands for what the map lacks; ``unit`` multiplies a number,
    ``minus`` names a raw number that is taken away first.
    """

    from_: str | list[str] = msgspec.field(name="from")
    kind: Kind = msgspec.field(name="as", default="text")
    map: dict[str, str | bool | int] = {}
    otherwise: str | bool | int | None = msgspec.field(name="else", default=None)
    unit: float = 1.0
    minus: str = ""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of line and the row that it becomes.

    ``match`` is a pattern with named groups (format ``regex``); ``fields`` names the
    parts of the line (format ``csv`` or ``space``, over the format's own);
    ``when`` holds a field to one of some values; ``need`` lists the columns without
    which a line is refused.
    """

    table: Table
    match: str | None = None
    fields: list[str] = []
    when: dict[str, str | list[str]] = {}
    columns: dict[str, Column | str] = {}
    values: dict[str, str | bool | int] = {}
    need: tuple[str, ...] = ("ts",)


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lines and the rows that they must become; ``rejected`` of them are refused."""

    lines: list[str]
    rows: list[dict[str, Any]] = []
    rejected: int = 0


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One log format.

    A file is of it when ``detect`` is found in its first lines and ``detect_name`` in
    its name. ``prefix`` is taken off the line first; its groups are fields too. Lines
    that ``ignore`` knows hold no row and are no error. ``assemble`` and ``hand_over``
    name code that joins several lines into a row, or knows the columns already.
    ``columns`` and ``values`` are those that all rows have, unless a row has its own.
    A ``snapshot`` is a file that is written anew each time (leases).
    """

    title: str
    format: Literal["regex", "json", "csv", "space", "pairs"]
    detect: str
    source: str
    kind: str = ""
    detect_name: str = ""
    prefix: str | None = None
    fields: list[str] = []
    header: bool = False
    separator: str = ","
    assemble: Literal["", "dnsmasq"] = ""
    hand_over: Literal["", "zeek"] = ""
    snapshot: bool = False
    ignore: list[str] = []
    columns: dict[str, Column | str] = {}
    values: dict[str, str | bool | int] = {}
    row: list[Row] = []
    sample: list[Sample] = []
    sample_time: str = "2026-06-15T12:00:00"


@functools.cache
def load_all() -> Mapping[str, Spec]:
    """Return the shipped formats by kind.

    Raises:
        RuleError: a file is wrong; the message names it.
    """
    return {name: load(file) for name, file in files().items()}


@functools.cache
def files() -> Mapping[str, Path]:
    """Return the files of the shipped formats by kind, which is the file's name."""
    return {file.stem: file for file in sorted(resources.path("parsers").glob("*.toml"))}


@functools.cache
def shipped(kind: str) -> Spec:
    """Return one shipped format.

    Raises:
        RuleError: its file is wrong; the message names it.
    """
    return load(files()[kind])


def load(file: Path) -> Spec:
    """Read one format; its kind is the file's name.

    Raises:
        RuleError: it is wrong; the message names the file and the key.
    """
    try:
        raw = msgspec.toml.decode(file.read_bytes())
        if "like" in raw:  # the same format under another name
            base = file.with_name(f"{raw.pop('like')}.toml")
            raw = msgspec.toml.decode(base.read_bytes()) | raw
        spec = msgspec.convert(raw, Spec)
        _check(spec)
    except (msgspec.MsgspecError, ValueError, OSError) as error:
        msg = f"{file}: {error}"
        raise RuleError(msg) from error
    return msgspec.structs.replace(spec, kind=file.stem)


def _check(spec: Spec) -> None:
    patterns = [spec.detect, *spec.ignore, *(row.match for row in spec.row if row.match)]
    if spec.prefix is not None:
        patterns.append(spec.prefix)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            msg = f"pattern {pattern!r}: {error}"
            raise ValueError(msg) from error
    if spec.format == "regex" and any(row.match is None for row in spec.row):
        msg = "a row of a regex format needs `match`"
        raise ValueError(msg)
    if not spec.sample:
        msg = "a format needs at least one [[sample]]: it is its test"
        raise ValueError(msg)
