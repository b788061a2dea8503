"""Whether a source is to be believed today, and which names no output may hold.

A list that halves is a broken list; one that suddenly holds a name that must never be
blocked, or that half the world uses, is broken or hostile. "Suddenly" means: it did not
stand in the last good copy, so that what a person accepted once is not asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from guardian.intel import never, popular
from guardian.intel.list_names import NameSet
from guardian.intel.names import parents

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHRINK = 0.5
"""Share of its names that a source may lose at once."""
MIN_JUDGED = 100
"""Names from which on shrinking is judged: small lists change freely."""
SHOWN = 3
"""Names that a reason gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What is guarded: the names that must stay, and those that a list should not hold.

    ``house`` are the names that this house asks for most.
    """

    rules: never.NeverBlock
    shipped: frozenset[str]
    house: frozenset[str]

    def doubts(self, names: pl.Series, before: pl.Series, *, first: bool) -> tuple[str, ...]:
        """Return why a source's names are not to be believed today; nothing when they are.

        ``before`` are its last good names. What the house asks for counts only once
        there are such: a keeper who adds a list knows what it is for.
        """
        found = []
        near = names.filter(self.near(names))
        old = NameSet(before)
        fresh = near.filter(~old.holds(near)).sort().to_list() if near.len() else []
        wrong = [(name, hit) for name in fresh if (hit := self.rules.covered(name))]
        if wrong:
            found.append(f"it lists {_some(wrong)}, which must never be blocked")
        taken = popular.above(self.shipped if first else self.shipped | self.house)
        listed = names.filter(names.is_in(sorted(taken)))
        listed = listed.filter(~old.holds(listed)).sort()
        bad = dict(wrong)
        used = [(name, taken[name]) for name in listed.to_list() if name not in bad]
        if used:
            found.append(f"it lists {_some(used)}, which many homes need")
        if before.len() >= MIN_JUDGED and names.len() < before.len() * MAX_SHRINK:
            found.append(f"it shrank from {before.len()} to {names.len()} names")
        return tuple(found)

    def near(self, names: pl.Series) -> pl.Series:
        """Say which names are, cover, or lie below one that must stay; few, so Python may look."""
        held = (*self.rules.exact, *self.rules.below)
        above = {tail for name in held for tail in parents(name) if "." in tail}
        below = NameSet(pl.Series("name", list(self.rules.below), dtype=pl.String))
        return names.is_in(sorted(above)) | below.covers(names)

    def harmless(self, names: pl.Series) -> pl.Series:
        """Return the names without those that must stay, or that cover one."""
        near = names.filter(self.near(names))
        wrong = [name for name in near.to_list() if self.rules.covered(name)]
        return names.filter(~names.is_in(wrong)) if wrong else names


def guard(house: Iterable[str] = ()) -> Guard:
    """Return the guard of the shipped lists and of what a house asks for most."""
    return Guard(rules=never.load(), shipped=popular.load(), house=popular.of_house(house))


def _some(pairs: list[tuple[str, str]]) -> str:
    shown = [name if name == hit else f"{name} (with {hit})" for name, hit in pairs[:SHOWN]]
    more = len(pairs) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
