"""The template: what is told of an incident without any model, from its facts alone."""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.model.incident import Claim, Verdict
from guardian.triage.slots import Filled, Filler, MissingSlotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FILE = Path(__file__).with_name("stories.toml")

TITLE_LENGTH = 110
"""Longest title, in characters: two lines on a phone."""

MAX_CLAIMS = 8
"""Most sentences of an explanation for a family."""

REST = "rest"
"""The story of many small things that are told together."""

CALM = frozenset({Verdict.BENIGN, Verdict.UNDETERMINED})
"""Verdicts under which a story is told without a word of harm."""

_NUMBERED = re.compile(r"\[([^|\[\]]*)\|([^|\[\]]*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An incident in words; ``claims`` are the sentences of ``explanation``."""

    title: str
    summary: str
    explanation: str
    expert: str
    claims: tuple[Claim, ...]


@functools.cache
def stories() -> Mapping[str, Mapping[str, Any]]:
    """Return the stories of all classes, as the file has them."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@functools.cache
def version() -> str:
    """Return the fingerprint of the stories: one changed character changes it."""
    return hashlib.sha256(_FILE.read_bytes()).hexdigest()[:12]


def story(lead: str, verdict: str | None = None) -> Mapping[str, Any]:
    """Return how a class is told, under a verdict."""
    found = stories().get(lead) or stories()["policy_violation"]
    calm = found.get("calm", {}) if verdict in CALM else {}
    return {**found, **calm}


def todo(classes: Sequence[str], verdict: str) -> tuple[str, ...]:
    """Return what a person can do by hand about an incident, in whole sentences."""
    return tuple(story(classes[0] if classes else "", verdict)["todo"])


def tell(
    filler: Filler, lead: str, others: Sequence[str] = (), *, verdict: str | None = None
) -> Told:
    """Tell an incident by its leading class; ``others`` are mentioned in one sentence."""
    told = _numbered(story(lead, verdict), filler)
    title = _first(filler, [*told["title"], f"{{device}}: {words.finding_class(lead)}"])
    claims = [_claim(filler, filled) for filled in _all(filler, told["explanation"])]
    if others:
        also = words.sentence_list(words.finding_class(each) for each in others)
        claims.append(Claim(text=f"Also seen: {also}.", facts=_cite(filler, "what")))
    # What is not known is never cut away for what is.
    claims = claims[: MAX_CLAIMS - 2]
    for kind in ("before", "unknown"):
        fact = filler.fact(kind)
        if fact is not None:
            claims.append(Claim(text=fact.text, facts=(fact.id,)))
    summary = " ".join(filled.text for filled in _all(filler, told["summary"])[:2])
    return Told(
        title=words.clean(title.text if title else words.finding_class(lead), TITLE_LENGTH),
        summary=words.clean(summary, 400),
        explanation=" ".join(claim.text for claim in claims),
        expert=" ".join(filled.text for filled in _all(filler, told["expert"])),
        claims=tuple(claims),
    )


def _numbered(told: Mapping[str, Any], filler: Filler) -> dict[str, Any]:
    """Return a story with each ``[calls|call]`` as one device, or several, need it."""
    who = filler.fact("who")
    several = who is not None and who.values.get("kind") == "several"
    # Nobody knows whether somebody outside is one.
    they = several or (who is not None and who.values.get("kind") == "outside")

    def choose(match: re.Match[str]) -> str:
        pronoun = match[1].startswith("it")
        return match[2] if (they if pronoun else several) else match[1]

    def all_of(entry: Any) -> Any:
        if isinstance(entry, str):
            return _NUMBERED.sub(choose, entry)
        return [all_of(each) for each in entry]

    return {name: all_of(told[name]) for name in ("title", "summary", "explanation", "expert")}


def _claim(filler: Filler, filled: Filled) -> Claim:
    return Claim(text=filled.text, facts=filled.facts or _cite(filler, "what"))


def _cite(filler: Filler, kind: str) -> tuple[str, ...]:
    fact = filler.fact(kind)
    return () if fact is None else (fact.id,)


def _all(filler: Filler, entries: Sequence[str | Sequence[str]]) -> list[Filled]:
    found = []
    for entry in entries:
        ways = [entry] if isinstance(entry, str) else entry
        filled = _first(filler, ways)
        if filled is not None:
            found.append(filled)
    return found


def _first(filler: Filler, ways: Sequence[str]) -> Filled | None:
    for way in ways:
        try:
            return filler.fill(way)
        except MissingSlotError:
            continue
    return None
