"""Calls about names and blocklists; see ``app.service``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.intel.list_explain import explain
from guardian.store import asked
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.app.service import Service


def lists_explain(service: Service, *, domain: str) -> Any:
    """Return what is known of a name."""
    return explain(domain, service.store)


def lists_house(service: Service) -> Any:
    """Return what this house asks for most."""
    with service.store.read() as reader:
        return asked.most_asked(reader, now=utc_now())
