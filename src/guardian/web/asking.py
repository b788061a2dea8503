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
from guardian.store import pages
from guardian.triage import ask as questions
from guardian.triage import feedback

if TYPE_CHECKING:
    from guardian.web.site import Site

Text = Annotated[str, Query(max_length=300)]
HOURS = 24.0
"""How far back a question from the menu looks, unless it says otherwise."""


def router(site: Site) -> APIRouter:
    """Return the routes of asking and of feedback."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/ask")
    def ask(q: Text = "", question: Text = "", device: Text = "", hours: float = HOURS) -> Response:
        answer: questions.Answer | None = None
        wrong = ""
        with site.store.read() as reader:
            until = pages.window(reader, site.now()).until
            devices = pages.devices(reader, limit=200)
            try:
                wanted: dict[str, Any] = {}
                if question:
                    wanted = {"name": question, "device": device or None, "hours": hours}
                elif q:
                    wanted = questions.understand(reader, q)
                if wanted:
                    answer = questions.ask(reader, **wanted, now=until)
            except InputError as error:
                wrong = words.clean(str(error), 300)
        return site.page(
            "ask.html",
            title="Ask",
            tab="ask",
            q=q,
            question=answer.question if answer else question,
            device=(answer.parameters["device"] or "") if answer else device,
            hours=answer.parameters["hours"] if answer else hours,
            menu=questions.menu(),
            devices=devices,
            answer=answer,
            rows=[
                {name: _shown(site, value) for name, value in row.items()}
                for row in (answer.rows if answer else ())
            ],
            wrong=wrong,
        )

    @routes.post("/incidents/{incident_id}/say")
    def say(
        request: Request, incident_id: int, answer: Annotated[str, Form(max_length=20)]
    ) -> Response:
        feedback.give(site.store, incident_id, answer, actor=site.actor(request))
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

    return routes


def _shown(site: Site, value: Any) -> Any:
    """Return a time of an answer on the house's clock; everything else as it is."""
    if isinstance(value, str) and value.endswith("Z") and value[10:11] == "T":
        try:
            moment = datetime.fromisoformat(value[:-1])
        except ValueError:
            return value
        return words.clock(moment, site.zone, site.now())
    return value
