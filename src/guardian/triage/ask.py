"""Ask the store in plain words: a fixed menu of typed, read-only questions.

A model may pick a question and fill its parameters; it never writes SQL, and the answer
is written from the rows. Without a model the words of a question decide, or the menu.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.model import words
from guardian.store import incidents as stored
from guardian.store.ingest import utc_now
from guardian.triage import ask_time
from guardian.triage.ask_menu import MENU, Question
from guardian.triage.slots import capital, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from guardian.store import Reader

ROWS = 20
"""Most rows of an answer; the rest are counted."""

LONGEST = 300
"""Longest question that is read, in characters."""

ABOUT_LENGTH = 60
"""Longest name or company that is looked for, in characters."""

ALIKE = 0.8
"""How alike (difflib's ratio, 0 to 1) a word and a device's name must be: one slip of the pen
in a name of five letters gives 0.8."""

DAY = "24h"

_PLAIN = frozenset(
    word
    for line in Path(__file__).with_name("ask_words.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for word in line.split()
)

_SUBJECT = re.compile(
    r"\b(?:did|does|has|was|is|do|by|of|from|on)\s+(?:the|my|our|your|his|her|their|this)\s+"
    r"((?:[\w'-]+\s?){1,3}?)(?=\s+(?:do|done|doing|up|go|went|talk|contact|connect|ask|look|send|"
    r"sent|upload|use|used|last|seen|online|active|block|today|yesterday|this|on|in|at|between|"
    r"around|bypass|visit|from|since|during|awake|listen|happen)\b|[?.!,]|\s*$)"
)
_TO_WHOM = re.compile(
    r"\b(?:talk\w*|spoke|speak\w*|contact\w*|connect\w*|visit\w*|access\w*|us(?:e|ed|es|ing)|"
    r"went|go(?:es|ing)?|send\w*|sent)\s+(?:to|with|at|on)?\s*(?:the\s+)?([\w.-]{2,60})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows, and one sentence made from them."""

    question: str
    parameters: Mapping[str, Any]
    text: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    total: int


def menu() -> list[dict[str, Any]]:
    """Return the questions that can be asked, for a page or a command line."""
    return [{"name": each.name, "title": each.title, "takes": list(each.takes)} for each in MENU]


def titles() -> dict[str, str]:
    """Return the title of each question by its name."""
    return {each.name: each.title for each in MENU}


def ask(
    reader: Reader,
    name: str,
    *,
    device: str | None = None,
    when: str = DAY,
    about: str = "",
    unknown: str = "",
    now: datetime | None = None,
    zone: tzinfo | None = None,
) -> Answer:
    """Answer a question of the menu.

    ``device`` is a device's name or id, ``when`` a span of ``ask_time``, ``about`` a part of a
    name or company. ``unknown`` is what was taken for a device and is none; the answer says so.

    Raises:
        InputError: no such question, device or span, or nothing to look for.
    """
    question = next((each for each in MENU if each.name == name), None)
    if question is None:
        msg = f"no such question: {words.clean(name, 40)}; there are {', '.join(titles())}"
        raise InputError(msg)
    device_id, called = _device(reader, device) if device else (None, "The house")
    span = ask_time.span(when, now=now or utc_now(), zone=zone)
    sought = words.clean(about, ABOUT_LENGTH).lower()
    if "about" in question.takes and len(sought) < 2:
        msg = "say whom: for example, who talked to example.org yesterday?"
        raise InputError(msg)
    bound = _bound(question, device_id, span, sought, zone)
    found = reader.rows(
        f"SELECT *, count(*) OVER () AS total_rows FROM ({question.sql}) LIMIT {ROWS}", bound
    )
    total = int(found[0].pop("total_rows")) if found else 0
    for row in found[1:]:
        row.pop("total_rows")
    told = _told(question, found, called=called, total=total, when=span.label, about=sought)
    if unknown and "device" in question.takes:
        called = words.clean(unknown, 40)
        told = f"No device here is called “{called}”; this is about the whole house. {told}"
    return Answer(
        question=question.name,
        parameters={
            "device": device_id if "device" in question.takes else None,
            "when": span.label if "when" in question.takes else "",
            "span": when if "when" in question.takes else "",
            "about": sought if "about" in question.takes else "",
        },
        text=told,
        columns=tuple(found[0]) if found else (),
        rows=tuple({key: _plain(value) for key, value in row.items()} for row in found),
        total=total,
    )


def _bound(
    question: Question,
    device_id: str | None,
    span: ask_time.Span,
    sought: str,
    zone: tzinfo | None,
) -> dict[str, Any]:
    offset = words.local(span.since, zone).utcoffset()
    values = {
        "since": span.since,
        "until": span.until,
        "device": device_id,
        "about": sought,
        "offset": 0 if offset is None else int(offset.total_seconds() // 60),
    }
    return {name: value for name, value in values.items() if f"${name}" in question.sql}


def _told(
    question: Question,
    rows: Sequence[Mapping[str, Any]],
    *,
    called: str,
    total: int,
    when: str,
    about: str,
) -> str:
    """Return the answer in words: only what the rows hold, each value with its unit."""
    number = f"{total:,} {question.one if total == 1 else question.many}"
    slots = {"device": called, "n": number, "when": when, "about": about}
    text = capital((question.some if rows else question.none).format_map(slots))
    if not rows or not question.most:
        return text
    first = {
        name: words.clean(str(write(name, value)), 80)
        for name, value in rows[0].items()
        if value is not None and not isinstance(value, datetime)
    }
    try:
        return f"{text} {capital(question.most.format_map(first))}"
    except KeyError:
        # A value of the row is not known; the rows under it say the rest.
        return text


def understand(reader: Reader, text: str) -> dict[str, Any]:
    """Return the question, and its parameters, that a sentence most likely means.

    It goes by words alone, so that it works without a model; what it understood is shown
    with the answer.

    Raises:
        InputError: no question of the menu fits.
    """
    said = " ".join(words.clean(text, LONGEST).lower().replace("’", "'").split())
    device, heard = _mentioned(reader, said)
    # What a device is called says nothing of the question.
    rest = said.replace(heard, " ") if heard else said
    about = _about(rest)
    scores = {each.name: _score(each, rest, about, device) for each in MENU}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] <= 0:
        msg = f"that is not on the menu; ask for {', '.join(titles())}, such as: {_EXAMPLE}"
        raise InputError(msg)
    question = next(each for each in MENU if each.name == best)
    meant: dict[str, Any] = {"name": best, "device": device, "when": ask_time.heard(rest)}
    if best == "night" and meant["when"] == DAY:
        meant["when"] = "last_night"
    if best == "changed" and meant["when"] == "yesterday":
        meant["when"] = "since_yesterday"
    if "about" in question.takes:
        meant["about"] = about
    elif device is None and "device" in question.takes:
        subject = _subject(rest)
        if subject:
            meant["unknown"] = subject
    return meant


_EXAMPLE = "what did the TV do last night?"


def _score(question: Question, said: str, about: str, device: str | None) -> float:
    spoken = set(re.findall(r"[a-z-]+", said))
    if "about" in question.takes and not about:
        return 0.0
    score = 3.0 * sum(bool(re.search(each, said)) for each in question.hints)
    score += len(spoken & question.keywords)
    # "What did the TV do" asks of one device; of several that fit, the one that takes it.
    return score + (0.5 if score and device and "device" in question.takes else 0.0)


def _about(said: str) -> str:
    """Return whom a question asks about, if that is neither a word of questions nor a time."""
    for match in _TO_WHOM.finditer(said):
        found = match[1].strip(".-")
        if found not in _PLAIN and len(found) > 1:
            return found
    return ""


def _subject(said: str) -> str:
    """Return what a question takes for a device, where no device is called so."""
    match = _SUBJECT.search(said)
    if match is None:
        return ""
    left = [each for each in match[1].split() if each not in _PLAIN and not each.isdigit()]
    return " ".join(left)


def candidates(text: str) -> list[str]:
    """Return the words of a question that may be a name or a company: a model's choices."""
    said = words.clean(text, LONGEST).lower()
    found = dict.fromkeys(re.findall(r"[a-z0-9][a-z0-9.-]{1,58}[a-z0-9]", said))
    return [each for each in found if each not in _PLAIN][:12]


def _mentioned(reader: Reader, said: str) -> tuple[str | None, str]:
    """Return the device that a sentence names, and by which words: exactly, nearly, by kind."""
    devices = reader.rows(
        "SELECT device_id, lower(name) AS name, kind FROM device WHERE merged_into IS NULL "
        "ORDER BY length(name) DESC, device_id LIMIT 1000"
    )
    for row in devices:
        name = words.clean(row["name"], 60)
        if len(name) > 1 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said):
            return str(row["device_id"]), name
    kinds: dict[str, list[str]] = {}
    for row in devices:
        kinds.setdefault(words.device_kind(str(row["kind"])).lower(), []).append(row["device_id"])
    for kind, alike in sorted(kinds.items()):
        if kind and len(alike) == 1 and re.search(rf"\b{re.escape(kind)}s?\b", said):
            return alike[0], kind
    return _nearly(devices, said)


