"""What there is: devices, who listens, and how Guardian itself is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Query
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

Text = Annotated[str, Query(max_length=200)]


def router(site: Site) -> APIRouter:
    """Return the routes of devices, privacy and health."""
    routes = APIRouter(default_response_class=HTMLResponse)
    _devices(routes, site)

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


def _devices(routes: APIRouter, site: Site) -> None:
    @routes.get("/devices")
    def devices(q: Text = "") -> Response:
        with site.store.read() as reader:
            rows = pages.devices(reader, text=q or None)
            total = int(reader.value("SELECT count(*) FROM device WHERE merged_into IS NULL") or 0)
        return site.page(
            "devices.html", title="Devices", tab="devices", rows=rows, total=total, q=q
        )

    @routes.get("/devices/{device_id}")
    def device(device_id: str) -> Response:
        with site.store.read() as reader:
            row = pages.device(reader, device_id)
            if row is None:
                raise HTTPException(404, "no such device")
            window = pages.window(reader, site.now())
            since, until = window.since, window.until
            held = list(dict.fromkeys(each["ip"] for each in row["history"]))[:50]
            slots = pages_evidence.day_strip(reader, held, since=since, until=until)
            heard = pages_listened.listened(
                reader, since=since, until=until, sources=held, limit=20
            )
            rows = pages.incidents(reader, device_id=device_id, limit=20)
        flows = sum(slot["flows"] for slot in slots)
        asked = sum(slot["asked"] for slot in slots)
        up = sum(slot["up"] or 0 for slot in slots)
        down = sum(slot["down"] or 0 for slot in slots)
        label = (
            f"The device's day: {words.counted(flows, 'connection', 'connections')}, "
            f"{words.counted(asked, 'name looked up', 'names looked up')}"
        )
        began = words.local(window.since, site.zone)
        return site.page(
            "device.html",
            title=words.clean(row["name"], 60),
            tab="devices",
            it=row,
            strip=draw.strip(slots, window.since, label) if slots else None,
            label=label,
            began=f"{began:%H:%M}",
            up=up,
            down=down,
            heard=heard,
            rows=rows,
        )


def _offset_s(site: Site, moment: datetime) -> int:
    """Return how many seconds the house's clock is ahead of UTC at a moment."""
    ahead = words.local(moment, site.zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())


def _shown(sample: bytes) -> str:
    """Return refused bytes as text that cannot do anything: what is not plain is escaped."""
    text = bytes(sample[:300]).decode("utf-8", "backslashreplace")
    return words.clean(text.replace("\x00", "\\x00"), 300)
