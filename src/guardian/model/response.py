"""What may be done about an incident, what a person said, and what was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class ProposalStatus(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class EnforcementState(StrEnum):
    """The states an enforcement goes through, each true when it is written."""

    ASKED = "asked"
    APPLIED = "applied"
    VERIFIED = "verified"
    FAILED = "failed"
    REVERTING = "reverting"
    REVERTED = "reverted"


class Verb(StrEnum):
    """What a person can answer."""

    APPROVE = "approve"
    REJECT = "reject"
    REVERT = "revert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an enforcement acts on.

    ``names`` are DNS names (each with everything below it when ``subdomains``);
    ``addresses`` are IP addresses. ``device_id`` and ``device_ips`` limit it to
    one device; without them it holds for the whole house.
    """

    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    subdomains: bool = True
    device_id: str | None = None
    device_ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An intent: what would be done, to what, for how long, and what it would cost.

    ``duration_s`` is seconds until it ends by itself. ``forecast`` says what the
    last week would have looked like under it.
    """

    id: int
    incident_id: int
    action: str
    title: str
    consequence: str
    target: Target
    duration_s: int
    responder: str
    status: ProposalStatus
    created_at: datetime
    forecast: Mapping[str, object] = field(default_factory=dict)
