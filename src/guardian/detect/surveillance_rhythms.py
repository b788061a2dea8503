"""Learn the rhythms that the things of this home keep, and say when one changed its habit.

A thing that has called one name at one period for a week is explained by that: it is a
habit. When the period or the destination shifts for two days while the thing is there,
its software has probably changed; that is told, with before and after. Implants keep
time too: so nothing is learned of laptops, phones and servers, of bare addresses, nor
of a device or name that an attack finding is about.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel import fingerprints
from guardian.intel.names import is_below
from guardian.model.finding import ATTACK_CLASSES, Finding, FindingClass, Level
from guardian.store import rhythms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from guardian.detect.base import Window
    from guardian.detect.settings import Settings
    from guardian.store import Reader, Store

GADGETS = (
    "tv",
    "speaker",
    "camera",
    "doorbell",
    "plug",
    "hub",
    "appliance",
    "printer",
    "console",
    "unknown",
)
"""Kinds of devices whose rhythms are their maker's choice, not a program that somebody ran."""
WEEK_DAYS = 10
LEAST_DAYS = 7
"""Of the last ten days, so many must show the rhythm: a week, with days off."""
SPREAD = 0.1
"""Within these days the period may wander by so much of itself."""
SHIFT = 0.15
SHIFT_S = 2.0
"""A period further off than both of these is another one."""
CHANGED_DAYS = 2
"""Days that must show a change: one may be an outage or an update."""
LIKE_DAYS = 3
SHOWN = 3
"""Measured devices named in a suggestion that fits several."""
OBSERVABLE_S = 7200.0
"""Longer periods do not show within a day and are not asked for when devices are compared."""
ATTACKS = sorted(map(str, ATTACK_CLASSES))


def update(store: Store, *, now: datetime) -> int:
    """Take the rhythms of days that are over, learn from them, and compare with known devices.

    Returns how many rhythms are new.
    """
    if not rhythms.update(store):
        return 0
    with store.read() as reader:
        last = rhythms.last_day(reader)
        assert last is not None
        rows = rhythms.stable(
            reader, last=last, days=WEEK_DAYS, least=LEAST_DAYS, spread=SPREAD, kinds=GADGETS,
            attacks=ATTACKS,
        )  # fmt: skip
        like = list(_likenesses(reader, last))
    with store.transaction() as tx:
        rhythms.forget(tx, attacks=ATTACKS)
        fresh = rhythms.learn(tx, rows, now=now)
        rhythms.set_likenesses(tx, like, now=now)
    return fresh


def _likenesses(reader: Reader, last: date) -> Iterator[dict[str, Any]]:
    """Yield the measured device that each nameless one is most like, where one is."""
    days = [last - timedelta(days=n) for n in range(LIKE_DAYS)]
    kept: dict[str, list[tuple[str, float]]] = {}
    for row in rhythms.of_days(reader, days):
        kept.setdefault(row["device_id"], []).append((row["name"], row["period_s"]))
    known: dict[str, list[fingerprints.Fingerprint]] = {}
    for print_ in fingerprints.load():
        if print_.proto in ("TCP", "UDP") and print_.period_s <= OBSERVABLE_S:
            known.setdefault(print_.device, []).append(print_)
    for device in rhythms.nameless(reader):
        best = _best(kept.get(device["device_id"], []), known)
        if best is not None:
            yield {"device_id": device["device_id"], **best}


def _best(
    kept: list[tuple[str, float]], known: dict[str, list[fingerprints.Fingerprint]]
) -> dict[str, Any] | None:
    found = []
    for model, prints in known.items():
        matched = [
            each for each in prints if any(each.explains(name, period) for name, period in kept)
        ]
        enough = len(matched) >= 2 or (len(matched) == 1 and len(prints) <= 2)
        if enough and len(matched) >= 0.4 * len(prints):
            found.append((len(matched), len(matched) / len(prints), model, matched, len(prints)))
    if not found:
        return None
    found.sort(key=lambda each: (-each[0], -each[1], each[2]))
    most, _, _, matched, total = found[0]
    # What several measured devices do alike is no sign of one of them.
    alike = [each[2] for each in found if each[0] == most]
    shown = " or ".join(alike[:SHOWN]) + (" or one like them" if len(alike) > SHOWN else "")
    said = " and ".join(f"{each.host} every {each.period_s:g} s" for each in matched[:3])
    known_of = f"{len(matched)} of {total} rhythms known of it"
    if len(alike) > 1:
        known_of = f"{len(alike)} measured devices do"
    reason = f"because it calls {said}, as a measured “{shown}” does ({known_of})"
    return {"device": shown, "matched": len(matched), "known": total, "reason": reason}


