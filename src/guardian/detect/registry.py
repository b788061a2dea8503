"""What runs besides the rule files: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.detect import (
    addresses,
    calls,
    devices,
    names,
    surveillance,
    surveillance_optout,
    surveillance_rhythms,
)
from guardian.detect.cidr import CidrDetector
from guardian.detect.devices import itself
from guardian.store import contacts, kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from guardian.detect.base import Detector
    from guardian.detect.settings import Settings
    from guardian.store import Store

PREPARE: dict[str, Callable[[Store, Settings, datetime], object]] = {
    "calls": lambda store, _settings, now: calls.update(store, now=now),
    "catalogue": lambda store, _settings, now: surveillance.annotate(store, now=now),
    "names": lambda store, _settings, now: names.forget(store, now),
    "devices": lambda store, settings, now: devices.update(store, settings.devices, now),
    "own": lambda store, settings, now: itself.update(store, settings.own_addresses, now),
    "home": lambda store, _settings, _now: addresses.adopt(store),
    "contacts": lambda store, _settings, _now: contacts.update(store),
    "evidence": lambda store, _settings, _now: kept.update(store),
    "rhythms": lambda store, _settings, now: surveillance_rhythms.update(store, now=now),
    "opt-outs": lambda store, _settings, now: surveillance_optout.keep_checking(store, now=now),
}
"""What is brought up to date before detectors run, in this order."""

DETECTORS: tuple[Detector, ...] = (CidrDetector(), surveillance_rhythms.HabitDetector())
"""Detectors for which SQL is not enough."""
