"""What people come for: tonight, incidents, and the answers they give."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.model import words
from guardian.model.response import Verb
from guardian.store import pages, pages_blind, pages_evidence, pages_listened
from guardian.triage import feedback, stories
from guardian.web import cards, device_view, origin, rhythm, story
from guardian.web.site import is_fragment, local_path

if TYPE_CHECKING:
    from guardian.store import Reader
    from guardian.web.site import Site

_FIRST_PAGE = re.compile(r"https?://[^/?#]+/([?#].*)?")
EVIDENCE_ROWS = 12
"""About so many rows stand on an incident's own page; all of them one step behind."""

Text = Annotated[str, Query(max_length=200)]


def router(site: Site) -> APIRouter:
    """Return the routes of tonight, incidents and approvals."""
    routes = APIRouter(default_response_class=HTMLResponse)
    _tonight(routes, site)
    _incidents(routes, site)
    _answers(routes, site)
    return routes


def _tonight(routes: APIRouter, site: Site) -> None:
    @routes.get("/")
    def tonight() -> Response:
        now = site.now()
        with site.store.read() as reader:
            window = pages.window(reader, now)
            since, until = window.since, window.until
            found = story.tonight(reader, window=window, now=now, zone=site.zone)
            heard = pages_listened.listened(reader, since=since, until=until, limit=6)
            refused = pages_listened.refused_lookups(reader, since=since, until=until)
            blind = pages_blind.blind_spots(reader, since=since, until=until)
            health = story.health_lines(reader, site.status)
        return site.page(
            "tonight.html",
            title="Tonight",
            tab="tonight",
            story=found,
            window=window,
            heard=heard,
            refused=refused,
            blind=blind,
            health=health,
        )

    @routes.get("/news")
    def news(mark: Text = "") -> Response:
        with site.store.read() as reader:
            current = pages.mark(reader)
        return site.part("_news.html", fresh=current != mark, mark=mark)


def _incidents(routes: APIRouter, site: Site) -> None:
    @routes.get("/incidents")
    def incidents(
        status: Text = "", verdict: Text = "", q: Text = "", page: Annotated[int, Query(ge=1)] = 1
    ) -> Response:
        size = site.settings.rows_per_page
        with site.store.read() as reader:
            rows = pages.incidents(
                reader,
                status=status or None,
                verdict=verdict or None,
                text=q or None,
                limit=size + 1,
                offset=(min(page, 1000) - 1) * size,
            )
            total = int(reader.value("SELECT count(*) FROM incident") or 0)
        chosen = {"status": status, "verdict": verdict, "q": q, "page": page}
        return site.page(
            "incidents.html",
            title="Incidents",
            tab="incidents",
            rows=rows[:size],
            more=len(rows) > size,
            total=total,
            chosen=chosen,
        )

    @routes.get("/incidents/{incident_id}")
    def incident(incident_id: int) -> Response:
        with site.store.read() as reader:
            row = pages.incident(reader, incident_id)
            if row is None:
                raise HTTPException(404, "no such incident")
            shown = _shown(reader, site, row)
        title = words.clean(row["title"], 80)
        return site.page("incident.html", title=title, tab="incidents", it=row, **shown)

    @routes.get("/incidents/{incident_id}/evidence")
    def evidence(incident_id: int) -> Response:
        with site.store.read() as reader:
            row = pages.incident(reader, incident_id)
            if row is None:
                raise HTTPException(404, "no such incident")
            found = pages.findings(reader, incident_id=incident_id, limit=200)
            ids = [each for finding in found for each in finding["evidence"]]
            rows = pages_evidence.evidence(reader, ids, limit=pages.MAX_ROWS)
            rows = device_view.named(reader, rows)
        return site.page(
            "evidence.html",
            title="Evidence",
            tab="incidents",
            it=row,
            findings=found,
            rows=rows,
            total=len(set(ids)),
        )


