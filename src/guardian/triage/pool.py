"""The models at home: which one is asked next, and which are left alone for a while.

The deep endpoints are asked first, then the fast, then those whose model has fallen to
the processor, then the embedded model; among equals the one with the least to do. An
endpoint that fails three times in a row rests, twice as long after each further failure;
one that is busy is tried again a little later. A card loads one model at a time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from guardian.errors import TriageError
from guardian.triage.llm import make
from guardian.triage.llm.base import (
    Health,
    ModelAbsentError,
    ModelBusyError,
    ModelRefusedError,
    ModelSlowError,
)
from guardian.triage.llm.home import outside
from guardian.triage.member import Gpu, Member, Tried, is_quiet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from guardian.triage.llm.base import Ask, Reply, Vectors
    from guardian.triage.settings import Endpoint

LOOK_EVERY_S = 30.0
"""An endpoint is looked at before a question when the last look is older than this."""

LOOK_S = 8.0
"""Longest look at one endpoint."""

BACK_OFF_S = (0.5, 1.0, 2.0)
"""Pauses before a busy endpoint is tried again."""

_FOREIGN = frozenset({"ollama", "openai-compatible"})


class Pool:
    """All endpoints. ``clock`` is a monotonic time in seconds."""

    def __init__(
        self, endpoints: Sequence[Endpoint], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        gpus: dict[str, Gpu] = {}
        members: list[Member] = []
        for each in endpoints:
            gpu = gpus.setdefault(each.gpu or urlsplit(each.url).hostname or each.kind, Gpu())
            backend = make(each.kind, each.url, each.model)
            members.append(Member(each, backend, gpu, _name(each, [m.name for m in members])))
        self.members = tuple(members)

    async def aclose(self) -> None:
        """Close every backend."""
        for member in self.members:
            await member.backend.aclose()

    def ready(
        self, now: datetime, *, role: str | None = None, prefer: str = "deep"
    ) -> list[Member]:
        """Return whom to ask, in this order, at this local time."""
        able = [
            member
            for member in self.members
            if (member.endpoint.role == "embed") is (role == "embed")
            and role in (None, member.endpoint.role)
            and member.able(self._clock(), now)
        ]
        return sorted(able, key=lambda m: (m.rank(prefer=prefer), m.load, m.failures))

    def width(self, now: datetime) -> int:
        """Return how many questions may be asked at once of the best endpoints there are."""
        able = self.ready(now)
        best = [each for each in able if each.rank() == able[0].rank()]
        return max(1, sum(each.endpoint.parallel for each in best))

    def passed_over(self, member: Member, now: datetime) -> list[str]:
        """Return the endpoints that would have been better, each with why it was not asked."""
        clock = self._clock()
        return [
            f"{each.name}: {_why(each, clock, now)}"
            for each in self.members
            if each.endpoint.role != "embed" and each.rank() < member.rank()
        ]

    async def ask(self, ask: Ask, now: datetime, *, prefer: str = "deep") -> AsyncIterator[Tried]:
        """Ask one endpoint after the other; the caller stops when an answer will do.

        Each has ``ask.deadline_s``, or its own; the busy ones are tried again at the end.
        """
        tried: list[Member] = []
        busy: list[Member] = []
        while True:
            left = [each for each in self.ready(now, prefer=prefer) if each not in tried]
            if not left:
                break
            tried.append(left[0])
            result = await self._ask(left[0], ask)
            if isinstance(result.error, ModelBusyError):
                busy.append(left[0])
            else:
                yield result
        for pause in BACK_OFF_S if busy else ():
            await asyncio.sleep(pause)
            for member in tuple(busy):
                result = await self._ask(member, ask)
                if not isinstance(result.error, ModelBusyError) or pause == BACK_OFF_S[-1]:
                    busy.remove(member)
                    yield result
            if not busy:
                return

    async def embed(self, texts: Sequence[str], now: datetime, *, deadline_s: float) -> Vectors:
        """Return texts as vectors, from the first ``embed`` endpoint that answers.

        Raises:
            TriageError: none did; the last one's error.
        """
        last: TriageError = ModelAbsentError("there is no endpoint for vectors")
        for member in self.ready(now, role="embed"):
            began = self._clock()
            try:
                async with asyncio.timeout(deadline_s), member.turns:
                    await self._seen(member)
                    found = await member.backend.embed(texts, deadline_s=deadline_s)
            except TimeoutError:
                last = ModelSlowError(f"{member.name}: no vectors within {deadline_s:g} s")
            except TriageError as error:
                last = error
            else:
                member.succeeded()
                return replace(found, endpoint=member.name, seconds=self._clock() - began)
            member.failed(last, self._clock())
        raise last

    async def method(self, now: datetime) -> str | None:
        """Return the model that makes vectors just now, with its digest; None without one."""
        for member in self.ready(now, role="embed"):
            try:
                await self._seen(member)
            except TriageError as error:
                member.failed(error, self._clock())
                continue
            health = member.health
            return f"{member.endpoint.model}@{health.digest[:12] if health else ''}"
        return None

    async def _ask(self, member: Member, ask: Ask) -> Tried:
        began = self._clock()
        allowed = member.endpoint.deadline_s or ask.deadline_s
        member.waiting += 1
        waits = True
        try:
            async with asyncio.timeout(allowed), member.turns:
                member.waiting, waits = member.waiting - 1, False
                member.running += 1
                try:
                    reply = await self._answer(member, replace(ask, deadline_s=allowed))
                finally:
                    member.running -= 1
        except TimeoutError:
            slow = ModelSlowError(f"{member.name}: no answer within {allowed:g} s")
            member.failed(slow, self._clock())
            return Tried(member=member, seconds=self._clock() - began, error=slow)
        except TriageError as refused:
            member.failed(refused, self._clock())
            return Tried(member=member, seconds=self._clock() - began, error=refused)
        finally:
            if waits:
                member.waiting -= 1
        member.succeeded()
        return Tried(member=member, seconds=self._clock() - began, reply=reply)

    async def _answer(self, member: Member, ask: Ask) -> Reply:
        await self._seen(member)
        if member.health is not None and not member.health.loaded:
            async with member.gpu.loading:
                await member.backend.load(ask)
                # Whether it found room on the card is known only now.
                await self.look(member)
        return await member.backend.ask(ask)

    async def _seen(self, member: Member) -> None:
        if self._clock() - member.looked_at > LOOK_EVERY_S or not (
            member.health and member.health.ready
        ):
            await self.look(member)
        if member.health is None or not member.health.ready:
            why = member.health.detail if member.health else "it was not looked at"
            if member.health is not None and member.health.refused:
                raise ModelRefusedError(why)
            raise ModelAbsentError(why)

    async def look(self, member: Member) -> None:
        """Find out how one endpoint is."""
        kind, url = member.endpoint.kind, member.endpoint.url
        strange = await outside(url) if kind in _FOREIGN else ""
        if strange:
            detail = f"{strange}; Guardian asks only models at home"
            member.health = Health(ready=False, loaded=False, detail=detail, refused=True)
        else:
            try:
                async with asyncio.timeout(LOOK_S):
                    member.health = await member.backend.health()
            except TimeoutError:
                detail = f"{member.name}: no answer within {LOOK_S:g} s"
                member.health = Health(ready=False, loaded=False, detail=detail)
        member.looked_at = self._clock()

    async def look_at_all(self, now: datetime) -> None:
        """Look at every endpoint that is not to be left alone at this hour."""
        awake = [m for m in self.members if not is_quiet(m.endpoint.quiet_hours, now)]
        await asyncio.gather(*(self.look(member) for member in awake))

    def states(self, now: datetime) -> dict[str, str]:
        """Return how each endpoint is, in one word, by its name."""
        clock = self._clock()
        return {member.name: member.state(clock, now) for member in self.members}


def _why(member: Member, clock: float, now: datetime) -> str:
    state = member.state(clock, now)
    if state not in ("loaded", "ready"):
        return state
    return "failed" if member.last_error else "busy"


def _name(endpoint: Endpoint, taken: Sequence[str]) -> str:
    """Return what people are shown of an endpoint; no two are called the same."""
    name = endpoint.name or endpoint.url or endpoint.kind
    if name in taken:
        name = f"{name} {endpoint.model}"
    alike = sum(each == name or each.startswith(f"{name} #") for each in taken)
    return f"{name} #{alike + 1}" if alike else name
