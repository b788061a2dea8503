"""Group what detectors found into incidents and write each one's facts, verdict and words.

A run reads every finding of the living stories, groups them, and rewrites only the
incidents whose findings changed. Running twice changes nothing. No model is asked.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.model import words
from guardian.store import incident_state, vectors
from guardian.store import incidents as stored
from guardian.store.ingest import utc_now
from guardian.triage import feedback, load, similar
from guardian.triage.anchors import Anchored, Anchorer
from guardian.triage.facts import packet, packet_hash
from guardian.triage.grouping import group
from guardian.triage.identity import REST, Placed, place
from guardian.triage.score import judge, needs_answer
from guardian.triage.slots import Filler, write
from guardian.triage.stories import REST as REST_STORY
from guardian.triage.stories import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from guardian.store import Reader, Store, Transaction
    from guardian.triage.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageReport:
    """What a run did: incidents there are, those it changed, and how long it took."""

    incidents: int
    changed: tuple[int, ...]
    seconds: float


def run(store: Store, settings: Settings, *, now: datetime | None = None) -> TriageReport:
    """Bring the incidents up to date with the findings.

    ``now`` bounds what counts as new; when the newest event is older (a replay), that
    is the clock: an incident is quiet when the house was watched and nothing came.

    Raises:
        StoreError: the store cannot be read or written.
        ConfigError: the time zone of the settings does not exist.
    """
    began = time.monotonic()
    zone = words.zone(settings.timezone)
    with store.read() as reader:
        clock = _clock(reader, now)
        stamp = incident_state.stamp(reader) + _version(settings)
        unchanged = incident_state.last_stamp(reader) == stamp
    if unchanged:
        return _finish(store, settings, clock, began, ())
    with store.read() as reader:
        home = load.house(reader)
        placed = _stories(reader, home, settings, clock=clock, now=now or utc_now())
        rows, memory = _rewritten(reader, home, zone, placed)
    with store.transaction() as tx:
        for row in rows:
            stored.upsert(tx, row, now=now or utc_now())
        memory.keep(tx, now=now or utc_now())
        _bind(tx, placed, {row.id for row in rows})
    with store.transaction() as tx:
        incident_state.write_stamp(tx, incident_state.stamp(tx) + _version(settings))
    return _finish(store, settings, clock, began, tuple(sorted(row.id for row in rows)))


def _version(settings: Settings) -> str:
    """Return what makes the same findings a different story: the thresholds."""
    return ":" + hashlib.sha256(repr(settings).encode()).hexdigest()[:8]


def _finish(
    store: Store, settings: Settings, clock: datetime, began: float, changed: tuple[int, ...]
) -> TriageReport:
    with store.transaction() as tx:
        incident_state.settle(tx, quiet_before=clock - timedelta(hours=settings.quiet_after_h))
        total = int(tx.value("SELECT count(*) FROM incident WHERE merged_into IS NULL") or 0)
    return TriageReport(incidents=total, changed=changed, seconds=time.monotonic() - began)


def _stories(
    reader: Reader, home: load.House, settings: Settings, *, clock: datetime, now: datetime
) -> list[Placed]:
    """Group the findings and give each story the number of its incident."""
    window = timedelta(days=settings.window_days)
    anchorer = Anchorer(home.is_home)
    signals = load.signals(reader, home, since=clock - window, judged=now - window)
    found = [anchorer.anchor(signal) for signal in signals]
    owners, rests = _known(reader)
    placed = place(
        group(found, settings),
        owners,
        rests,
        per_day=settings.incidents_per_day,
        taken=_taken(reader),
    )
    return _numbered(reader, placed)


def _rewritten(
    reader: Reader, home: load.House, zone: tzinfo | None, placed: list[Placed]
) -> tuple[list[stored.IncidentRow], similar.Memory]:
    """Return the incidents whose findings changed, told anew, and what they are like."""
    states = incident_state.states(reader)
    answered = repr(sorted(feedback.priors(reader).items(), key=repr))
    found = vectors.similar(reader)
    stale = []
    for each in placed:
        old = states.get(each.number)
        state = _state(each, home, answered, found.get(each.number))
        if old is None or old.state_hash != state:
            stale.append((each, state, old.status if old else None))
    cases = _cases(reader, home, [each for each, _, _ in stale])
    priors = feedback.priors(reader)
    past = load.past(reader)
    memory = similar.Memory(reader, home, cases)
    rows = [
        _row(
            each,
            cases[each.number],
            home,
            zone,
            state=state,
            status=status,
            priors=priors,
            past=past,
            like=memory.like(each.number),
        )
        for each, state, status in stale
    ]
    return rows, memory


def _clock(reader: Reader, now: datetime | None) -> datetime:
    newest = reader.value(
        "SELECT greatest((SELECT max(last_event) FROM source), "
        "(SELECT max(last_seen) FROM finding))"
    )
    moment = now or utc_now()
    return min(newest, moment) if isinstance(newest, datetime) else moment


def _known(reader: Reader) -> tuple[dict[str, int], dict[int, str]]:
    anchors = reader.rows("SELECT anchor, incident_id FROM incident_anchor")
    rests = reader.rows("SELECT id, key FROM incident WHERE starts_with(key, ?)", [REST])
    return (
        {row["anchor"]: row["incident_id"] for row in anchors},
        {row["id"]: row["key"] for row in rests},
    )


def _taken(reader: Reader) -> dict[str, int]:
    rows = reader.rows(
        "SELECT strftime(first_seen, '%Y-%m-%d') AS day, count(*) AS n FROM incident "
        "WHERE merged_into IS NULL AND NOT starts_with(key, ?) GROUP BY day",
        [REST],
    )
    return {row["day"]: row["n"] for row in rows}


def _numbered(reader: Reader, placed: list[Placed]) -> list[Placed]:
    """Give each new incident its number, oldest story first."""
    following = int(reader.value("SELECT coalesce(max(id), 0) FROM incident")) + 1
    keys = {r["key"]: r["id"] for r in reader.rows("SELECT key, id FROM incident")}
    numbered = []
    for each in placed:
        if each.id is not None:
            numbered.append(each)
        elif each.key in keys:
            # The key of an incident that lost its anchors: it begins again under its old number.
            numbered.append(replace(each, id=keys[each.key]))
        else:
            keys[each.key] = following
            numbered.append(replace(each, id=following))
            following += 1
    return numbered


def _state(each: Placed, home: load.House, answered: str, like: int | None) -> str:
    """Return a digest of all that an incident's words are made from."""
    parts = [
        f"{m.signal.id}:{m.signal.count}:{m.signal.last_seen}:{m.signal.level}:{m.signal.actor}"
        for m in each.members
    ]
    names = [f"{home.name(actor)}" for actor in _actors(each.members)]
    found = [] if like is None else [f"like:{like}"]
    whole = "\n".join([*sorted(parts), *names, answered, *found])
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _actors(members: tuple[Anchored, ...]) -> tuple[str, ...]:
    return tuple(sorted({m.signal.actor for m in members}))


