"""Ask the store in plain words: a fixed menu of typed, read-only questions.

A model may pick a question and fill its parameters; it never writes SQL, and the answer
is written from the rows. Without a model the same questions are a menu.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.model import words
from guardian.store import incidents as stored
from guardian.store.ingest import utc_now
from guardian.triage.slots import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guardian.store import Reader

ROWS = 20
"""Most rows of an answer; the rest are counted."""

LONGEST_DAYS = 31
"""Farthest that a question looks back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the menu. ``takes`` names its parameters: ``device`` and ``hours``.

    ``sentence`` and ``most`` are written with slots: ``{device}``, ``{total}``, ``{hours}``
    and the columns of the first row.
    """

    name: str
    title: str
    takes: tuple[str, ...]
    sql: str
    sentence: str
    most: str
    keywords: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows, and one sentence made from them."""

    question: str
    parameters: Mapping[str, Any]
    text: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    total: int


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# An address may have had several holders, so each one once.
_OF_DEVICE = (
    "JOIN (SELECT DISTINCT ip FROM v_device_address "
    "WHERE $device IS NULL OR device_id = $device) AS h ON h.ip = w.src_ip"
)

MENU: tuple[Question, ...] = (
    Question(
        name="destinations",
        title="Where did a device go?",
        takes=("device", "hours"),
        sql="SELECT w.dest_ip AS destination, any_value(t.sni) AS name, count(DISTINCT w.id) AS "
        "connections, sum(w.bytes_toserver)::BIGINT AS bytes_up, "
        "sum(w.bytes_toclient)::BIGINT AS bytes_down, min(w.ts) AS first_seen, "
        "max(coalesce(w.end_ts, w.ts)) AS last_seen "
        f"FROM flow AS w {_OF_DEVICE} LEFT JOIN tls AS t ON t.flow_id = w.flow_id "
        "AND t.ts >= $since AND t.ts < $until "
        "WHERE w.ts >= $since AND w.ts < $until GROUP BY w.dest_ip "
        "ORDER BY bytes_up DESC, destination",
        sentence="{device} went to {total} destinations in the last {hours} hours.",
        most="Most was sent to {destination}: {bytes_up}.",
        keywords=_words("where go went do did doing destination connect contact talk"),
    ),
    Question(
        name="names",
        title="Which names did a device ask for?",
        takes=("device", "hours"),
        sql="SELECT w.rrname AS name, count(*) AS queries, count(*) FILTER (w.blocked) AS blocked, "
        f"max(w.ts) AS last_seen FROM dns_log AS w {_OF_DEVICE} "
        "WHERE w.ts >= $since AND w.ts < $until GROUP BY w.rrname ORDER BY queries DESC, name",
        sentence="{device} asked for {total} names in the last {hours} hours.",
        most="Most often for {name}: {queries}.",
        keywords=_words("name names dns lookup look-ups ask asked query queries site"),
    ),
    Question(
        name="listened",
        title="Who listened?",
        takes=("device", "hours"),
        sql="SELECT n.company, n.class, count(*) AS contacts, max(w.ts) AS last_seen "
        f"FROM dns_log AS w JOIN name_hit AS n ON n.name = w.rrname {_OF_DEVICE} "
        "WHERE w.ts >= $since AND w.ts < $until GROUP BY ALL ORDER BY contacts DESC, company",
        sentence="{total} services that listen or measure were asked for in {hours} hours.",
        most="Most often {company}: {contacts}.",
        keywords=_words("listen listened privacy track tracker spy company companies"),
    ),
    Question(
        name="incidents",
        title="What happened?",
        takes=("device", "hours"),
        sql="SELECT i.id, i.title, i.level, i.status, i.last_seen FROM incident AS i "
        "WHERE i.last_seen >= $since AND i.last_seen < $until AND i.merged_into IS NULL "
        "AND ($device IS NULL OR list_contains(i.devices, $device)) "
        "ORDER BY i.last_seen DESC, i.id",
        sentence="There were {total} incidents in the last {hours} hours.",
        most="The last one: {title}.",
        keywords=_words("happen happened incident incidents alert problem wrong news"),
    ),
    Question(
        name="volume",
        title="Who sent the most?",
        takes=("hours",),
        sql="SELECT d.name AS device, sum(w.bytes_toserver)::BIGINT AS bytes_up, "
        "sum(w.bytes_toclient)::BIGINT AS bytes_down, count(*) AS connections FROM flow AS w "
        "JOIN v_device_address AS h ON h.ip = w.src_ip AND w.ts >= h.valid_from "
        "AND w.ts < h.valid_to JOIN device AS d ON d.device_id = h.device_id "
        "WHERE w.ts >= $since AND w.ts < $until GROUP BY d.name ORDER BY bytes_up DESC, device",
        sentence="{total} devices sent something in the last {hours} hours.",
        most="The most: {device}, {bytes_up}.",
        keywords=_words("most much upload sent send traffic bandwidth volume data"),
    ),
    Question(
        name="new",
        title="What is new in the house?",
        takes=("hours",),
        sql="SELECT name AS device, kind, vendor, first_seen FROM device "
        "WHERE first_seen >= $since AND first_seen < $until AND merged_into IS NULL "
        "ORDER BY first_seen DESC, device",
        sentence="{total} devices were seen for the first time in the last {hours} hours.",
        most="The last one: {device}.",
        keywords=_words("new first unknown joined appeared device devices"),
    ),
)