def _shown(reader: Reader, site: Site, row: pages.Row) -> dict[str, Any]:
    """Return what an incident's page shows besides the incident itself."""
    number, now = row["id"], site.now()
    found = pages.findings(reader, incident_id=number, limit=50)
    offered = {(each.finding_class, each.device_id) for each in feedback.offers(reader)}
    return {
        "told": origin.origin(reader, number),
        "findings": found,
        "evidence": device_view.named(reader, _first_rows(reader, found)),
        "evidence_total": len({each for finding in found for each in finding["evidence"]}),
        "rhythm": rhythm.rhythm(reader, row, found, zone=site.zone),
        "cards": [
            cards.card(each, now=now, zone=site.zone)
            for each in pages.proposals(reader, incident_id=number)
        ],
        "journal": pages.journal(reader, number),
        "said": pages.said(reader, number),
        "expected_often": any((each, row["device_id"]) in offered for each in row["classes"]),
        "device": pages.device(reader, row["device_id"]) if row["device_id"] else None,
        "claims": story.claims(row),
        "todo": stories.todo(row["classes"], row["verdict"]),
    }


def _first_rows(reader: Reader, found: list[pages.Row]) -> list[pages.Row]:
    """Return some evidence of every finding, so that a rare kind is not crowded out."""
    each = max(3, EVIDENCE_ROWS // max(1, len(found)))
    rows = [
        row
        for finding in found[:EVIDENCE_ROWS]
        for row in pages_evidence.evidence(reader, finding["evidence"], limit=each)
    ]
    known = {(row["source"], row["id"]): row for row in rows}
    return sorted(known.values(), key=lambda row: row["ts"], reverse=True)[: 2 * EVIDENCE_ROWS]


def _after(site: Site, request: Request, card: cards.Card, *, choice: bool) -> Response:
    """Return the card as it is now, and what else an answer changes on the open page."""
    now = site.now()
    told = None
    with site.store.read() as reader:
        rows = pages.proposals(reader, waiting=True)
        if _FIRST_PAGE.fullmatch(request.headers.get("hx-current-url", "")):
            window = pages.window(reader, now)
            told = story.tonight(reader, window=window, now=now, zone=site.zone)
    waiting = len({row["incident_id"] for row in rows})
    return site.part("_after.html", card=card, sure="", choice=choice, waiting=waiting, story=told)


def _answers(routes: APIRouter, site: Site) -> None:
    def card_of(proposal_id: int) -> cards.Card:
        with site.store.read() as reader:
            row = pages.proposal(reader, proposal_id)
        if row is None:
            raise HTTPException(404, "no such proposal")
        return cards.card(row, now=site.now(), zone=site.zone)

    @routes.get("/approvals")
    def approvals() -> Response:
        now = site.now()
        with site.store.read() as reader:
            waiting = pages.proposals(reader, waiting=True)
            handled = pages.proposals(reader, waiting=False, limit=site.settings.rows_per_page)
        return site.page(
            "approvals.html",
            title="Approvals",
            tab="approvals",
            needs=[cards.card(row, now=now, zone=site.zone) for row in waiting],
            handled=[cards.card(row, now=now, zone=site.zone) for row in handled],
        )

    @routes.get("/p/{proposal_id}")
    def one(proposal_id: int) -> Response:
        card = card_of(proposal_id)
        return site.page("proposal.html", title=card.button, tab="approvals", card=card, sure="")

    @routes.get("/p/{proposal_id}/card")
    def fragment(proposal_id: int, *, choice: bool = False) -> Response:
        return site.part("_card.html", card=card_of(proposal_id), sure="", choice=choice)

    @routes.get("/p/{proposal_id}/sure")
    def sure(proposal_id: int) -> Response:
        card = card_of(proposal_id)
        return site.page(
            "proposal.html", title=card.button, tab="approvals", card=card, sure="approve"
        )

    @routes.post("/p/{proposal_id}/{verb}")
    def answer(
        request: Request,
        proposal_id: int,
        verb: Verb,
        *,
        choice: bool = False,
        sure: Annotated[str, Form(max_length=10)] = "",
        back: Annotated[str, Form(max_length=300)] = "",
    ) -> Response:
        card = card_of(proposal_id)
        if verb is Verb.APPROVE and card.asks_twice and sure != "yes":
            return RedirectResponse(f"/p/{proposal_id}/sure", status_code=303)
        site.answer(proposal_id, verb, actor=site.actor(request), channel="page")
        if is_fragment(request):
            return _after(site, request, card_of(proposal_id), choice=choice)
        return RedirectResponse(local_path(back or f"/p/{proposal_id}"), status_code=303)
