"""Findings that are one story, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardian.model.finding import FindingClass, Level


class Verdict(StrEnum):
    """What an incident is held to be, by rules alone."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    SURVEILLANCE = "surveillance"
    BENIGN = "benign"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A numbered fact (``F1`` …) that an explanation may cite.

    ``text`` is the sentence a person reads; ``values`` are its typed slots, by
    name, for templates and models.
    """

    id: str
    kind: str
    text: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence of an explanation and the ids of the facts it rests on."""

    text: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One story: one device, one cause. ``id`` never changes while it grows."""

    id: int
    key: str
    title: str
    verdict: Verdict
    confidence: float
    level: Level
    device_id: str | None
    classes: tuple[FindingClass, ...]
    findings: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    status: str
    summary: str
    explanation: str
    facts: tuple[Fact, ...]
    claims: tuple[Claim, ...]
    written_by: str
