"""Say what a block would have done in the last days, and what a trial of it would watch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel import catalogue, never
from guardian.intel.names import is_below, normalise
from guardian.model import words
from guardian.store import forecasts
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardian.store import Reader, Store

_ORDER = [str(each) for each in ("none", "feature", "unknown", "device")]
WATCH = (
    "retry storms: the same name asked for much more often than before",
    "new fallback names: what the device asks for only once it is blocked",
    "a switch to bare addresses, without a DNS answer before",
    "a switch to another resolver or to encrypted DNS",
)
"""What a trial looks for; 20 % of flows appeared only after a block in *The Forest Behind the
Tree* (arXiv 2502.08535)."""
MAX_NAMES = 50
SHOWN = 3
"""Devices and things that break, named in a sentence; the rest is counted."""


def forecast(
    store: Store,
    names: Sequence[str],
    device_id: str | None = None,
    days: int = 7,
    *,
    now: datetime | None = None,
    addresses: Sequence[str] = (),
    device_ips: Sequence[str] = (),
) -> dict[str, Any]:
    """Replay the last days against a block of these names and all below them.

    The answer holds ``queries``, ``devices`` (each with its own) and ``by_day``, the
    ``names`` below that were asked for with what the catalogue says breaks, who had
    ``spoken`` to them (also without a question that was seen), the worst ``breakage``,
    ``refused`` (names that can never be blocked), who ``reached`` the ``addresses``, what
    a trial would ``watch``, and all that as sentences (``told``). ``device_ips`` (or those
    of ``device_id``) limit it to one device.
    """
    until = now or utc_now()
    since = until - timedelta(days=days)
    wanted = [clean for name in names if (clean := normalise(name))]
    rules = never.load()
    refused = {name: held for name in wanted if (held := rules.covered(name))}
    wanted = [name for name in wanted if name not in refused]
    with store.read() as reader:
        ips = list(device_ips) or _held(reader, device_id)
        looked = forecasts.look_back(
            reader, wanted, subdomains=True, device_ips=ips, since=since, until=until
        )
        days_asked = forecasts.by_day(reader, wanted, device_ips=ips, since=since, until=until)
        spoken = forecasts.spoken(reader, wanted, device_ips=ips, since=since, until=until)
        reached = (
            forecasts.reached(reader, addresses, device_ips=ips, since=since, until=until)
            if addresses
            else []
        )
        below = forecasts.names_below(reader, wanted, since=since, until=until, limit=MAX_NAMES)
    rows = [_row(name) for name in dict.fromkeys((*wanted, *below))]
    hit = [row for row in rows if row["entry"]]
    worst = max((row["breakage"] for row in hit), key=_ORDER.index, default="unknown")
    found = {
        "days": days,
        "since": since.isoformat() + "Z",
        **looked,
        "by_day": [{"day": str(row["day"]), "queries": row["queries"]} for row in days_asked],
        "reached": reached,
        "spoken": spoken,
        "names": rows,
        "breakage": worst,
        "breaks": sorted({row["breaks"] for row in hit if row["breaks"]}),
        "refused": refused,
        "watch": list(WATCH),
        "covers": [name for name in below if any(is_below(name, parent) for parent in wanted)],
    }
    return {**found, "told": told(found)}


def _held(reader: Reader, device_id: str | None) -> list[str]:
    """Return every address that a device ever held."""
    rows = reader.rows(
        "SELECT DISTINCT ip FROM v_device_address WHERE device_id = $id", {"id": device_id}
    )
    return [row["ip"] for row in rows]


def told(found: Mapping[str, Any]) -> list[str]:
    """Return a forecast as sentences: how often, on which devices, and what may break."""
    days = int(found["days"])
    sentences = []
    if found["queries"]:
        who = words.sentence_list(
            [
                f"{words.clean(each['name'], 40)} {words.number(each['queries'])}×"
                for each in found["devices"][:SHOWN]
            ]
        )
        more = found["device_count"] - SHOWN
        rest = f" and {words.counted(more, 'more device', 'more devices')}" if more > 0 else ""
        asked = words.counted(found["queries"], "question", "questions")
        on = len(found["by_day"])
        sentences.append(
            f"In the last {days} days it would have stopped {asked}, on "
            f"{words.counted(on, 'day', 'days')}: {who}{rest}."
        )
    elif found["spoken"]:
        who = words.sentence_list(
            [
                f"{words.clean(each['name'], 40)} {words.number(each['flows'])}×"
                for each in found["spoken"][:SHOWN]
            ]
        )
        sentences.append(
            f"In the last {days} days nobody was seen to ask for these names, but connections to "
            f"them were seen: {who}. A block works on those only if they ask the house's DNS."
        )
    elif found["reached"]:
        who = words.sentence_list(
            [
                f"{words.clean(each['name'], 40)} {words.number(each['flows'])}×"
                for each in found["reached"][:SHOWN]
            ]
        )
        sentences.append(f"In the last {days} days it would have stopped connections of {who}.")
    else:
        sentences.append(f"In the last {days} days it would have stopped nothing.")
    sentences.append(_breaking(found))
    if found["refused"]:
        names = words.sentence_list([words.clean(name, 60) for name in found["refused"]][:SHOWN])
        sentences.append(f"Never blocked, whoever asks: {names}.")
    return sentences


def _breaking(found: Mapping[str, Any]) -> str:
    if found["breaks"]:
        what = words.sentence_list([words.clean(each, 100) for each in found["breaks"][:SHOWN]])
        return f"Likely to break: {what}."
    return {
        "none": "Nothing is known to break.",
        "device": "The device may stop working as usual.",
        "feature": "One feature of it may stop working.",
    }.get(found["breakage"], "What else needs these names is not known.")


def _row(name: str) -> dict[str, Any]:
    entry = catalogue.load().match(name)
    if entry is None:
        return {"name": name, "entry": None, "company": None, "service": None,
                "breakage": "unknown", "breaks": None}  # fmt: skip
    return {
        "name": name,
        "entry": entry.id,
        "company": entry.company,
        "service": entry.service,
        "breakage": str(entry.breakage),
        "breaks": entry.breaks or None,
    }
