"""When a question is about: a closed set of spans, by the house's clock.

A span is one word that a person, a menu or a model can choose: ``24h``, ``today``,
``last_night``, ``monday``. Hours of the day may follow: ``yesterday@9-11``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardian.errors import InputError
from guardian.model import words

if TYPE_CHECKING:
    from datetime import tzinfo

LONGEST_DAYS = 62
"""Farthest that a question looks back: this month and the one before."""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMED = {
    "today": "today",
    "yesterday": "yesterday",
    "since_yesterday": "since yesterday",
    "last_night": "last night",
    "this_week": "this week",
    "last_week": "last week",
    "this_month": "this month",
    "last_month": "last month",
    **{day: f"on {day.capitalize()}" for day in DAYS},
}
"""Spans by name, as they are told."""

CHOICES = ("1h", "3h", "6h", "12h", "24h", "48h", "72h", "168h", "744h", *NAMED)
"""What a model may choose from."""

NIGHT_BEGINS, NIGHT_ENDS = 22, 7
"""Local hours of a night."""

_SPAN = re.compile(r"(?:(\d{1,4})h|([a-z_]+))(?:@(\d{1,2})-(\d{1,2}))?")
_CLOCK = r"(\d{1,2})(?::\d\d)?\s*(am|pm|o'clock)?"
_BETWEEN = re.compile(rf"\b(?:between|from)\s+{_CLOCK}\s+(?:and|to|until|till)\s+{_CLOCK}")
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time in UTC, half open, and how it is told: ``last night``."""

    since: datetime
    until: datetime
    label: str


def span(text: str, *, now: datetime, zone: tzinfo | None) -> Span:
    """Return what a span means at a moment.

    Raises:
        InputError: there is no such span, or it reaches too far back.
    """
    found = _SPAN.fullmatch(text)
    if found is None or (found[2] and found[2] not in NAMED):
        msg = f"no such time: {words.clean(text, 30)!r}; say 24h, {', '.join(NAMED)}"
        raise InputError(msg)
    here = words.local(now, zone)
    if found[1]:
        hours = int(found[1])
        if not 0 < hours <= LONGEST_DAYS * 24:
            msg = f"hours must be above 0 and at most {LONGEST_DAYS * 24}"
            raise InputError(msg)
        begin, end, label = here - timedelta(hours=hours), here, _hours(hours)
    else:
        begin, end = _named(found[2], here)
        label = NAMED[found[2]]
    if found[3]:
        first, last = int(found[3]), int(found[4])
        if not (first < last <= 24):
            msg = "hours of a day go from 0 to 24, the first before the last"
            raise InputError(msg)
        day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        begin, end = day + timedelta(hours=first), day + timedelta(hours=last)
        label += f" between {first}:00 and {last}:00"
    return Span(since=_utc(begin), until=_utc(min(end, here)), label=label)


def heard(said: str) -> str:
    """Return the span that a question speaks of, in lower case; a day when it names none."""
    clock = _BETWEEN.search(said)
    hours = ""
    if clock:
        first, last = _hour(clock[1], clock[2] or clock[4]), _hour(clock[3], clock[4])
        if first < last <= 24:
            hours = f"@{first}-{last}"
    return _spoken(said, day=bool(hours)) + hours


def _spoken(said: str, *, day: bool) -> str:
    """Return the span without hours of the day; with them, it must be one whole day."""
    if re.search(r"\bsince yesterday\b", said) and not day:
        return "since_yesterday"
    patterns = [*_SPOKEN, *((rf"\b{each}s?\b", each) for each in DAYS)]
    patterns += [(r"", "today")] if day else []
    named = next((name for pattern, name in patterns if re.search(pattern, said)), None)
    if named is not None:
        return named
    match = re.search(rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)}) (hour|day|week)s?\b", said)
    if match:
        count = _NUMBERS.get(match[1]) or int(match[1])
        size = {"hour": 1, "day": 24, "week": 168}[match[2]]
        return f"{min(max(count * size, 1), LONGEST_DAYS * 24)}h"
    return next((name for pattern, name in _LOOSE if re.search(pattern, said)), "24h")


_SPOKEN = (
    (r"\b(?:last night|overnight|during the night|at night|tonight)\b", "last_night"),
    (r"\byesterday\b", "yesterday"),
    (r"\btoday\b|\bthis (?:morning|afternoon|evening)\b", "today"),
    (r"\bthis week\b", "this_week"),
    (r"\blast week\b", "last_week"),
    (r"\bthis month\b", "this_month"),
    (r"\blast month\b", "last_month"),
)
_LOOSE = ((r"\bhour\b", "1h"), (r"\bweek\b", "168h"), (r"\bmonth\b", "744h"))


def _hour(text: str, half: str | None) -> int:
    hour = int(text)
    if half == "pm" and hour < 12:
        return hour + 12
    return 0 if half == "am" and hour == 12 else hour


def _named(name: str, here: datetime) -> tuple[datetime, datetime]:
    today = here.replace(hour=0, minute=0, second=0, microsecond=0)
    week = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    night = today - timedelta(hours=24 - NIGHT_BEGINS)
    if here.hour >= NIGHT_BEGINS:
        night += timedelta(days=1)
    spans = {
        "today": (today, here),
        "yesterday": (today - timedelta(days=1), today),
        "since_yesterday": (today - timedelta(days=1), here),
        "last_night": (night, night + timedelta(hours=24 - NIGHT_BEGINS + NIGHT_ENDS)),
        "this_week": (week, here),
        "last_week": (week - timedelta(days=7), week),
        "this_month": (month, here),
        "last_month": ((month - timedelta(days=1)).replace(day=1), month),
    }
    if name in spans:
        return spans[name]
    # The day of that name that is over last, or is now.
    day = today - timedelta(days=(today.weekday() - DAYS.index(name)) % 7)
    return day, day + timedelta(days=1)


def _hours(hours: int) -> str:
    if hours % 24 == 0 and hours > 48:
        return f"in the last {hours // 24} days"
    return "in the last hour" if hours == 1 else f"in the last {hours} hours"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
