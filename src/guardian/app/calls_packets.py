"""The calls about an incident's packets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.app.packets import Packets

if TYPE_CHECKING:
    from guardian.app.service import Service


def evidence(
    service: Service, *, incident: int, path: str | None = None, packet: int | None = None
) -> Any:
    """Return an incident's packets decoded, one packet's layers, or write them to a file."""
    packets = Packets(service.store, service.config)
    if packet is not None:
        return packets.layers(incident, packet)
    if path is not None:
        found = packets.copy(incident, Path(path))
        return {
            "path": path,
            "packets": found.packets,
            "bytes": found.bytes,
            "truncated": found.truncated,
            "problems": list(found.problems),
        }
    return packets.listed(incident)
