"""Who listens: the ledger, what was switched off, models, crawlers, and who is home."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.detect import surveillance_ledger, surveillance_optout
from guardian.errors import InputError
from guardian.intel import companies
from guardian.model import words
from guardian.model.finding import SURVEILLANCE_CLASSES
from guardian.store import pages, presence, rhythms
from guardian.store import privacy as table
from guardian.web import draw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.store import Reader
    from guardian.web.site import Site

SHOWN = 8
"""Companies shown of one device; the rest is counted."""
SWITCHES = 20
"""What was switched off, at most: each is worked out when the page is opened."""
CRAWL_DAYS = 28

Short = Annotated[str, Form(max_length=80)]


def router(site: Site) -> APIRouter:
    """Return the routes of the privacy page."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/privacy")
    def privacy() -> Response:
        with site.store.read() as reader:
            window = pages.window(reader, site.now())
            shown = _shown(site, reader, window)
        return site.page("privacy.html", title="Privacy", tab="privacy", window=window, **shown)

    @routes.post("/privacy/off")
    def switch_off(
        request: Request,
        what: Annotated[str, Form(max_length=200)],
        when: Short,
        note: Short = "",
    ) -> Response:
        device, _, rest = what.partition("|")
        finding_class, _, company = rest.partition("|")
        moment = _moment(site, when)
        with site.store.read() as reader:
            known = reader.value("SELECT 1 FROM device WHERE device_id = ?", [device])
        if moment > site.now():
            msg = "that day lies ahead: say when it was switched off, once it was"
            raise InputError(msg)
        if not known or finding_class not in set(map(str, SURVEILLANCE_CLASSES)):
            msg = "choose a device and what was switched off on it"
            raise InputError(msg)
        with site.store.transaction() as tx:
            table.record_opt_out(
                tx, device_id=device, finding_class=finding_class, switched_off_at=moment,
                author=site.actor(request), now=site.now(), company=company or None, note=note,
            )  # fmt: skip
        return RedirectResponse("/privacy#off", status_code=303)

    @routes.post("/privacy/off/{number}/withdraw")
    def withdraw(number: int) -> Response:
        with site.store.transaction() as tx:
            table.withdraw_opt_out(tx, number, now=site.now())
        return RedirectResponse("/privacy#off", status_code=303)

    @routes.post("/privacy/away")
    def away(request: Request, home: Short = "") -> Response:
        now = site.now()
        with site.store.transaction() as tx:
            if home == "yes":
                presence.say_back(tx, now=now)
            else:
                presence.say_away(
                    tx, valid_from=now, valid_to=None, author=site.actor(request), now=now
                )
        return RedirectResponse("/privacy#home", status_code=303)

    return routes


def _shown(site: Site, reader: Reader, window: pages.Window) -> dict[str, Any]:
    offset_s = _offset_s(site, window.until)
    since, until = window.since, window.until
    rows = surveillance_ledger.ledger(
        reader, since=since, until=until, offset_s=offset_s, limit=200
    )
    away = presence.away_hours(reader, since=since, until=until, offset_s=offset_s)
    by_device: dict[str, list[pages.Row]] = {}
    for row in rows:
        row["line"] = _line(row)
        row["drawing"] = _drawing(row["weeks"])
        by_device.setdefault(row["device_id"], []).append(row)
    models = surveillance_ledger.model_use(
        reader, since=until - timedelta(days=7), until=until, offset_s=offset_s
    )
    for row in models:
        row["hours"] = _hours(row["hours"])
    month = table.met(reader, since=until - timedelta(weeks=table.WEEKS), until=until)
    return {
        "devices": by_device,
        "incomplete": table.incomplete(reader),
        "shown": SHOWN,
        "most": max((row["contacts"] for row in rows), default=1),
        "models": models,
        "crawlers": surveillance_ledger.crawlers(
            reader, since=window.until - timedelta(days=CRAWL_DAYS)
        ),
        "like": rhythms.likenesses(reader)[:SWITCHES],
        "changed": surveillance_ledger.changed_habits(reader, limit=10),
        "learned": len(rhythms.learned(reader)),
        "known": bool(reader.value("SELECT 1 FROM name_hit LIMIT 1")),
        "off": [_switch(reader, each, window.until) for each in table.opt_outs(reader)[:SWITCHES]],
        "choices": _choices(month),
        "away": presence.is_away(reader),
        "away_known": away is not None,
        "today": words.local(window.until, site.zone).date().isoformat(),
    }


def _line(row: Mapping[str, Any]) -> str:
    """Return what is told of a row below its bar."""
    parts = [f"{words.size(row['bytes_up'])} sent"]
    if row["night_share"]:
        parts.append(f"{100 * row['night_share']:.0f} % at night")
    if row["away_share"]:
        parts.append(f"{100 * row['away_share']:.0f} % while nobody was home")
    parts.append(f"seat in {companies.country_name(row['country']) or 'a country not known'}")
    trend = {
        "new": "new these weeks",
        "more": "more than in the weeks before",
        "less": "less than in the weeks before",
        "steady": "as in the weeks before",
    }.get(row["trend"] or "")
    return " · ".join([*parts, trend] if trend else parts)


def _drawing(weeks: list[int | None]) -> Any:
    if all(count is None for count in weeks[:-1]):
        return None
    told = ", ".join("not seen" if count is None else words.number(count) for count in weeks)
    return draw.weeks(weeks, f"Contacts in the last four weeks, oldest first: {told}")


def _hours(hours: list[int]) -> str:
    """Return hours of the day as spans: ``8–11, 23``."""
    spans: list[list[int]] = []
    for hour in hours:
        if spans and hour == spans[-1][1] + 1:
            spans[-1][1] = hour
        else:
            spans.append([hour, hour])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in spans)


def _switch(reader: Reader, row: pages.Row, now: datetime) -> dict[str, Any]:
    """Return one thing that was switched off, with the answer that is kept of it.

    One that was recorded just now has none yet: then it is worked out here.
    """
    said = table.answers(reader, row["id"])
    found: dict[str, Any] = (
        json.loads(said[-1]["detail"])
        if said
        else surveillance_optout.check(reader, row, now=now).as_json()
    )
    since = said[-1]["answered_at"] if said else None
    return {**row, "check": found, "answer": found["answer"], "since": since}


def _choices(rows: list[pages.Row]) -> list[dict[str, Any]]:
    """Return what may have been switched off: what each device did in the last weeks."""
    devices: dict[str, dict[str, Any]] = {}
    for row in rows:
        device = devices.setdefault(row["device_id"], {"name": row["device"], "what": []})
        value = f"{row['device_id']}|{row['class']}|{row['company']}"
        device["what"].append((value, row["class"], row["company"]))
    return list(devices.values())


def _moment(site: Site, text: str) -> datetime:
    """Return a day of the house's calendar as the moment in UTC at which it began."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        msg = "give the day as 2026-11-02"
        raise InputError(msg) from error
    return given.replace(tzinfo=site.zone).astimezone(UTC).replace(tzinfo=None)


def _offset_s(site: Site, moment: datetime) -> int:
    """Return how many seconds the house's clock is ahead of UTC at a moment."""
    ahead = words.local(moment, site.zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
