"""What routers sent and never arrived, by the numbers that stand in their datagrams.

Each datagram says how much its exporter sent before it: NetFlow v5 counts flows (Cisco), v9
datagrams (RFC 3954, section 5.1), IPFIX data records (RFC 7011, section 3.1). Some routers
count another of these than their version asks for, or the datagram's own records too; so what
one counts is learnt from what it sends, and a jump that no way of counting explains is a loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardian.collect.netflow_templates import Exporter

MAX_COUNTED = 1_000
"""Of so many exporters, the latest, the numbers are known."""

MAX_GAP = 100_000
"""A jump further than this is a router that began anew, not half a day of lost flows."""

LATE = 1_000
"""A number so little behind is a datagram that was overtaken on its way; further, a new start."""

MAX_STARTS = 2
"""Whose numbers fall back more often is several exporters that use one address."""

_NUMBERS = 1 << 32
_DATAGRAMS, _RECORDS_BEFORE, _RECORDS_WITH = "datagrams", "records before", "records with its own"
_WAYS = frozenset({_DATAGRAMS, _RECORDS_BEFORE, _RECORDS_WITH})


@dataclass(slots=True)
class _Counter:
    """The latest number of an exporter, how many records came with it, and what it may count.

    ``jumped`` is a gap that the next datagram confirms by going on from there.
    """

    number: int
    records: int | None
    ways: frozenset[str] = _WAYS
    jumped: int = 0
    starts: int = 0


@dataclass(slots=True)
class Gaps:
    """Counts what is missing between the datagrams of each exporter: flows, or v9 datagrams."""

    _known: dict[Exporter, _Counter] = field(default_factory=dict)
    _missed: int = 0

    def saw(self, exporter: Exporter, number: int, records: int | None) -> None:
        """Take up a datagram: its number, and its records; None: it is not known how many."""
        known = self._known.pop(exporter, None)
        if known is None:
            known = _Counter(number, records)
        else:
            self._missed += _gone_on(known, number, records)
        self._known[exporter] = known  # the latest
        if len(self._known) > MAX_COUNTED:
            del self._known[next(iter(self._known))]

    def take(self) -> int:
        """Return how many were missing since the last call."""
        missed, self._missed = self._missed, 0
        return missed


def _gone_on(known: _Counter, number: int, records: int | None) -> int:
    """Move a counter on to a datagram's number; return the gap that this confirms."""
    step = (number - known.number) % _NUMBERS
    behind = -step % _NUMBERS
    sizes = {_DATAGRAMS: 1, _RECORDS_BEFORE: known.records, _RECORDS_WITH: records}
    fitting = frozenset(way for way, size in sizes.items() if size == step)
    expected = {size for way, size in sizes.items() if way in known.ways}
    confirmed, jumped = known.jumped, 0
    if fitting:
        known.ways = known.ways & fitting or fitting
    elif behind <= LATE:
        came = 1 if _DATAGRAMS in known.ways else records or 0
        known.jumped = max(0, known.jumped - came) if behind else known.jumped
        return 0
    elif step > _NUMBERS // 2:
        known.starts += 1
        confirmed = 0
    elif step < MAX_GAP and len(expected) == 1 and (size := expected.pop()) is not None:
        jumped = max(0, step - size)
    known.number, known.records, known.jumped = number, records, jumped
    return confirmed if known.starts <= MAX_STARTS else 0
