"""Make a request about an incident that says nothing of the house.

Of a fact's values only words of Guardian's own lists, and numbers with one digit that
counts, are told; every other value (a name, an address, a host, a company) is told by a
pseudonym such as ``HOST-A``, and times not at all. So the bytes do not depend on any
string of the house. On return a pseudonym becomes the slot that it stands for, and the
answer passes the same checks as any other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.triage import prompt
from guardian.triage.slots import SHORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.model.incident import Fact, Incident
    from guardian.triage.llm.base import Ask

# What a value is called, by its name; the rest is a thing.
_CALLED: dict[str, str] = {
    "name": "DEVICE", "owner": "PERSON", "room": "ROOM", "segment": "NETWORK", "mac": "MAC",
    "vendor": "MAKER", "model": "MODEL", "whom": "HOST", "peer_1": "HOST", "peer_2": "HOST",
    "peer_3": "HOST", "domain": "HOST", "resolver": "HOST", "address": "ADDRESS",
    "company": "COMPANY", "service": "SERVICE", "list": "LIST", "indicator": "INDICATOR",
    "signature": "RULE", "filename": "FILE",
}  # fmt: skip

PSEUDONYM = re.compile(r"\b[A-Z]+-[A-Z]{1,2}\b")
"""A pseudonym in an answer."""

_OURS: dict[str, frozenset[str]] = {
    "classes": frozenset(words.CLASSES.values()),
    "first": frozenset(words.CLASSES.values()),
    "then": frozenset(words.CLASSES.values()),
    "protocol": frozenset({"http", "https", "tls", "ssh", "dns", "smb", "ftp", "tcp", "udp"}),
    "kind": prompt.KINDS,
}
_LARGEST = 10**15

SYSTEM = (
    prompt.SYSTEM
    + """
Values that are private are told by a pseudonym in capitals, such as HOST-A. You may write a
pseudonym or its slot; never guess what is behind it."""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A request without the house in it. ``pseudonyms`` lead back to slots; they stay here."""

    messages: tuple[dict[str, str], ...]
    pseudonyms: Mapping[str, str]


def redact(incident: Incident, asked: Ask) -> Redacted:
    """Return what may leave the house of a request that was made for a model at home."""
    names = _Names()
    told = {
        fact.id: {name: kept for name, value in sorted(fact.values.items())
                  if (kept := names.tell(fact, name, value)) is not None}
        for fact in incident.facts
        if fact.kind not in prompt.HIDDEN
    }  # fmt: skip
    # The request for a model at home holds slots and no values; the values come beside it.
    shape = json.loads(asked.messages[1]["content"])
    content = json.dumps({**shape, "values": told}, indent=1, sort_keys=True)
    return Redacted(
        messages=({"role": "system", "content": SYSTEM}, {"role": "user", "content": content}),
        pseudonyms=names.slots,
    )


def restore(reply: str, pseudonyms: Mapping[str, str]) -> str:
    """Return an answer with each known pseudonym as its slot; the checks refuse the rest."""

    def back(match: re.Match[str]) -> str:
        slot = pseudonyms.get(match[0])
        return f"{{{slot}}}" if slot else match[0]

    return PSEUDONYM.sub(back, reply)


class _Names:
    """Gives each value that is not told a name of its own, such as HOST-A."""

    def __init__(self) -> None:
        self.slots: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._short = {pair: slot for slot, pair in SHORT.items()}

    def tell(self, fact: Fact, name: str, value: object) -> Any:
        """Return a value as it may leave; None when nothing of it may."""
        if isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return _about(value) if abs(value) < _LARGEST else None
        if isinstance(value, (list, tuple)):
            return [each for each in value if each in _OURS.get(name, ())] or None
        if not isinstance(value, str) or name.endswith("_at"):
            # When it was is nobody's business; how long and how often is told in numbers.
            return None
        if value in _OURS.get(name, ()):
            return value
        called = _CALLED.get(name, "THING")
        number = self._counts.get(called, 0)
        self._counts[called] = number + 1
        pseudonym = f"{called}-{_letters(number)}"
        self.slots[pseudonym] = self._short.get((fact.kind, name), f"{fact.id}.{name}")
        return pseudonym


def _about(value: float) -> float:
    """Return a number with one digit that counts: 147 becomes 100, 1,234,567 a million.

    The exact one could be found again in somebody's logs; how large it is, is enough to find
    words, and here the slot is filled with what was really counted.
    """
    rounded = float(f"{value:.0e}")
    return int(rounded) if rounded.is_integer() else rounded


def _letters(number: int) -> str:
    first, second = divmod(number, 26)
    return (chr(64 + first) if first else "") + chr(65 + second)
