"""Choose the hour and the contacts that show best how regular a story is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import pages_evidence
from guardian.web import draw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from guardian.store import Reader
    from guardian.store.pages import Row

HOUR = timedelta(hours=1)
FEW = 10
"""With fewer contacts than this in the last hour, the whole of the evidence is drawn."""


def rhythm(
    reader: Reader, row: Row, found: Sequence[Row], *, zone: tzinfo | None
) -> dict[str, Any]:
    """Return the drawing of an incident's most regular finding, with its words, or nothing.

    Evidence is a sample of what happened, so the last hour is read from the flows where
    there are any; without them (names alone were seen) the evidence is drawn.
    """
    timed = [each for each in found if "interval_s" in each["facts"]]
    chosen = max(timed or found, key=lambda each: len(each["evidence"]), default=None)
    if chosen is None:
        return {}
    dots, faint = _last_hour(reader, chosen)
    if len(dots) < FEW:
        dots, faint = pages_evidence.moments(reader, chosen["evidence"]), []
    dots = dots[-draw.MAX_DOTS :]
    if len(dots) < 2:
        return {}
    form = "%H:%M" if dots[-1] - dots[0] < 12 * HOUR else "%a %H:%M"
    began, ended = (f"{words.local(each, zone):{form}}" for each in (dots[0], dots[-1]))
    label = f"One dot per contact from {began} to {ended}: {len(dots)} contacts"
    notes = []
    facts = chosen["facts"]
    if isinstance(facts.get("interval_s"), int | float):
        label += f", one about every {words.duration(facts['interval_s'])}"
        notes.append(f"period {words.duration(facts['interval_s'])}")
    if isinstance(facts.get("jitter"), int | float):
        notes.append(f"jitter {facts['jitter'] * 100:.1f} %")
    return {
        "svg": draw.rhythm(dots, faint, label),
        "span": f"{began} – {ended}",
        "notes": " · ".join(notes),
        "others": bool(faint),
        "tone": words.verdict(row["verdict"], row["classes"])[1],
    }


def _last_hour(reader: Reader, finding: Row) -> tuple[list[datetime], list[datetime]]:
    """Return when the device spoke with the finding's peers in its last hour, and with others."""
    if not finding["src_ip"] or not finding["peers"]:
        return [], []
    until = finding["last_seen"] + timedelta(seconds=1)
    rows = pages_evidence.contacts(
        reader,
        sources=[finding["src_ip"]],
        peers=finding["peers"],
        since=until - HOUR,
        until=until,
    )
    return [each["ts"] for each in rows if each["same"]], [
        each["ts"] for each in rows if not each["same"]
    ]
