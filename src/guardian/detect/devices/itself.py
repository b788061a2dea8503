"""Guardian's own machine among the devices: tagged, and never accused.

Guardian fetches lists, asks resolvers for the very names that it blocks, tries addresses
that should be closed and speaks with models: done by anything else, each of these would
be a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.detect.devices.update import describe
from guardian.store import own

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from guardian.model.finding import Finding
    from guardian.store import Reader, Store


def update(store: Store, addresses: Iterable[str], now: datetime) -> bool:
    """Keep Guardian's own addresses of now; when they changed, say it of the device."""
    with store.read() as reader:
        before = own.own(reader).devices
    if not own.note(store, addresses, now):
        return False
    with store.transaction() as tx:
        describe(tx, sorted(before | own.own(tx).devices))
    return True


def not_accused(reader: Reader, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings less those about what Guardian itself did."""
    itself = own.own(reader)
    return [
        each
        for each in findings
        if not itself.holds(each.src_ip, each.last_seen) and each.device_id not in itself.devices
    ]
