"""Keep an incident's id while its story grows, and keep a day's stories few.

Anchors belong to an incident for good. A story takes the id that its anchors
already have; when two incidents turn out to be one story, the older one goes on
and the other is closed with a pointer to it. New stories beyond the day's limit
are told together, one incident for each kind, unless they are grave.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.model.finding import Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.triage.anchors import Anchored
    from guardian.triage.grouping import Story

REST = "rest|"
"""Begins the key of an incident that tells many small stories of one day together."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A story and its incident: ``id`` None means a new one; ``absorbs`` are closed into it."""

    id: int | None
    key: str
    members: tuple[Anchored, ...]
    anchors: tuple[str, ...]
    absorbs: tuple[int, ...] = ()

    @property
    def number(self) -> int:
        """The incident's number, once it has one; 0 before."""
        return self.id or 0


def place(
    stories: Sequence[Story],
    owners: Mapping[str, int],
    rests: Mapping[int, str],
    *,
    per_day: int,
    taken: Mapping[str, int],
) -> list[Placed]:
    """Give each story its incident.

    ``owners`` says which incident an anchor belongs to; ``rests`` are the incidents
    that tell small stories together, with their keys; ``taken`` counts, for each day
    (``2026-11-21``), the incidents that there are already.
    """
    known: dict[int, list[tuple[Story, tuple[int, ...]]]] = defaultdict(list)
    fresh: list[Story] = []
    folded: dict[str, list[Story]] = defaultdict(list)
    for story in stories:
        ids = {owners[anchor] for anchor in story.anchors if anchor in owners}
        own = sorted(ids - rests.keys())
        if own:
            known[own[0]].append((story, tuple(own[1:])))
        elif ids and not _is_grave(story):
            folded[rests[min(ids)]].append(story)
        else:
            fresh.append(story)
    stand, fold = _limit(fresh, per_day, taken)
    for story in fold:
        folded[_rest_key(story)].append(story)
    placed = [_known(incident, parts) for incident, parts in known.items()]
    placed += [Placed(None, story.anchors[0], story.members, story.anchors) for story in stand]
    rest_ids = {key: incident for incident, key in rests.items()}
    placed += [_together(rest_ids.get(key), key, parts) for key, parts in folded.items()]
    return placed


def _known(incident: int, parts: Sequence[tuple[Story, tuple[int, ...]]]) -> Placed:
    # Two stories can hold anchors of one incident after a merge: they are one from then on.
    stories = [story for story, _ in parts]
    absorbs = sorted({other for _, others in parts for other in others})
    together = _together(incident, "", stories)
    return Placed(incident, f"#{incident}", together.members, together.anchors, tuple(absorbs))


def _together(incident: int | None, key: str, stories: Sequence[Story]) -> Placed:
    members = tuple(member for story in stories for member in story.members)
    anchors = tuple(dict.fromkeys(anchor for story in stories for anchor in story.anchors))
    return Placed(incident, key, members, anchors)


def _limit(
    fresh: Sequence[Story], per_day: int, taken: Mapping[str, int]
) -> tuple[list[Story], list[Story]]:
    by_day: dict[str, list[Story]] = defaultdict(list)
    for story in fresh:
        by_day[_day(story)].append(story)
    stand: list[Story] = []
    fold: list[Story] = []
    for day, stories in by_day.items():
        room = max(0, per_day - taken.get(day, 0))
        worst = sorted(
            stories,
            key=lambda s: (-s.level, -sum(m.signal.count for m in s.members), s.anchors[0]),
        )
        stand += worst[:room]
        fold += worst[room:]
    order = {id(story): place for place, story in enumerate(fresh)}
    return sorted(stand, key=lambda s: order[id(s)]), fold


def _is_grave(story: Story) -> bool:
    return story.level >= Level.HIGH.rank


def _day(story: Story) -> str:
    return min(member.signal.first_seen for member in story.members).date().isoformat()


def _rest_key(story: Story) -> str:
    return f"{REST}{_day(story)}|{story.members[0].signal.family}"
