"""Make proposals for what is open, keep them current, and withdraw them when it is over.

A proposal keeps its row while its incident grows, so that nothing moves under a
finger. What a person rejected is not proposed again; what was approved is only
followed by another proposal when names come up that it does not cover, or when
its time is over and the thing goes on.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel.addresses import is_internal
from guardian.intel.addresses import normalise as normal_address
from guardian.intel.names import is_below, normalise, registrable
from guardian.model.response import EnforcementState, ProposalStatus, Target
from guardian.respond import policy, protect, registry, wording
from guardian.respond.registry import NONE, RESPONDERS
from guardian.store import forecasts, offers, responses
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardian.respond.protect import LifeLines
    from guardian.respond.settings import Settings
    from guardian.store import Store
    from guardian.store.connection import Reader
    from guardian.store.offers import Case

_DOH_NOTE = (
    "Guardian can only hide the other resolver's name: a device that knows its address by "
    "heart goes on using it, and one that prefers it may wait a moment at first."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What would be proposed for one incident and action, before it meets what is on record."""

    case: Case
    action: str
    hours: int
    target: Target
    responder: str
    note: str


def propose(store: Store, settings: Settings, *, now: datetime | None = None) -> int:
    """Bring the proposals up to date with the incidents; return how many rows changed.

    Raises:
        ConfigError: the settings name a responder that does not exist.
    """
    moment = now or utc_now()
    lines = protect.life_lines(settings)
    chosen = {kind: registry.chosen(settings, kind) for kind in ("names", "addresses")}
    with store.read() as reader:
        cases = offers.cases(reader)
        on_record: dict[int, list[dict[str, Any]]] = {}
        for row in responses.proposals(reader):
            on_record.setdefault(row["incident_id"], []).append(row)
        changes: list[offers.Change] = []
        kept: set[int] = set()
        looked_at: set[int] = set()
        for case in cases:
            rows = on_record.get(case.id, [])
            elsewhere = _house_wide(on_record, case.id)
            if rows and _current(case, rows, set(chosen.values()), elsewhere):
                kept |= {row["id"] for row in rows}
                continue
            looked_at |= {row["id"] for row in rows}
            for draft in _drafts(reader, case, settings, lines, chosen):
                if _uncovered(draft.target, elsewhere) is None:
                    continue
                change = _merge(reader, draft, rows, settings)
                kept |= {row["id"] for row in rows if row["action"] == draft.action}
                if change is not None:
                    changes.append(change)
        over = [
            row["id"]
            for rows in on_record.values()
            for row in rows
            if row["status"] == ProposalStatus.PROPOSED and row["id"] not in kept
        ]
    if changes or over or looked_at:
        offers.write(store, changes, over=over, looked_at=sorted(looked_at), now=moment)
    return len(changes) + len(over)


def _current(
    case: Case, rows: list[dict[str, Any]], chosen: set[str], elsewhere: list[Target]
) -> bool:
    """Return whether nothing happened since these proposals were last worked out."""
    return all(
        row["updated_at"] >= case.updated_at
        and row["responder"] in chosen
        and row["status"] != ProposalStatus.WITHDRAWN
        and (
            row["status"] != ProposalStatus.PROPOSED
            or _uncovered(row["target"], elsewhere) is not None
        )
        for row in rows
    )


def _house_wide(on_record: dict[int, list[dict[str, Any]]], incident: int) -> list[Target]:
    """Return what is in force for everybody because of another incident."""
    return [
        row["target"]
        for other, rows in on_record.items()
        if other != incident
        for row in rows
        if row["status"] == ProposalStatus.APPROVED
        and row["state"] not in {EnforcementState.FAILED, EnforcementState.REVERTED}
        and not row["target"].device_ips
    ]