def _nearly(devices: Sequence[Mapping[str, Any]], said: str) -> tuple[str | None, str]:
    """Return the one device whose name was nearly written."""
    spoken = re.findall(r"[\w'-]+", said)
    best: tuple[float, str | None, str] = (ALIKE, None, "")
    for row in devices:
        name = words.clean(row["name"], 60)
        size = len(name.split())
        for width in {size, max(1, size - 1), size + 1}:
            for place in range(len(spoken) - width + 1):
                piece = spoken[place : place + width]
                if all(each in _PLAIN for each in piece) or len(name) < 4:
                    continue
                text = " ".join(piece)
                match = difflib.SequenceMatcher(None, text, name)
                if match.real_quick_ratio() > best[0] and (ratio := match.ratio()) > best[0]:
                    best = (ratio, str(row["device_id"]), text)
    return best[1], best[2]


def _device(reader: Reader, device: str) -> tuple[str, str]:
    row = reader.one(
        "SELECT device_id, name FROM device WHERE device_id = $d OR lower(name) = lower($d) "
        "ORDER BY device_id = $d DESC, device_id",
        {"d": device},
    )
    if row is None:
        msg = f"no device is called {words.clean(device, 60)!r}; see: guardian devices"
        raise InputError(msg)
    return row["device_id"], words.clean(row["name"], 60)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return stored.rfc3339(value)
    return words.clean(value) if isinstance(value, str) else value
