"""Calls about words: questions of people, and what left the house for a model elsewhere."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.model import words
from guardian.store import incidents, model_endpoints, overflow, pages, questions
from guardian.store.ingest import utc_now
from guardian.triage import Pool, ask, causes, reading, stories

if TYPE_CHECKING:
    from guardian.app.service import Service
    from guardian.store import Reader

POLL_S = 0.1


def answer(service: Service, *, question: str = "") -> Any:
    """Answer a question from rows; without one, return the menu.

    A model at home reads it if one answers in time; else its words alone decide.

    Raises:
        InputError: neither a model nor the words found a query of the menu.
    """
    if not question.strip():
        return {"menu": ask.menu()}
    meant, by = _read(service, question)
    with service.store.read() as reader:
        if meant is None:
            meant = ask.understand(reader, question)
        # The page looks back from the newest event where a recording is read; so does this.
        until = pages.window(reader, utc_now()).until
        found = ask.ask(reader, **meant, now=until, zone=words.zone(service.config.triage.timezone))
    return {
        "question": found.question,
        "parameters": dict(found.parameters),
        "understood_by": by or "words",
        "text": found.text,
        "columns": list(found.columns),
        "rows": [dict(row) for row in found.rows],
        "total": found.total,
    }


def _read(service: Service, question: str) -> tuple[dict[str, Any] | None, str]:
    settings = service.config.triage
    if not settings.endpoints:
        return None, ""
    if not service.running:
        return asyncio.run(_read_now(service, question))
    now = utc_now()
    with service.store.read() as reader:
        if not model_endpoints.able(reader, now=now):
            return None, ""
    number = questions.add(service.store, question[: ask.LONGEST], now=now)
    ends = time.monotonic() + settings.ask_deadline_s
    while number is not None and time.monotonic() < ends:
        with service.store.read() as reader:
            row = questions.one(reader, number, now=utc_now())
        if row is not None and row["state"] != "pending":
            return row["meant"], row["understood_by"]
        time.sleep(POLL_S)
    return None, ""


async def _read_now(service: Service, question: str) -> tuple[dict[str, Any] | None, str]:
    pool = Pool(service.config.triage.endpoints)
    try:
        meant, by, _ = await reading.read(service.store, service.config.triage, pool, question)
    finally:
        await pool.aclose()
    return meant, by


def explained(reader: Reader, number: int) -> dict[str, Any] | None:
    """Return one incident whole, with its likely causes, or None when there is none."""
    found = incidents.explained(reader, number)
    whole = incidents.incident(reader, number)
    if found is None or whole is None:
        return None
    ranked, by = causes.told(whole)
    likely = [{"text": claim.text, "facts": list(claim.facts)} for claim in ranked]
    todo = stories.todo([each.value for each in whole.classes], whole.verdict)
    return {**found, "causes": likely, "causes_by": by, "todo": list(todo)}


def overflow_list(service: Service) -> Any:
    """Return what was sent out of the house, the newest first."""
    with service.store.read() as reader:
        return overflow.listing(reader)


def overflow_show(service: Service, *, number: int) -> Any:
    """Return one request, byte for byte, and what stood for what.

    Raises:
        InputError: there is no such request.
    """
    with service.store.read() as reader:
        found = overflow.one(reader, number)
    if found is None:
        msg = f"nothing was sent under number {number}; see: guardian overflow list"
        raise InputError(msg)
    return found
