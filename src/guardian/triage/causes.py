"""Likely causes of an incident, ranked: from a fixed list for its class, each with its facts.

Rules rank them by the facts that speak for and against. A model may rank them anew, by
their keys alone; its ranking is checked, and it cannot add a cause, leave the list, or
put a harmless cause before a verdict that says otherwise.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.model.incident import Claim, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.model.incident import Incident

_FILE = Path(__file__).with_name("causes.toml")

SHOWN = 3
"""So many causes are shown, the likeliest first."""

FOR_FACT, AGAINST_FACT, AGAINST_VERDICT = 2, 3, 6
"""What a fact for a cause adds, a fact against it takes, and the verdict takes from a cause
that contradicts it; each place in the list's own order is worth one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause that a class may have. ``calm`` says that nobody means harm."""

    key: str
    text: str
    rests: tuple[str, ...]
    against: tuple[str, ...]
    calm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A cause in its place, and the facts that it rests on."""

    key: str
    facts: tuple[str, ...]


@functools.cache
def _table() -> Mapping[str, tuple[Cause, ...]]:
    read = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    known = {
        key: Cause(
            key=key, text=row["text"], rests=tuple(row["rests"]), against=tuple(row["against"]),
            calm=bool(row.get("calm")),
        )
        for key, row in read["causes"].items()
    }  # fmt: skip
    return {name: tuple(known[key] for key in keys) for name, keys in read["classes"].items()}


def of_class(finding_class: str) -> tuple[Cause, ...]:
    """Return the causes that a class may have; none for a class that has no list."""
    return _table().get(finding_class, ())


def wording() -> str:
    """Return all that a request may hold of the lists, for the fingerprint of the prompt."""
    return _FILE.read_text(encoding="utf-8")


def possible(incident: Incident) -> tuple[Cause, ...]:
    """Return the causes that an incident may have, by its leading class."""
    return of_class(incident.classes[0].value) if incident.classes else ()


def rank(incident: Incident) -> tuple[Ranked, ...]:
    """Rank the causes by rules: the same incident, the same order."""
    kinds = {fact.kind for fact in incident.facts}
    causes = possible(incident)
    worth = {
        cause.key: len(causes) - place
        + FOR_FACT * len(kinds & set(cause.rests))
        - AGAINST_FACT * len(kinds & set(cause.against))
        - (AGAINST_VERDICT if _contradicts(cause, incident.verdict) else 0)
        for place, cause in enumerate(causes)
    }  # fmt: skip
    order = sorted(causes, key=lambda cause: -worth[cause.key])
    return tuple(Ranked(key=each.key, facts=_ground(each, incident)) for each in order[:SHOWN])


def _contradicts(cause: Cause, verdict: Verdict) -> bool:
    if verdict in (Verdict.MALICIOUS, Verdict.SUSPICIOUS):
        return cause.calm
    return verdict is Verdict.BENIGN and not cause.calm


def _ground(cause: Cause, incident: Incident) -> tuple[str, ...]:
    found = tuple(fact.id for fact in incident.facts if fact.kind in cause.rests)
    return found or tuple(fact.id for fact in incident.facts if fact.kind == "what")


def checked(value: object, incident: Incident) -> tuple[tuple[Ranked, ...], tuple[str, ...]]:
    """Return what is left of a model's ranking, and why anything was dropped.

    A cause stays when it is on the list, was not named before, and cites facts of this
    incident of which one is of a kind that the cause rests on. Nothing stays when the
    first would contradict the verdict.
    """
    if not isinstance(value, list):
        return (), ("causes are not a list",)
    known = {cause.key: cause for cause in possible(incident)}
    kinds = {fact.id: fact.kind for fact in incident.facts}
    kept: dict[str, Ranked] = {}
    dropped: list[str] = []
    for each in value[: 2 * SHOWN]:
        why = _fault(each, known, kinds)
        if why is None and each["cause"] in kept:
            why = "cause named twice"
        if why is not None:
            dropped.append(why)
            continue
        kept[each["cause"]] = Ranked(key=each["cause"], facts=tuple(dict.fromkeys(each["facts"])))
    first = next(iter(kept), None)
    if first is not None and _contradicts(known[first], incident.verdict):
        return (), (*dropped, "the first cause speaks against the verdict")
    return tuple(kept.values())[:SHOWN], tuple(dropped)


def _fault(each: object, known: Mapping[str, Cause], kinds: Mapping[str, str]) -> str | None:
    if not isinstance(each, dict) or each.keys() != {"cause", "facts"}:
        return "not a cause"
    key, facts = each["cause"], each["facts"]
    if not isinstance(key, str) or key not in known:
        return "cause that is not on the list"
    if not isinstance(facts, list) or not facts or len(facts) > 6:
        return "cause without facts"
    if not all(isinstance(fact, str) and fact in kinds for fact in facts):
        return "cause with unknown facts"
    if not {kinds[fact] for fact in facts} & {*known[key].rests, "what"}:
        return "cause whose facts do not speak of it"
    return None


def told(incident: Incident) -> tuple[tuple[Claim, ...], str]:
    """Return the likely causes as claims, likeliest first, and who ranked them.

    A model's ranking was checked when it came, and is checked again against today's facts.
    """
    texts = {cause.key: cause.text for cause in possible(incident)}
    ranked, by = rank(incident), "rules"
    model = incident.model or {}
    if model.get("causes"):
        kept, _ = checked(model["causes"], incident)
        if kept:
            rest = tuple(each for each in ranked if each.key not in {k.key for k in kept})
            ranked, by = (*kept, *rest)[:SHOWN], str(model.get("name", "a model"))
    return tuple(Claim(text=texts[each.key], facts=each.facts) for each in ranked), by


def as_json(ranked: Sequence[Ranked]) -> list[dict[str, Any]]:
    """Return a ranking as it is kept with the model that made it."""
    return [{"cause": each.key, "facts": list(each.facts)} for each in ranked]
