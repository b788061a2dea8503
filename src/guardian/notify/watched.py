"""The letter's lines about who listens: the busiest report, and what was switched off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guardian.detect import surveillance_ledger
from guardian.model import words
from guardian.respond import watch
from guardian.store import privacy

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from guardian.store import Reader

_TOLD = {
    "acr": "{device} reported to {company}'s content recognition",
    "voice_assistant": "{device} spoke with {company}'s voice service",
    "camera_cloud": "{device} was in touch with {company}'s camera cloud",
    "llm_api": "{device} was in touch with a language model of {company}",
    "ai_media_api": "{device} was in touch with {company}'s service for sound or pictures",
    "biometric_api": "{device} was in touch with {company}, which can recognise faces",
    "data_broker": "{device} was in touch with the data broker {company}",
}
"""What is said of a class; others (advertising, diagnostics) are only counted elsewhere."""
_WORTH = tuple(_TOLD)
LINES = 2
_ANSWER = {
    "stopped": "it stopped",
    "reduced": "it became less, but did not stop",
    "unchanged": "it did not stop",
    "too early": "it is too early to say whether it stopped",
}


def lines(
    reader: Reader, *, since: datetime, until: datetime, zone: tzinfo | None, now: datetime
) -> tuple[str, ...]:
    """Return two sentences on the busiest reports, then one for each answer that changed."""
    ahead = words.local(until, zone).utcoffset()
    offset_s = 0 if ahead is None else int(ahead.total_seconds())
    rows = [
        row
        for row in surveillance_ledger.ledger(
            reader, since=since, until=until, offset_s=offset_s, limit=200
        )
        if row["class"] in _TOLD
    ]
    rows.sort(key=lambda row: (_WORTH.index(row["class"]), -row["contacts"]))
    told = [_sentence(row) for row in rows[:LINES]]
    changed = privacy.changed_answers(reader, since=since, until=until)
    return (
        *told,
        *(_changed(row, zone, now) for row in changed[:LINES]),
        *_fallbacks(reader, since=since, until=until),
    )


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


def _sentence(row: privacy.Row) -> str:
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
    return f"{what} {times} today, {words.size(row['bytes_up'])} sent{more}."


def _changed(row: privacy.Row, zone: tzinfo | None, now: datetime) -> str:
    device, kind = words.clean(row["device"], 40), words.finding_class(row["class"])
    whom = f" to {words.clean(row['company'], 40)}" if row["company"] else ""
    day = words.day(row["switched_off_at"], zone, now)
    return f"{device}: you switched off {kind}{whom} ({day}); {_ANSWER[row['answer']]}."
