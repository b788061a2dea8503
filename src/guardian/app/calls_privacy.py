"""Calls about who listens: the ledger, what was switched off, and who is home."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.detect import surveillance_ledger, surveillance_optout
from guardian.errors import InputError, UsageError
from guardian.model import words
from guardian.model.finding import SURVEILLANCE_CLASSES
from guardian.ops.status import rfc3339
from guardian.store import devices, presence, privacy, rhythms
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.app.service import Service


def privacy_ledger(service: Service, *, since_s: float) -> Any:
    """Return the ledger: device, company, purposes, country, contacts, bytes, shares, trend."""
    until = utc_now()
    with service.store.read() as reader:
        rows = surveillance_ledger.ledger(
            reader,
            since=until - timedelta(seconds=since_s),
            until=until,
            offset_s=_offset_s(service, until),
        )
    return [
        {
            **row,
            "country": row["country"] or "unknown",
            "first_seen": rfc3339(row["first_seen"]),
            "last_seen": rfc3339(row["last_seen"]),
        }
        for row in rows
    ]


def privacy_incomplete(service: Service) -> Any:
    """Return one line that says that the ledger does not hold all yet, or None."""
    with service.store.read() as reader:
        return privacy.incomplete(reader)


def models(service: Service, *, since_s: float) -> Any:
    """Return who uses language models: device, service, API or web, bytes, sittings, hours."""
    until = utc_now()
    with service.store.read() as reader:
        return surveillance_ledger.model_use(
            reader,
            since=until - timedelta(seconds=since_s),
            until=until,
            offset_s=_offset_s(service, until),
        )


def habits(service: Service) -> Any:
    """Return what was learned of rhythms, whom nameless devices are like, and what changed."""
    with service.store.read() as reader:
        learned = [
            {**row, "learned_at": rfc3339(row["learned_at"])} for row in rhythms.learned(reader)
        ]
        return {
            "learned": learned,
            "like": rhythms.likenesses(reader),
            "changed": surveillance_ledger.changed_habits(reader),
        }


def opt_out(
    service: Service,
    *,
    device: str | None = None,
    finding_class: str | None = None,
    day: str | None = None,
    company: str | None = None,
    note: str = "",
    withdraw: int | None = None,
) -> Any:
    """Note what was switched off, or stop checking it; return every one with its answer."""
    now = utc_now()
    if withdraw is not None:
        with service.store.transaction() as tx:
            known = privacy.withdraw_opt_out(tx, withdraw, now=now)
        if not known:
            msg = f"nothing that is checked has the number {withdraw}; see: guardian opt-out"
            raise InputError(msg)
    elif device is not None:
        if finding_class is None or day is None:
            msg = "name all three: --device, --class and --on"
            raise UsageError(msg)
        if finding_class not in set(map(str, SURVEILLANCE_CLASSES)):
            names = ", ".join(sorted(map(str, SURVEILLANCE_CLASSES)))
            msg = f"nothing called {finding_class!r} can be switched off; known: {names}"
            raise InputError(msg)
        moment = _moment(service, day)
        if moment > now:
            msg = f"{day} lies ahead: say when it was switched off, once it was"
            raise InputError(msg)
        with service.store.read() as reader:
            device_id = devices.find(reader, device)
        with service.store.transaction() as tx:
            privacy.record_opt_out(
                tx,
                device_id=device_id,
                finding_class=finding_class,
                switched_off_at=moment,
                author="keeper",
                now=now,
                company=company,
                note=note,
            )
    return surveillance_optout.check_all(service.store, now=now)


def away(
    service: Service, *, back: bool = False, since: str | None = None, until: str | None = None
) -> Any:
    """Note that nobody is home (from ``since``, default now, to ``until``), or is again."""
    now = utc_now()
    with service.store.transaction() as tx:
        if back:
            return {"ended": presence.say_back(tx, now=now), "away": False}
        number = presence.say_away(
            tx,
            valid_from=_moment(service, since) if since else now,
            valid_to=_moment(service, until) if until else None,
            author="keeper",
            now=now,
        )
    return {"id": number, "away": True}


def _moment(service: Service, text: str) -> datetime:
    """Return a day or time of the house's clock as UTC.

    Raises:
        UsageError: it is neither.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is neither a day nor a time; write 2026-11-02 or 2026-11-02T18:30"
        raise UsageError(msg) from error
    if given.tzinfo is None:
        given = given.replace(tzinfo=words.zone(service.config.web.timezone))
    return given.astimezone(UTC).replace(tzinfo=None)


def _offset_s(service: Service, moment: datetime) -> int:
    ahead = words.local(moment, words.zone(service.config.web.timezone)).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
