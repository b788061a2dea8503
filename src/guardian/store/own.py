"""Which addresses are Guardian's own, and since when: the tag on its own traffic.

The machine that Guardian runs on says its addresses (and the configuration may say
more). A row belongs to Guardian when one of its sides was such an address at that
time; an address that went on to another device accuses that device as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardian.store.connection import Reader, Store

LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 - the store holds UTC without a zone
"""Since when an address counts that was there when Guardian looked for the first time: what
this machine sent before is in logs that it reads now."""

MOST = 1_000
"""Spans kept; a machine with more addresses over time loses the oldest."""


LOOK = timedelta(minutes=1)
"""How exactly is known when an address came: an unchanged look is written down so often."""


@dataclass(frozen=True, slots=True)
class Span:
    """An address of Guardian's own, from ``since`` to ``until`` (None: still)."""

    ip: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Own:
    """Every address that is or was Guardian's own, and its network cards."""

    spans: tuple[Span, ...] = ()
    macs: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def holds(self, address: str | None, moment: datetime) -> bool:
        """Whether an address (or hardware address) was Guardian's own at a moment."""
        if address is None or not self.spans:
            return False
        return address.lower() in self.macs or any(
            each.ip == address
            and each.since <= moment
            and (each.until is None or moment < each.until)
            for each in self.spans
        )


def own(reader: Reader) -> Own:
    """Return what is Guardian's own."""
    rows = reader.rows("SELECT ip, since, until FROM own_address ORDER BY ip, since")
    if not rows:
        return Own()
    devices = frozenset(row["device_id"] for row in reader.rows("SELECT * FROM v_own_device"))
    macs = reader.rows(
        "SELECT DISTINCT lower(mac) AS mac FROM device JOIN v_device_root USING (device_id) "
        "WHERE mac IS NOT NULL AND list_contains($ids, root)",
        {"ids": sorted(devices)},
    )
    return Own(
        tuple(Span(row["ip"], row["since"], row["until"]) for row in rows),
        frozenset(row["mac"] for row in macs),
        devices,
    )


def note(store: Store, addresses: Iterable[str], now: datetime) -> bool:
    """Keep which addresses are Guardian's own now; return whether that changed.

    Those of the first look count for what was stored before, a later one since the last
    look. Nothing is said by an empty list: a command that reads a store elsewhere, or a
    machine whose network is down, changes nothing.
    """
    wanted = set(addresses)
    if not wanted:
        return False
    with store.read() as reader:
        rows = reader.rows("SELECT ip, until, looked_at FROM own_address")
    held = {row["ip"] for row in rows if row["until"] is None}
    last = max((row["looked_at"] for row in rows), default=LONG_AGO)
    if wanted == held and abs(now - last) < LOOK:
        return False
    with store.transaction() as tx:
        gone = sorted(held - wanted)
        tx.execute(
            "UPDATE own_address SET until = greatest(since, $now) "
            "WHERE until IS NULL AND list_contains($gone, ip)",
            {"now": now, "gone": gone},
        )
        for ip in sorted(wanted - held):
            tx.execute(
                "INSERT INTO own_address VALUES (?, ?, NULL, ?) "
                "ON CONFLICT (ip, since) DO UPDATE SET until = NULL",
                [ip, last, now],
            )
        tx.execute("UPDATE own_address SET looked_at = ? WHERE until IS NULL", [now])
        tx.execute(
            "DELETE FROM own_address WHERE (ip, since) NOT IN (SELECT (ip, since) FROM own_address "
            "ORDER BY until IS NULL DESC, since DESC LIMIT ?)",
            [MOST],
        )
    return wanted != held
