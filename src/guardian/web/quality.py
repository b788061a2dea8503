"""How well stories are told: measured on gold sets, answered by people, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from guardian.triage import quality
from guardian.web import draw

if TYPE_CHECKING:
    from guardian.web.site import Site

_ROWS = (
    ("agreement", "The verdict is right"),
    ("recall", "Alarms are told as alarms"),
    ("false_positives", "Quiet things are told as alarms"),
    ("says_what_it_must", "The words say what they must"),
    ("says_nothing_wrong", "The words say nothing wrong"),
    ("grounded_claims", "Claims rest on facts"),
    ("one_incident", "One story, one incident"),
)
_SOURCES = {
    "scene": "made-up scenes, written together with the rules",
    "corpus": "stories of real captures",
    "house": "what people of this house answered",
}


def router(site: Site) -> APIRouter:
    """Return the route of the quality page."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/quality")
    def page() -> Response:
        with site.store.read() as reader:
            found = quality.report(reader, now=site.now())
        return site.page(
            "quality.html",
            title="Quality",
            tab="health",
            found=found,
            rows=_ROWS,
            sources=_SOURCES,
            interval=draw.interval,
        )

    return routes
