"""Which packets a story is about: sides, port and time, without the packets themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Who spoke to whom, and when (UTC, naive).

    ``a`` is an address of normal form, or a MAC address for what has no address (ARP, DHCP).
    ``b`` is the other side's address, or None for anybody. ``port`` is a port of either side,
    or None for every port.
    """

    a: str
    b: str | None
    port: int | None
    since: datetime
    until: datetime