def _cases(reader: Reader, home: load.House, placed: list[Placed]) -> dict[int, load.Case]:
    cases: dict[int, load.Case] = {}
    numbers: list[int] = []
    ids: list[str] = []
    for each in placed:
        inside = [m.signal.actor for m in each.members if not m.signal.outside]
        devices = sorted({home.holders.get(actor, actor) for actor in inside} - {"house"})
        cases[each.number] = load.Case(
            devices=tuple(devices),
            outside=not inside,
            first_seen=min(m.signal.first_seen for m in each.members),
            last_seen=max(m.signal.last_seen for m in each.members),
        )
        numbers += [each.number] * len(each.members)
        ids += [m.signal.id for m in each.members]
    if cases:
        frame = pl.DataFrame({"number": numbers, "id": ids}, schema=_MEMBERS)
        load.describe(reader, home, cases, frame)
    return cases


_MEMBERS = {"number": pl.Int64, "id": pl.String}


def _row(
    each: Placed,
    case: load.Case,
    home: load.House,
    zone: tzinfo | None,
    *,
    state: str,
    status: str | None,
    priors: Mapping[tuple[str | None, str], float],
    past: Sequence[Mapping[str, Any]],
    like: int | None,
) -> stored.IncidentRow:
    judgement = judge(case)
    owner = case.devices[0] if len(case.devices) == 1 else None
    prior = priors.get((owner, judgement.lead.value), 0.0)
    if prior:
        judgement = judge(case, prior)
    case.lead, case.explained = judgement.lead, judgement.explained
    facts = packet(case, home, zone, extra=_before(each, case, zone, past, like))
    rest = each.key.startswith(REST)
    told_of = {judgement.lead, *judgement.explained}
    others = [kind.value for kind in judgement.classes if kind not in told_of]
    told = tell(
        Filler(facts, zone),
        REST_STORY if rest else judgement.lead.value,
        () if rest else others,
        verdict=judgement.verdict,
    )
    known = [device for device in case.devices if device in home.devices]
    return stored.IncidentRow(
        id=each.number,
        key=each.key,
        title=told.title,
        verdict=judgement.verdict,
        confidence=judgement.confidence,
        level=judgement.level,
        device_id=known[0] if len(known) == 1 and len(case.devices) == 1 else None,
        devices=tuple(known),
        classes=tuple(kind.value for kind in judgement.classes),
        first_seen=case.first_seen,
        last_seen=case.last_seen,
        status=_status(status, asks=needs_answer(judgement) and not rest),
        summary=told.summary,
        explanation=told.explanation,
        expert=told.expert,
        facts=facts,
        claims=told.claims,
        score=judgement.score,
        packet_hash=packet_hash(facts),
        state_hash=state,
    )


