"""A proposal as a card: what it would do, and after the tap, each state as it becomes true.

Never a success before the enforcer answered: a step is done only when the store says
when it happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.respond import watch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

ASKS_TWICE = frozenset({"quarantine", "isolate", "device_block", "router_block", "house_block"})
"""Actions that take a whole device off the network; one tap is not enough."""

SHOWN_NAMES = 12
"""Names of a forecast that a card lists."""

_ENFORCED = ("asked_at", "applied_at", "verified_at", "reverted_at", "ends_at", "proof", "error")
_BLOCKS = frozenset({"dns_block", "dns_trial", "address_block"})
_MOVING = frozenset({"asked", "applied", "reverting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the card's progress; ``state`` is done, now, failed or later."""

    name: str
    state: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One proposal as a person sees it.

    ``stage`` is where it stands: waits, asked, applied, verified, failed, reverting,
    reverted, ended, rejected or withdrawn. ``polls`` is whether the next state is
    expected within seconds. ``replayed`` is what the last week would have been under it,
    ``watches`` what is looked for while it is in force, ``seen`` what was found of that.
    """

    id: int
    incident_id: int
    stage: str
    tag: str
    tone: str
    device: str
    since: str
    title: str
    text: str
    consequence: str
    button: str
    steps: tuple[Step, ...]
    outcome: str
    outcome_tone: str
    error: str
    proof: str
    ends: str
    asks_twice: bool
    can_act: bool
    if_done: str
    replayed: tuple[str, ...] = ()
    replayed_names: tuple[tuple[str, str], ...] = ()
    watches: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether it needs an answer."""
        return self.stage == "waits"

    @property
    def polls(self) -> bool:
        """Whether the next state is expected within seconds."""
        return self.stage in _MOVING

    @property
    def can_undo(self) -> bool:
        """Whether a person can take it back now."""
        return self.stage in {"asked", "applied", "verified"}

    @property
    def can_approve(self) -> bool:
        """Whether it can be asked for now: for the first time, or again."""
        return self.can_act and self.stage in {"waits", "rejected", "failed", "reverted", "ended"}


def card(row: Mapping[str, Any], *, now: datetime, zone: tzinfo | None) -> Card:
    """Return the card of a proposal row (``store.pages.proposal``)."""
    tag, tone = words.verdict(row["verdict"], row["classes"])
    stage = stage_of(row)
    if stage == "asked" and _stale(row):
        row = {**row, **dict.fromkeys(_ENFORCED)}
    outcome, outcome_tone = _outcome(stage, row)
    return Card(
        id=row["id"],
        incident_id=row["incident_id"],
        stage=stage,
        tag=tag,
        tone=tone,
        device=words.clean(row["device"], 60),
        since=words.clock(row["first_seen"], zone, now),
        title=words.clean(row["incident_title"], 160),
        text=words.clean(row["summary"], 600),
        consequence=words.clean(row["consequence"], 600),
        button=words.clean(row["title"], 80),
        steps=_steps(stage, row, now, zone),
        outcome=outcome,
        outcome_tone=outcome_tone,
        error=words.clean(row["error"], 300) if stage == "failed" else "",
        proof=_proof(row["proof"]) if stage == "verified" else "",
        ends=words.clock(row["ends_at"], zone, now) if row["ends_at"] else "",
        asks_twice=row["action"] in ASKS_TWICE,
        can_act=row["responder"] != "none",
        if_done="If blocked" if row["action"] in _BLOCKS else "Then",
        **_replayed(row.get("replayed")),
        seen=_seen(stage, row.get("watch")),
    )


def _replayed(found: object) -> dict[str, Any]:
    """Return what a card tells of a forecast (``detect.surveillance_forecast``)."""
    if not isinstance(found, dict):
        return {}
    names = [
        (
            words.clean(each["name"], 80),
            words.clean(f"{each['company']}: {each['service']}", 80)
            if each["company"]
            else "not in the catalogue",
        )
        for each in found.get("names", [])[:SHOWN_NAMES]
    ]
    return {
        "replayed": tuple(words.clean(each, 300) for each in found.get("told", [])),
        "replayed_names": tuple(names),
        "watches": tuple(words.clean(each, 120) for each in found.get("watch", [])),
    }


