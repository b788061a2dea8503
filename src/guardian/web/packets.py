"""An incident's packets: the list, one packet's layers, and the pcap to take away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import APIRouter, HTTPException
from fastapi import Path as PathParameter
from starlette.responses import FileResponse, HTMLResponse, Response

from guardian.store import pages

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.web.site import Site

Number = Annotated[int, PathParameter(ge=1, le=1_000_000)]


class Found(Protocol):
    """A cut: the file, and how many packets it holds."""

    @property
    def path(self) -> Path:
        """The pcap."""

    @property
    def packets(self) -> int:
        """How many packets it holds."""


class Packets(Protocol):
    """Where the packets of incidents come from; the composition root gives it."""

    def of(self, incident: int) -> Found:
        """Return the cut of an incident."""

    def listed(self, incident: int) -> dict[str, Any]:
        """Return what is kept and its first packets decoded."""

    def layers(self, incident: int, number: int) -> list[dict[str, Any]]:
        """Return one packet's layers."""


def router(site: Site) -> APIRouter:
    """Return the routes of an incident's packets."""
    routes = APIRouter(default_response_class=HTMLResponse)

    def source(incident_id: int) -> tuple[pages.Row, Packets]:
        with site.store.read() as reader:
            row = pages.incident(reader, incident_id)
        if row is None or site.packets is None:
            raise HTTPException(404, "no such incident")
        return row, site.packets

    @routes.get("/incidents/{incident_id}/packets")
    def packets(incident_id: Number) -> Response:
        row, kept = source(incident_id)
        found = kept.listed(incident_id)
        for each in found["rows"]:
            each["moment"] = _moment(each.get("ts", ""))
        return site.page(
            "packets.html", title="Packets", tab="incidents", it=row, found=found, one=None
        )

    @routes.get("/incidents/{incident_id}/packets/{number}")
    def packet(incident_id: Number, number: Number) -> Response:
        row, kept = source(incident_id)
        layers = kept.layers(incident_id, number)
        total = kept.of(incident_id).packets
        return site.page(
            "packet.html",
            title=f"Packet {number}",
            tab="incidents",
            it=row,
            number=number,
            total=total,
            layers=layers,
        )

    @routes.get("/incidents/{incident_id}/packets.pcap")
    def pcap(incident_id: Number) -> Response:
        _, kept = source(incident_id)
        found = kept.of(incident_id)
        if not found.packets:
            raise HTTPException(404, "no packets of this incident are kept")
        return FileResponse(
            found.path,
            media_type="application/vnd.tcpdump.pcap",
            filename=f"guardian-incident-{incident_id}.pcap",
            headers={"Cache-Control": "no-store"},
        )

    return routes


def _moment(epoch: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(epoch), UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None
