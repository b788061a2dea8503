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
from guardian.intel.list_names import NameSet, once
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


_SINK = r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?|0)"
"""Addresses that mean "nowhere" in a hosts file and its like."""
_HOSTS = rf"^\s*{_SINK}\s+([^#]+)"
_OWNER = r"^(?:\*\.)?([^\s;@$]+)\s+(?:\d+\s+)?(?:IN\s+)?"

_BLOCK: dict[Format, tuple[str, ...]] = {
    Format.HOSTS: (_HOSTS,),
    Format.DOMAINS: (r"^\s*(?:\*\.|\.)?([^#\s/]+)",),
    # Modifiers of browsers that mean the whole site, and those of resolvers that mean "refuse";
    # one client's or one record type's rule says nothing for a whole house.
    Format.ADBLOCK: (
        (
            r"^\|\|(?:\*\.)?([^\^/*$|@]+)\^\|?"
            r"(?:\$(?:important|all|document|doc|dnsrewrite=(?:NXDOMAIN|REFUSED)))?\s*$"
        ),
        _HOSTS,
        r"^((?:[^\s/|^=<>#$@!*:]+\.)+[^\s/|^=<>#$@!*:.]+)$",
    ),
    # An address to nowhere, or a domain without a server; a real server there is no block.
    Format.DNSMASQ: (
        r"^\s*(?:address=/([^#]+)/" + rf"(?:{_SINK}|#)?\s*$)",
        r"^\s*(?:local|server)=/([^#]+)/\s*$",
    ),
    Format.UNBOUND: (
        (
            r'^\s*local-zone:\s*"?([^"\s]+)"?\s+"?'
            r"(?:always_nxdomain|always_null|always_refuse|always_nodata|always_deny|refuse|static|redirect|deny)"
        ),
        rf'^\s*local-data:\s*"([^\s"]+)\s+(?:\d+\s+)?(?:IN\s+)?A{{1,4}}\s+{_SINK}"',
    ),
    Format.RPZ: (
        _OWNER + r"(?:CNAME\s+(?:\.|\*\.|rpz-drop\.)|A\s+0\.0\.0\.0|AAAA\s+::)\s*(?:;.*)?$",
    ),
}
_ALLOW: dict[Format, tuple[str, ...]] = {
    Format.ADBLOCK: (
        r"^@@\|\|(?:\*\.)?([^\^/*$|]+)\^\|?(?:\$(?:important|all|document|doc))?\s*$",
    ),
    Format.DNSMASQ: (r"^\s*server=/([^#]+)/#\s*$",),
    Format.UNBOUND: (r'^\s*local-zone:\s*"?([^"\s]+)"?\s+"?(?:always_transparent|transparent)',),
    Format.RPZ: (_OWNER + r"CNAME\s+rpz-passthru\.\s*(?:;.*)?$",),
}
_IMPORTANT = r"^(?:@@)?\|\|(?:\*\.)?([^\^/*$|@]+)\^\|?\$important\s*$"
"""A rule that the other kind cannot undo: a block over an exception, an exception over that."""
_CANCELLED = r"^\|\|(?:\*\.)?([^\^/*$|@]+)\^\|?\$badfilter\s*$"
_COMMENT = {
    Format.ADBLOCK: r"^\s*(?:!|#|\[|$)",
    Format.RPZ: r"^\s*(?:;|$|\$|@|.*\s(?:SOA|NS)\s|\d+\s*;|\))",
}
_ANY_COMMENT = r"^\s*(?:#|!|;|$|server:)"
_MANY = {Format.HOSTS: r"\s+", Format.DNSMASQ: "/"}
_NO_NAME = r"\.rpz-(?:ip|client-ip|nsip|nsdname)$"
"""Triggers of a response policy zone that are about addresses and name servers."""


