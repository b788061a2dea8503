"""Watch what a block does to its devices: retry storms, and the ways they take around it.

A device that cannot work without a name asks for it again and again; one that has a
second way takes names of the same company that it never asked for before, addresses
that no DNS answer gave it, or another resolver. All are told to the person who said
yes; nothing is decided from them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel.names import is_below, registrable
from guardian.model.words import clean
from guardian.respond import protect
from guardian.store import fallbacks, forecasts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.respond.settings import Settings
    from guardian.store.connection import Reader
    from guardian.store.responses import Enforcement

_BEFORE = timedelta(hours=24)
"""What "before" means: a day has all of a home's hours in it."""

_SHOWN = 10


def look(
    reader: Reader, enforcement: Enforcement, settings: Settings, now: datetime
) -> dict[str, Any]:
    """Return what the devices asked since the block is in force, beside the day before it."""
    target = enforcement.target
    applied = enforcement.applied_at or enforcement.asked_at
    if now <= applied:
        return {}
    without = protect.askers_for_others(settings)
    if not target.names:
        return _look_at_addresses(reader, enforcement, settings, now, without)

    def counted(since: datetime, until: datetime) -> int:
        looked = forecasts.look_back(
            reader,
            target.names,
            subdomains=target.subdomains,
            device_ips=target.device_ips,
            since=since,
            until=until,
            without=without,
        )
        return int(looked["queries"])

    hours = max((now - applied).total_seconds() / 3600, 1 / 60)
    questions = counted(applied, now)
    before = counted(applied - _BEFORE, applied) / (_BEFORE.total_seconds() / 3600)
    fresh = forecasts.first_asked(
        reader,
        device_ips=target.device_ips,
        since=applied,
        until=now,
        known_since=applied - timedelta(days=settings.forecast_days),
        without=without,
    )
    families = {registrable(name) for name in target.names} - {None}
    fallback = [
        name
        for name in fresh
        if registrable(name) in families
        and not any(is_below(name, parent) for parent in target.names)
    ]
    ips = target.device_ips or fallbacks.askers(
        reader,
        target.names,
        since=applied - timedelta(days=settings.forecast_days),
        until=now,
        without=without,
    )
    return {
        **_told(questions, hours, before, settings),
        "new_names": fallback[:_SHOWN],
        **_around(reader, ips, enforcement, settings, now),
    }


def _told(tries: int, hours: float, before: float, settings: Settings) -> dict[str, Any]:
    storm = tries >= settings.storm_questions and tries / hours >= settings.storm_factor * max(
        before, 1 / 24
    )
    return {
        "questions": tries,
        "per_hour": round(tries / hours, 1),
        "per_hour_before": round(before, 1),
        "storm": storm,
    }


def _look_at_addresses(
    reader: Reader,
    enforcement: Enforcement,
    settings: Settings,
    now: datetime,
    without: Sequence[str],
) -> dict[str, Any]:
    """Return the same of a block of addresses alone: tries to connect stand for questions."""
    target = enforcement.target
    applied = enforcement.applied_at or enforcement.asked_at
    known_since = applied - timedelta(days=settings.forecast_days)

    def tried(since: datetime, until: datetime) -> dict[str, int]:
        return fallbacks.callers(
            reader, target.addresses, device_ips=target.device_ips, since=since, until=until,
            without=without,
        )  # fmt: skip

    now_tried, day_before = tried(applied, now), tried(applied - _BEFORE, applied)
    ips = target.device_ips or sorted({*now_tried, *tried(known_since, applied)})
    owners = forecasts.names_of(
        reader, target.addresses, device_ips=ips, since=known_since, until=applied
    )
    families = {registrable(name) for name in owners} - {None}
    fresh = forecasts.first_asked(
        reader, device_ips=ips, since=applied, until=now, known_since=known_since, without=without
    )
    hours = max((now - applied).total_seconds() / 3600, 1 / 60)
    before = sum(day_before.values()) / (_BEFORE.total_seconds() / 3600)
    return {
        **_told(sum(now_tried.values()), hours, before, settings),
        "new_names": [name for name in fresh if registrable(name) in families][:_SHOWN],
        **_around(reader, ips, enforcement, settings, now),
    }


def _around(
    reader: Reader,
    ips: Sequence[str],
    enforcement: Enforcement,
    settings: Settings,
    now: datetime,
) -> dict[str, Any]:
    """Return the addresses and resolvers that its devices took up since it is in force."""
    applied = enforcement.applied_at or enforcement.asked_at
    known_since = applied - timedelta(days=settings.forecast_days)
    if not ips:
        return {"bare_addresses": [], "other_resolvers": []}
    bare = fallbacks.bare_addresses(reader, ips, since=applied, until=now, known_since=known_since)
    resolvers = fallbacks.other_resolvers(
        reader, ips, since=applied, until=now, known_since=known_since
    )
    return {
        "bare_addresses": [
            row["ip"] for row in bare if row["ip"] not in enforcement.target.addresses
        ][:_SHOWN],
        "other_resolvers": [row["resolver"] for row in resolvers][:_SHOWN],
    }


def remarks(seen: Mapping[str, Any]) -> list[str]:
    """Return what a person should hear of it, in plain words."""
    found = []
    if seen.get("storm"):
        found.append(
            "asked for again and again, far more often than before: it may not work without"
        )
    if seen.get("new_names"):
        names = ", ".join(clean(name, 80) for name in seen["new_names"])
        found.append(f"new names of the same owner since then: {names}")
    if seen.get("other_resolvers"):
        names = ", ".join(clean(name, 80) for name in seen["other_resolvers"])
        found.append(f"asks another resolver since then, past the house's: {names}")
    if seen.get("bare_addresses"):
        names = ", ".join(clean(name, 46) for name in seen["bare_addresses"])
        found.append(f"goes to addresses that no name was asked for since then: {names}")
    return found
