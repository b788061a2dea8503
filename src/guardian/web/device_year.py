"""A device's year by the week, and where most of its bytes went: from the hourly sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import pages, pages_history
from guardian.web import draw

if TYPE_CHECKING:
    from datetime import date

    from markupsafe import Markup

    from guardian.store import Reader
    from guardian.web.site import Site

WEEKS = 52
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The chart, what it says in words, and the places with the most bytes."""

    chart: Markup
    label: str
    places: list[dict[str, Any]]


def year(site: Site, reader: Reader, device_id: str) -> Year | None:
    """Return a device's year; None when fewer than two of its weeks are known."""
    until = pages.window(reader, site.now()).until
    days = pages_history.year(reader, device_id, until=until)
    counts: list[int | None] = [None] * WEEKS
    for row in days:
        day: date = row["day"]
        place = WEEKS - 1 - (until.date() - day) // WEEK
        if 0 <= place < WEEKS:
            counts[place] = (counts[place] or 0) + row["up"] + row["down"]
    seen = [count for count in counts if count is not None]
    if len(seen) < 2:
        return None
    label = (
        f"{len(seen)} weeks in which it was seen: {words.size(sum(seen) / len(seen))} a week, "
        f"{words.size(max(seen))} in the busiest"
    )
    return Year(
        chart=draw.year(counts, label),
        label=label,
        places=pages_history.places(reader, device_id, until=until, limit=5),
    )
