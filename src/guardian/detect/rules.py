"""Read detections as data: one SQL file each, with its metadata in the head.

The head is YAML in ``--`` lines; what follows is one query. Its columns are fixed:

=============  ==========================================================
``key``        what makes it the same finding when it is seen again
``src_ip``     the address that did it
``peers``      the other sides: addresses and names
``first_seen`` ``last_seen`` ``count``  when, and how often
``facts``      a STRUCT, with units in its field names
``evidence``   rows as ``'table:id'``
``level``      optional: overrides the level of the head
``title``      optional: overrides the title of the head
``class``      optional: overrides the class of the head
``tags``       optional: ATT&CK tags besides those of the head
=============  ==========================================================

A query may use ``$since`` and ``$until`` (the window), ``$utc_offset_s`` (the home's clock
less UTC, in seconds), and its own parameters.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from guardian.errors import RuleError
from guardian.model.finding import FindingClass, Level  # noqa: TC001 - msgspec reads them

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

STATUSES = ("experimental", "test", "stable")
"""Sigma's words for how far a rule can be trusted."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml reads a head ten times as fast, where PyYAML was built with it."""

_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_WINDOW = frozenset({"since", "until", "utc_offset_s"})


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A threshold: its value, its unit, and why it is what it is."""

    default: float | int | str | list[str | int]
    unit: str
    reason: str


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    id: str
    title: str
    status: str
    class_: FindingClass
    level: Level
    tags: list[str]
    description: str
    falsepositives: list[str]
    reads: list[str]
    window_s: int
    parameters: dict[str, Parameter] = {}
    examples: list[str] = []
    references: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One detection. ``name`` is its folder and file name: ``scan.port_scan``."""

    name: str
    path: Path
    id: str
    title: str
    status: str
    finding_class: FindingClass
    level: Level
    tags: tuple[str, ...]
    description: str
    falsepositives: tuple[str, ...]
    reads: tuple[str, ...]
    window_s: int
    parameters: Mapping[str, Parameter]
    examples: tuple[str, ...]
    sql: str

    @property
    def used(self) -> frozenset[str]:
        """The names that the query binds."""
        return frozenset(_PARAMETER.findall(_without_comments(self.sql)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules that could be read, and what was wrong with the others."""

    rules: tuple[Rule, ...]
    errors: tuple[RuleError, ...] = field(default=())


def load_rules(folders: Iterable[Path]) -> RuleSet:
    """Read every ``*.sql`` below the folders; a broken one does not silence the others."""
    rules: list[Rule] = []
    errors: list[RuleError] = []
    seen: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.sql")):
            try:
                rule = _known_rule(path, folder)
            except RuleError as error:
                errors.append(error)
                continue
            if rule.id in seen:
                errors.append(RuleError(f"{path}:1: id {rule.id} is also that of {seen[rule.id]}"))
                continue
            seen[rule.id] = path
            rules.append(rule)
    return RuleSet(rules=tuple(rules), errors=tuple(errors))


def _known_rule(path: Path, folder: Path) -> Rule:
    """Read a rule again only when its file changed: the daemon asks every few seconds."""
    try:
        stat = path.stat()
    except OSError:
        return read_rule(path, folder)
    return _cached_rule(path, folder, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1024)
def _cached_rule(path: Path, folder: Path, changed_ns: int, size: int) -> Rule:
    del changed_ns, size  # they only tell one state of the file from another
    return read_rule(path, folder)


def read_rule(path: Path, folder: Path) -> Rule:
    """Read one rule file below ``folder``.

    Raises:
        RuleError: it cannot be read, or its head is not as agreed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}:1: cannot be read: {error}"
        raise RuleError(msg) from error
    head, sql = _split(text)
    fields = _head(path, head)
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    rule = Rule(
        name=name,
        path=path,
        id=fields.id,
        title=fields.title,
        status=fields.status,
        finding_class=fields.class_,
        level=fields.level,
        tags=tuple(fields.tags),
        description=fields.description,
        falsepositives=tuple(fields.falsepositives),
        reads=tuple(fields.reads),
        window_s=fields.window_s,
        parameters=fields.parameters,
        examples=tuple(fields.examples),
        sql=sql,
    )
    unknown = rule.used - _WINDOW - fields.parameters.keys()
    if unknown:
        msg = f"{path}: the query uses ${min(unknown)}, which the head does not name"
        raise RuleError(msg)
    return rule


def _split(text: str) -> tuple[str, str]:
    """Part the head (leading comment lines) from the query."""
    lines = text.splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))
    head = "\n".join(line[3:] if line.startswith("-- ") else line[2:] for line in lines[:end])
    return head, "\n".join(lines[end:]).strip().rstrip(";")


def _head(path: Path, head: str) -> _Head:
    try:
        raw: Any = yaml.load(head, Loader=_LOADER)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        msg = f"{path}:{line}: the head is not YAML: {getattr(error, 'problem', error)}"
        raise RuleError(msg) from error
    try:
        return msgspec.convert(raw, _Head)
    except msgspec.ValidationError as error:
        msg = f"{path}:1: {error}"
        raise RuleError(msg) from error


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)
