"""The calls about how well stories are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.store import quality as scores
from guardian.store.ingest import utc_now
from guardian.triage import gold_item, quality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.app.service import Service


def report(service: Service) -> Any:
    """Return what is known of how well stories are told."""
    with service.store.read() as reader:
        return quality.report(reader)


def save(service: Service, *, scored: Mapping[str, Any]) -> Any:
    """Keep a scoring and return what the gate says now."""
    number = scores.save(service.store, scored, now=utc_now())
    with service.store.read() as reader:
        return {"id": number, "gates": quality.report(reader)["gates"]}


def house_gold(service: Service) -> Any:
    """Return a gold item for each incident that a person of the house answered."""
    with service.store.read() as reader:
        return gold_item.of_this_house(reader)
