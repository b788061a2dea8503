"""The JSON interface: what the command line and other programs read and answer.

Records have the same form as ``guardian … --format json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request

from guardian.model.response import Verb  # noqa: TC001 - FastAPI reads it at run time
from guardian.store import incidents, pages, responses
from guardian.web.records import device_record, finding_record

if TYPE_CHECKING:
    from guardian.web.site import Site

Limit = Annotated[int, Query(ge=1, le=5000)]
Text = Annotated[str | None, Query(max_length=200)]


def router(site: Site) -> APIRouter:
    """Return the JSON routes, to be mounted under ``/api``."""
    routes = APIRouter()
    _records(routes, site)
    _answers(routes, site)
    _state(routes, site)
    return routes


def _records(routes: APIRouter, site: Site) -> None:
    @routes.get("/findings")
    def findings(
        device: Text = None,
        finding_class: Annotated[str | None, Query(alias="class", max_length=40)] = None,
        level: Text = None,
        limit: Limit = 1000,
    ) -> list[dict[str, Any]]:
        with site.store.read() as reader:
            rows = pages.findings(
                reader, device_id=device, finding_class=finding_class, level=level, limit=limit
            )
        return [finding_record(row) for row in rows]

    @routes.get("/incidents")
    def all_incidents(
        status: Text = None,
        device: Text = None,
        verdict: Text = None,
        level: Text = None,
        limit: Limit = 500,
    ) -> list[dict[str, Any]]:
        with site.store.read() as reader:
            return incidents.as_json(
                reader, status=status, device=device, verdict=verdict, level=level, limit=limit
            )

    @routes.get("/devices")
    def devices(limit: Limit = 500) -> list[dict[str, Any]]:
        with site.store.read() as reader:
            return [device_record(row) for row in pages.devices(reader, limit=limit)]


def _answers(routes: APIRouter, site: Site) -> None:
    @routes.get("/proposals")
    def proposals(status: Text = None, incident: int | None = None) -> list[dict[str, Any]]:
        with site.store.read() as reader:
            return responses.as_json(reader, status=status, incident=incident)

    @routes.get("/proposals/{proposal_id}")
    def one_proposal(proposal_id: int) -> dict[str, Any]:
        return _proposal(site, proposal_id)

    @routes.post("/proposals/{proposal_id}/{verb}")
    def answer(request: Request, proposal_id: int, verb: Verb) -> dict[str, Any]:
        actor = f"api from {request.client.host if request.client else 'local'}"
        site.answer(proposal_id, verb, actor=actor, channel="api")
        return _proposal(site, proposal_id)


def _state(routes: APIRouter, site: Site) -> None:
    @routes.get("/status")
    def status() -> dict[str, Any]:
        if site.status is None:
            raise HTTPException(503, "no daemon runs beside this page")
        return dict(site.status())

    @routes.get("/health")
    def health() -> dict[str, Any]:
        if site.status is None:
            raise HTTPException(503, "no daemon runs beside this page")
        return dict(site.status()["health"])


def _proposal(site: Site, proposal_id: int) -> dict[str, Any]:
    with site.store.read() as reader:
        found = responses.as_json(reader, proposal=proposal_id)
    if not found:
        raise HTTPException(404, f"there is no proposal {proposal_id}")
    return found[0]
