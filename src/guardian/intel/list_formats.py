"""Read other people's blocklists into one column of names, in bulk.

Each format is a regular expression over lines, applied by polars; what is left over
and is no comment is counted, not guessed at. An adblock rule that is more than a
name (a path, a page's own rules) says nothing that a resolver could do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from guardian.errors import InputError
from guardian.intel.names import MAX_NAME, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 512 * 1024 * 1024
"""Largest source file: ten times the largest public list."""

BLOCK_BYTES = 16 * 1024 * 1024
"""Bytes of a source that are looked at together."""

_NAME = r"^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$"
_LOCAL = ("localhost.localdomain", "localhost.local")


class Format(StrEnum):
    """The formats that lists come in."""

    HOSTS = "hosts"
    DOMAINS = "domains"
    ADBLOCK = "adblock"
    DNSMASQ = "dnsmasq"
    UNBOUND = "unbound"
    RPZ = "rpz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a list holds: names to block and to allow (one column ``name``), and refusals."""

    block: pl.DataFrame
    allow: pl.DataFrame
    lines: int
    invalid: int
    skipped: int


_BLOCK = {
    Format.HOSTS: r"^\s*(?:0\.0\.0\.0|127\.0\.0\.1|::1?|0)\s+([^#]+)",
    Format.DOMAINS: r"^\s*(?:\*\.|\.)?([^#\s/]+)",
    Format.ADBLOCK: (
        r"^\|\|(?:\*\.)?([^\^/*$|@]+)\^(?:\$(?:important|all|document|dnstype=[a-z|]+))?\s*$"
    ),
    Format.DNSMASQ: r"^\s*(?:address|local|server)=/([^#]+)/[^/]*$",
    Format.UNBOUND: (
        r'^\s*local-zone:\s*"([^"]+)"\s+'
        r"(?:always_)?(?:nxdomain|null|refuse|static|redirect|deny)"
    ),
    Format.RPZ: (
        r"^(?:\*\.)?([^\s;@$]+)\s+(?:\d+\s+)?(?:IN\s+)?"
        r"(?:CNAME\s+(?:\.|\*\.|rpz-drop\.)|A\s+0\.0\.0\.0|AAAA\s+::)\s*(?:;.*)?$"
    ),
}
_ALLOW = {
    Format.ADBLOCK: r"^@@\|\|([^\^/*$|]+)\^(?:\$important)?\s*$",
    Format.RPZ: r"^(?:\*\.)?([^\s;@$]+)\s+(?:\d+\s+)?(?:IN\s+)?CNAME\s+rpz-passthru\.\s*$",
}
_COMMENT = {
    Format.ADBLOCK: r"^\s*(?:!|#|\[|$)",
    Format.RPZ: r"^\s*(?:;|$|\$|@|.*\s(?:SOA|NS)\s|\d+\s*;|\))",
}
_ANY_COMMENT = r"^\s*(?:#|!|;|$|server:)"
_MANY = {Format.HOSTS: r"\s+", Format.DNSMASQ: "/"}


def read(path: Path, kind: Format | None = None) -> Read:
    """Return a list's names, each once, in normal form.

    The file goes by in blocks, so that a large one takes the memory of its names only.

    Raises:
        InputError: the file is absent, too large, or in no known format.
    """
    block: list[pl.Series] = []
    allow: list[pl.Series] = []
    counts = [0, 0, 0]
    for lines in _blocks(path):
        if kind is None:
            kind = tell(lines)
            if kind is None:
                msg = f"{path}: in no format that Guardian knows ({', '.join(Format)})"
                raise InputError(msg)
        names, bad = clean(_pick(lines, _BLOCK[kind], kind))
        block.append(names)
        if kind in _ALLOW:
            names, bad_allowed = clean(_pick(lines, _ALLOW[kind], kind))
            allow.append(names)
            bad += bad_allowed
        for index, count in enumerate((lines.len(), bad, _skipped(lines, kind))):
            counts[index] += count
    return Read(
        block=_joined(block),
        allow=_joined(allow),
        lines=counts[0],
        invalid=counts[1],
        skipped=counts[2],
    )


