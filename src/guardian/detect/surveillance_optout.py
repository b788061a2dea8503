"""Tell whether switching something off worked: contacts before against contacts after.

The test is the exact comparison of two Poisson rates. Given all contacts of both
spans, those after the switch are binomial with the share of active hours that lie
after it, when nothing changed; the one-sided chance of so few is ``p_value``. Hours
count only when the device was seen at all, so that a set that was off proves nothing.
Contacts come in bursts: both counts are divided by the hourly counts' dispersion
(variance over mean, where above one) first, which asks for more data, never for less.

A device that hides its names has not stopped: where it took up addresses that nobody
told it, or another resolver, since the switch, fewer names alone are no answer.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from statistics import fmean, median, pvariance
from typing import TYPE_CHECKING, Any

from guardian.store import fallbacks, findings, privacy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardian.store import Reader, Store

BEFORE_DAYS = 14
"""How far back the habit before the switch is taken from: two of each weekday."""
GRACE_S = 600
"""What is sent in the ten minutes after the switch counts for neither side."""
MIN_HOURS = 3
"""Active hours after the switch below which nothing is said."""
MIN_EXPECTED = 5.0
"""Contacts (after dividing by dispersion) that would be expected, were nothing changed: with
fewer, none at all would still be likely (e to the minus five is 0.7 %)."""
SURE = 0.01
"""Chance of a wrong *reduced* or *stopped* that is taken."""
HALF = 0.5
"""A rate of at most half the one before is called reduced."""
TEST = "exact Poisson rate comparison per active hour, one-sided"
MIN_GAPS = 5
"""Gaps between contacts below which no period is told."""
EVEN = 0.1
"""Median absolute deviation of the gaps over their median, up to which contacts keep time."""
HIDDEN_SHARE = 0.1
"""Of the bytes that are missing since; so much sent to new addresses without a name may be them."""
SHOWN = 5
"""New addresses and resolvers that are told."""
MARK = "surveillance.opt_out"
EVERY_S = 3600
"""How often the answers are worked out again: new hours are what can change one."""


class Answer(StrEnum):
    """What is said of a switch."""

    STOPPED = "stopped"
    REDUCED = "reduced"
    UNCHANGED = "unchanged"
    TOO_EARLY = "too early"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a device did in its active hours of a span of time."""

    hours: int
    contacts: int
    bytes_up: int

    @property
    def per_hour(self) -> float:
        """Contacts an active hour."""
        return self.contacts / self.hours if self.hours else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answer with all that it rests on; ``p_value`` is None where nothing was tested."""

    answer: Answer
    before: Span
    after: Span
    dispersion: float
    p_value: float | None
    why: str
    period_before_s: float | None = None
    period_after_s: float | None = None
    new_addresses: tuple[str, ...] = ()
    new_resolvers: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "answer": str(self.answer),
            "why": self.why,
            "before": _span_json(self.before),
            "after": _span_json(self.after),
            "dispersion": round(self.dispersion, 2),
            "p_value": self.p_value,
            "test": TEST,
            "period_before_s": self.period_before_s,
            "period_after_s": self.period_after_s,
            "new_addresses": list(self.new_addresses),
            "new_resolvers": list(self.new_resolvers),
        }


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "active_hours": span.hours,
        "contacts": span.contacts,
        "contacts_per_hour": round(span.per_hour, 2),
        "bytes_up": span.bytes_up,
    }


def keep_checking(store: Store, *, now: datetime) -> int:
    """Work out every answer again when an hour has passed; keep those that changed.

    Returns how many changed. Page, letter and command line tell what is kept here.
    """
    with store.read() as reader:
        mark = findings.marks(reader).get(MARK)
        rows = privacy.opt_outs(reader)
        if not rows or (mark and abs((now - mark.ran_at).total_seconds()) < EVERY_S):
            return 0
        found = [(row["id"], check(reader, row, now=now)) for row in rows]
    with store.transaction() as tx:
        changed = sum(
            privacy.note_answer(tx, number, str(it.answer), json.dumps(it.as_json()), now=now)
            for number, it in found
        )
        findings.set_mark(tx, MARK, last_id=0, ran_at=now, seconds=0)
    return changed


def check_all(store: Store, *, now: datetime) -> list[dict[str, Any]]:
    """Return every recorded switch with its answer as of now."""
    with store.read() as reader:
        return [
            {
                **{key: row[key] for key in ("id", "device_id", "device", "class", "company")},
                "switched_off_at": row["switched_off_at"].isoformat() + "Z",
                "author": row["author"],
                "note": row["note"],
                **check(reader, row, now=now).as_json(),
            }
            for row in privacy.opt_outs(reader)
        ]


def check(reader: Reader, opt_out: Mapping[str, Any], *, now: datetime) -> Comparison:
    """Compare what a device did before and after what a person says was switched off."""
    off: datetime = opt_out["switched_off_at"]

    def span(since: datetime, until: datetime) -> list[dict[str, Any]]:
        return privacy.hourly(
            reader, device_id=opt_out["device_id"], finding_class=opt_out["class"],
            company=opt_out["company"], since=since, until=until,
        )  # fmt: skip

    def period(since: datetime, until: datetime) -> float | None:
        found = privacy.moments(
            reader, device_id=opt_out["device_id"], finding_class=opt_out["class"],
            company=opt_out["company"], since=since, until=until,
        )  # fmt: skip
        return even_period(found)

    first, grace = off - timedelta(days=BEFORE_DAYS), off + timedelta(seconds=GRACE_S)
    found = replace(
        compare(span(first, off), span(grace, now)),
        period_before_s=period(first, off),
        period_after_s=period(grace, now),
    )
    if found.answer not in {Answer.STOPPED, Answer.REDUCED}:
        return found
    return _doubted(reader, found, opt_out["device_id"], since=off, until=now, known_since=first)


def _doubted(
    reader: Reader, found: Comparison, device_id: str, *, since: datetime, until: datetime,
    known_since: datetime,
) -> Comparison:  # fmt: skip
    """Return the answer, taken back where the device may have hidden its names since."""
    ips = [
        row["ip"]
        for row in reader.rows(
            "SELECT DISTINCT ip FROM v_device_address WHERE device_id = ? ORDER BY ip LIMIT 200",
            [device_id],
        )
    ]
    bare = fallbacks.bare_addresses(reader, ips, since=since, until=until, known_since=known_since)
    resolvers = fallbacks.other_resolvers(
        reader, ips, since=since, until=until, known_since=known_since
    )
    found = replace(
        found,
        new_addresses=tuple(row["ip"] for row in bare[:SHOWN]),
        new_resolvers=tuple(row["resolver"] for row in resolvers[:SHOWN]),
    )
    before, after = found.before, found.after
    missing = before.bytes_up / max(before.hours, 1) * after.hours - after.bytes_up
    sent = sum(row["bytes_up"] or 0 for row in bare)
    if bare and sent >= HIDDEN_SHARE * missing:
        why = f"it sends to addresses that it asked no name for: {', '.join(found.new_addresses)}"
    elif resolvers and not before.bytes_up:
        why = f"it asks another resolver: {', '.join(found.new_resolvers)}"
    else:
        return found
    return replace(found, answer=Answer.UNCLEAR, why=f"{found.why} by name; but {why}")


def even_period(moments: Sequence[datetime]) -> float | None:
    """Return the period that contacts keep, in seconds, or None when they keep none."""
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(moments)]
    if len(gaps) < MIN_GAPS:
        return None
    usual = median(gaps)
    if usual <= 0 or median(abs(gap - usual) for gap in gaps) > EVEN * usual:
        return None
    return round(usual, 1)


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare two lists of active hours, each with ``contacts`` and ``bytes_up``."""
    first, then = _span(before), _span(after)
    dispersion = _dispersion([row["contacts"] for row in before])
    p_value: float | None = None
    if not first.contacts:
        answer, why = Answer.TOO_EARLY, "there was nothing to switch off: no contact before"
    elif then.hours < MIN_HOURS:
        answer = Answer.TOO_EARLY
        why = f"it was on for {then.hours} h since; {MIN_HOURS} are needed"
    elif first.per_hour * then.hours / dispersion < MIN_EXPECTED and (
        then.per_hour < first.per_hour
    ):
        answer, why = Answer.TOO_EARLY, "at its earlier rate, so few contacts could be chance"
    else:
        p_value = fewer_by_chance(
            first.contacts / dispersion, first.hours, then.contacts / dispersion, then.hours
        )
        answer, why = _answer(first, then, p_value)
    return Comparison(
        answer=answer, before=first, after=then, dispersion=dispersion, p_value=p_value, why=why
    )


