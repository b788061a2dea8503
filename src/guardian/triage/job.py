"""One job of explaining: what it is about, and how its end is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardian.store import explanations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardian.model.incident import Incident
    from guardian.store import Store
    from guardian.triage.llm.base import Ask
    from guardian.triage.stories import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A job with its incident, the request, its fingerprint and the template's telling."""

    job: explanations.Job
    incident: Incident
    asked: Ask
    request: str
    fallback: Told


def end(store: Store, job: explanations.Job, state: str, detail: str, now: datetime) -> None:
    """Write how a job ended: ``done`` or ``failed``."""
    with store.transaction() as tx:
        explanations.finish(tx, job, state, now=now, detail=detail)


def record(store: Store, call: explanations.Call, now: datetime) -> None:
    """Write one call to a model."""
    with store.transaction() as tx:
        explanations.record(tx, call, now=now)


def write(
    store: Store,
    case: Case,
    told: Told,
    model: Mapping[str, Any],
    now: datetime,
    *,
    reply: str | None = None,
) -> None:
    """Show a model's words; ``reply`` is kept for the same request, if it is new."""
    with store.transaction() as tx:
        if reply is not None:
            explanations.keep(tx, reply, model, now=now)
        explanations.show(
            tx,
            case.incident.id,
            case.incident.packet_hash,
            title=told.title,
            summary=told.summary,
            explanation=told.explanation,
            expert=told.expert,
            claims=told.claims,
            model=model,
            now=now,
        )
        detail = "" if reply is not None else "asked before"
        explanations.finish(tx, case.job, "done", now=now, detail=detail)
