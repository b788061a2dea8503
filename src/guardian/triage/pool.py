"""The models at home: which one is asked next, and which are left alone for a while.

The deep endpoints are asked first, then the fast, then the embedded model; among equals
the one with the least to do. An endpoint that fails three times in a row rests, twice
as long after each further failure. One question at a time goes to each endpoint.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.errors import TriageError
from guardian.triage.llm import make
from guardian.triage.llm.base import (
    ModelAbsentError,
    ModelBusyError,
    ModelRefusedError,
    ModelTruncatedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from guardian.triage.llm.base import Ask, Backend, Health, Reply
    from guardian.triage.settings import Endpoint

BREAKS_AFTER = 3
"""So many failures in a row and the endpoint rests."""

REST_S = 60.0
"""First rest of an endpoint; doubled for each further failure."""

LONGEST_REST_S = 3600.0

_ORDER = {"deep": 0, "fast": 1}


@dataclass(slots=True)
class Member:
    """One endpoint, its backend, and how it has been doing."""

    endpoint: Endpoint
    backend: Backend
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    failures: int = 0
    resting_until: float = 0.0
    last_error: str = ""

    @property
    def name(self) -> str:
        """What people are shown."""
        return self.endpoint.name or self.endpoint.url or self.endpoint.kind

    def succeeded(self) -> None:
        """It answered: what went before is forgotten."""
        self.failures, self.resting_until, self.last_error = 0, 0.0, ""

    def failed(self, error: TriageError, clock: float) -> None:
        """It did not: after enough of that it rests."""
        self.failures += 1
        self.last_error = str(error)
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
        for kind, word in _OUTCOMES:
            if isinstance(self.error, kind):
                return word
        return "ok" if self.error is None else "error"


_OUTCOMES: tuple[tuple[type[TriageError], str], ...] = (
    (ModelAbsentError, "absent"),
    (ModelBusyError, "busy"),
    (ModelTruncatedError, "truncated"),
    (ModelRefusedError, "refused"),
)


class Pool:
    """All endpoints. ``clock`` is a monotonic time in seconds."""

    def __init__(
        self, endpoints: Sequence[Endpoint], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.members = tuple(Member(e, make(e.kind, e.url, e.model)) for e in endpoints)

    async def aclose(self) -> None:
        """Close every backend."""
        for member in self.members:
            await member.backend.aclose()

    def ready(self, now: datetime, *, role: str | None = None) -> list[Member]:
        """Return whom to ask, in this order, at this local time."""
        able = [
            member
            for member in self.members
            if member.endpoint.role != "embed"
            and role in (None, member.endpoint.role)
            and member.resting_until <= self._clock()
            and not is_quiet(member.endpoint.quiet_hours, now)
        ]
        return sorted(able, key=lambda m: (_rank(m), m.waiting, m.failures))

    async def ask(self, ask: Ask, now: datetime) -> AsyncIterator[Tried]:
        """Ask one endpoint after the other; the caller stops when an answer will do."""
        ends = self._clock() + ask.deadline_s
        for member in self.ready(now):
            left = ends - self._clock()
            if left <= 0:
                return
            yield await self._ask(member, ask, left)

    async def _ask(self, member: Member, ask: Ask, left: float) -> Tried:
        began = self._clock()
        member.waiting += 1
        try:
            async with asyncio.timeout(left), member.turn:
                reply = await member.backend.ask(ask)
        except TimeoutError:
            error: TriageError = ModelAbsentError(f"{member.name}: no answer within {left:.0f} s")
            member.failed(error, self._clock())
            return Tried(member=member, seconds=self._clock() - began, error=error)
        except TriageError as refused:
            member.failed(refused, self._clock())
            return Tried(member=member, seconds=self._clock() - began, error=refused)
        finally:
            member.waiting -= 1
        member.succeeded()
        return Tried(member=member, seconds=self._clock() - began, reply=reply)

    async def health(self) -> dict[str, Health]:
        """Return how each endpoint does, by its name."""
        found = await asyncio.gather(*(member.backend.health() for member in self.members))
        return {member.name: each for member, each in zip(self.members, found, strict=True)}


def _rank(member: Member) -> int:
    return 2 if member.endpoint.kind == "embedded" else _ORDER.get(member.endpoint.role, 1)


def is_quiet(hours: str, now: datetime) -> bool:
    """Say whether a local time lies in hours such as ``23-07`` (half open)."""
    begin, _, end = hours.partition("-")
    if not (begin.isdigit() and end.isdigit()):
        return False
    first, last = int(begin) % 24, int(end) % 24
    if first <= last:
        return first <= now.hour < last
    return now.hour >= first or now.hour < last
