"""Sets of millions of names: what covers what, and who is in it.

Names are compared by a 64-bit hash with a seed of this process, so that two million
names take 16 MB where the texts take ten times as much; that two names of a set of
two million share one has a chance of one in ten million.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEED = secrets.randbits(63)
CHUNK = 1_000_000
"""Names that are looked at together: fewer cost time (a table of the set each), more memory."""
MAX_LABELS = 40
"""Labels that are looked at; a longer name is covered by what stands in its last forty."""


def _hashes(names: pl.Series) -> pl.Series:
    return names.hash(seed=_SEED).rename("hash")


def _parent(names: pl.Series) -> pl.Series:
    """Return each name without its first label; null where nothing with a dot is left."""
    name = pl.col("name")
    dot = name.str.find(".", literal=True)
    rest = pl.DataFrame({"name": names}).select(name.str.slice(dot + 1)).to_series()
    return rest.set(~rest.str.contains(".", literal=True), None)


class NameSet:
    """A set of names, each standing for itself and everything below it."""

    def __init__(self, names: pl.Series) -> None:
        self._hashes = pl.DataFrame({"hash": _hashes(names).unique().sort()})

    def __len__(self) -> int:
        return self._hashes.height

    def holds(self, names: pl.Series) -> pl.Series:
        """Say of each normalised name whether it stands in the set itself."""
        return _hashes(names).is_in(self._hashes["hash"].implode())

    def covers(self, names: Iterable[str] | pl.Series, *, itself: bool = True) -> pl.Series:
        """Say of each normalised name whether it, or something above it, is in the set."""
        every = pl.Series("name", names, dtype=pl.String)
        parts = [
            self._covers(every.slice(start, CHUNK), itself=itself)
            for start in range(0, every.len(), CHUNK)
        ]
        return pl.concat(parts) if parts else pl.Series("covered", [], dtype=pl.Boolean)

    def _covers(self, current: pl.Series, *, itself: bool) -> pl.Series:
        open_rows = pl.DataFrame({"row": pl.int_range(current.len(), eager=True), "name": current})
        found: list[pl.Series] = []
        if not itself:
            open_rows = open_rows.with_columns(name=_parent(open_rows["name"])).drop_nulls()
        for _ in range(MAX_LABELS):
            if not open_rows.height:
                break
            hit = _hashes(open_rows["name"]).is_in(self._hashes["hash"].implode())
            found.append(open_rows["row"].filter(hit))
            open_rows = open_rows.filter(~hit)
            open_rows = open_rows.with_columns(name=_parent(open_rows["name"])).drop_nulls()
        covered = pl.concat(found) if found else pl.Series("row", [], dtype=pl.Int64)
        flags = pl.repeat(value=False, n=current.len(), dtype=pl.Boolean, eager=True)
        return flags.scatter(covered, True).rename("covered")


def once(names: pl.Series) -> pl.Series:
    """Return the names in order, each once; sorting takes less memory than a table of all."""
    names = names.sort()
    return names.filter(names.ne_missing(names.shift(1)))


def reduce(names: pl.Series) -> pl.Series:
    """Return the names that nothing above them covers, each once, in order."""
    names = once(names)
    return names.filter(~NameSet(names).covers(names, itself=False))
