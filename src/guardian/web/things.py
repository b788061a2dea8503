"""How Guardian itself is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from guardian.model import words
from guardian.store import (
    explanations,
    model_endpoints,
    pages,
)

if TYPE_CHECKING:
    from guardian.web.site import Site


def router(site: Site) -> APIRouter:
    """Return the routes of health."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/health")
    def health() -> Response:
        with site.store.read() as reader:
            sources = pages.sources(reader)
            components = pages.components(reader)
            errors = pages.detector_errors(reader)
            samples = pages.quarantine(reader, limit=20)
            told = explanations.figures(reader, now=site.now())
            models = model_endpoints.endpoints(reader, now=site.now())
        whole = site.status() if site.status else {}
        state = dict(whole["health"]) if whole else {}
        for sample in samples:
            sample["text"] = _shown(sample["sample"])
        return site.page(
            "health.html",
            title="Health",
            tab="health",
            sources=sources,
            components=components,
            errors=errors,
            samples=samples,
            told=told,
            models=models,
            state=state,
            storage=whole.get("storage"),
        )

    return routes


def _shown(sample: bytes) -> str:
    """Return refused bytes as text that cannot do anything: what is not plain is escaped."""
    text = bytes(sample[:300]).decode("utf-8", "backslashreplace")
    return words.clean(text.replace("\x00", "\\x00"), 300)
