"""The letter's lines about who listens: the busiest reports, and what became of an answer.

Two sentences name the two busiest reports of the house; what else there was is told at
the end of the second one, so that no count stands twice.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.detect import surveillance_ledger
from guardian.model import words
from guardian.respond import watch
from guardian.store import privacy
from guardian.store.pages_listened import listened

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from guardian.store import Reader

_TOLD = {
    "acr": "{device} reported to {company}'s content recognition",
    "voice_assistant": "{device} was in touch with {company}'s voice service",
    "camera_cloud": "{device} was in touch with {company}'s camera cloud",
    "llm_api": "{device} was in touch with a language model of {company}",
    "ai_media_api": "{device} was in touch with {company}'s service for sound or pictures",
    "biometric_api": "{device} was in touch with {company}, which can recognise faces",
    "data_broker": "{device} was in touch with the data broker {company}",
}
"""What is said of a class; others (advertising, diagnostics) are only counted elsewhere."""
_RANK = {name: rank for rank, name in enumerate(_TOLD)}
LINES = 2
NAMED = 3
"""So many further companies are named; the others are counted."""
DAY = timedelta(hours=26)
"""A letter of the night covers a day, the longest of a year being 25 hours."""
WEEK = timedelta(days=7)
WORTH_COMPARING = 50
"""Contacts a week ago; a share of fewer says nothing."""
STEADY_PERCENT = 5
_ANSWER = {
    "stopped": "it stopped",
    "reduced": "it became less, but did not stop",
    "unchanged": "it did not stop",
    "too early": "it is too early to say whether it stopped",
    "unclear": "it cannot be told whether it stopped, for it may hide its names now",
}


def lines(
    reader: Reader, *, since: datetime, until: datetime, zone: tzinfo | None
) -> tuple[str, ...]:
    """Return at most two sentences: who was told most, and how much else there was.

    A third, when not all is counted yet.
    """
    ahead = words.local(until, zone).utcoffset()
    offset_s = 0 if ahead is None else int(ahead.total_seconds())
    rows = surveillance_ledger.ledger(
        reader, since=since, until=until, offset_s=offset_s, limit=200
    )
    rows.sort(key=lambda row: (_RANK.get(row["class"], len(_RANK)), -row["contacts"]))
    told = [row for row in rows if row["class"] in _TOLD][:LINES]
    period = (
        "today" if until - since <= DAY else f"in {round((until - since) / timedelta(days=1))} days"
    )
    sentences = [_sentence(row, period) for row in told]
    heard = listened(reader, since=since, until=until, limit=500)
    # Without device addresses (no detection ran yet) the ledger is empty; companies are known.
    lead = "Also contacted" if told else "Contacted"
    rest = _rest([row for row in rows if row not in told] if rows else heard, lead)
    if rest or sentences:
        trend = _trend(reader, heard, since=since, until=until)
        more = " ".join(part for part in (rest, trend) if part)
        sentences[-1:] = [" ".join([*sentences[-1:], more]).strip()]
    missing = privacy.incomplete(reader)
    return (*sentences, missing) if missing else tuple(sentences)


def answers(
    reader: Reader, *, since: datetime, until: datetime, zone: tzinfo | None, now: datetime
) -> tuple[str, ...]:
    """Return one sentence for each answer that changed, then for what got around a block."""
    changed = privacy.changed_answers(reader, since=since, until=until)
    return (
        *(_changed(row, zone, now) for row in changed[:LINES]),
        *_fallbacks(reader, since=since, until=until),
    )


def _rest(rows: list[privacy.Row], lead: str) -> str:
    """Return how much else was told, the busiest companies by name and what for."""
    count: Counter[tuple[str, str]] = Counter()
    for row in rows:
        count[row["company"], row["class"]] += row["contacts"]
    first = sorted(count, key=lambda each: (-count[each], each))
    told = [
        f"{words.clean(company, 40)} ({words.finding_class(kind)}) "
        f"{words.number(count[company, kind])}×"
        for company, kind in first[:NAMED]
    ]
    more = sum(count[each] for each in first[NAMED:])
    if more:
        told.append(f"others {words.number(more)}×")
    return f"{lead}: {', '.join(told)}." if told else ""


def _trend(reader: Reader, heard: list[privacy.Row], *, since: datetime, until: datetime) -> str:
    """Return how all contacts compare with the same hours a week ago, when there were some."""
    today = sum(row["contacts"] for row in heard)
    past = listened(reader, since=since - WEEK, until=until - WEEK, limit=500)
    then = sum(row["contacts"] for row in past)
    if then < WORTH_COMPARING:
        return ""
    change = round(100 * (today - then) / then)
    if abs(change) < STEADY_PERCENT:
        return "All contacts together: about as many as a week ago."
    more = "more" if change > 0 else "fewer"
    return f"All contacts together: {abs(change)} % {more} than a week ago."


def _fallbacks(reader: Reader, *, since: datetime, until: datetime) -> list[str]:
    """Return what devices did about a block that is or was in force in the window."""
    rows = reader.rows(
        "SELECT p.title, e.watch::VARCHAR AS watch FROM enforcement e "
        "JOIN proposal p ON p.id = e.proposal_id WHERE e.watch IS NOT NULL "
        "AND e.state IN ('verified', 'reverting', 'reverted') AND e.applied_at < $until "
        "AND coalesce(e.reverted_at, $until) >= $since ORDER BY e.id DESC LIMIT 20",
        {"since": since, "until": until},
    )
    found = []
    for row in rows:
        remarks = watch.remarks(json.loads(row["watch"]))
        if remarks:
            found.append(f"“{words.clean(row['title'], 80)}”: {'; '.join(remarks)}.")
    return found[:LINES]


def _sentence(row: privacy.Row, period: str) -> str:
    what = _TOLD[row["class"]].format(
        device=words.clean(row["device"], 40), company=words.clean(row["company"], 40)
    )
    what = what[0].upper() + what[1:]
    times = words.counted(row["contacts"], "time", "times")
    when = []
    if row["night_share"] and row["night_share"] >= 0.01:
        when.append(f"{100 * row['night_share']:.0f} % of it at night")
    if row["away_share"] and row["away_share"] >= 0.01:
        when.append(f"{100 * row['away_share']:.0f} % while nobody was home")
    more = f" ({', '.join(when)})" if when else ""
    return f"{what} {times} {period}, {words.size(row['bytes_up'])} sent{more}."


def _changed(row: privacy.Row, zone: tzinfo | None, now: datetime) -> str:
    device, kind = words.clean(row["device"], 40), words.finding_class(row["class"])
    whom = f" to {words.clean(row['company'], 40)}" if row["company"] else ""
    day = words.day(row["switched_off_at"], zone, now)
    return f"{device}: you switched off {kind}{whom} ({day}); {_ANSWER[row['answer']]}."
