"""Ask in plain words, and say whether Guardian was right.

Questions are a fixed, read-only menu; what a sentence was understood to mean is shown
with its answer. What a person says of an incident is kept and can be taken back.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.errors import InputError
from guardian.model import words
from guardian.store import model_endpoints, overflow, pages, questions
from guardian.store.ingest import utc_now
from guardian.triage import ask as menu
from guardian.triage import feedback

if TYPE_CHECKING:
    from guardian.web.site import Site

Text = Annotated[str, Query(max_length=300)]
Question = Annotated[str, Query(max_length=20_000)]
"""A question may be pasted; its beginning is read."""
WHENS = (
    ("1h", "the last hour"),
    ("12h", "the last twelve hours"),
    ("24h", "the last day"),
    ("today", "today"),
    ("last_night", "last night"),
    ("yesterday", "yesterday"),
    ("this_week", "this week"),
    ("168h", "the last seven days"),
    ("744h", "the last month"),
)
"""The times that the menu offers, as they are shown."""


def router(site: Site) -> APIRouter:
    """Return the routes of asking and of feedback."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/ask")
    def ask(
        q: Question = "",
        question: Text = "",
        device: Text = "",
        when: Text = menu.DAY,
        about: Text = "",
    ) -> Response:
        said = words.clean(q, menu.LONGEST)
        wanted: dict[str, Any] | None = None
        if question:
            wanted = {"name": question, "device": device or None, "when": when, "about": about}
        asked = _asked(site, said) if said and not question else None
        shown = _answer(site, said, wanted, asked)
        with site.store.read() as reader:
            devices = pages.devices(reader, limit=200)
        return site.page(
            "ask.html",
            title="Ask",
            tab="ask",
            question=shown["chosen"] or question,
            device=shown["device"] or device,
            when=shown["when"] or when,
            about=shown["about"] or about,
            whens=WHENS,
            devices=devices,
            **{
                name: shown[name]
                for name in ("q", "menu", "answer", "rows", "wrong", "asked", "by")
            },
        )

    @routes.get("/ask/{number}/answer")
    def answer(number: int) -> Response:
        """The answer alone, for an open page that waits for a model."""
        asked = _question(site, number)
        if asked is None:
            raise HTTPException(404, "no such question")
        return site.part("_answer.html", **_answer(site, asked["text"], None, asked))

    @routes.get("/sent/{number}")
    def sent(number: int) -> Response:
        """What left the house, byte for byte."""
        with site.store.read() as reader:
            found = overflow.one(reader, number)
        if found is None:
            raise HTTPException(404, "nothing was sent under this number")
        return site.page("sent.html", title="What left the house", tab="incidents", it=found)

    _feedback(routes, site)
    return routes


def _feedback(routes: APIRouter, site: Site) -> None:
    @routes.post("/incidents/{incident_id}/say")
    def say(
        request: Request,
        incident_id: int,
        answer: Annotated[str, Form(max_length=20)],
        reason: Annotated[str, Form(max_length=60)] = "",
    ) -> Response:
        feedback.give(
            site.store,
            incident_id,
            answer,
            actor=site.actor(request),
            reason=words.clean(reason, 60),
        )
        site.wake()
        return RedirectResponse(f"/incidents/{incident_id}#said", status_code=303)

    @routes.post("/incidents/{incident_id}/unsay/{feedback_id}")
    def unsay(incident_id: int, feedback_id: int) -> Response:
        with site.store.read() as reader:
            found = reader.value("SELECT incident_id FROM feedback WHERE id = ?", [feedback_id])
        if found != incident_id:
            raise HTTPException(404, "no such answer")
        feedback.take_back(site.store, feedback_id)
        site.wake()
        return RedirectResponse(f"/incidents/{incident_id}#said", status_code=303)


def _question(site: Site, number: int) -> dict[str, Any] | None:
    with site.store.read() as reader:
        return questions.one(reader, number, now=utc_now())


def _asked(site: Site, text: str) -> dict[str, Any] | None:
    """Give a question to a model, if one is there to read it; nobody waits for that here."""
    now = utc_now()
    with site.store.read() as reader:
        if not model_endpoints.able(reader, now=now):
            return None
    number = questions.add(site.store, text, now=now)
    return None if number is None else _question(site, number)


def _answer(
    site: Site, text: str, wanted: dict[str, Any] | None, asked: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what an answer shows: by a model's reading if there is one, else by the words."""
    found: menu.Answer | None = None
    wrong = by = ""
    if wanted is None and asked is not None and asked["state"] == "done":
        # A question that an older Guardian understood may lie here for a day.
        wanted = {name: value for name, value in asked["meant"].items() if name != "hours"}
        by = str(asked["understood_by"])
    with site.store.read() as reader:
        until = pages.window(reader, site.now()).until
        try:
            if wanted is None and text:
                wanted = menu.understand(reader, text)
            if wanted is not None:
                found = menu.ask(reader, **wanted, now=until, zone=site.zone)
        except InputError as error:
            wrong = words.clean(str(error), 300)
    return {
        "q": text,
        "menu": menu.menu(),
        "answer": found,
        "rows": [
            {name: _shown(site, value) for name, value in row.items()}
            for row in (found.rows if found else ())
        ],
        "wrong": wrong,
        "asked": asked,
        "by": by,
        "chosen": found.question if found else "",
        "device": (found.parameters["device"] or "") if found else "",
        "when": found.parameters["span"] if found else "",
        "about": found.parameters["about"] if found else "",
    }


def _shown(site: Site, value: Any) -> Any:
    """Return a time of an answer on the house's clock; everything else as it is."""
    if isinstance(value, str) and value.endswith("Z") and value[10:11] == "T":
        try:
            moment = datetime.fromisoformat(value[:-1])
        except ValueError:
            return value
        return words.clock(moment, site.zone, site.now())
    return value
