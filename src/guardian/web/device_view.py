"""Gather what a device's page shows: its day, what is usual, where it goes, who it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import (
    baselines,
    device_book,
    merges,
    pages,
    pages_evidence,
    pages_listened,
    reconcile,
    rhythms,
)
from guardian.web import draw, draw_device
from guardian.web.device_words import NAMED_SHORT

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader
    from guardian.web.site import Site

HOUR = timedelta(hours=1)
LEARN = timedelta(days=baselines.LEARN_DAYS)


def view(site: Site, reader: Reader, row: pages.Row) -> dict[str, Any]:
    """Return the parts of a device's page."""
    device_id = row["device_id"]
    window = pages.window(reader, site.now())
    since, until = window.since, window.until
    ids = device_book.members(reader, device_id)
    addresses = device_book.addresses(reader, ids)
    held = [each["ip"] for each in addresses][:50]
    heard = pages_listened.listened(reader, since=since, until=until, sources=held, limit=20)
    found = [each for one in ids[:10] for each in pages.incidents(reader, device_id=one, limit=20)]
    network = reader.one("SELECT * FROM v_device_segment WHERE device_id = ?", [device_id])
    return {
        **_day(site, reader, held, since, until),
        **_usual(site, reader, row, since, until),
        **_explained(site, reader, device_id, since, until),
        "addresses": addresses,
        "identity": device_book.identity(reader, ids),
        "like": rhythms.likenesses(reader, device_id=device_id)[:3],
        "merged": device_book.merged(reader, device_id),
        "alike": merges.proposals(reader, device_id=device_id),
        "events": device_book.events(reader, ids, limit=20),
        "destinations": device_book.destinations(reader, device_id, limit=20),
        "network": network or {},
        "heard": heard,
        "rows": sorted(found, key=lambda each: each["last_seen"], reverse=True)[:20],
    }


def named(reader: Reader, rows: list[pages.Row]) -> list[pages.Row]:
    """Return evidence rows with what their destinations are called, and who said so."""
    pairs = [(row["src_ip"], row["dest_ip"]) for row in rows if row["src_ip"] and row["dest_ip"]]
    known = device_book.place_names(reader, pairs) if pairs else {}
    found = []
    for row in rows:
        place = known.get((row["src_ip"], row["dest_ip"]))
        name, said = (place["name"], NAMED_SHORT[place["source"]]) if place else (None, None)
        found.append({**row, "dest_name": name, "dest_said": said})
    return found


def _day(
    site: Site, reader: Reader, held: list[str], since: datetime, until: datetime
) -> dict[str, Any]:
    slots = pages_evidence.day_strip(reader, held, since=since, until=until)
    flows, asked = (sum(slot[key] for slot in slots) for key in ("flows", "asked"))
    label = (
        f"The device's day: {words.counted(flows, 'connection', 'connections')}, "
        f"{words.counted(asked, 'name looked up', 'names looked up')}"
    )
    return {
        "strip": draw.strip(slots, since, label) if slots else None,
        "label": label,
        "began": f"{words.local(since, site.zone):%H:%M}",
        "up": sum(slot["up"] or 0 for slot in slots),
        "down": sum(slot["down"] or 0 for slot in slots),
    }


def _usual(
    site: Site, reader: Reader, row: pages.Row, since: datetime, until: datetime
) -> dict[str, Any]:
    """Return the chart of the day against the usual band, or how far learning is."""
    known = {each.metric: each for each in baselines.baselines(reader, device_id=row["device_id"])}
    sent = known.get("bytes_up")
    began = sent.since if sent else row["first_seen"]
    day = min(baselines.LEARN_DAYS, max(1, (until - began).days + 1))
    hours = baselines.day(
        reader,
        row["device_id"],
        since=since,
        until=min(until, since + 24 * HOUR),
        offset_s=_offset_s(site, until),
    )[-24:]
    if not (sent and sent.learned):
        hours = [{**each, "low": None, "high": None} for each in hours]
    over = [each for each in hours if each["high"] is not None and each["up"] > each["high"]]
    clock = [f"{words.local(each['bucket'], site.zone):%H}" for each in hours]
    total = sum(each["up"] for each in hours)
    text = f"{words.size(total)} sent out of the house in this day"
    if sent and sent.learned:
        text += (
            f"; more than usual in {words.counted(len(over), 'hour', 'hours')}"
            if over
            else "; no hour was above what is usual"
        )
    return {
        "usual": known,
        "learned": bool(sent and sent.learned),
        "learning_day": day,
        "learn_days": baselines.LEARN_DAYS,
        "learned_from": began + LEARN,
        "band": draw_device.band(hours, clock, text) if total or sent else None,
        "band_label": text,
    }


def _explained(
    site: Site, reader: Reader, device_id: str, since: datetime, until: datetime
) -> dict[str, Any]:
    """Return how much of the device's day the home's DNS explains, and the drawing of it."""
    first = since.replace(minute=0, second=0, microsecond=0)
    rows = reconcile.coverage(reader, since=first, until=until, device_id=device_id)
    slots = reconcile.timeline(reader, device_id, since=first, until=until)
    if not rows:
        return {"covered": None, "covered_chart": None}
    (one,) = rows
    odd = sum(slot["unexplained"] for slot in slots)
    clock = [f"{words.local(first + n * HOUR, site.zone):%H}" for n in range(24)]
    label = (
        f"{words.counted(one.explained, 'connection', 'connections')} explained by the home's DNS, "
        f"{words.counted(odd, 'connection', 'connections')} not"
    )
    return {
        "covered": one,
        "covered_chart": draw_device.explained(slots, first, clock, label),
    }


def _offset_s(site: Site, moment: datetime) -> int:
    """Return how many seconds the house's clock is ahead of UTC at a moment."""
    ahead = words.local(moment, site.zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
