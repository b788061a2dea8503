"""Tell whether switching something off worked: contacts before against contacts after.

The test is the exact comparison of two Poisson rates. Given all contacts of both
spans, those after the switch are binomial with the share of active hours that lie
after it, when nothing changed; the one-sided chance of so few is ``p_value``. Hours
count only when the device was seen at all, so that a set that was off proves nothing.
Contacts come in bursts: both counts are divided by the hourly counts' dispersion
(variance over mean, where above one) first, which asks for more data, never for less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from statistics import fmean, pvariance
from typing import TYPE_CHECKING, Any

from guardian.store import privacy

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


class Answer(StrEnum):
    """What is said of a switch."""

    STOPPED = "stopped"
    REDUCED = "reduced"
    UNCHANGED = "unchanged"
    TOO_EARLY = "too early"


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

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "answer": str(self.answer),
            "why": self.why,
            "before": _span_json(self.before),
            "after": _span_json(self.after),
            "dispersion": round(self.dispersion, 2),
            "p_value": self.p_value,
            "test": "exact Poisson rate comparison per active hour, one-sided",
        }


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "active_hours": span.hours,
        "contacts": span.contacts,
        "contacts_per_hour": round(span.per_hour, 2),
        "bytes_up": span.bytes_up,
    }


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

    before = span(off - timedelta(days=BEFORE_DAYS), off)
    after = span(off + timedelta(seconds=GRACE_S), now)
    return compare(before, after)


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


def _answer(first: Span, then: Span, p_value: float) -> tuple[Answer, str]:
    rates = f"{first.per_hour:.1f} contacts an hour before, {then.per_hour:.1f} since"
    if p_value < SURE and then.contacts == 0:
        return Answer.STOPPED, f"{first.per_hour:.1f} contacts an hour before, none since"
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
