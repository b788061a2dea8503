"""One endpoint of the pool: how it has been doing, and whether it may be asked just now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.triage.llm.base import (
    ModelAbsentError,
    ModelBusyError,
    ModelRefusedError,
    ModelSlowError,
    ModelTooLongError,
    ModelTruncatedError,
)

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.errors import TriageError
    from guardian.triage.llm.base import Backend, Health, Reply
    from guardian.triage.settings import Endpoint

BREAKS_AFTER = 3
"""So many failures in a row and the endpoint rests."""

REST_S = 60.0
"""First rest of an endpoint; doubled for each further failure."""

LONGEST_REST_S = 3600.0

_ORDER = {"deep": 0, "fast": 1}
_SLOW, _LAST = 2, 4


@dataclass(slots=True)
class Gpu:
    """One graphics card, or one machine: it loads one model at a time."""

    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Member:
    """One endpoint, its backend, and how it has been doing. Clock times are monotonic."""

    endpoint: Endpoint
    backend: Backend
    gpu: Gpu
    name: str
    turns: asyncio.Semaphore = field(init=False)
    running: int = 0
    waiting: int = 0
    failures: int = 0
    resting_until: float = 0.0
    last_error: str = ""
    health: Health | None = None
    looked_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.turns = asyncio.Semaphore(max(1, self.endpoint.parallel))

    @property
    def load(self) -> float:
        """How much it has to do, as a share of what it does at once."""
        return (self.running + self.waiting) / max(1, self.endpoint.parallel)

    @property
    def full(self) -> bool:
        """Whether as many wait as may wait."""
        return self.waiting >= max(1, self.endpoint.queue)

    def able(self, clock: float, now: datetime) -> bool:
        """Say whether it may be asked at this moment; ``now`` is the house's time."""
        if self.resting_until > clock or self.full or is_quiet(self.endpoint.quiet_hours, now):
            return False
        if self.health is not None and self.health.refused:
            return False
        # After a rest one question tries it, not all that wait.
        return not (self.failures >= BREAKS_AFTER and self.running)

    def rank(self, *, prefer: str = "deep") -> int:
        """Return its place: the preferred role, the other, those on a processor, embedded."""
        if self.endpoint.kind == "embedded":
            return _LAST
        place = _ORDER.get(self.endpoint.role, 1)
        if prefer == "fast":
            place = 1 - place
        slow = self.health is not None and self.health.on_gpu is False
        return place + (_SLOW if slow else 0)

    def state(self, clock: float, now: datetime) -> str:
        """Return how it is in one word, for people."""
        known = self.health
        states = (
            ("quiet", is_quiet(self.endpoint.quiet_hours, now)),
            ("unknown", known is None),
            ("refused", known is not None and known.refused),
            ("resting", self.resting_until > clock),
            ("away", known is not None and not known.ready),
            ("slow", known is not None and known.on_gpu is False),
            ("loaded", known is not None and known.loaded),
        )
        return next((word for word, holds in states if holds), "ready")

    def succeeded(self) -> None:
        """It answered: what went before is forgotten."""
        self.failures, self.resting_until, self.last_error = 0, 0.0, ""

    def failed(self, error: TriageError, clock: float) -> None:
        """It did not: after enough of that it rests. To be busy, or asked too much, is none."""
        self.last_error = str(error)
        if isinstance(error, (ModelBusyError, ModelTooLongError)):
            return
        self.failures += 1
        if self.failures >= BREAKS_AFTER or isinstance(error, ModelRefusedError):
            further = min(self.failures - BREAKS_AFTER, 10)
            self.resting_until = clock + min(LONGEST_REST_S, REST_S * 2.0 ** max(0, further))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One question to one endpoint: a reply, or the error instead."""

    member: Member
    seconds: float
    reply: Reply | None = None
    error: TriageError | None = None

    @property
    def outcome(self) -> str:
        """The outcome in the word that is kept of it."""
        return outcome_of(self.error)


_OUTCOMES: tuple[tuple[type[TriageError], str], ...] = (
    (ModelAbsentError, "absent"),
    (ModelBusyError, "busy"),
    (ModelSlowError, "timeout"),
    (ModelTruncatedError, "truncated"),
    (ModelTooLongError, "too_long"),
    (ModelRefusedError, "refused"),
)


def outcome_of(error: TriageError | None) -> str:
    """Return the word that is kept of how a question ended."""
    found = next((word for kind, word in _OUTCOMES if isinstance(error, kind)), "error")
    return "ok" if error is None else found


def is_quiet(hours: str, now: datetime) -> bool:
    """Say whether a local time lies in hours such as ``23-07`` (half open)."""
    begin, _, end = hours.partition("-")
    if not (begin.isdigit() and end.isdigit()):
        return False
    first, last = int(begin) % 24, int(end) % 24
    if first <= last:
        return first <= now.hour < last
    return now.hour >= first or now.hour < last
