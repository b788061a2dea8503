"""What every responder is: it applies one order, proves it, and takes it back.

Rules that the shared contract test holds each of them to: applying twice is
applying once; revoking what is gone is success; only what carries this order's
mark is removed, and what was there before stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardian.model.response import Target
    from guardian.respond.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One enforcement as a responder sees it. ``ends_at`` is UTC without an offset."""

    id: int
    target: Target
    ends_at: datetime

    @property
    def mark(self) -> str:
        """The words by which Guardian knows its own things again."""
        return f"guardian:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was asked and answered, and whether it shows what was wanted."""

    holds: bool
    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {"holds": self.holds, "summary": self.summary, **self.details}


class Responder(Protocol):
    """One enforcer of one kind. Made for one pass of work and closed after it."""

    title: ClassVar[str]
    """What people call it."""

    async def survey(self, order: Order) -> dict[str, Any]:
        """Return what is found before anything is changed; the receipt begins with it.

        Raises:
            GuardianError: it cannot be reached, or is not set up.
        """

    async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """Bring the order into force and return the whole receipt.

        Raises:
            GuardianError: it was not done, or not known to be done.
        """

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:
        """Return whether what was applied is still all there.

        Raises:
            GuardianError: the enforcer cannot be asked.
        """

    async def prove(
        self,
        order: Order,
        receipt: Mapping[str, Any],
        *,
        blocked: bool,
        shared: frozenset[str] = frozenset(),
    ) -> Proof:
        """Ask the system in effect, until it shows what is wanted or time is up.

        ``blocked`` says what is wanted. ``shared`` are names and addresses that other
        orders hold too: whether they are still blocked says nothing of this one.

        Raises:
            GuardianError: it cannot be asked at all.
        """

    async def revoke(self, order: Order, receipt: Mapping[str, Any]) -> None:
        """Take back what carries the order's mark; what is gone already is success.

        Raises:
            GuardianError: it was not done, or not known to be done.
        """

    async def aclose(self) -> None:
        """Give back connections."""


class ResponderKind(Protocol):
    """A responder's class, as the table of the registry holds it."""

    name: str
    blocks: str
    """``names`` or ``addresses``."""
    per_device: bool
    """Whether it can hold for one device only."""

    def __call__(self, settings: Settings) -> Responder:
        """Make one, ready for one pass of work."""

    def is_set_up(self, settings: Settings) -> bool:
        """Return whether the settings name this enforcer."""

    def covers_subdomains(self, settings: Settings) -> bool:
        """Return whether a block holds for all names below too."""
