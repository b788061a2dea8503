"""Group anchored findings into stories, by union of what shares an anchor.

Four rules tie stories together beyond a shared anchor: a download and the call
home that follows it, a call home and the scan that follows it, one dangerous
destination that many devices call, and one device that calls many of them.
Weak findings join the story of their device and destination; what is left of them
is one story for each signature, whoever set it off. The result does not depend on
the order of the findings.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.model.finding import FindingClass as C
from guardian.triage.anchors import HOUSE, Anchored
from guardian.triage.families import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guardian.triage.settings import Settings

_DELIVERY = frozenset({C.MALWARE, C.EXPLOIT})
_CALLS_HOME = frozenset({C.C2_BEACON, C.THREAT_INTEL, C.DGA})
_SPREADS = frozenset({C.PORT_SCAN, C.HOST_SCAN, C.LATERAL_MOVEMENT, C.BRUTE_FORCE})
_DANGEROUS = frozenset({C.C2_BEACON, C.MALWARE, C.THREAT_INTEL, C.DNS_TUNNEL, C.EXFILTRATION})


@dataclass(frozen=True, slots=True)
class Story:
    """Findings that are one story, and every anchor that holds them together."""

    members: tuple[Anchored, ...]
    anchors: tuple[str, ...]

    @property
    def level(self) -> int:
        """The rank of its gravest finding."""
        return max(member.signal.level for member in self.members)

    @property
    def actors(self) -> tuple[str, ...]:
        """Everybody who did it."""
        return tuple(sorted({member.signal.actor for member in self.members}))


class _Union:
    """Disjoint sets of small integers."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        # The smaller index leads, so that the outcome does not hang on the order of joins.
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low


def group(findings: Iterable[Anchored], settings: Settings) -> list[Story]:
    """Return the stories, oldest first."""
    ordered = sorted(findings, key=lambda each: (each.signal.first_seen, each.signal.id))
    strong = [each for each in ordered if each.strong]
    weak = [each for each in ordered if not each.strong]
    union = _Union(len(strong))
    by_anchor: dict[str, int] = {}
    for index, each in enumerate(strong):
        for anchor in each.anchors:
            union.join(index, by_anchor.setdefault(anchor, index))
    _join_consequences(strong, union, settings)
    _join_campaigns(strong, union, settings)
    extra = _join_house(strong, union, settings)
    sets: dict[int, list[Anchored]] = defaultdict(list)
    for index, each in enumerate(strong):
        sets[union.find(index)].append(each)
    loose: dict[str, list[Anchored]] = defaultdict(list)
    for each in weak:
        home = next((by_anchor[a] for a in each.anchors if a in by_anchor), None)
        if home is None and _is_remark(each):
            continue
        if home is None:
            loose[_alone(each)].append(each)
        else:
            sets[union.find(home)].append(each)
    stories = [_story(members, extra.get(root, ())) for root, members in sets.items()]
    stories += [_story(members, (), only=anchor) for anchor, members in loose.items()]
    return sorted(stories, key=lambda s: (s.members[0].signal.first_seen, s.anchors[0]))


def _story(members: Sequence[Anchored], extra: Sequence[str], only: str | None = None) -> Story:
    if only is not None:
        return Story(tuple(members), (only,))
    # A weak member's anchors stay free: it joined, it does not hold the story together.
    found = dict.fromkeys(a for each in members if each.strong for a in each.anchors)
    return Story(tuple(members), (*extra, *found))


def _is_remark(each: Anchored) -> bool:
    """Say whether a finding is nothing by itself: it can only add to a story."""
    told_alone = (Family.LISTENING, Family.SENSOR)
    return each.signal.level == 0 and each.signal.family not in told_alone


def _alone(each: Anchored) -> str:
    """Return the one anchor of a weak finding that found no story."""
    signal = each.signal
    if signal.signature_id is not None:
        return f"{HOUSE}|sig:{signal.signature_id}"
    if signal.family in (Family.CHATTER, Family.INVENTORY, Family.LISTENING):
        return each.anchors[0]
    return f"{signal.actor}|weak:{signal.family}"


def _join_consequences(strong: Sequence[Anchored], union: _Union, settings: Settings) -> None:
    """Tie a download to the call home after it, and a call home to the scan after it."""
    rules = (
        (_DELIVERY, _CALLS_HOME, timedelta(seconds=settings.download_to_beacon_s)),
        (_CALLS_HOME, _SPREADS, timedelta(seconds=settings.beacon_to_scan_s)),
    )
    by_actor: dict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(strong):
        if not each.signal.outside:
            by_actor[each.signal.actor].append(index)
    for indices in by_actor.values():
        for parents, children, within in rules:
            latest: int | None = None
            for index in indices:
                signal = strong[index].signal
                if latest is not None and signal.finding_class in children:
                    gap = signal.first_seen - strong[latest].signal.first_seen
                    if gap <= within:
                        union.join(index, latest)
                if signal.finding_class in parents:
                    latest = index


def _join_campaigns(strong: Sequence[Anchored], union: _Union, settings: Settings) -> None:
    """Tie together the many dangerous destinations that one device calls within a day."""
    day = timedelta(days=1)
    by_actor: dict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(strong):
        if each.signal.finding_class in _DANGEROUS and not each.signal.outside:
            by_actor[each.signal.actor].append(index)
    for indices in by_actor.values():
        campaign: int | None = None
        recent: list[int] = []
        for index in indices:
            moment = strong[index].signal.first_seen
            recent = [r for r in recent if moment - strong[r].signal.first_seen <= day]
            if not recent:
                campaign = None
            known = {union.find(r) for r in recent}
            if union.find(index) not in known:
                recent.append(index)
            if campaign is None and len(recent) >= settings.campaign_peers:
                campaign = recent[0]
            if campaign is not None:
                for each_recent in recent:
                    union.join(each_recent, campaign)
                recent = [index]


def _join_house(
    strong: Sequence[Anchored], union: _Union, settings: Settings
) -> dict[int, tuple[str, ...]]:
    """Tie together the devices that call one dangerous destination; return their anchor."""
    callers: dict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(strong):
        if each.signal.finding_class in _DANGEROUS:
            for token in each.tokens[:8]:
                callers[token].append(index)
    shared: dict[int, list[str]] = defaultdict(list)
    joined: list[tuple[int, str]] = []
    for token, indices in callers.items():
        if len({strong[each].signal.actor for each in indices}) >= settings.house_devices:
            for index in indices:
                union.join(index, indices[0])
            joined.append((indices[0], f"{HOUSE}|peer:{token}"))
    for index, anchor in joined:
        shared[union.find(index)].append(anchor)
    return {root: tuple(anchors) for root, anchors in shared.items()}