def read(path: Path, kind: Format | None = None) -> Read:
    """Return a list's names, each once, in normal form.

    The file goes by in blocks, so that a large one takes the memory of its names only.

    Raises:
        InputError: the file is absent, too large, or in no known format.
    """
    parts: dict[str, list[pl.Series]] = {"block": [], "allow": [], "kept": [], "forced": []}
    counts = [0, 0, 0]
    for lines in _blocks(path):
        if kind is None:
            kind = tell(lines)
            if kind is None:
                msg = f"{path}: in no format that Guardian knows ({', '.join(Format)})"
                raise InputError(msg)
        bad = 0
        for what, patterns in (("block", _BLOCK[kind]), ("allow", _ALLOW.get(kind, ()))):
            names, wrong = clean(_pick(lines, patterns, kind))
            parts[what].append(names)
            bad += wrong
        if kind is Format.ADBLOCK:
            allows = lines.str.starts_with("@@")
            parts["forced"].append(clean(_pick(lines.filter(~allows), (_IMPORTANT,), kind))[0])
            parts["kept"].append(clean(_pick(lines.filter(allows), (_IMPORTANT,), kind))[0])
            gone = clean(_pick(lines, (_CANCELLED,), kind))[0]
            if gone.len():
                parts["block"] = [each.filter(~each.is_in(gone)) for each in parts["block"]]
        for index, count in enumerate((lines.len(), bad, _skipped(lines, kind))):
            counts[index] += count
    block, allow = _joined(parts["block"]), _joined(parts["allow"])
    forced, kept = _joined(parts["forced"]), _joined(parts["kept"])
    if forced.height and allow.height:
        undone = NameSet(forced["name"]).covers(allow["name"])
        allow = allow.filter(~undone | allow["name"].is_in(kept["name"].implode()))
    return Read(block=block, allow=allow, lines=counts[0], invalid=counts[1], skipped=counts[2])


def _joined(parts: list[pl.Series]) -> pl.DataFrame:
    empty = pl.Series("name", [], dtype=pl.String)
    names = once(pl.concat(parts)) if parts else empty
    return pl.DataFrame({"name": names})


def _skipped(lines: pl.Series, kind: Format) -> int:
    """Count the lines that are no comment and say nothing that a resolver could do."""
    said = lines.filter(~lines.str.contains(_COMMENT.get(kind, _ANY_COMMENT)))
    patterns = [*_BLOCK[kind], *_ALLOW.get(kind, ())]
    if kind is Format.ADBLOCK:
        patterns.append(_CANCELLED)
    took = said.str.contains(patterns[0])
    for pattern in patterns[1:]:
        took |= said.str.contains(pattern)
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
    if int(sample.head(20).str.starts_with("[Adblock").sum()):
        return Format.ADBLOCK
    best: tuple[float, Format] | None = None
    kinds = [Format.HOSTS, Format.DNSMASQ, Format.UNBOUND, Format.RPZ]
    # A bare name is what every line could be: only its own marks make a list of such rules.
    if int(sample.str.contains(r"^(?:@@)?\|\|").sum()):
        kinds.insert(1, Format.ADBLOCK)
    for kind in kinds:
        said = sample.filter(~sample.str.contains(_COMMENT.get(kind, _ANY_COMMENT)))
        share = 1 - _skipped(sample, kind) / said.len() if said.len() else 0.0
        if best is None or share > best[0]:
            best = (share, kind)
    if best is not None and best[0] > 0.5:
        return best[1]
    said = sample.filter(~sample.str.contains(_ANY_COMMENT))
    names = said.str.to_lowercase().str.contains(r"^(?:\*\.|\.)?[^\s/|^=<>]+\.[^\s/|^=<>]+$")
    return Format.DOMAINS if int(names.sum()) * 2 > said.len() else None


def _pick(lines: pl.Series, patterns: tuple[str, ...], kind: Format) -> pl.Series:
    if not patterns:
        return pl.Series("name", [], dtype=pl.String)
    picked = [lines.str.extract(pattern).drop_nulls() for pattern in patterns]
    found = pl.concat(picked) if len(picked) > 1 else picked[0]
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
    wrong = names.is_in(_LOCAL) | names.str.contains(_NO_NAME)
    return names.filter(~wrong), rest.len() - len(idna)