def menu() -> list[dict[str, Any]]:
    """Return the questions that can be asked, for a page or a command line."""
    return [{"name": each.name, "title": each.title, "takes": list(each.takes)} for each in MENU]


def ask(
    reader: Reader,
    name: str,
    *,
    device: str | None = None,
    hours: float = 24.0,
    now: datetime | None = None,
) -> Answer:
    """Answer a question of the menu. ``device`` is a device's name or id.

    Raises:
        InputError: no such question or device, or ``hours`` out of bounds.
    """
    question = next((each for each in MENU if each.name == name), None)
    if question is None:
        msg = f"no such question: {name}; there are {', '.join(each.name for each in MENU)}"
        raise InputError(msg)
    if not 0 < hours <= LONGEST_DAYS * 24:
        msg = f"hours must be above 0 and at most {LONGEST_DAYS * 24}"
        raise InputError(msg)
    device_id, called = _device(reader, device) if device else (None, "The house")
    until = now or utc_now()
    bound: dict[str, Any] = {"since": until - timedelta(hours=hours), "until": until}
    if "device" in question.takes:
        bound["device"] = device_id
    found = reader.rows(
        f"SELECT *, count(*) OVER () AS total_rows FROM ({question.sql}) LIMIT {ROWS}", bound
    )
    total = int(found[0].pop("total_rows")) if found else 0
    for row in found[1:]:
        row.pop("total_rows")
    return Answer(
        question=question.name,
        parameters={"device": device_id, "hours": hours},
        text=_told(question, found, called=called, total=total, hours=hours),
        columns=tuple(found[0]) if found else (),
        rows=tuple({key: _plain(value) for key, value in row.items()} for row in found),
        total=total,
    )


def _told(
    question: Question,
    rows: Sequence[Mapping[str, Any]],
    *,
    called: str,
    total: int,
    hours: float,
) -> str:
    """Return the answer in words: only what the rows hold, each value with its unit."""
    text = question.sentence.format(device=called, total=f"{total:,}", hours=f"{hours:g}")
    if not rows:
        return text
    first = {
        name: words.clean(str(write(name, value)), 80)
        for name, value in rows[0].items()
        if value is not None and not isinstance(value, datetime)
    }
    try:
        return f"{text} {question.most.format_map(first)}"
    except KeyError:
        # A value of the row is not known; the rows under it say the rest.
        return text


def understand(reader: Reader, text: str) -> dict[str, Any]:
    """Return the question, device and hours that a sentence most likely means.

    It goes by words alone, so that it works without a model; what it understood is shown
    with the answer.

    Raises:
        InputError: no question of the menu fits.
    """
    said = text[:300].lower()
    spoken = set(re.findall(r"[a-z-]+", said))
    best = max(MENU, key=lambda each: len(spoken & each.keywords))
    if not spoken & best.keywords:
        msg = f"that is not on the menu; ask for {', '.join(each.name for each in MENU)}"
        raise InputError(msg)
    return {"name": best.name, "device": _mentioned(reader, said), "hours": _hours(said)}


def _mentioned(reader: Reader, said: str) -> str | None:
    devices = reader.rows(
        "SELECT device_id, lower(name) AS name, kind FROM device WHERE merged_into IS NULL "
        "ORDER BY length(name) DESC, device_id"
    )
    by_name = next((row["device_id"] for row in devices if row["name"] in said), None)
    if by_name is not None:
        return str(by_name)
    for kind in sorted({str(row["kind"]) for row in devices} - {"unknown"}):
        if re.search(rf"\b{re.escape(kind)}\b", said):
            alike = [row["device_id"] for row in devices if row["kind"] == kind]
            if len(alike) == 1:
                return str(alike[0])
    return None


def _hours(said: str) -> float:
    spans: Sequence[tuple[str, Callable[[re.Match[str]], float]]] = (
        (r"(\d{1,3}) hours?", lambda m: float(m[1])),
        (r"(\d{1,2}) days?", lambda m: float(m[1]) * 24),
        (r"\bweek\b", lambda _: 168.0),
        (r"\bmonth\b", lambda _: 744.0),
        (r"\bhour\b", lambda _: 1.0),
        (r"\btonight\b|\blast night\b|\bevening\b", lambda _: 12.0),
    )
    for pattern, hours in spans:
        match = re.search(pattern, said)
        if match:
            return min(max(hours(match), 1.0), LONGEST_DAYS * 24.0)
    return 24.0


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
