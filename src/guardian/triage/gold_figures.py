"""The figures of a scored gold set: shares with their intervals, and agreement beyond chance.

A share stands with its number and its 95 % interval (E. B. Wilson, 1927,
https://doi.org/10.1080/01621459.1927.10502953). Agreement is Cohen's kappa (J. Cohen, 1960,
https://doi.org/10.1177/001316446002000104) over what a family would do: an alarm, something
that watches, or nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = {"malicious": "alarm", "suspicious": "alarm", "surveillance": "watched"}
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How one item fared. ``missing`` and ``wrong`` are what the words lacked or should not say.

    ``accept`` are the verdicts that are right; ``claims`` and ``grounded`` count sentences with
    citations, and those whose cited facts exist; ``by_model`` whether a model's words stood.
    """

    id: str
    source: str
    held_out: bool
    accept: tuple[str, ...]
    verdict: str
    incidents: int
    missing: tuple[str, ...]
    wrong: tuple[str, ...]
    claims: int
    grounded: int
    written_by: str
    seconds: float

    @property
    def agreed(self) -> bool:
        """Whether the verdict is one of those that are right."""
        return self.verdict in self.accept

    @property
    def kinds(self) -> tuple[str, str]:
        """What it is, and what it was called, in three kinds."""
        said = kind_of(self.verdict)
        return (said if self.agreed else kind_of(self.accept[0])), said

    @property
    def by_model(self) -> bool:
        """Whether a model wrote the words."""
        return self.written_by not in ("template", "")


def kind_of(verdict: str) -> str:
    """Return ``alarm``, ``watched`` or ``quiet``."""
    return _KINDS.get(verdict, "quiet")


def figures(results: Sequence[Scored]) -> dict[str, Any]:
    """Return n, the verdicts, and every share with its interval."""
    alarms = [each for each in results if each.kinds[0] == "alarm"]
    quiet = [each for each in results if each.kinds[0] != "alarm"]
    claims = sum(each.claims for each in results)
    counts: dict[str, int] = {}
    for each in results:
        counts[each.accept[0]] = counts.get(each.accept[0], 0) + 1
    return {
        "n": len(results),
        "verdicts": dict(sorted(counts.items())),
        "agreement": share(sum(each.agreed for each in results), len(results)),
        "kappa": kappa([each.kinds for each in results]),
        "recall": share(sum(each.kinds[1] == "alarm" for each in alarms), len(alarms)),
        "false_positives": share(sum(each.kinds[1] == "alarm" for each in quiet), len(quiet)),
        "says_what_it_must": share(sum(not e.missing for e in results), len(results)),
        "says_nothing_wrong": share(sum(not e.wrong for e in results), len(results)),
        "grounded_claims": share(sum(each.grounded for each in results), claims),
        "one_incident": share(sum(each.incidents == 1 for each in results), len(results)),
    }


def coverage(results: Sequence[Scored], calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how often models were asked, answered, and what it cost: apart from quality."""
    answered = [each for each in calls if each["outcome"] == "ok"]
    spent = sum(each["seconds"] for each in answered)
    out = sum(each["tokens_out"] for each in answered)
    return {
        "by_model": share(sum(each.by_model for each in results), len(results)),
        "calls": len(calls),
        "outcomes": {
            word: sum(each["outcome"] == word for each in calls)
            for word in sorted({str(each["outcome"]) for each in calls})
        },
        "seconds": round(sum(each["seconds"] for each in calls), 2),
        "tokens_in": sum(each["tokens_in"] for each in answered),
        "tokens_out": out,
        "tokens_per_s": round(out / spent, 1) if spent else None,
        "rules_s": round(sum(each.seconds for each in results), 2),
    }


def share(part: int, whole: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval; without a whole there is none."""
    if not whole:
        return {"share": None, "of": 0, "low": None, "high": None}
    p = part / whole
    middle = (p + _Z * _Z / (2 * whole)) / (1 + _Z * _Z / whole)
    spread = math.sqrt(p * (1 - p) / whole + _Z * _Z / (4 * whole * whole))
    spread *= _Z / (1 + _Z * _Z / whole)
    return {
        "share": round(p, 4),
        "of": whole,
        "low": round(max(0.0, middle - spread), 4),
        "high": round(min(1.0, middle + spread), 4),
    }


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa: agreement beyond what chance would give; None without pairs."""
    if not pairs:
        return None
    total = len(pairs)
    seen = sum(first == second for first, second in pairs) / total
    words = {word for pair in pairs for word in pair}
    chance = sum(
        sum(first == word for first, _ in pairs) * sum(second == word for _, second in pairs)
        for word in words
    ) / (total * total)
    return 1.0 if chance == 1 else round((seen - chance) / (1 - chance), 4)
