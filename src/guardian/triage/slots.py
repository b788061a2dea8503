"""Slots: how a sentence names a fact's value, and how the value is written with its unit.

Templates and models write ``{rhythm.interval_s|every}`` or ``{F3.connections}``; this
module alone turns that into "every minute" or "147 connections". So a number can never
stand beside the wrong noun, and every sentence says which facts it rests on.

A slot is ``{device}``-like (a short name for a value of a fact, see ``SHORT``), or
``{kind.value}``, or ``{F2.value}``; ``|form`` after it chooses another way to write it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guardian.model import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from guardian.model.incident import Fact

SLOT = re.compile(r"\{([A-Za-z0-9_]+(?:\.[a-z0-9_]+)?)(?:\|([a-z]+))?\}")
"""A slot in a sentence."""

SHORT: dict[str, tuple[str, str]] = {
    "device": ("who", "name"),
    "kind": ("who", "kind"),
    "whom": ("contact", "whom"),
    "peer_1": ("contact", "peer_1"),
    "peer_2": ("contact", "peer_2"),
    "peer_3": ("contact", "peer_3"),
    "company": ("service", "company"),
    "service": ("service", "service"),
}
"""Short names, and the kind of fact and value that each stands for."""

NOUNS: dict[str, tuple[str, str]] = {
    "alerts": ("alert", "alerts"),
    "answers": ("answer", "answers"),
    "asked": ("look-up", "look-ups"),
    "attempts": ("attempt", "attempts"),
    "blocked": ("look-up", "look-ups"),
    "connections": ("connection", "connections"),
    "contacts": ("contact", "contacts"),
    "detectors": ("detector", "detectors"),
    "devices": ("device", "devices"),
    "events": ("time", "times"),
    "findings": ("observation", "observations"),
    "hosts": ("address", "addresses"),
    "names": ("name", "names"),
    "other_devices": ("other device", "other devices"),
    "peers": ("destination", "destinations"),
    "ports": ("port", "ports"),
    "queries": ("look-up", "look-ups"),
    "servers": ("server", "servers"),
    "signatures": ("signature", "signatures"),
    "sources": ("address", "addresses"),
}
"""Value name to its noun, for one and for many."""

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class MissingSlotError(LookupError):
    """The packet has no such value."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A sentence with its slots filled, and the facts that they came from."""

    text: str
    facts: tuple[str, ...]


class Filler:
    """Fill slots from the facts of one incident. ``zone`` is where people read the clock."""

    def __init__(self, facts: Sequence[Fact], zone: tzinfo | None) -> None:
        self._by_id = {fact.id: fact for fact in facts}
        self._by_kind: dict[str, Fact] = {}
        for fact in facts:
            self._by_kind.setdefault(fact.kind, fact)
        self._zone = zone

    def resolve(self, slot: str) -> tuple[Fact, str]:
        """Return the fact and the name of the value that a slot means.

        Raises:
            MissingSlotError: there is no such value here.
        """
        if slot in SHORT:
            kind, name = SHORT[slot]
        else:
            kind, _, name = slot.partition(".")
        fact = self._by_kind.get(kind) or self._by_id.get(kind)
        if fact is None or not name or fact.values.get(name) in (None, ""):
            raise MissingSlotError(slot)
        return fact, name

    def fill(self, sentence: str) -> Filled:
        """Return the sentence with every slot filled.

        Raises:
            MissingSlotError: a slot has no value here.
        """
        used: dict[str, None] = {}

        def replace(match: re.Match[str]) -> str:
            fact, name = self.resolve(match[1])
            used[fact.id] = None
            return write(name, fact.values[name], form=match[2] or "", zone=self._zone)

        text = SLOT.sub(replace, sentence)
        return Filled(capital(text), tuple(used))

    def fact(self, kind: str) -> Fact | None:
        """Return the fact of a kind, if there is one."""
        return self._by_kind.get(kind)


def capital(text: str) -> str:
    """Return a sentence with its capital; a name like ``iPhone`` keeps its own."""
    first = text.split(" ", 1)[0]
    return text if first[1:] != first[1:].lower() else text[:1].upper() + text[1:]


def write(name: str, value: object, *, form: str = "", zone: tzinfo | None = None) -> str:
    """Return a value as people read it, with its unit. Text comes back cleaned."""
    if isinstance(value, (list, tuple)):
        return words.sentence_list(str(each) for each in value)
    if name.endswith("_at"):
        return moment(str(value), zone, form)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return words.clean(words.device_kind(str(value)) if name == "kind" else str(value))
    return _number(name, value, form)


def _number(name: str, value: float, form: str) -> str:
    if name.endswith("_s"):
        return every(float(value)) if form == "every" else length(float(value))
    if name.startswith("bytes"):
        return words.size(value)
    if name.endswith("_pct"):
        return f"{value:g} %" if value >= 1 else "less than 1 %"
    return counted(name, value, form)


def counted(name: str, value: float, form: str = "") -> str:
    """Return ``147 connections``; ``form`` ``words`` spells small numbers."""
    if name == "events":
        return {1: "once", 2: "twice"}.get(int(value), f"{value:,.0f} times")
    one, many = NOUNS.get(name, (name.replace("_", " "),) * 2)
    number = f"{value:,.0f}"
    if form == "words" and 0 <= value < len(_SMALL):
        number = _SMALL[int(value)]
    return f"{number} {one if value == 1 else many}"


def every(seconds: float) -> str:
    """Return a period: ``every minute``, ``every 15 seconds``, ``every 2 hours``."""
    for unit, size in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        count = seconds / size
        if abs(count - 1) <= 0.05:
            return f"every {unit}"
        if count >= 2 and abs(count - round(count)) / count <= 0.05:
            return f"every {round(count)} {unit}s"
    return f"every {length(seconds)}" if round(seconds) != 1 else "every second"


def length(seconds: float) -> str:
    """Return a length of time in words: ``15 seconds``, ``38 minutes``, ``2 hours``."""
    if seconds < 1:
        return "less than a second"
    if seconds < 100:
        count, unit = seconds, "second"
    elif seconds < 100 * 60:
        count, unit = seconds / 60, "minute"
    elif seconds < 48 * 3600:
        count, unit = seconds / 3600, "hour"
    else:
        count, unit = seconds / 86400, "day"
    return f"{round(count)} {unit}{'' if round(count) == 1 else 's'}"


def moment(text: str, zone: tzinfo | None, form: str = "") -> str:
    """Return a UTC time of a fact in the house's zone: ``19:02 on 21 Nov``."""
    there = datetime.fromisoformat(text).replace(tzinfo=UTC).astimezone(zone)
    if form == "clock":
        return f"{there:%H:%M}"
    if form == "second":
        return f"{there:%Y-%m-%d %H:%M:%S}"
    return f"{there:%H:%M} on {there.day} {there:%b}"


def filled_values(values: Mapping[str, object]) -> dict[str, object]:
    """Return values without those that are absent, strings cleaned and bounded."""
    kept: dict[str, object] = {}
    for name, value in values.items():
        if value is None or value in ("", [], ()):
            continue
        if isinstance(value, str):
            # Sentences of our own may be longer than names of strangers.
            kept[name] = words.clean(value, 240 if name == "text" else 120)
        elif isinstance(value, (list, tuple)):
            kept[name] = [words.clean(str(each), 120) for each in value[:8]]
        elif isinstance(value, float):
            kept[name] = round(value, 3)
        else:
            kept[name] = value
    return kept
