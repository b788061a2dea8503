"""Let a model at home word what rules have found. It never decides, and nothing waits for it.

The template has answered before this begins. A model's words replace the template's
only when every check passed; the verdict, the level, the facts and the proposals are
not in its reach. One whole answer is asked for each state of an incident, no second one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import explanations, incidents, model_endpoints
from guardian.store.ingest import utc_now
from guardian.triage import causes, overflow, prompt
from guardian.triage import job as jobs
from guardian.triage.budget import Budget
from guardian.triage.check import Checked, check
from guardian.triage.job import Case
from guardian.triage.llm.base import Ask, ModelTooLongError, ModelTruncatedError
from guardian.triage.pool import Pool
from guardian.triage.stories import Told

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from guardian.model.incident import Incident
    from guardian.store import Store
    from guardian.triage.llm.base import Reply
    from guardian.triage.member import Tried
    from guardian.triage.settings import Settings

RETRY_S = 120.0
"""How long a job waits after nobody could answer; longer after each further try."""

_FOR_GOOD = (ModelTruncatedError, ModelTooLongError)
"""It would fail the same way again: temperature 0, one seed, one window."""

_NOBODY = frozenset({"absent", "busy", "refused"})
"""Outcomes in which no model was at work."""


async def explain_pending(
    store: Store,
    settings: Settings,
    *,
    pool: Pool | None = None,
    now: datetime | None = None,
    limit: int = 8,
) -> int:
    """Ask the models for explanations that are due; return how many were written.

    At most ``limit`` incidents are asked about, as many at once as the best endpoints
    take. Without an endpoint this does nothing.

    Raises:
        StoreError: the store cannot be read or written.
        ConfigError: an endpoint of an unknown kind, or a zone that does not exist.
    """
    mine = pool if pool is not None else Pool(settings.endpoints)
    if not mine.members and not settings.overflow.on:
        return 0
    work = _Work(store, settings, mine, Budget(store, settings), words.zone(settings.timezone))
    try:
        await asyncio.to_thread(_enqueue, store, now or utc_now())
        width = min(limit, mine.width(words.local(now or utc_now(), work.zone)))
        shares = [limit // width + (place < limit % width) for place in range(width)]
        written = await asyncio.gather(*(work.several(share, now) for share in shares))
    finally:
        if pool is None:
            await mine.aclose()
    return sum(written)


def _enqueue(store: Store, now: datetime) -> None:
    with store.transaction() as tx:
        explanations.enqueue(tx, now=now)


@dataclass(frozen=True, slots=True)
class _Work:
    """One round of explaining. What waits for the store does so in a thread."""

    store: Store
    settings: Settings
    pool: Pool
    budget: Budget
    zone: tzinfo | None

    async def several(self, limit: int, now: datetime | None) -> int:
        """Do at most ``limit`` jobs, one after the other; return how many were written."""
        written = 0
        for _ in range(limit):
            moment = now or utc_now()
            if not await asyncio.to_thread(self.budget.left, moment):
                break
            self.budget.under_way += 1
            try:
                job = await asyncio.to_thread(
                    explanations.take, self.store, lease_s=self.lease_s(), now=moment
                )
                if job is None:
                    break
                written += await self.one(job, moment)
            finally:
                self.budget.under_way -= 1
        return written

    def lease_s(self) -> float:
        """Return how long a job may take: every endpoint may use its whole deadline."""
        deadlines = [m.endpoint.deadline_s or self.settings.deadline_s for m in self.pool.members]
        return sum(deadlines) + self.settings.deadline_s

    async def one(self, job: explanations.Job, now: datetime) -> int:
        """Explain one incident; return 1 when words were written."""
        case = await asyncio.to_thread(self._case, job, now)
        if case is None or await asyncio.to_thread(self._told_before, case, now):
            return 0 if case is None else 1
        local = words.local(now, self.zone)
        outcomes: list[str] = []
        detail = "nobody could be asked"
        async for tried in self.pool.ask(case.asked, local):
            checked = Checked(told=None, kept=0, dropped=())
            if tried.reply is not None:
                checked = check(tried.reply.text, case.incident, case.fallback, self.zone)
            await asyncio.to_thread(jobs.record, self.store, _call(tried, checked), now)
            detail = "; ".join(checked.dropped) or str(tried.error or "")
            if tried.reply is not None and checked.told is not None:
                model = self._provenance(tried, tried.reply, case, local)
                model["causes"] = causes.as_json(checked.causes)
                await asyncio.to_thread(
                    jobs.write, self.store, case, checked.told, model, now, reply=tried.reply.text
                )
                return 1
            if tried.reply is not None or isinstance(tried.error, _FOR_GOOD):
                await asyncio.to_thread(jobs.end, self.store, job, "failed", detail, now)
                return 0
            outcomes.append(tried.outcome)
        if set(outcomes) <= _NOBODY:
            sent = await overflow.ask(self.store, self.settings, case, self.zone, now)
            if sent is not None:
                return sent
        await asyncio.to_thread(_put_back, self.store, job, outcomes, detail, now)
        return 0

    def _case(self, job: explanations.Job, now: datetime) -> Case | None:
        with self.store.read() as reader:
            incident = incidents.incident(reader, job.incident_id)
        if incident is None or incident.packet_hash != job.packet_hash:
            jobs.end(self.store, job, "done", "it has changed since", now)
            return None
        asked = _ask(incident, self.settings)
        fallback = Told(
            title=incident.title,
            summary=incident.summary,
            explanation=incident.explanation,
            expert=incident.expert,
            claims=incident.claims,
        )
        request = prompt.fingerprint(asked.messages, asked.schema)
        return Case(job=job, incident=incident, asked=asked, request=request, fallback=fallback)

    def _told_before(self, case: Case, now: datetime) -> bool:
        """Use an answer to exactly this request, its slots filled anew and checked again.

        The model that gave it must still be the one that its endpoint has.
        """
        names = {member.name for member in self.pool.members}
        with self.store.read() as reader:
            found = explanations.answers(reader, case.request, prompt.version())
            current = model_endpoints.digests(reader)
        for reply, model in found:
            endpoint, digest = str(model.get("endpoint")), str(model.get("digest"))
            if endpoint not in names or current.get(endpoint, digest) != digest:
                continue
            told = check(reply, case.incident, case.fallback, self.zone).told
            if told is not None:
                origin = {**model, "packet": case.incident.packet_hash}
                jobs.write(self.store, case, told, origin, now)
                return True
        return False

    def _provenance(
        self, tried: Tried, reply: Reply, case: Case, local: datetime
    ) -> dict[str, Any]:
        endpoint = tried.member.endpoint
        return {
            "name": f"{reply.model} on {tried.member.name}",
            "model": reply.model,
            "digest": reply.digest,
            "endpoint": tried.member.name,
            "role": "embedded" if endpoint.kind == "embedded" else endpoint.role,
            "instead_of": self.pool.passed_over(tried.member, local),
            "parameters": dict(reply.parameters),
            "prompt_version": prompt.version(),
            "request": case.request,
            "packet": case.incident.packet_hash,
            "seconds": round(reply.seconds, 2),
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
        }


def _ask(incident: Incident, settings: Settings) -> Ask:
    return Ask(
        messages=prompt.messages(incident),
        schema=prompt.schema(incident),
        deadline_s=settings.deadline_s,
        num_ctx=settings.num_ctx,
        max_tokens=settings.max_tokens,
        keep_alive=settings.keep_alive,
    )


def _put_back(
    store: Store, job: explanations.Job, outcomes: list[str], detail: str, now: datetime
) -> None:
    with store.transaction() as tx:
        if set(outcomes) <= _NOBODY:
            explanations.release(tx, job, after_s=RETRY_S, now=now, detail=detail)
        else:
            pause = RETRY_S * 2.0 ** (job.attempts - 1)
            explanations.retry(tx, job, after_s=pause, now=now, detail=detail)


def _call(tried: Tried, checked: Checked) -> explanations.Call:
    reply = tried.reply
    return explanations.Call(
        endpoint=tried.member.name,
        model=tried.member.endpoint.model or tried.member.endpoint.kind,
        role=tried.member.endpoint.role,
        outcome="rejected" if reply is not None and checked.told is None else tried.outcome,
        seconds=tried.seconds,
        tokens_in=reply.tokens_in if reply else 0,
        tokens_out=reply.tokens_out if reply else 0,
        claims_kept=checked.kept,
        claims_dropped=len(checked.dropped),
        detail="; ".join(checked.dropped) or str(tried.error or ""),
    )
