"""Findings and devices in the JSON form of the command line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def finding_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of ``store.pages.findings`` with times as RFC 3339."""
    keep = (
        "id", "class", "level", "detector", "title", "device", "device_id", "src_ip", "peers",
        "first_seen", "last_seen", "count", "facts", "evidence", "tags", "incident_id",
    )  # fmt: skip
    return {name: _plain(row[name]) for name in keep}


def device_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of ``store.pages.devices`` with times as RFC 3339."""
    keep = (
        "name", "kind", "vendor", "model", "owner", "room", "segment", "mac", "first_seen",
        "last_seen",
    )  # fmt: skip
    found = {name: _plain(row[name]) for name in keep}
    return {"id": row["device_id"], **found, "addresses": row["addresses"] or []}


def _plain(value: Any) -> Any:
    return value.isoformat() + "Z" if isinstance(value, datetime) else value