def _seen(stage: str, watched: object) -> tuple[str, ...]:
    """Return what its devices did since it is in force, in plain words."""
    if stage not in {"verified", "reverting", "reverted", "ended"}:
        return ()
    if not isinstance(watched, dict) or "questions" not in watched:
        return ()
    rates = (
        f"{words.counted(watched['questions'], 'question', 'questions')} for these names since, "
        f"{watched['per_hour']:g} an hour; {watched['per_hour_before']:g} before"
    )
    return (rates, *watch.remarks(watched))


def stage_of(row: Mapping[str, Any]) -> str:
    """Return where a proposal stands, from its status, last answer and last enforcement."""
    status, state = row["status"], row["state"]
    if row["verb"] is not None and not row["carried_out"]:
        if row["verb"] == "revert":
            return "reverting"
        if row["verb"] == "approve" and _stale(row):
            return "asked"
    if status == "proposed":
        return "waits"
    if status in {"rejected", "withdrawn"} and state not in {"applied", "verified", "reverting"}:
        return str(status)
    if state == "reverted":
        return "reverted" if row["verb"] == "revert" and row["channel"] != "expiry" else "ended"
    return str(state or "asked")


def _stale(row: Mapping[str, Any]) -> bool:
    """Whether the enforcement beside a row is of an earlier answer than the last one."""
    return row["asked_at"] is None or row["asked_at"] < row["decided_at"]


def _outcome(stage: str, row: Mapping[str, Any]) -> tuple[str, str]:
    blocked = "Blocked" if row["action"] in _BLOCKS else "Done"
    return {
        "waits": ("Needs you", "ask"),
        "asked": ("Asked", "info"),
        "applied": ("Applied, being checked", "info"),
        "verified": (f"{blocked} · verified", "calm"),
        "failed": ("Did not work", "danger"),
        "reverting": ("Being undone", "info"),
        "reverted": ("Undone", "info"),
        "ended": ("Ended by itself", "info"),
        "rejected": ("Kept as it is", "info"),
        "withdrawn": ("No longer needed", "info"),
    }.get(stage, (stage, "info"))


def _steps(
    stage: str, row: Mapping[str, Any], now: datetime, zone: tzinfo | None
) -> tuple[Step, ...]:
    if stage in {"waits", "rejected", "withdrawn"}:
        return ()
    asked = row["asked_at"] or row["decided_at"]
    parts = [
        ("asked", asked),
        ("applied", row["applied_at"]),
        ("verified", row["verified_at"]),
    ]
    undoing = stage in {"reverting", "reverted", "ended"}
    found: list[Step] = []
    for name, moment in parts:
        if moment is not None:
            state = "done"
        elif undoing:
            continue
        elif stage == "failed":
            state = "failed" if not any(step.state == "failed" for step in found) else "later"
        else:
            state = "now" if not any(step.state == "now" for step in found) else "later"
        found.append(Step(name=name, state=state, when=_when(moment, now, zone)))
    if undoing:
        finished = stage != "reverting"
        name = {"reverting": "undoing", "reverted": "undone", "ended": "ended by itself"}[stage]
        when = _when(row["reverted_at"], now, zone) if finished else ""
        found.append(Step(name=name, state="done" if finished else "now", when=when))
    elif row["ends_at"] is not None:
        when = words.clock(row["ends_at"], zone, now)
        found.append(Step(name="ends by itself", state="later", when=when))
    return tuple(found)


def _when(moment: datetime | None, now: datetime, zone: tzinfo | None) -> str:
    return words.clock(moment, zone, now) if moment else ""


def _proof(proof: object) -> str:
    """Return what was asked and answered when it was verified, in one line."""
    if isinstance(proof, dict):
        text = proof.get("text") or proof.get("summary")
        if isinstance(text, str):
            return words.clean(text, 300)
        asked = proof.get("name") or proof.get("asked")
        answer = proof.get("answer") or proof.get("answers") or proof.get("answered")
        if asked and answer:
            shown = ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)
            return words.clean(f"Asked the resolver for {asked}; it answered {shown}", 300)
    return ""
