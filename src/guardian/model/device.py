"""A thing in the home, whatever addresses it uses this week."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def device_id(anchor: str) -> str:
    """Return the id for the strongest identifier known: a MAC, or an address."""
    return "d" + hashlib.sha256(anchor.lower().encode()).hexdigest()[:10]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device. ``reasons`` says, for each thing held of it, because of what."""

    id: str
    name: str
    kind: str
    vendor: str | None
    mac: str | None
    addresses: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    model: str | None = None
    owner: str | None = None
    room: str | None = None
    segment: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    locked: tuple[str, ...] = ()