def _before(
    each: Placed,
    case: load.Case,
    zone: tzinfo | None,
    past: Sequence[Mapping[str, Any]],
    like: int | None,
) -> list[tuple[str, dict[str, object]]]:
    """Return what the house has seen before: what is most like it, else the same kind there."""
    alike = [
        row
        for row in past
        if row["lead"] == case.lead
        and row["id"] != each.number
        and row["device_id"] in case.devices
        and row["last_seen"] < case.first_seen
    ]
    # One that a person has judged tells more than a newer one that nobody has.
    row = next((row for row in past if row["id"] == like), None)
    row = row or next((row for row in alike if row["answer"]), alike[0] if alike else None)
    if row is None:
        return []
    said = {"right": "it was real", "wrong": "it was a mistake", "expected": "it was expected"}
    judged = f"; somebody said that {said[row['answer']]}" if row["answer"] else ""
    if row["answer"] and row["reason"]:
        judged += f": {words.clean(row['reason'], 60)}"
    when = write("first_at", row["first_seen"].isoformat(timespec="seconds"), zone=zone)
    text = f"Seen before, at {when}: {row['title']}{judged}"
    return [("before", {"text": text, "incident": row["id"]})]


def _status(old: str | None, *, asks: bool) -> str:
    """Return where a story stands that has just grown: what was over opens again."""
    if old == "handled":
        return "handled"
    return "open" if asks else "noted"


def _bind(tx: Transaction, placed: list[Placed], fresh: set[int]) -> None:
    """Write which anchors and findings belong to which incident, and close what was merged."""
    for each in placed:
        for loser in each.absorbs:
            stored.merge(tx, loser, each.number)
    changed = [each for each in placed if each.number in fresh or each.absorbs]
    anchors = {anchor: each.number for each in changed for anchor in each.anchors}
    members = {m.signal.id: each.number for each in changed for m in each.members}
    if anchors:
        incident_state.claim(tx, pl.DataFrame(
            {"anchor": list(anchors), "incident_id": list(anchors.values())},
            schema={"anchor": pl.String, "incident_id": pl.Int64},
        ))  # fmt: skip
    if members:
        incident_state.assign(tx, pl.DataFrame(
            {"id": list(members), "incident_id": list(members.values())},
            schema={"id": pl.String, "incident_id": pl.Int64},
        ))  # fmt: skip