def _drafts(
    reader: Reader, case: Case, settings: Settings, lines: LifeLines, chosen: dict[str, str]
) -> list[_Draft]:
    drafts: dict[str, _Draft] = {}
    for finding_class in case.classes:
        rule = policy.rule_for(finding_class, case.verdict)
        if rule is None:
            continue
        peers = case.peers.get(finding_class, ())
        target = _name_target(reader, case, rule, peers, settings, lines, chosen["names"])
        action, responder = rule.action, chosen["names"]
        if target is None and not (rule.harmless_only or rule.device_only):
            target = _address_target(case, peers, lines, chosen["addresses"])
            action, responder = "address_block", chosen["addresses"]
        if target is None or protect.refusal(target, lines) is not None:
            continue
        if action in drafts:
            drafts[action] = _joined(drafts[action], target, settings)
            continue
        drafts[action] = _Draft(
            case=case,
            action=action,
            hours=int(getattr(settings, rule.hours)),
            target=target,
            responder=responder,
            note=_DOH_NOTE if rule.canary else "",
        )
    return list(drafts.values())


def _joined(draft: _Draft, more: Target, settings: Settings) -> _Draft:
    """Return a draft that acts on another class's names and addresses too."""
    names = tuple(dict.fromkeys([*draft.target.names, *more.names]))
    if draft.target.subdomains:
        names = _topmost(names)
    joined = dataclasses.replace(
        draft.target,
        names=tuple(sorted(names)[: settings.max_names]),
        addresses=tuple(sorted({*draft.target.addresses, *more.addresses})),
    )
    return dataclasses.replace(draft, target=joined)


def _name_target(
    reader: Reader,
    case: Case,
    rule: policy.Rule,
    peers: Iterable[str],
    settings: Settings,
    lines: LifeLines,
    responder: str,
) -> Target | None:
    """Return the names to block, held to the device where the responder can, or None."""
    kind = RESPONDERS.get(responder)
    per_device = kind is not None and kind.per_device and bool(case.device_ips)
    deep = kind is None or kind.covers_subdomains(settings)
    if (rule.device_only and not per_device) or (rule.whole_domain and not deep):
        return None
    names = protect.allowed_names(_names(reader, case, rule, peers, settings), lines)
    if not names:
        return None
    if deep:
        names = _topmost(names)
    else:
        since, until = _window(case, settings)
        below = forecasts.names_below(
            reader, names, since=since, until=until, limit=settings.max_names
        )
        names = protect.allowed_names(dict.fromkeys([*names, *below]), lines)
    return Target(
        names=tuple(sorted(names)[: settings.max_names]),
        subdomains=deep,
        device_id=case.device_id if per_device else None,
        device_ips=case.device_ips if per_device else (),
    )


def _address_target(
    case: Case, peers: Iterable[str], lines: LifeLines, responder: str
) -> Target | None:
    """Return the addresses to block where somebody can, or None."""
    kind = RESPONDERS.get(responder)
    found = {address for peer in peers if (address := normal_address(peer))}
    addresses = sorted(a for a in found if protect.refusal(Target(addresses=(a,)), lines) is None)
    if kind is None or not addresses:
        return None
    per_device = kind.per_device and bool(case.device_ips)
    return Target(
        addresses=tuple(addresses),
        subdomains=False,
        device_id=case.device_id if per_device else None,
        device_ips=case.device_ips if per_device else (),
    )


def _names(
    reader: Reader, case: Case, rule: policy.Rule, peers: Iterable[str], settings: Settings
) -> list[str]:
    names = [name for peer in peers if normal_address(peer) is None and (name := normalise(peer))]
    if rule.harmless_only:
        names = [name for name in names if case.harmless(name)]
    if rule.whole_domain:
        names = [part for name in names if (part := registrable(name))]
    if not names and not rule.harmless_only and not rule.device_only:
        addresses = [a for peer in peers if (a := normal_address(peer)) and not is_internal(a)]
        if addresses:
            since, until = _window(case, settings)
            names = forecasts.names_of(
                reader, addresses, device_ips=case.device_ips, since=since, until=until
            )
    if names or rule.canary:
        names += rule.canary
    return sorted(dict.fromkeys(names))


