"""Check the rule files: each says what it must, and brings its proof."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from guardian import resources
from guardian.detect.registry import DETECTORS
from guardian.detect.rules import STATUSES, load_rules
from guardian.errors import GuardianError, RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.detect.rules import Rule

CASES = Path("tests/cases/detect")
"""Where the cases of a rule lie in a checkout: ``<area>.<rule>.yaml``."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

KINDS = frozenset({"hit", "near_miss", "empty"})
"""What the cases of a rule must be: one that it finds, one that it just does not, and nothing."""

TABLES = frozenset(
    {"flow", "dns", "dns_log", "tls", "http", "quic", "fileinfo", "alert", "anomaly", "dhcp",
     "sighting", "raw_event"}
)  # fmt: skip
"""The tables of events: what a rule can say that it reads."""

_SID = re.compile(r"\bsid:\s*(\d+)\s*;")
_SIDS = range(9_000_001, 9_001_000)
_COMMENT = re.compile(r"--[^\n]*")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_BARE = re.compile(
    r"(?:>=|<=|(?<!<)>|<(?!>)|\bBETWEEN)\s*(-?\d+(?:\.\d+)?)\b"
    r"|(\b\d+(?:\.\d+)?)\s*(?:[*]\s*\$|>=|<=|>|<(?!>))"
)
"""A number that something is held against, or that a parameter is multiplied by."""
_PLAIN_NUMBERS = frozenset({0.0, 1.0, 2.0})
"""None, one and several: what these are held against has no unit to give a reason for."""
_TAG = re.compile(r"attack\.(t\d{4}(\.\d{3})?|[a-z-]+)")


def lint(folder: Path | None = None, cases: Path | None = None) -> list[RuleError]:
    """Return everything that is wrong with the rules, each with its place.

    Detectors that are classes bring their proof as rules do. Without ``cases`` (an
    installation without the tests) the proofs are not asked for.
    """
    classes = folder is None
    folder = folder or resources.path("rules/detect")
    if cases is None:
        checkout = folder.parents[1] / CASES
        cases = checkout if checkout.is_dir() else None
    loaded = load_rules([folder])
    errors = list(loaded.errors)
    for rule in loaded.rules:
        errors.extend(RuleError(f"{rule.path}: {text}") for text in _head(rule))
        if cases is not None:
            errors.extend(_proof(str(rule.path), cases / f"{rule.name}.yaml"))
    if cases is not None and classes:
        for detector in DETECTORS:
            place = f"class {type(detector).__name__}"
            errors.extend(_proof(place, cases / f"{detector.name}.yaml"))
    errors.extend(_signatures())
    return errors


def _head(rule: Rule) -> Iterator[str]:
    try:
        uuid.UUID(rule.id)
    except ValueError:
        yield f"id {rule.id!r} is no UUID"
    if rule.status not in STATUSES:
        yield f"status {rule.status!r} is none of {', '.join(STATUSES)}"
    if not rule.description.strip() or not rule.falsepositives:
        yield "says not what it means, or not when it is wrong"
    for tag in rule.tags:
        if not _TAG.fullmatch(tag):
            yield f"tag {tag!r} is no ATT&CK tag"
    for name in sorted(set(rule.reads) - TABLES):
        yield f"reads {name!r}, which is no table of events"
    for name in sorted(rule.parameters.keys() - rule.used):
        yield f"parameter {name!r} is not used"
    for name, parameter in sorted(rule.parameters.items()):
        if not parameter.unit.strip() or not parameter.reason.strip():
            yield f"parameter {name!r} has no unit, or no reason"
    for number in sorted(bare_numbers(rule.sql)):
        yield f"holds something against {number:g}; make it a parameter with unit and reason"


def bare_numbers(sql: str) -> set[float]:
    """Return the thresholds that a query writes as numbers instead of naming them."""
    plain = _TEXT.sub("''", _COMMENT.sub("", sql))
    found = {float(match[1] or match[2]) for match in _BARE.finditer(plain)}
    return found - _PLAIN_NUMBERS


def _proof(place: str, path: Path) -> Iterator[RuleError]:
    """Check that a detector's cases are all three, and that each is what it says."""
    try:
        table = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
    except OSError:
        yield RuleError(f"{place}: has no cases; expected {path}")
        return
    except yaml.YAMLError as error:
        yield RuleError(f"{path}: not YAML: {error}")
        return
    cases = (table or {}).get("cases", [])
    missing = KINDS - {case.get("kind") for case in cases}
    if missing:
        yield RuleError(f"{path}: lacks the case {', '.join(sorted(missing))}")
    for case in cases:
        kind, rows, found = (
            case.get("kind"),
            any((case.get("rows") or {}).values()),
            case.get("expect"),
        )
        wrong = {
            "hit": not (rows and found) and "has no rows, or expects nothing",
            "near_miss": (found or not rows) and "has no rows, or expects a finding",
            "empty": (found or rows) and "has rows, or expects a finding",
        }.get(kind, "is of no known kind")
        if wrong:
            yield RuleError(f"{path}: the {kind} {case.get('name', '')!r} {wrong}")


def _signatures() -> Iterator[RuleError]:
    """Check Guardian's own Suricata signatures for their numbers and metadata."""
    try:
        folder = resources.path("rules/suricata")
    except GuardianError as error:
        yield RuleError(str(error))
        return
    seen: dict[int, str] = {}
    for path in sorted(folder.glob("*.rules")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            place = f"{path}:{number}"
            match = _SID.search(line)
            sid = int(match[1]) if match else 0
            if sid not in _SIDS:
                yield RuleError(f"{place}: sid {sid} is outside {_SIDS.start}-{_SIDS.stop - 1}")
            if sid in seen:
                yield RuleError(f"{place}: sid {sid} is also that of {seen[sid]}")
            seen[sid] = place
            if "guardian_" not in line:
                yield RuleError(f"{place}: sid {sid} names neither class nor use")
