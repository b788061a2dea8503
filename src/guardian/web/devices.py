"""Devices and networks: what is held of each and why, and what a person says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.detect.devices import person
from guardian.detect.devices.kinds import KINDS
from guardian.model import words
from guardian.store import merges, pages, segments
from guardian.web import device_view, device_year
from guardian.web.device_words import CERTAINTY, HOW, NAMED_BY, SOURCES

if TYPE_CHECKING:
    from guardian.web.site import Site

Text = Annotated[str, Query(max_length=200)]
Said = Annotated[str, Form(max_length=80)]
Key = Annotated[str, Form(max_length=20)]

_FORM = ("name", "kind", "owner", "room", "segment")
"""What the form of a device's page can set."""

LABELS = {
    "name": "Name",
    "kind": "Type",
    "owner": "Owner",
    "room": "Room",
    "segment": "Role of its network",
}


def router(site: Site) -> APIRouter:
    """Return the routes of devices and networks."""
    routes = APIRouter(default_response_class=HTMLResponse)
    _reading(routes, site)
    _answering(routes, site)
    _networks(routes, site)
    return routes


def _reading(routes: APIRouter, site: Site) -> None:
    @routes.get("/devices")
    def devices(q: Text = "") -> Response:
        with site.store.read() as reader:
            rows = pages.devices(reader, text=q or None)
            total = int(reader.value("SELECT count(*) FROM device WHERE merged_into IS NULL") or 0)
            alike = merges.proposals(reader)[:10]
            networks = segments.segments(reader)
        return site.page(
            "devices.html",
            title="Devices",
            tab="devices",
            rows=rows,
            total=total,
            q=q,
            alike=alike,
            networks={each["cidr"]: each["shown"] for each in networks},
        )

    @routes.get("/devices/{device_id}")
    def device(device_id: str) -> Response:
        with site.store.read() as reader:
            row = pages.device(reader, device_id)
            if row is None:
                raise HTTPException(404, "no such device")
            root = reader.one("SELECT * FROM device WHERE device_id = ?", [row["merged_into"]])
            view = device_view.view(site, reader, row)
            year = device_year.year(site, reader, device_id)
        return site.page(
            "device.html",
            title=words.clean(row["name"], 60),
            tab="devices",
            it=row,
            root=root,
            kinds=KINDS,
            roles=segments.ROLES,
            labels=LABELS,
            how_words=HOW,
            named_by=NAMED_BY,
            sources=SOURCES,
            certainty=CERTAINTY,
            year=year,
            **view,
        )


def _answering(routes: APIRouter, site: Site) -> None:
    def back(device_id: str) -> Response:
        return RedirectResponse(f"/devices/{device_id}", status_code=303)

    def known(device_id: str) -> dict[str, Any]:
        with site.store.read() as reader:
            row = reader.one("SELECT * FROM device WHERE device_id = ?", [device_id])
        if row is None:
            raise HTTPException(404, "no such device")
        return row

    @routes.post("/devices/{device_id}/set")
    def change(
        request: Request,
        device_id: str,
        name: Said = "",
        kind: Said = "",
        owner: Said = "",
        room: Said = "",
        segment: Said = "",
        sure: Said = "",
    ) -> Response:
        """Lock what differs from what is held; ``sure`` names a field to lock as it is."""
        row = known(device_id)
        given = {"name": name, "kind": kind, "owner": owner, "room": room, "segment": segment}
        values: dict[str, str | None] = {}
        for field in _FORM:
            text = words.clean(given[field], 80)
            if text and (text != (row[field] or "") or sure == field):
                values[field] = text
            elif not text and row[field] and field in ("owner", "room"):
                values[field] = None
        if values:
            person.assign(site.store, device_id, values, actor=site.actor(request))
            site.wake()
        return back(device_id)

    @routes.post("/devices/{device_id}/unlock")
    def unlock(request: Request, device_id: str, field: Key) -> Response:
        known(device_id)
        person.assign(site.store, device_id, {field: None}, actor=site.actor(request))
        site.wake()
        return back(device_id)

    @routes.post("/devices/{device_id}/same")
    def same(request: Request, device_id: str, into: Key, answer: Key) -> Response:
        known(device_id)
        said = person.merge if answer == "yes" else person.keep_apart
        both = said(site.store, device_id, into, actor=site.actor(request))
        site.wake()
        return back(both["into"] if answer == "yes" else device_id)

    @routes.post("/devices/{device_id}/split")
    def split(request: Request, device_id: str) -> Response:
        known(device_id)
        person.split(site.store, device_id, actor=site.actor(request))
        site.wake()
        return back(device_id)


def _networks(routes: APIRouter, site: Site) -> None:
    @routes.get("/networks")
    def networks() -> Response:
        with site.store.read() as reader:
            rows = segments.segments(reader)
        return site.page(
            "device_networks.html", title="Networks", tab="devices", rows=rows, roles=segments.ROLES
        )

    @routes.post("/networks")
    def say(
        cidr: Annotated[str, Form(max_length=60)], role: Said = "", name: Said = ""
    ) -> Response:
        person.segment(site.store, cidr, role=words.clean(role, 40), name=words.clean(name, 40))
        site.wake()
        return RedirectResponse("/networks", status_code=303)
