"""When nobody was home: because a person said so, or because every owned phone was away.

The rule: an hour counts as away when a person said that nobody is home, or when no
phone that has an owner gave a sign in it nor in an hour beside it, while other things
of the house did. A phone may sleep at night, so a silence that lies wholly between 23
and 6 o'clock is no absence. Without an owned phone and without a word, nothing is known.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.store import contacts

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

MIN_HOURS = 2
"""Whole hours of silence: phones that sleep speak at least once an hour."""
NIGHT_FROM_H, NIGHT_TO_H = 23, 6
_HOUR = timedelta(hours=1)


def away_hours(
    reader: Reader, *, since: datetime, until: datetime, offset_s: int = 0
) -> frozenset[datetime] | None:
    """Return the whole hours (UTC) of a window in which nobody was home; None: not known."""
    first = since.replace(minute=0, second=0, microsecond=0)
    said = reader.rows(
        "SELECT valid_from, coalesce(valid_to, $until) AS valid_to FROM away_span "
        "WHERE valid_from < $until AND coalesce(valid_to, $until) > $since ORDER BY id",
        {"since": first, "until": until},
    )
    phones = [
        row["device_id"]
        for row in reader.rows(
            "SELECT device_id FROM device WHERE kind = 'phone' AND coalesce(owner, '') <> '' "
            "AND merged_into IS NULL ORDER BY device_id"
        )
    ]
    if not said and not phones:
        return None
    found = {
        hour
        for span in said
        for hour in _hours(max(span["valid_from"], first), span["valid_to"])
        if hour >= span["valid_from"]
    }
    if phones:
        found |= _silent(reader, phones, first, until, offset_s)
    return frozenset(found)


def _hours(since: datetime, until: datetime) -> list[datetime]:
    hour = since.replace(minute=0, second=0, microsecond=0)
    count = max(0, int((until - hour) / _HOUR))
    return [hour + number * _HOUR for number in range(count + 1) if hour + number * _HOUR < until]


def _silent(
    reader: Reader, phones: list[str], since: datetime, until: datetime, offset_s: int
) -> set[datetime]:
    rows = reader.rows(
        f"{contacts.ACTIVE} SELECT bucket, bool_or(list_contains($phones, device_id)) AS phone "
        "FROM active GROUP BY bucket ORDER BY bucket",
        {**contacts.tail(reader), "since": since, "until": until, "phones": phones},
    )
    found: set[datetime] = set()
    run: list[datetime] = []
    for row in rows:
        if row["phone"]:
            found |= _absence(run, offset_s)
            run = []
        else:
            run.append(row["bucket"])
    return found | _absence(run, offset_s)


def _absence(run: list[datetime], offset_s: int) -> set[datetime]:
    """Return a silence's hours when it is long enough and not just a night's sleep."""
    local = [(hour + timedelta(seconds=offset_s)).hour for hour in run]
    asleep = all(hour >= NIGHT_FROM_H or hour < NIGHT_TO_H for hour in local)
    return set() if len(run) < MIN_HOURS or asleep else set(run)


def say_away(
    tx: Transaction, *, valid_from: datetime, valid_to: datetime | None, author: str, now: datetime
) -> int:
    """Keep that nobody is home in a span; return its id. ``valid_to`` None: until further word."""
    return int(
        tx.value(
            "INSERT INTO away_span (valid_from, valid_to, author, created_at) "
            "VALUES (?, ?, ?, ?) RETURNING id",
            [valid_from, valid_to, author, now],
        )
    )


def say_back(tx: Transaction, *, now: datetime) -> int:
    """End every span that is open; return how many were."""
    count = int(tx.value("SELECT count(*) FROM away_span WHERE valid_to IS NULL"))
    tx.execute(
        "UPDATE away_span SET valid_to = greatest(valid_from, $now) WHERE valid_to IS NULL",
        {"now": now},
    )
    return count


def is_away(reader: Reader) -> bool:
    """Whether a person said that nobody is home, and not yet that somebody is back."""
    return bool(reader.value("SELECT count(*) FROM away_span WHERE valid_to IS NULL"))
