"""Tell the evening: the one sentence, what needs an answer, and what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import merges, pages
from guardian.web import cards

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, tzinfo

    from guardian.store import Reader

LEARNING_HOURS = 24
"""For this long after the first event, a new device is no news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened; ``href`` leads to it, ``tag`` says how it stands."""

    moment: datetime
    title: str
    text: str
    href: str
    tag: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tonight:
    """The first page. ``orb`` is the colour of the house: calm, ask, danger or info."""

    sentence: str
    orb: str
    under: str
    needs: tuple[tuple[cards.Card, int], ...]
    happened: tuple[Line, ...]
    state: str


def tonight(reader: Reader, *, window: pages.Window, now: datetime, zone: tzinfo | None) -> Tonight:
    """Return the evening's story. Each incident that waits is one card."""
    waiting: dict[int, list[pages.Row]] = {}
    for row in pages.proposals(reader, waiting=True):
        waiting.setdefault(row["incident_id"], []).append(row)
    needs = tuple(
        (cards.card(rows[0], now=now, zone=zone), len(rows) - 1) for rows in waiting.values()
    )
    # Several recordings may be of different years: all of their stories are news to the reader.
    rows = pages.incidents(reader, since=None if window.replayed else window.since, limit=60)
    waits = {"open", "quiet"} if window.replayed else {"open"}
    happened = _happened(
        reader, [row for row in rows if row["id"] not in waiting], window, now, zone
    )
    loose = sum(
        1
        for row in rows
        if row["id"] not in waiting
        and row["status"] in waits
        and row["verdict"] in {"malicious", "suspicious"}
    )
    state = _state(reader, window)
    sentence, orb = _sentence(len(needs), loose, state)
    return Tonight(
        sentence=sentence,
        orb=orb,
        under=_under(reader, window, now, zone, state),
        needs=needs,
        happened=tuple(happened),
        state=state,
    )


def _state(reader: Reader, window: pages.Window) -> str:
    """Return ``empty``, ``blind``, ``replay``, ``learning`` or ``watching``."""
    states = [row["state"] for row in reader.rows("SELECT state FROM source LIMIT 500")]
    if not states or window.newest is None:
        return "empty"
    if all(state != "ok" for state in states):
        return "blind"
    if window.replayed:
        return "replay"
    first = reader.value("SELECT min(first_seen) FROM device")
    young = first is not None and (window.until - first).total_seconds() < LEARNING_HOURS * 3600
    return "learning" if young else "watching"


def _sentence(needs: int, loose: int, state: str) -> tuple[str, str]:
    if state == "empty":
        return "Guardian has seen nothing yet.", "info"
    rest = "The rest of the house is quiet."
    if loose:
        what = "other thing is" if loose == 1 else "other things are"
        rest = f"{words.spelled(loose)} {what} worth a look."
    if state == "blind":
        rest = "And Guardian cannot see the house just now."
    if needs:
        what = "thing needs" if needs == 1 else "things need"
        return f"{words.spelled(needs)} {what} your answer. {rest}", "ask"
    if state == "blind":
        return "Guardian cannot see the house just now.", "danger"
    if loose:
        what = "thing is" if loose == 1 else "things are"
        return f"Nothing needs your answer. {words.spelled(loose)} {what} worth a look.", "ask"
    return "The house is quiet. Nothing needs your answer.", "calm"


def _under(
    reader: Reader, window: pages.Window, now: datetime, zone: tzinfo | None, state: str
) -> str:
    here = words.local(now, zone)
    parts = [f"{here:%A}, {here.day} {here:%B}, {here:%H:%M}"]
    if state == "empty":
        return parts[0]
    seen = reader.value(
        "SELECT count(*) FROM device WHERE merged_into IS NULL AND last_seen >= ?", [window.since]
    )
    if window.replayed and window.newest:
        then = words.local(window.newest, zone)
        parts = [f"A recording that ends on {then:%A}, {then.day} {then:%B %Y}, {then:%H:%M}"]
    if seen is not None:
        parts.append(words.counted(seen, "device seen", "devices seen"))
    if not window.replayed:
        parts.append("over the last 24 hours")
    return " · ".join(parts)


