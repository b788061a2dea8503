"""Score triage against a gold set: incidents whose verdict and words people agreed on.

The shipped set (``gold.jsonl``) holds scenes, one a line: a device, what the catalogue
knows, the findings, the verdict, and what the words must and must not say. What rules
were written with (``held_out`` false) is told apart from what was only measured.
Coverage (was there an answer) is kept apart from quality (was it right).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.store import Store, incidents
from guardian.triage import prompt
from guardian.triage.explain import explain_pending
from guardian.triage.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.model.incident import Incident
    from guardian.triage.settings import Settings

GOLD = Path(__file__).with_name("gold.jsonl")
"""The gold set that ships with Guardian."""

_BEGIN = datetime(2026, 10, 21, 19, 0)  # noqa: DTZ001 - the store's times are UTC
_ALARMS = frozenset({"malicious", "suspicious"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How one item fared. ``missing`` and ``wrong`` are what the words lacked or should not say."""

    id: str
    held_out: bool
    expected: str
    verdict: str
    incidents: int
    missing: tuple[str, ...]
    wrong: tuple[str, ...]
    claims: int
    grounded: int
    written_by: str
    seconds: float


def load(path: Path = GOLD) -> list[dict[str, Any]]:
    """Return the items of a gold set.

    Raises:
        InputError: it cannot be read; the message says which line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise InputError(msg) from error
    items = []
    for number, line in enumerate(lines, start=1):
        try:
            item = json.loads(line)
            items.append({**item, "held_out": bool(item.get("held_out"))})
        except (ValueError, TypeError) as error:
            msg = f"{path}:{number}: not an item of a gold set: {error}"
            raise InputError(msg) from error
    return items


async def evaluate(settings: Settings, *, path: Path = GOLD) -> dict[str, Any]:
    """Tell every item of the set, by the models of ``settings`` if there are any, and score.

    Raises:
        InputError: the set cannot be read.
        StoreError, ConfigError: as for ``triage.run``.
    """
    items = load(path)
    results = []
    calls: list[dict[str, Any]] = []
    digests: set[str] = set()
    for item in items:
        scored, asked, digest = await _one(item, settings)
        results.append(scored)
        calls += asked
        digests |= digest
    return {
        "set": _digest(path),
        "prompt_version": prompt.version(),
        "models": sorted(digests),
        "all": _figures(results),
        "in_sample": _figures([each for each in results if not each.held_out]),
        "held_out": _figures([each for each in results if each.held_out]),
        "coverage": _coverage(results, calls),
        "faults": [
            {"id": s.id, "expected": s.expected, "verdict": s.verdict, "incidents": s.incidents,
             "missing": list(s.missing), "wrong": list(s.wrong)}
            for s in results
            if s.expected != s.verdict or s.missing or s.wrong or s.incidents != 1
        ],
    }  # fmt: skip


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


async def _one(
    item: Mapping[str, Any], settings: Settings
) -> tuple[Scored, list[dict[str, Any]], set[str]]:
    store = Store.memory()
    try:
        _furnish(store, item)
        began = time.monotonic()
        run(store, settings)
        await explain_pending(store, settings)
        seconds = time.monotonic() - began
        with store.read() as reader:
            found = incidents.incidents(reader)
            calls = reader.rows("SELECT outcome, seconds, tokens_in, tokens_out FROM model_call")
    finally:
        store.close()
    digests = {str(each.model["digest"]) for each in found if each.model}
    return _score(item, found, seconds), calls, digests


def _furnish(store: Store, item: Mapping[str, Any]) -> None:
    device = item["device"]
    owner = "d1" if device["name"] else None
    with store.transaction() as tx:
        if owner:
            tx.execute(
                "INSERT INTO device (device_id, name, kind, first_seen, last_seen) "
                "VALUES ('d1', ?, ?, ?, ?)",
                [device["name"], device["kind"], _BEGIN - timedelta(days=99), _BEGIN],
            )
        for each in item["hits"]:
            tx.execute(
                "INSERT INTO name_hit VALUES (?, ?, ?, ?, ?, ['telemetry'], ?, 'none', ?)",
                [each["name"], "gold", each["class"], each["company"], each["service"],
                 each["grade"], each["name"]],
            )  # fmt: skip
        for number, each in enumerate(item["findings"]):
            begins = _BEGIN + timedelta(seconds=each["at_s"])
            ends = begins + timedelta(seconds=each["lasts_s"])
            tx.execute(
                "INSERT INTO finding (id, class, level, detector, title, key, device_id, src_ip, "
                "peers, first_seen, last_seen, count, facts, evidence, tags, updated_at) "
                "VALUES (?, ?, ?, ?, '', ?, ?, NULL, ?, ?, ?, ?, ?, [], [], ?)",
                [f"f{number}", each["class"], each["level"], each["class"], f"k{number}", owner,
                 each["peers"], begins, ends, each["count"], json.dumps(each["facts"]), ends],
            )  # fmt: skip


def _score(item: Mapping[str, Any], found: Sequence[Incident], seconds: float) -> Scored:
    first = found[0] if found else None
    said = "" if first is None else " ".join((first.title, first.summary, first.explanation))
    known = set() if first is None else {fact.id for fact in first.facts}
    claims = () if first is None else first.claims
    return Scored(
        id=item["id"],
        held_out=item["held_out"],
        expected=item["verdict"],
        verdict="" if first is None else first.verdict.value,
        incidents=len(found),
        missing=tuple(each for each in item["must"] if each.lower() not in said.lower()),
        wrong=tuple(each for each in item["must_not"] if each.lower() in said.lower()),
        claims=len(claims),
        grounded=sum(1 for claim in claims if claim.facts and set(claim.facts) <= known),
        written_by="" if first is None else first.written_by,
        seconds=seconds,
    )


def _figures(results: Sequence[Scored]) -> dict[str, Any]:
    alarms = [each for each in results if each.expected in _ALARMS]
    quiet = [each for each in results if each.expected not in _ALARMS]
    agreed = sum(each.expected == each.verdict for each in results)
    recalled = sum(each.verdict in _ALARMS for each in alarms)
    false = sum(each.verdict in _ALARMS for each in quiet)
    claims = sum(each.claims for each in results)
    counts: dict[str, int] = {}
    for each in results:
        counts[each.expected] = counts.get(each.expected, 0) + 1
    return {
        "n": len(results),
        "verdicts": counts,
        "agreement": _share(agreed, len(results)),
        "kappa": _kappa([(each.expected, each.verdict) for each in results]),
        "recall": _share(recalled, len(alarms)),
        "false_positives": _share(false, len(quiet)),
        "says_what_it_must": _share(sum(not e.missing for e in results), len(results)),
        "says_nothing_wrong": _share(sum(not e.wrong for e in results), len(results)),
        "grounded_claims": _share(sum(each.grounded for each in results), claims),
        "one_incident": _share(sum(each.incidents == 1 for each in results), len(results)),
    }


def _coverage(results: Sequence[Scored], calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    answered = [each for each in calls if each["outcome"] == "ok"]
    return {
        "by_model": _share(sum(e.written_by != "template" for e in results), len(results)),
        "calls": len(calls),
        "outcomes": {
            word: sum(each["outcome"] == word for each in calls)
            for word in sorted({str(each["outcome"]) for each in calls})
        },
        "seconds": round(sum(each["seconds"] for each in calls), 2),
        "tokens_in": sum(each["tokens_in"] for each in answered),
        "tokens_out": sum(each["tokens_out"] for each in answered),
        "template_s": round(sum(each.seconds for each in results), 2),
    }


def _share(part: int, whole: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval; without a whole there is none."""
    if not whole:
        return {"share": None, "of": 0, "low": None, "high": None}
    z = 1.96
    p = part / whole
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    spread = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return {
        "share": round(p, 4),
        "of": whole,
        "low": round(max(0.0, middle - spread), 4),
        "high": round(min(1.0, middle + spread), 4),
    }


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa: agreement beyond what chance would give."""
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
