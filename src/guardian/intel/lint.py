"""Check the catalogue's files: what a person could get wrong in an entry.

A wrong pattern accuses an innocent device or breaks half the internet, so it is
refused before it ships: too broad, shadowed by another, covering a name that must
never be blocked, better graded than its sources can carry, or without a source.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from guardian.errors import RuleError
from guardian.intel import catalogue, never
from guardian.intel.catalogue import Action, Breakage, Entry, Grade
from guardian.intel.matcher import literal_tail
from guardian.intel.names import is_below, normalise, public_suffix
from guardian.model.finding import FindingClass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GRADES = list(Grade)
_CLASSES = frozenset(FindingClass)
_JA4 = re.compile(r"[tqd][0-9]{2}[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}")
_PROBES = ("www", "a", "x1", "random-name-7", "a.b", "api", "cdn")
"""First labels that a pattern may not match by itself: it would take whatever stands there."""


def lint(folder: Path) -> list[str]:
    """Return what is wrong with a folder of category files, each as ``file: entry: what``."""
    try:
        sources = catalogue.read_sources(folder)
    except RuleError as error:
        return [str(error)]
    errors: list[str] = []
    entries: list[tuple[str, Entry]] = []
    for file in catalogue.category_files(folder):
        try:
            entries.extend((file.name, e) for e in catalogue.decode(file, file.read_bytes()))
        except RuleError as error:
            errors.append(str(error))
    rules = never.load()
    for file_name, entry in entries:
        where = f"{file_name}: {entry.id}"
        problems = (
            *_plain(entry),
            *_hints(entry),
            *_sources(entry, sources),
            *_patterns(entry, rules),
        )
        errors.extend(f"{where}: {problem}" for problem in problems)
    errors.extend(_twice(entries))
    errors.extend(_shadowed(entries))
    return errors


def _plain(entry: Entry) -> Iterator[str]:
    for name in entry.classes:
        if name not in _CLASSES:
            yield f"no finding class is called {name}"
    for purpose in entry.purposes:
        if purpose not in catalogue.PURPOSES:
            yield f"no purpose is called {purpose}"
    if not entry.names.count and not entry.addresses:
        yield "it has neither names nor addresses"
    if not (entry.company and entry.service and entry.sends and entry.purposes):
        yield "company, service, sends and purposes must all be said"
    if entry.breakage in {Breakage.FEATURE, Breakage.DEVICE} and not entry.breaks:
        yield "breaks must say what stops working"
    if entry.safe_action is Action.BLOCK and entry.breakage is not Breakage.NONE:
        yield f"block is no safe action where the breakage is {entry.breakage}"


def _hints(entry: Entry) -> Iterator[str]:
    for text in entry.addresses:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            yield f"{text} is no address"
    for port in entry.ports:
        if not 0 < port < 65536:
            yield f"{port} is no port"
    for text in entry.ja4:
        if not _JA4.fullmatch(text):
            yield f"{text} is no JA4 fingerprint"


def _sources(entry: Entry, sources: dict[str, catalogue.Source]) -> Iterator[str]:
    if not entry.sources:
        yield "it names no source"
    for name in entry.sources:
        if name not in sources:
            yield f"the source {name} is not in {catalogue.SOURCES_FILE}"
    known = [_GRADES.index(sources[name].proof) for name in entry.sources if name in sources]
    if known and _GRADES.index(entry.grade) < min(known):
        yield f"its sources cannot carry the grade {entry.grade}"


def _patterns(entry: Entry, rules: never.NeverBlock) -> Iterator[str]:
    for name in (*entry.names.suffix, *entry.names.exact):
        if normalise(name) != name:
            yield f"{name} is not in normal form (lower case, ASCII, no dot at the end)"
    for name in entry.names.suffix:
        if name == public_suffix(name):
            yield f"{name} is a bare public suffix"
        elif shared := next((s for s in rules.shared if is_below(s, name)), None):
            yield f"{name} is too broad: it covers {shared}"
        elif covered := rules.covered(name):
            yield f"{name} covers {covered}, which must never be blocked"
    for name in entry.names.exact:
        if rules.reason(name):
            yield f"{name} must never be blocked"
    for text in entry.names.regex:
        yield from _regex(text, rules)


def _regex(text: str, rules: never.NeverBlock) -> Iterator[str]:
    if not (text.startswith("^") and text.endswith("$")):
        yield f"{text} is not anchored at both ends"
        return
    try:
        pattern = re.compile(text)
    except re.error as error:
        yield f"{text} is no regular expression: {error}"
        return
    tail = literal_tail(text)
    if tail.count(".") < 1 or tail == public_suffix(tail):
        yield f"{text} does not end in a literal registered name"
        return
    taken = [f"{head}.{tail}" for head in _PROBES if pattern.match(f"{head}.{tail}")]
    if taken:
        yield f"{text} is too broad: it matches {taken[0]}"
    for name in rules.exact:
        if pattern.match(name):
            yield f"{text} matches {name}, which must never be blocked"


def _twice(entries: list[tuple[str, Entry]]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for file_name, entry in entries:
        first = seen.setdefault(entry.id, file_name)
        if [e.id for _, e in entries].count(entry.id) > 1:
            yield f"{file_name}: {entry.id}: the id stands twice (also in {first})"


def _shadowed(entries: list[tuple[str, Entry]]) -> Iterator[str]:
    """Yield patterns that stand twice, or below a suffix of their own entry."""
    owners: dict[tuple[str, str], str] = {}
    for file_name, entry in entries:
        kinds = (
            ("suffix", entry.names.suffix),
            ("exact", entry.names.exact),
            ("regex", entry.names.regex),
        )
        for kind, patterns in kinds:
            for text in patterns:
                owner = owners.setdefault((kind, text), entry.id)
                if owner != entry.id or patterns.count(text) > 1:
                    yield f"{file_name}: {entry.id}: {text} also stands in {owner}"
                name = literal_tail(text) if kind == "regex" else text
                above = [s for s in entry.names.suffix if s != text and is_below(name, s)]
                if above:
                    yield f"{file_name}: {entry.id}: {text} is shadowed by {above[0]}"