def _topmost(names: Iterable[str]) -> tuple[str, ...]:
    """Drop names that lie below another one of them."""
    kept: list[str] = []
    for name in sorted(names, key=lambda n: n.count(".")):
        if not any(is_below(name, parent) for parent in kept):
            kept.append(name)
    return tuple(kept)


def _window(case: Case, settings: Settings) -> tuple[datetime, datetime]:
    until = case.last_seen + timedelta(seconds=1)
    return until - timedelta(days=settings.forecast_days), until


def _merge(
    reader: Reader, draft: _Draft, rows: list[dict[str, Any]], settings: Settings
) -> offers.Change | None:
    """Return the row to write, or None when what is on record says it already."""
    mine = [row for row in rows if row["action"] == draft.action]
    target = draft.target
    row = mine[-1] if mine else None
    if any(each["status"] == ProposalStatus.REJECTED for each in mine):
        return None
    if row is not None and row["status"] == ProposalStatus.APPROVED:
        held = [r["target"] for r in mine if r["status"] == ProposalStatus.APPROVED]
        left = _uncovered(target, held)
        if left is None:
            if not _renewed(draft, row):
                return None
            return _change(reader, draft, target, row, settings)
        target, row = left, None
    if row is not None and _same(row, draft, target):
        return None
    key = f"{draft.case.id}:{draft.action}:{len(mine) + 1}" if row is None else row["key"]
    return _change(reader, draft, target, row, settings, key=key)


def _renewed(draft: _Draft, row: dict[str, Any]) -> bool:
    """Return whether it ended by itself and the thing goes on."""
    ended = row["state"] == EnforcementState.REVERTED and row["ended_by"] == "expiry"
    return bool(ended and draft.case.last_seen > row["reverted_at"])


def _same(row: dict[str, Any], draft: _Draft, target: Target) -> bool:
    return bool(
        row["status"] == ProposalStatus.PROPOSED
        and row["target"] == target
        and row["responder"] == draft.responder
        and row["duration_s"] == draft.hours * 3600
    )


def _uncovered(target: Target, held: list[Target]) -> Target | None:
    """Return what of a target earlier ones do not hold yet, or None."""

    def covered(name: str) -> bool:
        return any(
            name in other.names
            or (other.subdomains and any(is_below(name, parent) for parent in other.names))
            for other in held
        )

    names = tuple(name for name in target.names if not covered(name))
    taken = {address for other in held for address in other.addresses}
    addresses = tuple(address for address in target.addresses if address not in taken)
    if not names and not addresses:
        return None
    return Target(
        names=names,
        addresses=addresses,
        subdomains=target.subdomains,
        device_id=target.device_id,
        device_ips=target.device_ips,
    )


def _change(
    reader: Reader,
    draft: _Draft,
    target: Target,
    row: dict[str, Any] | None,
    settings: Settings,
    *,
    key: str | None = None,
) -> offers.Change:
    case = draft.case
    since, until = _window(case, settings)
    looked = forecasts.look_back(
        reader,
        target.names,
        subdomains=target.subdomains,
        device_ips=target.device_ips,
        since=since,
        until=until,
        without=protect.askers_for_others(settings),
    )
    forecast = {"days": settings.forecast_days, **looked}
    known = [case.hits[name] for name in target.names if name in case.hits]
    return offers.Change(
        id=None if row is None else row["id"],
        incident_id=case.id,
        key=key or (row or {})["key"],
        action=draft.action,
        title=wording.title(
            target,
            action=draft.action,
            hours=draft.hours,
            device=case.device_name,
            companies=[hit["company"] for hit in known],
        ),
        consequence=wording.consequence(
            target,
            hours=draft.hours,
            device=case.device_name,
            breakages=[hit["breakage"] for hit in known],
            forecast=forecast,
            days=settings.forecast_days,
            enforcer=None if draft.responder == NONE else draft.responder,
            note=draft.note,
        ),
        target=responses.target_json(target),
        duration_s=draft.hours * 3600,
        responder=draft.responder,
        forecast=json.dumps(forecast),
    )
