"""What the memory of a daemon did during a soak: how much, and whether it grew.

Memory is a saw: a batch, a round of detectors or a compaction takes 50 to 200 MB for some
seconds and gives it back. A line of least squares through all samples follows those peaks. On
a made-up memory that does not grow at all, with 300 MB more in a third of all 20 s chosen by
chance, nine of ten such lines lay within 48 MB a minute of the truth when it was watched for
five minutes, within 14 for ten, within 2 for 36. What a leak raises is the ground on which the
saw stands. So each minute counts with its lower quartile (the level that it was at or below
for a quarter of the time; unlike the lowest sample no single moment decides it), and the slope
is the median of the slopes between all pairs of minutes (Theil and Sen), which a quarter of odd
minutes does not move far. The made-up memory has a slope of 0.0 then. Peaks that grow while
the ground stays are not seen by this, nor is a ground that rises slower than the limits:
``memory_by_minute`` and the share of samples above the target are there for a person to see.
"""

from __future__ import annotations

import statistics
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET_MB = 600.0
"""What the daemon should stay below."""
SLOPE_MB_PER_MIN = 3.0
"""A ground that rises faster than this is never flat."""
RISE_MB = 30.0
"""Nor is one that rose by more in the whole part judged: 5 % of the target. So the longer it is
watched, the less it may rise a minute: what is chance in four minutes is a leak in forty."""
WHOLE_SHARE = 0.5
"""A minute with fewer samples than this part of the usual number is left out of the slope."""

Samples = list[tuple[float, float]]
"""When (monotonic seconds) and how much (megabytes)."""


def minutes(samples: Samples, began: float) -> dict[int, list[float]]:
    """Return the samples by minute of the run, each minute's in order of size."""
    found: dict[int, list[float]] = {}
    for at, used in samples:
        found.setdefault(int((at - began) // 60), []).append(used)
    return {minute: sorted(values) for minute, values in sorted(found.items())}


def slope(levels: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between all pairs of points; 0 for fewer than two."""
    slopes = [
        (after - before) / (later - earlier)
        for (earlier, before), (later, after) in combinations(levels, 2)
        if later != earlier
    ]
    return statistics.median(slopes) if slopes else 0.0


def figures(samples: Samples, began: float, since: float, judged_s: float) -> dict[str, Any]:
    """Return what a soak says of memory; ``flat`` is None when there was too little to judge.

    ``since`` is when the part begins that flatness is judged by, of at least ``judged_s``.
    """
    calm = [(at, used) for at, used in samples if at >= since]
    by_minute = minutes(calm, since)
    usual = max((len(values) for values in by_minute.values()), default=0)
    grounds = [
        (float(minute), values[len(values) // 4])
        for minute, values in by_minute.items()
        if len(values) >= usual * WHOLE_SHARE
    ]
    watched_s = calm[-1][0] - calm[0][0] if calm else 0.0
    grew = slope(grounds)
    flat = grew <= min(SLOPE_MB_PER_MIN, RISE_MB / max(1.0, watched_s / 60))
    every = sorted(used for _, used in samples)
    return {
        "memory_judged_s": round(watched_s),
        "memory_most_mb": round(every[-1]) if every else 0,
        "memory_median_mb": round(every[len(every) // 2]) if every else 0,
        "memory_over_600_mb_share": round(sum(each > TARGET_MB for each in every) / len(every), 4)
        if every
        else 0.0,
        "memory_calm_most_mb": round(max((used for _, used in calm), default=0.0)),
        "memory_slope_mb_per_min": round(grew, 2),
        "memory_by_minute": [
            {"minute": minute, "p50": round(values[len(values) // 2]), "max": round(values[-1])}
            for minute, values in minutes(samples, began).items()
        ],
        "flat": flat if watched_s >= judged_s else None,
    }
