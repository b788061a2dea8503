"""What a person does not want to be told again: asked with a preview, and always undone.

The preview and the act are the same call of the store, so that what is counted is what
is hidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.model import words
from guardian.store import pages, suppressions

if TYPE_CHECKING:
    from guardian.web.site import Site

DAYS = 90
"""How long "this is fine here" lasts; then Guardian tells again, and may be told again."""
MAX_CLASSES = 6
"""An incident of more kinds than this is not silenced with one tap."""


def router(site: Site) -> APIRouter:
    """Return the routes of silencing and of what is silenced."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.post("/incidents/{incident_id}/fine")
    def fine(
        request: Request,
        incident_id: int,
        sure: Annotated[str, Form(max_length=10)] = "",
        reason: Annotated[str, Form(max_length=300)] = "",
    ) -> Response:
        with site.store.read() as reader:
            row = pages.incident(reader, incident_id)
        if row is None:
            raise HTTPException(404, "no such incident")
        wanted = _filters(row)
        reports = [
            suppressions.add(
                site.store,
                each,
                author=site.actor(request),
                reason=words.clean(reason, 300) or "This is fine here",
                days=DAYS,
                dry_run=sure != "yes",
            )
            for each in wanted
        ]
        if sure == "yes":
            return RedirectResponse("/silenced", status_code=303)
        return site.page(
            "fine.html",
            title="This is fine here",
            tab="incidents",
            it=row,
            what=[words.finding_class(str(each.finding_class)) for each in wanted],
            found=sum(report["findings"] for report in reports),
            days=DAYS,
            grave=row["verdict"] in {"malicious", "suspicious"},
        )

    @routes.get("/silenced")
    def silenced() -> Response:
        with site.store.read() as reader:
            rows = suppressions.listing(reader)[: pages.MAX_ROWS]
            names = {each["device_id"]: each["name"] for each in pages.devices(reader, limit=500)}
        return site.page(
            "silenced.html", title="What you silenced", tab="incidents", rows=rows, names=names
        )

    @routes.post("/silenced/{number}/lift")
    def lift(number: int) -> Response:
        suppressions.lift(site.store, number)
        return RedirectResponse("/silenced", status_code=303)

    return routes


def _filters(row: dict[str, Any]) -> list[suppressions.Filter]:
    """Return what would be hidden: this device, for each thing the incident is about."""
    if row["device_id"] is None or len(row["classes"]) > MAX_CLASSES:
        raise HTTPException(409, "This is about more than one device, so it is not silenced here.")
    return [
        suppressions.Filter(finding_class=each, device_id=row["device_id"])
        for each in row["classes"]
    ]