class HabitDetector:
    """Say when a thing's learned rhythm took another period or another destination."""

    name = "surveillance.habit"
    reads = ("flow",)
    window_s = 0

    def find(self, reader: Reader, window: Window, settings: Settings) -> Iterable[Finding]:
        """Yield a finding for each habit that changed in the last whole days."""
        del window, settings  # it reads whole days, not rows
        last = rhythms.last_day(reader)
        known = rhythms.learned(reader)
        if last is None or not known:
            return
        days = [last - timedelta(days=n) for n in reversed(range(CHANGED_DAYS))]
        now: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {}
        for row in rhythms.of_days(reader, days):
            of_device = now.setdefault(row["device_id"], {})
            of_device.setdefault((row["proto"], row["name"]), []).append(row)
        active = rhythms.active_days(reader, since=days[0], until=last + timedelta(days=1))
        for habit in known:
            device = habit["device_id"]
            if all((device, day) in active for day in days):
                mine = set(_keys(known, device))
                yield from _changed(habit, now.get(device, {}), mine, days)


def _keys(known: list[dict[str, Any]], device: str) -> Iterator[tuple[str, str]]:
    return ((row["proto"], row["name"]) for row in known if row["device_id"] == device)


def _changed(
    habit: dict[str, Any],
    now: dict[tuple[str, str], list[dict[str, Any]]],
    mine: set[tuple[str, str]],
    days: list[date],
) -> Iterator[Finding]:
    same = now.get((habit["proto"], habit["name"]), [])
    if len(same) == len(days) and all(_other(row["period_s"], habit["period_s"]) for row in same):
        yield _finding(habit, habit["name"], same, days)
    if same:
        return
    for key, rows in now.items():
        moved = len(rows) == len(days) and key not in mine and key[0] == habit["proto"]
        if moved and not any(_other(row["period_s"], habit["period_s"]) for row in rows):
            yield _finding(habit, key[1], rows, days)


def _other(period_s: float, before_s: float) -> bool:
    return abs(period_s - before_s) > max(SHIFT_S, SHIFT * before_s)


def _finding(
    habit: dict[str, Any], name: str, rows: list[dict[str, Any]], days: list[date]
) -> Finding:
    period = rows[-1]["period_s"]
    moved = name != habit["name"]
    related = moved and (is_below(name, habit["name"]) or is_below(habit["name"], name))
    said = (
        f"Calls {name} every {period:g} s, no longer {habit['name']}"
        if moved
        else f"Calls {name} every {period:g} s, no longer every {habit['period_s']:g} s"
    )
    return Finding(
        finding_class=FindingClass.NEW_DESTINATION if moved else FindingClass.IOT_TELEMETRY,
        level=Level.LOW if moved and not related else Level.INFORMATIONAL,
        detector=HabitDetector.name,
        title=f"{said}: consistent with new software",
        key=f"habit>{habit['proto']}>{habit['name']}>{name}/{round(period)}",
        device_id=habit["device_id"],
        peers=(name, habit["name"]) if moved else (name,),
        first_seen=datetime.combine(days[0], time()),
        last_seen=datetime.combine(days[-1], time(23, 59, 59)),
        count=sum(row["calls"] for row in rows),
        facts={
            "before_name": habit["name"], "after_name": name,
            "before_period_s": habit["period_s"], "after_period_s": period,
            "interval_s": period, "calls": sum(row["calls"] for row in rows),
            "days": len(days), "destination": name,
        },
    )  # fmt: skip
