"""The nightly letter: what needs an answer, what happened, who listened, what was not seen.

It is read in two minutes on a phone, so every list is short and says how much more
there is. The text part stands by itself; the HTML part is tables with inline styles,
since mail programs know little else, and loads nothing.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.model import words
from guardian.notify import watched
from guardian.notify.settings import Settings
from guardian.store import pages, pages_blind

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from guardian.store import Reader, Store

LEARNING_S = 24 * 3600
"""For this long after the first device, a new device is no news."""

WHOLE_NEEDS = 3
"""So many are told whole; the further ones by their first line, to fit two phone screens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One letter. ``text`` and ``html`` say the same; ``title`` is its first sentence."""

    title: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that needs an answer: two lines and the page's address for it."""

    head: str
    body: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What the letter says, before it takes a form. Each tuple is a list of sentences."""

    title: str
    needs: tuple[Need, ...]
    happened: tuple[str, ...]
    new: tuple[str, ...]
    listened: tuple[str, ...]
    unseen: tuple[str, ...]
    answers: tuple[str, ...] = ()
    base_url: str


def build(
    store: Store,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    settings: Settings | None = None,
) -> Digest:
    """Return the letter of a window (half open, UTC).

    Raises:
        ConfigError: the settings' time zone does not exist.
    """
    settings = settings or Settings()
    zone = words.zone(settings.timezone)
    with store.read() as reader:
        letter = _letter(reader, since=since, until=until, now=now, zone=zone, settings=settings)
    return Digest(title=letter.title, text=as_text(letter), html=as_html(letter))


def _letter(
    reader: Reader,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    zone: tzinfo | None,
    settings: Settings,
) -> Letter:
    first: dict[int, pages.Row] = {}
    for row in pages.proposals(reader, waiting=True):
        first.setdefault(row["incident_id"], row)
    base = settings.base_url.rstrip("/")
    needs = [
        _need(row, base, zone, now, whole=number < WHOLE_NEEDS)
        for number, row in enumerate(first.values())
    ]
    rows = pages.incidents(reader, since=since, limit=200)
    rows = [row for row in rows if row["id"] not in first and row["first_seen"] < until]
    return Letter(
        title=_title(len(needs), sum(map(_grave, rows)), _blind(reader)),
        needs=tuple(needs[: settings.lines]) + _more_needs(len(needs) - settings.lines, base),
        happened=_happened(reader, rows, settings.lines, zone, now),
        new=_new(reader, since=since, until=until, lines=settings.lines),
        listened=watched.lines(reader, since=since, until=until, zone=zone),
        answers=watched.answers(reader, since=since, until=until, zone=zone, now=now),
        unseen=tuple(
            _limited(pages_blind.blind_spots(reader, since=since, until=until), settings.lines)
        ),
        base_url=base,
    )


def _title(needs: int, grave: int, blind: bool) -> str:
    rest = "The rest of the house is quiet."
    if blind:
        rest = "But Guardian cannot see the house just now."
    elif grave:
        what = "thing is" if grave == 1 else "things are"
        rest = f"{words.spelled(grave)} other {what} worth a look."
    if needs:
        what = "thing needs" if needs == 1 else "things need"
        return f"{words.spelled(needs)} {what} your answer. {rest}"
    if blind:
        return "Nothing needs your answer. But Guardian cannot see the house just now."
    if grave:
        return f"Nothing needs your answer. {rest}"
    return "The house is quiet. Nothing needs your answer."


def _grave(row: pages.Row) -> bool:
    return row["status"] == "open" and row["verdict"] in {"malicious", "suspicious"}


def _blind(reader: Reader) -> bool:
    states = [row["state"] for row in reader.rows("SELECT state FROM source LIMIT 500")]
    return not states or all(state != "ok" for state in states)


def _need(row: pages.Row, base: str, zone: tzinfo | None, now: datetime, *, whole: bool) -> Need:
    tag, _ = words.verdict(row["verdict"], row["classes"])
    title = _about(row["incident_title"], row["device"])
    summary = words.clean(row["summary"], 240)
    told = summary.startswith(("Since ", "At "))
    lead = "" if told else f"Since {words.clock(row['first_seen'], zone, now)}. "
    ask = words.clean(row["title"], 80)
    return Need(
        head=f"{title} ({tag[0].lower()}{tag[1:]}).",
        body=f"{lead}{summary} {ask}?" if whole else "",
        link=f"{base}/p/{row['id']}",
    )


def _about(title: str, device: str) -> str:
    """Return a title that names its device."""
    title, device = words.clean(title, 80).rstrip("."), words.clean(device, 40)
    if device.lower() in title.lower():
        return title
    return f"{device}: {title[:1].lower()}{title[1:]}"


def _more_needs(more: int, base: str) -> tuple[Need, ...]:
    if more <= 0:
        return ()
    what = words.counted(more, "more thing waits", "more things wait")
    return (Need(head=f"{what} for you.", body="", link=f"{base}/approvals"),)


def _happened(
    reader: Reader, rows: list[pages.Row], lines: int, zone: tzinfo | None, now: datetime
) -> tuple[str, ...]:
    done: dict[int, pages.Row] = {}
    for row in reversed(pages.proposals(reader, waiting=False, limit=200)):
        done[row["incident_id"]] = row
    ranks = ["informational", "low", "medium", "high", "critical"]
    rows = sorted(rows, key=lambda row: (-ranks.index(row["level"]), -row["last_seen"].timestamp()))
    told = []
    for row in rows:
        if row["verdict"] == "benign":
            continue
        sentence = _about(row["title"], row["device"])
        sentence += f", {words.clock(row['last_seen'], zone, now)}"
        told.append(f"{sentence}{_outcome(done.get(row['id']), zone, now)}.")
    return tuple(_limited(told, lines))


def _outcome(row: pages.Row | None, zone: tzinfo | None, now: datetime) -> str:
    if row is None:
        return ""
    if row["state"] == "verified":
        return f"; it is blocked until {words.clock(row['ends_at'], zone, now)}, and that holds"
    if row["state"] == "failed":
        return "; blocking it did not work"
    if row["state"] == "reverted":
        return "; it was blocked, and is free again"
    return "; you kept it as it is" if row["status"] == "rejected" else ""


def _new(reader: Reader, *, since: datetime, until: datetime, lines: int) -> tuple[str, ...]:
    begun = reader.value("SELECT min(first_seen) FROM device")
    if begun is None or until - begun < timedelta(seconds=LEARNING_S):
        return ()
    rows = reader.rows(
        "SELECT name, kind, vendor FROM device "
        "WHERE first_seen >= ? AND first_seen < ? AND merged_into IS NULL "
        "ORDER BY first_seen, device_id LIMIT 100",
        [since, until],
    )
    told = []
    for row in rows:
        known = [words.device_kind(row["kind"]), words.clean(row["vendor"], 30)]
        what = ", ".join(each for each in known if each) or "not recognised yet"
        told.append(f"“{words.clean(row['name'], 50)}” ({what}).")
    return tuple(_limited(told, lines))


def _limited(told: list[str], lines: int) -> list[str]:
    if len(told) <= lines:
        return told
    return [*told[:lines], f"And {len(told) - lines} more, on the page."]


def as_text(letter: Letter) -> str:
    """Return the letter as plain text."""
    out = [letter.title, ""]
    for number, need in enumerate(letter.needs, 1):
        out.append(f"{number}. {need.head}")
        out += [f"   {line}" for line in (need.body, need.link) if line]
        out.append("")
    for name, sentences in _parts(letter):
        if len(sentences) == 1:
            out.append(f"{name}: {sentences[0]}")
        else:
            out.append(f"{name}:")
            out += [f"- {sentence}" for sentence in sentences]
    return "\n".join([*out, "", f"The page: {letter.base_url}/"]) + "\n"


def _parts(letter: Letter) -> list[tuple[str, tuple[str, ...]]]:
    parts = [
        ("Happened", letter.happened),
        ("New", letter.new),
        ("Listened", letter.listened),
        ("Switched off or blocked", letter.answers),
        ("Not seen", letter.unseen),
    ]
    return [(name, sentences) for name, sentences in parts if sentences]


_FONT = "font-family:Inter,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
# Dark mail programs that recolour by themselves find plain text on a plain ground; those
# that ask the page are answered by the style block. Both stay readable.
_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    '<meta name="supported-color-schemes" content="light dark"><title>{title}</title><style>'
    ":root{{color-scheme:light dark}}"
    "@media (prefers-color-scheme:dark){{.paper{{background:#14181a!important}}"
    ".card{{background:#1c2225!important;border-color:#2d3639!important}}"
    ".ink{{color:#e9ecec!important}}.soft{{color:#a7b1b5!important}}"
    ".go{{background:#63c9ab!important;color:#0c1a16!important}}}}</style></head>"
)


def as_html(letter: Letter) -> str:
    """Return the letter as an HTML mail: tables, inline styles, nothing from elsewhere."""
    rows = [_row(f'<h1 class="ink" style="{_style(22, "#1d2327", 650)}">{_e(letter.title)}</h1>')]
    rows += [_row(_need_html(need)) for need in letter.needs]
    for name, sentences in _parts(letter):
        body = "".join(
            f'<p class="ink" style="{_style(15, "#1d2327")};margin:0 0 6px">{_e(each)}</p>'
            for each in sentences
        )
        head = f'<p class="soft" style="{_style(13, "#566067", 600)};margin:0 0 4px">{name}</p>'
        rows.append(_row(head + body))
    page = _e(letter.base_url + "/")
    small = _style(13, "#566067")
    rows.append(_row(f'<a class="soft" href="{page}" style="{small}">Open Guardian’s page</a>'))
    return (
        _HEAD.format(title=_e(letter.title))
        + '<body class="paper" style="margin:0;padding:0;background:#f6f4ef">'
        '<table role="presentation" class="paper" width="100%" cellpadding="0" cellspacing="0" '
        'style="background:#f6f4ef"><tr><td align="center" style="padding:16px 10px">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="max-width:560px">{"".join(rows)}</table></td></tr></table></body></html>'
    )


def _need_html(need: Need) -> str:
    body = ""
    if need.body:
        body = (
            f'<p class="ink" style="{_style(15, "#1d2327")};margin:6px 0 12px">{_e(need.body)}</p>'
        )
    return (
        '<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" '
        'style="background:#fffdf9;border:1px solid #e4dfd4;border-radius:12px"><tr>'
        '<td style="padding:16px 18px">'
        f'<p class="ink" style="{_style(16, "#1d2327", 650)};margin:0">{_e(need.head)}</p>{body}'
        f'<a class="go" href="{_e(need.link)}" style="{_style(15, "#ffffff", 600)};'
        "display:inline-block;background:#1f7a63;text-decoration:none;border-radius:10px;"
        'padding:12px 18px">Look and answer</a></td></tr></table>'
    )


def _row(inside: str) -> str:
    return f'<tr><td style="padding:0 0 14px">{inside}</td></tr>'


def _style(size: int, colour: str, weight: int = 400) -> str:
    return f"{_FONT};font-size:{size}px;line-height:1.45;font-weight:{weight};color:{colour}"


def _e(text: str) -> str:
    return html.escape(text, quote=True)
