"""Decide which device each stay belongs to, and who held an address when.

The hardware address is the strongest anchor that traffic shows. Where there is none
(resolver logs, Zeek), the address anchors the device until a hardware address is
seen for it; the device then keeps its id and gains the hardware address.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.model.device import device_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from guardian.detect.devices.observe import Stay

_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Known:
    """A device as the update works on it."""

    id: str
    mac: str | None
    first: datetime
    last: datetime
    merged_into: str | None = None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """A device at an address: held from ``since``, last seen at ``seen``, held until ``until``."""

    device: str
    ip: str
    mac: str | None
    since: datetime
    seen: datetime
    until: datetime | None = None


@dataclass(slots=True)
class Register:
    """All devices and the intervals of the addresses at hand, and what was changed."""

    devices: dict[str, Known]
    intervals: dict[str, list[Interval]]
    most_devices: int
    by_mac: dict[str, str] = field(default_factory=dict)
    merges: dict[str, str] = field(default_factory=dict)
    turned_away: int = 0

    def __post_init__(self) -> None:
        """Index the devices by hardware address."""
        self.by_mac = {known.mac: known.id for known in self.devices.values() if known.mac}

    def place(self, stay: Stay) -> str | None:
        """Return the id of the device that the stay belongs to, making it when it is new.

        None when the list of devices is full.
        """
        holder = self.holder(stay.ip, stay.first)
        if stay.mac is None:
            # Rows that show no card may span a change of holder: the later one was seen last.
            found = self.holder(stay.ip, stay.last) or self._device(stay.ip, None, stay)
        elif stay.mac in self.by_mac:
            found = self.by_mac[stay.mac]
            self._absorb(holder, found)
        elif holder and self.devices[holder].mac is None and not self.devices[holder].merged_into:
            # The address stood for this device before its hardware address was seen.
            found = holder
            self.devices[holder].mac = stay.mac
            self.by_mac[stay.mac] = holder
        else:
            found = self._device(stay.mac, stay.mac, stay)
        if found is None:
            self.turned_away += 1
            return None
        known = self.devices[found]
        known.last = max(known.last, stay.last)
        if stay.mac is not None or holder in (None, found):
            known.first = min(known.first, stay.first)
        self.intervals.setdefault(stay.ip, []).append(
            Interval(found, stay.ip, stay.mac, stay.first, stay.last)
        )
        return found

    def holder(self, ip: str, when: datetime) -> str | None:
        """Return who held the address then, or else who held it first, or last before."""
        intervals = sorted(self.intervals.get(ip, ()), key=lambda item: item.since)
        if not intervals:
            return None
        before = [item for item in intervals if item.since <= when]
        return (before[-1] if before else intervals[0]).device

    def _device(self, anchor: str, mac: str | None, stay: Stay) -> str | None:
        new = device_id(anchor)
        if new not in self.devices:
            if len(self.devices) >= self.most_devices:
                return None
            self.devices[new] = Known(new, mac, stay.first, stay.last, is_new=True)
        if mac:
            self.by_mac[mac] = new
            self.devices[new].mac = mac
        return new

    def _absorb(self, holder: str | None, into: str) -> None:
        """Merge a device that an address alone stood for into the one now known to hold it."""
        if holder is None or holder == into or self.devices[holder].mac is not None:
            return
        if self.devices[holder].merged_into is None:
            self.devices[holder].merged_into = into
            self.merges[holder] = into


def settle(intervals: Iterable[Interval], most: int) -> list[Interval]:
    """Return intervals of one address without overlap: each ends where the next begins.

    A stay inside another's (an address lent out for a while) splits it. Neighbours of
    the same device become one. The last one is open.
    """
    pending = sorted(_told(intervals), key=lambda item: (item.since, item.seen, item.device))
    settled: list[Interval] = []
    while pending:
        item = pending.pop(0)
        last = settled[-1] if settled else None
        if last is None:
            settled.append(item)
        elif last.device == item.device:
            settled[-1] = Interval(
                last.device, last.ip, item.mac or last.mac, last.since, max(last.seen, item.seen)
            )
        elif item.since <= last.since:
            # Both claim the same moment: the one that was seen longer keeps it.
            if item.seen > last.seen:
                pending.append(_from(item, last.seen + _TICK))
                pending.sort(key=lambda rest: (rest.since, rest.seen, rest.device))
        else:
            if last.seen > item.seen:
                pending.append(_from(last, item.seen + _TICK))
                pending.sort(key=lambda rest: (rest.since, rest.seen, rest.device))
            settled.append(item)
    settled = settled[-most:]
    ends: list[datetime | None] = [item.since for item in settled[1:]]
    return [
        Interval(
            item.device,
            item.ip,
            item.mac,
            item.since,
            item.seen if until is None else min(item.seen, until - _TICK),
            until,
        )
        for item, until in zip(settled, [*ends, None], strict=True)
    ]


def _told(intervals: Iterable[Interval]) -> list[Interval]:
    """Leave out stays that say nothing of who it was.

    Once a stay at the address showed a hardware address, one that shows none (a resolver's
    log) is of the holder of its time, however long it lasted. What another device held
    before the first card was seen stays its own.
    """
    known = list(intervals)
    shown = sorted((item.since, item.device) for item in known if item.mac)
    if not shown:
        return known
    first, device = shown[0]
    return [item for item in known if item.mac] + [
        replace(item, seen=min(item.seen, first - _TICK))
        for item in known
        if not item.mac and item.device != device and item.since < first
    ]


def _from(item: Interval, since: datetime) -> Interval:
    return Interval(item.device, item.ip, item.mac, since, item.seen)
