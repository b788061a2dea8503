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


STRONG_AT = 0.75
SOME_AT = 0.45


def strength(confidence: float) -> str:
    """Return how a person is told a confidence: ``strong``, ``some`` or ``weak`` evidence."""
    if confidence >= STRONG_AT:
        return "strong"
    return "some" if confidence >= SOME_AT else "weak"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreItem:
    """One thing that counted towards a confidence, and how much (of 1)."""

    what: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One story: one device, one cause. ``id`` never changes while it grows.

    ``status`` is ``open`` (needs a person), ``noted`` (worth knowing, needs no
    answer), ``quiet`` (open, but nothing new for a while), ``handled`` (answered) or
    ``closed`` (over, or ``merged_into`` another). ``devices`` are all devices in it;
    ``device_id`` is None when it is about the whole house or somebody outside.
    ``model`` says which model wrote the words; None when templates did.
    """

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
    device: str | None = None
    devices: tuple[str, ...] = ()
    expert: str = ""
    score: tuple[ScoreItem, ...] = ()
    proposals: tuple[int, ...] = ()
    packet_hash: str = ""
    model: Mapping[str, object] | None = None
    merged_into: int | None = None
    updated_at: datetime | None = None

    @property
    def evidence(self) -> str:
        """``strong``, ``some`` or ``weak``: the confidence, as a person is told it."""
        return strength(self.confidence)