def _rate(span: Span) -> str:
    """Return how often in words: by the hour, or by the day of 24 such hours when seldom."""
    if span.per_hour >= 1 or not span.contacts:
        return f"{span.per_hour:.1f} contacts an hour"
    return f"{span.contacts} in {span.hours} hours"


def _answer(first: Span, then: Span, p_value: float) -> tuple[Answer, str]:
    rates = f"{_rate(first)} before, {_rate(then)} since"
    if p_value < SURE and then.contacts == 0:
        return Answer.STOPPED, f"{_rate(first)} before, none since"
    if p_value < SURE and then.per_hour <= HALF * first.per_hour:
        return Answer.REDUCED, rates
    return Answer.UNCHANGED, rates


def _span(rows: Sequence[Mapping[str, Any]]) -> Span:
    return Span(
        hours=len(rows),
        contacts=sum(row["contacts"] for row in rows),
        bytes_up=sum(row["bytes_up"] for row in rows),
    )


def _dispersion(counts: Sequence[int]) -> float:
    """Return variance over mean of hourly counts, at least one."""
    mean = fmean(counts) if counts else 0.0
    return max(1.0, pvariance(counts) / mean) if mean else 1.0


def fewer_by_chance(before: float, hours_before: float, after: float, hours_after: float) -> float:
    """Return the chance of at most ``after`` events, were the rate that of ``before``.

    Counts are rounded against a finding: fewer before, more after.
    """
    total_before, observed = math.floor(before), math.ceil(after)
    total = total_before + observed
    share = hours_after / (hours_before + hours_after)
    if total == 0 or not 0 < share < 1:
        return 1.0
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        + k * math.log(share) + (total - k) * math.log1p(-share)
        for k in range(observed + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))