def _joined(parts: list[pl.Series]) -> pl.DataFrame:
    empty = pl.Series("name", [], dtype=pl.String)
    names = pl.concat(parts).unique() if len(parts) > 1 else (parts or [empty])[0]
    return pl.DataFrame({"name": names})


def _skipped(lines: pl.Series, kind: Format) -> int:
    """Count the lines that are no comment and say nothing that a resolver could do."""
    said = lines.filter(~lines.str.contains(_COMMENT.get(kind, _ANY_COMMENT)))
    took = said.str.contains(_BLOCK[kind])
    if kind in _ALLOW:
        took |= said.str.contains(_ALLOW[kind])
    return said.len() - int(took.sum())


def _blocks(path: Path) -> Iterator[pl.Series]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            msg = f"{path}: {size} bytes are more than the limit of {MAX_BYTES}"
            raise InputError(msg)
        rest = b""
        with path.open("rb") as file:
            while data := file.read(BLOCK_BYTES):
                whole, end, rest = (rest + data).rpartition(b"\n")
                if end:
                    yield _lines(whole)
                elif len(rest) > 2 * BLOCK_BYTES:
                    msg = f"{path}: a line of more than {BLOCK_BYTES} bytes; this is no list"
                    raise InputError(msg)
        if rest or size == 0:
            yield _lines(rest)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise InputError(msg) from error


def _lines(data: bytes) -> pl.Series:
    text = pl.Series("line", [data.decode("utf-8", "replace").replace("\r", "")])
    return text.str.split("\n").explode().fill_null("").str.strip_chars("\ufeff \t").rename("line")


def tell(lines: pl.Series) -> Format | None:
    """Return the format that most of the first lines are in, or None."""
    sample = lines.head(2000)
    best: tuple[float, Format] | None = None
    # The most particular format first; a bare name is what every line could be.
    for kind in (Format.HOSTS, Format.ADBLOCK, Format.DNSMASQ, Format.UNBOUND, Format.RPZ):
        said = sample.filter(~sample.str.contains(_COMMENT.get(kind, _ANY_COMMENT)))
        share = 1 - _skipped(sample, kind) / said.len() if said.len() else 0.0
        if best is None or share > best[0]:
            best = (share, kind)
    if best is not None and best[0] > 0.5:
        return best[1]
    said = sample.filter(~sample.str.contains(_ANY_COMMENT))
    names = said.str.to_lowercase().str.contains(r"^(?:\*\.|\.)?[^\s/|^=<>]+\.[^\s/|^=<>]+$")
    return Format.DOMAINS if int(names.sum()) * 2 > said.len() else None


def _pick(lines: pl.Series, pattern: str, kind: Format) -> pl.Series:
    found = lines.str.extract(pattern).drop_nulls()
    if kind in _MANY:
        frame = found.str.strip_chars().str.replace_all(_MANY[kind], "/").str.split("/")
        found = frame.explode().drop_nulls() if frame.len() else found
    return found.rename("name")


def clean(raw: pl.Series) -> tuple[pl.Series, int]:
    """Return the names in normal form, each once, and how many were no names."""
    plain = raw.str.to_lowercase().str.strip_chars(". ").str.strip_prefix("*.")
    good = plain.str.contains(_NAME) & (plain.str.len_bytes() <= MAX_NAME)
    names = plain.filter(good).unique()
    rest = plain.filter(~good)
    foreign = rest.filter(rest.str.len_bytes() != rest.str.len_chars()).unique()
    # IDNA is rare in lists; only such names go through Python.
    idna = [clean_name for name in foreign.to_list() if (clean_name := normalise(name))]
    if idna:
        names = pl.concat([names, pl.Series("name", idna, dtype=pl.String)]).unique()
    return names.filter(~names.is_in(_LOCAL)), rest.len() - len(idna)
