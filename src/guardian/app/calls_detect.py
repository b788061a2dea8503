"""What can be asked of the service about detections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.detect import indicators

if TYPE_CHECKING:
    from guardian.app.service import Service


def load_indicators(
    service: Service, *, path: str, list_name: str, licence: str | None = None
) -> dict[str, Any]:
    """Load a threat list from a file of this machine; say what it is.

    Raises:
        InputError: the file cannot be read.
    """
    loaded = indicators.load(service.store, Path(path), list_name, licence=licence)
    return {
        "indicators": loaded.indicators,
        "refused": loaded.refused,
        "licence": loaded.licence,
        "sha256": loaded.sha256,
    }


def indicator_lists(service: Service) -> list[dict[str, Any]]:
    """Return every threat list that is loaded, with licence, age and digest."""
    with service.store.read() as reader:
        rows = indicators.lists(reader)
    for row in rows:
        for name in ("made_at", "loaded_at"):
            row[name] = row[name].isoformat(timespec="seconds") + "Z" if row[name] else None
    return rows
