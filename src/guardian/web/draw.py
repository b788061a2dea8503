"""Draw what is better seen: a rhythm as dots, a day as a strip, shares as bars.

Drawings are inline SVG made of numbers alone, so nothing a stranger wrote can be in
them, and sized by attributes, since the page allows no inline style. Each is shown
beside its text equivalent.
"""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

WIDTH, HEIGHT = 640, 74
MIDDLE = HEIGHT / 2
MAX_DOTS = 64
"""More dots than this run into one line."""
MAX_FAINT = 150


def rhythm(dots: Sequence[datetime], others: Sequence[datetime], label: str) -> Markup:
    """Return one dot per contact along a line, and faint ones for the device's other calls.

    A contact sits above or below the line by how early or late it came, against the
    usual gap; the device's other calls are scattered, for contrast.
    """
    if len(dots) < 2:
        return Markup("")
    dots = dots[-MAX_DOTS:]
    first, last = dots[0], dots[-1]
    span_s = (last - first).total_seconds() or 1.0
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(dots)]
    usual_s = statistics.median(gaps) or 1.0
    marks = [_dot(first, span_s, dots[0], MIDDLE, 3.2)]
    for moment, gap_s in zip(dots[1:], gaps, strict=True):
        late = max(-1.0, min(1.0, (gap_s - usual_s) / usual_s))
        marks.append(_dot(first, span_s, moment, MIDDLE + late * 26, 3.2))
    for number, moment in enumerate(others[-MAX_FAINT:]):
        if first <= moment <= last:
            level = 10 + (number * 37 % 55)  # spread, and the same at every drawing
            marks.append(_dot(first, span_s, moment, level, 2.0, ' class="other"'))
    line = f'<line x1="0" x2="{WIDTH}" y1="{MIDDLE}" y2="{MIDDLE}"/>'
    return _svg("rhythm", WIDTH, HEIGHT, label, line + "".join(marks))


def strip(slots: Sequence[Mapping[str, Any]], since: datetime, label: str) -> Markup:
    """Return a day as 144 columns of ten minutes: flows up, look-ups below the line."""
    columns = 144
    flows, asked = [0] * columns, [0] * columns
    for slot in slots:
        place = int((slot["slot"] - since).total_seconds() // 600)
        if 0 <= place < columns:
            flows[place] += int(slot["flows"] or 0)
            asked[place] += int(slot["asked"] or 0)
    top, bottom = max(*flows, 1), max(*asked, 1)
    step = WIDTH / columns
    parts = ['<line x1="0" x2="640" y1="50" y2="50"/>']
    for place in range(columns):
        if flows[place]:
            tall = max(1.5, 46 * (flows[place] / top) ** 0.5)
            parts.append(_column(place * step, 49 - tall, step - 1, tall, "up"))
        if asked[place]:
            tall = max(1.5, 20 * (asked[place] / bottom) ** 0.5)
            parts.append(_column(place * step, 51, step - 1, tall, "asked"))
    return _svg("strip", WIDTH, HEIGHT, label, "".join(parts))


def bar(share: float) -> Markup:
    """Return a bar filled to a share of 0 to 1; its number stands beside it in words."""
    width = max(1.5, min(100.0, 100 * share)) if share > 0 else 0
    return Markup(
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" width="100" height="4"/>'
        '<rect class="fill" width="{width}" height="4"/></svg>'
    ).format(width=round(width, 1))


def weeks(counts: Sequence[int | None], label: str) -> Markup:
    """Return one column for each week, oldest first; a week that was not seen is a dash."""
    top = max((count for count in counts if count), default=0) or 1
    step = 12
    parts = []
    for place, count in enumerate(counts):
        if count is None:
            parts.append(f'<rect class="none" x="{place * step}" y="16" width="9" height="1"/>')
            continue
        tall = max(1.5, 17 * count / top) if count else 1.0
        kind = "now" if place == len(counts) - 1 else "then"
        parts.append(
            f'<rect class="{kind}" x="{place * step}" y="{18 - tall:.1f}" width="9" '
            f'height="{tall:.1f}" rx="1"/>'
        )
    return _svg("weeks", step * len(counts), 18, label, "".join(parts))


def year(counts: Sequence[int | None], label: str) -> Markup:
    """Return one column for each week of a year, oldest first; a week not seen is a dash."""
    top = max((count for count in counts if count), default=0) or 1
    step, high = 7, 72
    parts = []
    for place, count in enumerate(counts):
        if count is None:
            parts.append(_column(place * step, high - 2, step - 2, 1, "none"))
            continue
        tall = max(2.0, (high - 6) * count / top)
        parts.append(_column(place * step, high - tall, step - 2, tall, "up"))
    return _svg("strip", step * len(counts) - 2, high, label, "".join(parts))


def interval(share: Mapping[str, Any]) -> Markup:
    """Return a share as a dot on a rail, with its 95 % interval as a band around it."""
    if share["share"] is None:
        return Markup("")
    low, high, at = (100 * share[key] for key in ("low", "high", "share"))
    label = f"{at:.0f} %, between {low:.0f} and {high:.0f} %"
    return _svg(
        "interval", 112, 12, label,
        '<rect class="rail" x="6" y="5" width="100" height="2"/>'
        f'<rect class="fill" x="{6 + low:.1f}" y="3" width="{max(high - low, 1):.1f}" height="6"/>'
        f'<circle class="dot" cx="{6 + at:.1f}" cy="6" r="3"/>',
    )  # fmt: skip


def _dot(
    first: datetime, span_s: float, moment: datetime, y: float, radius: float, more: str = ""
) -> str:
    x = 6 + (WIDTH - 12) * (moment - first).total_seconds() / span_s
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"{more}/>'


def _column(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="1"/>'
    )


def _svg(kind: str, width: int, height: int, label: str, inside: str) -> Markup:
    return Markup(
        '<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    ).format(kind=kind, width=width, height=height, label=label) + Markup(inside + "</svg>")  # noqa: S704 - numbers alone
