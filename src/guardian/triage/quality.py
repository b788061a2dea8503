"""Is there evidence that stories are told well, by what tells them now?

A scoring counts for one model's digest and one prompt, to the character. When either has
changed since, the evidence is stale, and the gate says so until somebody measures again:
``guardian eval --triage``. A scoring that is worse than the one before, of another model or
prompt, is said to be worse, with whether that may be chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.store import quality
from guardian.store.ingest import utc_now
from guardian.triage import prompt, stories
from guardian.triage.gold_figures import share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardian.store import Reader

LIVE_DAYS = 30
"""Coverage and people's answers are told of so many days."""
WORDS = ("says_what_it_must", "says_nothing_wrong", "grounded_claims")
"""The shares that depend on who finds the words; verdicts are by rules, whoever words them."""
TEMPLATE = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is known of one writer. ``state``: fresh, stale, missing or worse."""

    writer: str
    digest: str
    state: str
    text: str
    measured_at: str | None = None


def gates(reader: Reader) -> list[Gate]:
    """Return the gate of the template and of every model that may find words now."""
    scores = quality.scores(reader, limit=quality.MAX_KEPT)
    found = [_template(scores)]
    rows = reader.rows(
        "SELECT DISTINCT model, digest FROM model_endpoint "
        "WHERE role IN ('fast', 'deep') AND digest != '' ORDER BY ALL"
    )
    return [*found, *(_model(row["model"], row["digest"], scores) for row in rows)]


def asks(reader: Reader) -> list[Gate]:
    """Return the gates of models that need a person: a switch that is unmeasured, or worse.

    Where no model was ever measured, nothing is asked: the page says so, calmly.
    """
    found = [gate for gate in gates(reader) if gate.writer != TEMPLATE]
    if not any(score["models"] for score in quality.scores(reader, limit=quality.MAX_KEPT)):
        return []
    return [gate for gate in found if gate.state != "fresh"]


def report(reader: Reader, *, now: datetime | None = None) -> dict[str, Any]:
    """Return everything the quality page shows, as JSON values."""
    since = (now or utc_now()) - timedelta(days=LIVE_DAYS)
    newest = quality.scores(reader, limit=1)
    said = quality.answers(reader)
    written = quality.written(reader, since=since)
    told = sum(row["incidents"] for row in written)
    by_model = sum(row["incidents"] for row in written if row["written_by"] != TEMPLATE)
    return {
        "prompt_version": prompt.version(),
        "template_version": stories.version(),
        "gates": [asdict(gate) for gate in gates(reader)],
        "measured": None if not newest else newest[0]["report"],
        "measured_at": None if not newest else newest[0]["taken_at"].isoformat() + "Z",
        "answers": [{**row, "right_share": share(row["right"], row["said"])} for row in said],
        "right": share(sum(row["right"] for row in said), sum(row["said"] for row in said)),
        "coverage": {
            "days": LIVE_DAYS,
            "worded_by_model": share(by_model, told),
            "writers": written,
            "models": quality.outcomes(reader, since=since),
        },
    }


def _template(scores: Sequence[Mapping[str, Any]]) -> Gate:
    now = stories.version()
    own = [each for each in scores if not each["models"]]
    return _gate(TEMPLATE, now, own, [each for each in own if each["template_version"] == now])


def _model(name: str, digest: str, scores: Sequence[Mapping[str, Any]]) -> Gate:
    own = [each for each in scores if digest in each["models"]]
    fresh = [each for each in own if each["prompt_version"] == prompt.version()]
    gate = _gate(name, digest, own, fresh)
    if gate.state != "fresh":
        return gate
    former = next(
        (each for each in scores if each["models"] and each["id"] < fresh[0]["id"]
         and (digest not in each["models"] or each["prompt_version"] != prompt.version())
         and each["set_digest"] == fresh[0]["set_digest"]),
        None,
    )  # fmt: skip
    worse = _worse(fresh[0]["report"], former["report"]) if former else ""
    if not worse:
        return gate
    return Gate(writer=name, digest=digest, state="worse", text=worse, measured_at=gate.measured_at)


def _gate(
    writer: str,
    digest: str,
    own: Sequence[Mapping[str, Any]],
    fresh: Sequence[Mapping[str, Any]],
) -> Gate:
    if fresh:
        when = fresh[0]["taken_at"].isoformat() + "Z"
        return Gate(
            writer=writer, digest=digest, state="fresh",
            text="measured as it is now", measured_at=when,
        )  # fmt: skip
    if own:
        text = "its words changed since they were measured; measure again: guardian eval --triage"
        when = own[0]["taken_at"].isoformat() + "Z"
        return Gate(writer=writer, digest=digest, state="stale", text=text, measured_at=when)
    text = "never measured as it is now; measure it: guardian eval --triage"
    return Gate(writer=writer, digest=digest, state="missing", text=text)


def _worse(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """Say in which words a scoring is worse than a former one; empty when in none."""
    found = []
    for name in WORDS:
        new, old = now["by_model"][name], then["by_model"][name]
        if new["share"] is None or old["share"] is None or new["share"] >= old["share"]:
            continue
        sure = "" if new["high"] < old["low"] else " (may be chance)"
        found.append(
            f"{name.replace('_', ' ')}: {new['share']:.0%} of {new['of']}, "
            f"before {old['share']:.0%} of {old['of']}{sure}"
        )
    return "worse than what it replaced: " + "; ".join(found) if found else ""