def _happened(
    reader: Reader,
    rows: list[pages.Row],
    window: pages.Window,
    now: datetime,
    zone: tzinfo | None,
) -> list[Line]:
    answered: dict[int, cards.Card] = {}
    for row in reversed(pages.proposals(reader, waiting=False, limit=200)):
        if row["status"] != "withdrawn":
            answered[row["incident_id"]] = cards.card(row, now=now, zone=zone)
    lines = []
    for row in rows:
        tag, tone = words.verdict(row["verdict"], row["classes"])
        if row["level"] == "informational" and row["verdict"] not in {"malicious", "suspicious"}:
            tag, tone = "Noted", "info"
        if row["id"] in answered:
            card = answered[row["id"]]
            tag, tone = card.outcome, card.outcome_tone
        lines.append(
            Line(
                moment=row["last_seen"],
                title=words.clean(row["title"], 160),
                text=words.clean(row["summary"], 300),
                href=f"/incidents/{row['id']}",
                tag=tag,
                tone=tone,
            )
        )
    if not window.replayed:
        lines += _new_devices(reader, window)
    lines.sort(key=lambda line: (line.moment, line.href), reverse=True)
    return lines[:30]


def _new_devices(reader: Reader, window: pages.Window) -> list[Line]:
    first = reader.value("SELECT min(first_seen) FROM device")
    if first is None or (window.until - first).total_seconds() < LEARNING_HOURS * 3600:
        return []
    rows = reader.rows(
        "SELECT * FROM device WHERE first_seen >= ? AND first_seen < ? AND merged_into IS NULL "
        "ORDER BY first_seen DESC LIMIT 10",
        [window.since, window.until],
    )
    alike = {row["device_id"]: row["into_name"] for row in merges.proposals(reader)}
    lines = []
    for row in rows:
        old = words.clean(alike.get(row["device_id"]), 60)
        lines.append(
            Line(
                moment=row["first_seen"],
                title=f"New device: “{words.clean(row['name'], 60)}”",
                text=f"Looks like the old “{old}” with a new address." if old else _looks_like(row),
                href=f"/devices/{row['device_id']}",
                tag="Same device?" if old else "New",
                tone="ask" if old else "info",
            )
        )
    return lines


def _looks_like(row: Mapping[str, Any]) -> str:
    known = [words.device_kind(row["kind"]), words.clean(row["vendor"], 60)]
    known = [each for each in known if each]
    return f"Looks like: {', '.join(known).rstrip('.')}." if known else "Not recognised yet."


def claims(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the sentences of an explanation with the facts that exist for each."""
    known = {str(fact.get("id")) for fact in row["facts"]}
    return [
        {
            "text": words.clean(str(claim.get("text", "")), 600),
            "facts": [str(each) for each in claim.get("facts", []) if str(each) in known],
        }
        for claim in row["claims"]
    ]


def health_lines(
    reader: Reader, status: Callable[[], Mapping[str, Any]] | None
) -> list[tuple[str, str]]:
    """Return the few lines of health that stand beside the evening."""
    rows = reader.rows("SELECT name, state, events, rejected FROM source LIMIT 500")
    lines = []
    if rows:
        good = sum(1 for row in rows if row["state"] == "ok")
        refused = sum(row["rejected"] for row in rows)
        lines.append(
            ("Sources", f"{good} of {len(rows)} read, {words.number(refused)} pieces refused")
        )
        lines.append(("Stored", f"{words.number(sum(row['events'] for row in rows))} events"))
    else:
        lines.append(("Sources", words.DASH))
    writer = reader.value(
        "SELECT written_by FROM incident ORDER BY updated_at DESC, id DESC LIMIT 1"
    )
    if writer:
        lines.append(
            ("Words", "by rules and templates" if writer == "template" else f"by {writer}")
        )
    lines += [
        (words.clean(row["name"], 30), words.clean(row["detail"] or row["state"], 120))
        for row in pages.components(reader)[:4]
    ]
    if status is not None:
        health = status().get("health", {})
        count = len(health.get("reasons", []))
        text = (
            "all well"
            if not count
            else words.counted(count, "thing to look at", "things to look at")
        )
        lines.append(("Guardian", text))
    return lines
