"""Who listens, and how Guardian itself is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from guardian.detect import surveillance_optout
from guardian.model import words
from guardian.store import (
    explanations,
    model_endpoints,
    pages,
)
from guardian.store import privacy as ledger

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.web.site import Site


def router(site: Site) -> APIRouter:
    """Return the routes of privacy and health."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/privacy")
    def privacy() -> Response:
        with site.store.read() as reader:
            window = pages.window(reader, site.now())
            rows = ledger.ledger(
                reader,
                since=window.since,
                until=window.until,
                offset_s=_offset_s(site, window.until),
                limit=200,
            )
            off = [
                {**each, "check": surveillance_optout.check(reader, each, now=window.until)}
                for each in ledger.opt_outs(reader)[:20]
            ]
            known = bool(reader.value("SELECT 1 FROM name_hit LIMIT 1"))
        by_device: dict[str, list[pages.Row]] = {}
        for row in rows:
            by_device.setdefault(row["device_id"], []).append(row)
        return site.page(
            "privacy.html",
            title="Privacy",
            tab="privacy",
            devices=by_device,
            most=max((row["contacts"] for row in rows), default=1),
            window=window,
            known=known,
            off=off,
        )

    @routes.get("/health")
    def health() -> Response:
        with site.store.read() as reader:
            sources = pages.sources(reader)
            components = pages.components(reader)
            errors = pages.detector_errors(reader)
            samples = pages.quarantine(reader, limit=20)
            told = explanations.figures(reader, now=site.now())
            models = model_endpoints.endpoints(reader, now=site.now())
        state = dict(site.status()["health"]) if site.status else {}
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
        )

    return routes


def _offset_s(site: Site, moment: datetime) -> int:
    """Return how many seconds the house's clock is ahead of UTC at a moment."""
    ahead = words.local(moment, site.zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())


def _shown(sample: bytes) -> str:
    """Return refused bytes as text that cannot do anything: what is not plain is escaped."""
    text = bytes(sample[:300]).decode("utf-8", "backslashreplace")
    return words.clean(text.replace("\x00", "\\x00"), 300)
