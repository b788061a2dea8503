"""Match names against thousands of patterns, label by label from the right.

Every tail of every pattern (``tv``'s ``alphonso.tv``, then ``acr1.alphonso.tv``) is a
key of one dictionary. A look-up starts with the last two labels and goes left only
while the tail is known, so a name that no pattern is near costs one look-up. The
most specific pattern wins: an exact name, then a regular expression, then the
longest suffix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from guardian.intel.names import normalise, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TAIL = re.compile(r"((?:[a-z0-9_-]+\\\.)*[a-z0-9-]+)\$\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """The patterns of the entry that stands at ``index``."""

    index: int
    suffix: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Which entry a name belongs to, and the pattern that said so."""

    index: int
    pattern: str


@dataclass(slots=True)
class _Node:
    exact: Match | None = None
    suffix: Match | None = None
    regex: tuple[tuple[re.Pattern[str], Match], ...] = ()


def literal_tail(regex: str) -> str:
    r"""Return the literal labels that an anchored pattern ends in: ``alphonso.tv``.

    Empty when ``^acr\d+\.alphonso\.tv$`` has no such end.
    """
    found = _TAIL.search(regex)
    if found is None:
        return ""
    tail = found.group(1).replace("\\.", ".")
    # The leftmost label may be the end of a longer expression: only whole labels count.
    before = regex[: found.start()]
    if before.endswith(("^", "\\.")):
        return tail
    return tail.split(".", 1)[1] if "." in tail else ""


class Matcher:
    """Patterns compiled once, for names that are already normalised."""

    def __init__(self, patterns: Iterable[Patterns]) -> None:
        self._nodes: dict[str, _Node] = {}
        for item in patterns:
            for name in item.suffix:
                self._node(name).suffix = Match(item.index, f"*.{name}")
            for name in item.exact:
                self._node(name).exact = Match(item.index, name)
            for text in item.regex:
                node = self._node(literal_tail(text))
                node.regex = (*node.regex, (re.compile(text), Match(item.index, text)))

    def _node(self, name: str) -> _Node:
        for tail in parents(name):
            if "." in tail:
                self._nodes.setdefault(tail, _Node())
        return self._nodes[name]

    def match(self, name: str) -> Match | None:
        """Return the most specific match of a normalised name."""
        end = name.rfind(".")
        start = name.rfind(".", 0, end) if end > 0 else -1
        node = self._nodes.get(name[start + 1 :])
        best: Match | None = None
        regex: Match | None = None
        while node is not None:
            if node.suffix is not None:
                best = node.suffix
            for pattern, match in node.regex:
                if pattern.match(name):
                    regex = match
            if start < 0:
                return node.exact or regex or best
            start = name.rfind(".", 0, start)
            node = self._nodes.get(name[start + 1 :])
        return regex or best

    def match_many(
        self, names: Iterable[str], addresses: Mapping[str, int] | None = None
    ) -> pl.DataFrame:
        """Return the known ones of some raw names: columns ``name, index, pattern``, by name.

        Names that end in labels which no pattern ends in, nearly all of a home's,
        are left out by polars before any Python sees them.
        """
        raw = pl.Series("name", names, dtype=pl.String).drop_nulls().unique()
        near = self._near(raw)
        hits: list[tuple[str, int, str]] = []
        for name in near.to_list():
            clean = normalise(name.removeprefix("*."))
            found = self.match(clean) if clean else None
            if found is not None:
                hits.append((name, found.index, found.pattern))
        known = addresses or {}
        if known:
            same = raw.filter(raw.is_in(list(known)))
            hits.extend((ip, known[ip], ip) for ip in same.to_list())
        frame = pl.DataFrame(
            hits, schema={"name": pl.String, "index": pl.Int64, "pattern": pl.String}, orient="row"
        )
        return frame.sort("name")

    def _near(self, raw: pl.Series) -> pl.Series:
        if not self._nodes:
            return raw.clear()
        tails = sorted({".".join(key.rsplit(".", 2)[-2:]) for key in self._nodes})
        plain = raw.str.to_lowercase().str.strip_chars_end(".")
        last_two = plain.str.extract(r"([^.]+\.[^.]+)$")
        # A raw Unicode name is rare, and only normalising tells where it belongs.
        return raw.filter(last_two.is_in(tails).fill_null(value=False) | ~_is_ascii(plain))


def _is_ascii(texts: pl.Series) -> pl.Series:
    return texts.str.len_bytes() == texts.str.len_chars()
