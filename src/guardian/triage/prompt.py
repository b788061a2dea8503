"""What a model is asked, and in what form it must answer.

It sees slots with their meaning, never their values: no string that a stranger could
have chosen, and no number. So it cannot repeat an order that is hidden in a host name,
and cannot put a number beside the wrong noun.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.triage import causes
from guardian.triage.slots import NOUNS, SHORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.model.incident import Fact, Incident

MAX_CLAIMS = 6
"""Most sentences of an explanation that a model may write."""

MAX_SENTENCE = 220
"""Longest sentence of a model, in characters, before its slots are filled."""

# Device kinds are words of our own; anything else that stands there is a stranger's.
KINDS = frozenset(
    {"laptop", "phone", "tablet", "tv", "camera", "speaker", "printer", "console", "desktop",
     "router", "server", "nas", "hub", "watch", "doorbell", "several", "house", "outside"}
)  # fmt: skip

_MEANINGS: dict[str, str] = {
    "who.name": "the device it is about",
    "who.owner": "whose device it is",
    "who.room": "where the device stands",
    "contact.whom": "who was contacted, in plain words",
    "contact.peer_1": "the destination that was contacted most",
    "contact.peer_2": "the second destination",
    "contact.peer_3": "the third destination",
    "contact.address": "the address of the destination",
    "service.company": "the company that the destination belongs to",
    "service.service": "the company's service there",
    "service.purposes": "what that service is known to be for",
    "rhythm.interval_s": "the even gap between calls; with |every: how often it calls",
    "rhythm.jitter_pct": "how much the gap varies",
    "volume.bytes_up": "how much was sent",
    "volume.bytes_down": "how much was received",
    "volume.bytes_usual": "how much this device usually sends",
    "lookups.domain": "the domain below which names were asked for",
    "bypass.resolver": "the foreign resolver that was used",
    "listed.list": "the list that names the destination as dangerous",
    "spoof.address": "the address that was claimed",
    "order.first": "what was seen first",
    "order.then": "what was seen after it",
    "order.gap_s": "the time between the first and the second",
    "when.first_at": "when it began",
    "when.last_at": "when it was last seen",
    "when.duration_s": "how long it went on",
    "reach.span_s": "how long the search took",
    "what.classes": "what was seen, as a list of kinds",
    "what.events": "how often it was seen, such as so many times",
}

HIDDEN = frozenset({"unknown", "before"})

SYSTEM = """You explain one incident on a home network to a family, in calm, plain English.
The verdict was made by rules and is final: you only find words for it.
You see slots instead of values. Write every device, destination, company, number, time and amount
as its slot, exactly as listed, such as {device} or {F4.interval_s|every}. A slot already contains
its unit: never put a noun of measure after it. Never write a digit, a number word, an address, a
host name, a company name or a link yourself. Never say what to do. Never say that something is
safe, allowed or proven. Say "looks like" or "is consistent with".
Each sentence lists the ids of the facts it rests on. The device is the one who acts.
Rank the likely causes by their keys, the likeliest first, each with the facts that speak for it."""


def slots(facts: Sequence[Fact]) -> dict[str, str]:
    """Return every slot of a packet that a model may use, with its meaning."""
    short = {f"{kind}.{name}": slot for slot, (kind, name) in SHORT.items()}
    found: dict[str, str] = {}
    for fact in facts:
        if fact.kind in HIDDEN:
            continue
        for name in fact.values:
            meaning = _meaning(fact.kind, name)
            if meaning is not None:
                found[short.get(f"{fact.kind}.{name}", f"{fact.id}.{name}")] = meaning
    return found


def _meaning(kind: str, name: str) -> str | None:
    if (kind, name) == ("who", "kind"):
        return None
    if f"{kind}.{name}" in _MEANINGS:
        return _MEANINGS[f"{kind}.{name}"]
    if name in NOUNS:
        return f"a number of {NOUNS[name][1]}, with that noun"
    return None


def messages(incident: Incident) -> list[dict[str, str]]:
    """Return the conversation: what is asked, and about what."""
    described = [
        {
            "id": fact.id,
            "about": _ABOUT.get(fact.kind, fact.kind),
            "slots": {f"{{{slot}}}": meaning for slot, meaning in slots([fact]).items()},
        }
        for fact in incident.facts
        if fact.kind not in HIDDEN
    ]
    asked = {
        "verdict": incident.verdict.value,
        "evidence": incident.evidence,
        "seen": [words.finding_class(each.value) for each in incident.classes],
        "device_kind": _kind(incident.facts),
        "facts": described,
        "causes": {each.key: each.text for each in causes.possible(incident)},
    }
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": json.dumps(asked, indent=1, sort_keys=True)},
    ]


_ABOUT = {
    "who": "the device",
    "what": "what was seen",
    "contact": "who was contacted",
    "service": "the company behind the destination",
    "rhythm": "how regular the calls are",
    "volume": "how much was sent and received",
    "reach": "how many others were tried",
    "lookups": "names that were asked for",
    "bypass": "the foreign resolver",
    "listed": "the list of dangerous destinations",
    "signature": "the rule that spoke",
    "file": "a file that was fetched",
    "spoof": "the address that was claimed",
    "order": "what came first",
    "when": "when it happened",
    "others": "who else in the house went there",
    "blocked": "what the house's resolver already refused",
}


def _kind(facts: Sequence[Fact]) -> str:
    kind = next((str(f.values.get("kind", "")) for f in facts if f.kind == "who"), "")
    return kind if kind in KINDS else "unknown"


def schema(incident: Incident) -> dict[str, Any]:
    """Return the JSON schema of the answer: sentences of letters and this packet's slots."""
    known = slots(incident.facts)
    choice = "|".join(re.escape(slot) for slot in sorted(known))
    text = {
        "type": "string",
        "pattern": f"^([A-Za-z ,;.'()-]|\\{{({choice})(\\|every)?\\}})+$",
        "maxLength": MAX_SENTENCE,
    }
    ids = [fact.id for fact in incident.facts if fact.kind not in HIDDEN]
    claim = {
        "type": "object",
        "properties": {
            "text": text,
            "facts": {"type": "array", "items": {"enum": ids}, "minItems": 1, "maxItems": 6},
        },
        "required": ["text", "facts"],
        "additionalProperties": False,
    }
    keys = [each.key for each in causes.possible(incident)]
    cause = {
        "type": "object",
        "properties": {
            "cause": {"enum": keys},
            "facts": {"type": "array", "items": {"enum": ids}, "minItems": 1, "maxItems": 6},
        },
        "required": ["cause", "facts"],
        "additionalProperties": False,
    }
    ranking = {"causes": {"type": "array", "items": cause, "minItems": 1, "maxItems": 3}}
    return {
        "type": "object",
        "properties": {
            "title": text,
            "summary": {"type": "array", "items": claim, "minItems": 2, "maxItems": 2},
            "explanation": {
                "type": "array", "items": claim, "minItems": 2, "maxItems": MAX_CLAIMS,
            },
            "expert": {"type": "array", "items": claim, "maxItems": 4},
            **(ranking if keys else {}),
        },
        "required": ["title", "summary", "explanation", "expert", *(ranking if keys else {})],
        "additionalProperties": False,
    }  # fmt: skip


@functools.cache
def version() -> str:
    """Return the fingerprint of everything fixed in a request: one changed character changes it."""
    fixed = json.dumps(
        [SYSTEM, _MEANINGS, _ABOUT, sorted(KINDS), MAX_CLAIMS, MAX_SENTENCE, causes.wording()]
    )
    return hashlib.sha256(fixed.encode()).hexdigest()[:12]


def fingerprint(asked: Sequence[Mapping[str, str]], form: Mapping[str, Any]) -> str:
    """Return the digest of one exact request."""
    return hashlib.sha256(json.dumps([list(asked), form], sort_keys=True).encode()).hexdigest()[:16]
