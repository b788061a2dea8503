"""Let a model at home word what rules have found. It never decides, and nothing waits for it.

The template has answered before this begins. A model's words replace the template's
only when every check passed; the verdict, the level, the facts and the proposals are
not in its reach.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import explanations, incidents
from guardian.store.ingest import utc_now
from guardian.triage import prompt
from guardian.triage.check import Checked, check
from guardian.triage.llm.base import Ask
from guardian.triage.pool import Pool
from guardian.triage.stories import Told

if TYPE_CHECKING:
    from datetime import tzinfo

    from guardian.model.incident import Incident
    from guardian.store import Store
    from guardian.triage.llm.base import Reply
    from guardian.triage.pool import Tried
    from guardian.triage.settings import Settings

RETRY_S = 120.0
"""How long a job waits after nobody could answer; longer after each further try."""

NIGHT = "22-07"
"""Local hours in which the night's budget counts."""


async def explain_pending(
    store: Store,
    settings: Settings,
    *,
    pool: Pool | None = None,
    now: datetime | None = None,
    limit: int = 8,
) -> int:
    """Ask the models for explanations that are due; return how many were written.

    At most ``limit`` incidents are asked about. Without an endpoint this does nothing.

    Raises:
        StoreError: the store cannot be read or written.
        ConfigError: an endpoint of an unknown kind, or a zone that does not exist.
    """
    if not settings.endpoints and pool is None:
        return 0
    mine = pool if pool is not None else Pool(settings.endpoints)
    written = 0
    try:
        with store.transaction() as tx:
            explanations.enqueue(tx, now=now or utc_now())
        for _ in range(limit):
            moment = now or utc_now()
            if not mine.members or not _affordable(store, settings, moment):
                break
            job = explanations.take(store, lease_s=settings.deadline_s * 2, now=moment)
            if job is None:
                break
            written += await _explain(store, settings, mine, job, moment)
    finally:
        if pool is None:
            await mine.aclose()
    return written


def _affordable(store: Store, settings: Settings, now: datetime) -> bool:
    local = words.local(now, words.zone(settings.timezone))
    with store.read() as reader:
        hour = explanations.calls_since(reader, now - timedelta(hours=1))
        night = explanations.calls_since(reader, now - timedelta(hours=9))
    at_night = local.hour >= 22 or local.hour < 7
    return hour < settings.calls_per_hour and not (at_night and night >= settings.calls_per_night)


async def _explain(
    store: Store, settings: Settings, pool: Pool, job: explanations.Job, now: datetime
) -> int:
    zone = words.zone(settings.timezone)
    with store.read() as reader:
        incident = incidents.incident(reader, job.incident_id)
    if incident is None or incident.packet_hash != job.packet_hash:
        with store.transaction() as tx:
            explanations.finish(tx, job, "done", now=now, detail="it has changed since")
        return 0
    fallback = Told(
        title=incident.title,
        summary=incident.summary,
        explanation=incident.explanation,
        expert=incident.expert,
        claims=incident.claims,
    )
    asked = _ask(incident, settings)
    request = prompt.fingerprint(asked.messages, asked.schema)
    before = _from_before(store, pool, incident, request, fallback, zone)
    if before is not None:
        _write(store, incident, job, *before, now=now)
        return 1
    detail = "nobody could be asked"
    refused = 0
    async for tried in pool.ask(asked, words.local(now, zone)):
        checked = Checked(told=None, kept=0, dropped=())
        if tried.reply is not None:
            checked = check(tried.reply.text, incident, fallback, zone)
        _record(store, tried, checked, now)
        detail = "; ".join(checked.dropped) or str(tried.error or "")
        refused += tried.reply is not None
        if tried.reply is not None and checked.told is not None:
            model = _provenance(tried.reply, tried.member.name, asked, incident)
            _write(store, incident, job, checked.told, model, now=now, reply=tried.reply.text)
            return 1
    with store.transaction() as tx:
        if refused:
            # It would write the same again: temperature 0 and one seed.
            explanations.finish(tx, job, "failed", now=now, detail=detail)
        else:
            pause = RETRY_S * 2.0 ** (job.attempts - 1)
            explanations.retry(tx, job, after_s=pause, now=now, detail=detail)
    return 0


def _ask(incident: Incident, settings: Settings) -> Ask:
    return Ask(
        messages=prompt.messages(incident),
        schema=prompt.schema(incident),
        deadline_s=settings.deadline_s,
        num_ctx=settings.num_ctx,
        max_tokens=settings.max_tokens,
        keep_alive=settings.keep_alive,
    )


def _provenance(reply: Reply, endpoint: str, asked: Ask, incident: Incident) -> dict[str, Any]:
    return {
        "name": f"{reply.model} on {endpoint}",
        "model": reply.model,
        "digest": reply.digest,
        "endpoint": endpoint,
        "parameters": dict(reply.parameters),
        "prompt_version": prompt.version(),
        "request": prompt.fingerprint(asked.messages, asked.schema),
        "packet": incident.packet_hash,
        "seconds": round(reply.seconds, 2),
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
    }


def _record(store: Store, tried: Tried, checked: Checked, now: datetime) -> None:
    reply = tried.reply
    call = explanations.Call(
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
    with store.transaction() as tx:
        explanations.record(tx, call, now=now)


def _write(
    store: Store,
    incident: Incident,
    job: explanations.Job,
    told: Told,
    model: dict[str, Any],
    *,
    now: datetime,
    reply: str | None = None,
) -> None:
    """Show a model's words; ``reply`` is kept for the same request, if it is new."""
    with store.transaction() as tx:
        if reply is not None:
            explanations.keep(tx, reply, model, now=now)
        explanations.show(
            tx,
            incident.id,
            incident.packet_hash,
            title=told.title,
            summary=told.summary,
            explanation=told.explanation,
            expert=told.expert,
            claims=told.claims,
            model=model,
            now=now,
        )
        detail = "" if reply is not None else "asked before"
        explanations.finish(tx, job, "done", now=now, detail=detail)


def _from_before(
    store: Store,
    pool: Pool,
    incident: Incident,
    request: str,
    fallback: Told,
    zone: tzinfo | None,
) -> tuple[Told, dict[str, Any]] | None:
    """Return an answer to exactly this request, its slots filled anew and all checks repeated."""
    names = {member.name for member in pool.members}
    with store.read() as reader:
        found = explanations.answers(reader, request, prompt.version())
    for reply, model in found:
        if model.get("endpoint") in names:
            told = check(reply, incident, fallback, zone).told
            if told is not None:
                return told, {**model, "packet": incident.packet_hash}
    return None
