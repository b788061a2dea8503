"""Ask a model outside the house, if the keeper said so, about one redacted incident.

It happens only when no model at home could be asked, for classes that the keeper named,
within the month's budget. The exact bytes are kept before they leave.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from guardian.clients.openai_compatible import OpenAICompatibleClient, question
from guardian.errors import ClientError, ConfigError, TriageError
from guardian.model import words
from guardian.store import explanations
from guardian.store import overflow as kept
from guardian.triage import causes, prompt, redact
from guardian.triage import job as jobs
from guardian.triage.check import Checked, check
from guardian.triage.llm.base import mapped
from guardian.triage.llm.home import outside
from guardian.triage.llm.openai_compatible import reply_of
from guardian.triage.member import outcome_of

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from guardian.store import Store
    from guardian.triage.job import Case
    from guardian.triage.llm.base import Reply
    from guardian.triage.settings import Overflow, Settings

NAME = "outside"
"""What the endpoint is called where calls are counted."""


async def ask(
    store: Store, settings: Settings, case: Case, zone: tzinfo | None, now: datetime
) -> int | None:
    """Ask outside; return 1 when words were written, 0 when not, None when nothing was sent.

    Raises:
        ConfigError: the key cannot be read, or the address is neither https nor at home.
    """
    options = settings.overflow
    classes = {each.value for each in case.incident.classes[:1]}
    if not options.on or not classes & set(options.classes):
        return None
    await _require_https(options.url)
    redacted = redact.redact(case.incident, case.asked)
    body = _body(options, case, redacted)
    key = await asyncio.to_thread(_key, options)
    number = await asyncio.to_thread(
        kept.begin,
        store,
        incident_id=case.incident.id,
        packet_hash=case.incident.packet_hash,
        url=options.url,
        model=options.model,
        body=body,
        pseudonyms=redacted.pseudonyms,
        budget=options.calls_per_month,
        since=_month(now, zone),
        now=now,
    )
    if number is None:
        return None
    reply, error, seconds = await _send(options, case, body, key)
    checked = Checked(told=None, kept=0, dropped=())
    if reply is not None:
        text = redact.restore(reply.text, redacted.pseudonyms)
        checked = check(text, case.incident, case.fallback, zone)
    call = _call(options, reply, error, checked, seconds)
    await asyncio.to_thread(_record, store, number, call, reply, now)
    if reply is None or checked.told is None:
        # What was sent once is not sent again; the template stays.
        await asyncio.to_thread(jobs.end, store, case.job, "failed", call.detail, now)
        return 0
    model = _provenance(reply, options, case, number)
    model["causes"] = causes.as_json(checked.causes)
    await asyncio.to_thread(jobs.write, store, case, checked.told, model, now)
    return 1


def _body(options: Overflow, case: Case, redacted: redact.Redacted) -> bytes:
    return msgspec.json.encode(
        question(
            model=options.model,
            messages=redacted.messages,
            schema=case.asked.schema,
            max_tokens=case.asked.max_tokens,
            seed=case.asked.seed,
        )
    )


def _call(
    options: Overflow,
    reply: Reply | None,
    error: TriageError | None,
    checked: Checked,
    seconds: float,
) -> explanations.Call:
    return explanations.Call(
        endpoint=NAME,
        model=options.model,
        role="overflow",
        outcome="rejected" if reply and checked.told is None else outcome_of(error),
        seconds=seconds,
        tokens_in=reply.tokens_in if reply else 0,
        tokens_out=reply.tokens_out if reply else 0,
        claims_kept=checked.kept,
        claims_dropped=len(checked.dropped),
        detail="; ".join(checked.dropped) or str(error or ""),
    )


def _record(
    store: Store, number: int, call: explanations.Call, reply: Reply | None, now: datetime
) -> None:
    kept.finish(
        store,
        number,
        call.outcome,
        reply=reply.text if reply else None,
        tokens_in=call.tokens_in,
        tokens_out=call.tokens_out,
        seconds=call.seconds,
    )
    jobs.record(store, call, now)


async def _send(
    options: Overflow, case: Case, body: bytes, key: str
) -> tuple[Reply | None, TriageError | None, float]:
    began = time.monotonic()
    client = OpenAICompatibleClient(options.url, timeout_s=options.deadline_s, key=key)
    try:
        found = await client.chat(body)
        reply = reply_of(found, case.asked, url=options.url, model=options.model, began=began)
    except ClientError as error:
        return None, mapped(error), time.monotonic() - began
    except TriageError as error:
        return None, error, time.monotonic() - began
    finally:
        await client.aclose()
    return reply, None, time.monotonic() - began


async def _require_https(url: str) -> None:
    if urlsplit(url).scheme != "https" and await outside(url):
        msg = f"triage.overflow.url: {url} is outside the house and not https"
        raise ConfigError(msg)


def _key(options: Overflow) -> str:
    if options.key_file is None:
        return ""
    try:
        return options.key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"triage.overflow.key_file: {options.key_file} cannot be read"
        raise ConfigError(msg) from error


def _month(now: datetime, zone: tzinfo | None) -> datetime:
    """Return when this calendar month began in the house, as a UTC time of the store."""
    local = words.local(now, zone)
    return now - (local - local.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _provenance(reply: Reply, options: Overflow, case: Case, number: int) -> dict[str, Any]:
    return {
        "name": f"{reply.model} outside the house",
        "model": reply.model,
        "digest": reply.digest,
        "endpoint": NAME,
        "url": options.url,
        "role": "overflow",
        "sent": number,
        "instead_of": ["every model at home: away"],
        "parameters": dict(reply.parameters),
        "prompt_version": prompt.version(),
        "request": case.request,
        "packet": case.incident.packet_hash,
        "seconds": round(reply.seconds, 2),
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
    }
