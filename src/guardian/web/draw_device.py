"""Draw a device's day against what is usual for it, and how much of it DNS explains.

As in ``draw``: inline SVG made of numbers alone, sized by attributes, each beside its
text equivalent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

WIDTH, HEIGHT = 640, 128
_FOOT = 22
"""Room below the columns for the hours."""


def band(hours: Sequence[Mapping[str, Any]], clock: Sequence[str], label: str) -> Markup:
    """Return 24 columns of what was sent, over the band of what is usual at that hour.

    ``clock`` are the hours' names, of which every sixth is written. The scale is a square
    root, so that a quiet hour can be seen beside a busy one.
    """
    if not hours:
        return Markup("")
    top = max([1.0, *(float(row["up"]) for row in hours), *(row["high"] or 0.0 for row in hours)])
    floor = HEIGHT - _FOOT
    step = WIDTH / len(hours)

    def height(value: float) -> float:
        return (floor - 4) * math.sqrt(max(0.0, value) / top)

    parts: list[str] = []
    for place, row in enumerate(hours):
        if row["high"] is not None:
            tall, low = height(row["high"]), height(row["low"])
            parts.append(_rect("usual", place * step, floor - tall, step, tall - low))
            middle = floor - height(row["expected"])
            parts.append(
                f'<line class="middle" x1="{place * step:.1f}" x2="{(place + 1) * step:.1f}" '
                f'y1="{middle:.1f}" y2="{middle:.1f}"/>'
            )
    for place, row in enumerate(hours):
        if row["up"]:
            tall = max(1.5, height(row["up"]))
            over = row["high"] is not None and row["up"] > row["high"]
            kind = "over" if over else "sent"
            parts.append(_rect(kind, place * step + 3, floor - tall, step - 6, tall))
    parts.append(f'<line x1="0" x2="{WIDTH}" y1="{floor}" y2="{floor}"/>')
    parts += _hours(clock, step)
    return _svg("band", label, "".join(parts))


def explained(
    slots: Sequence[Mapping[str, Any]], since: datetime, clock: Sequence[str], label: str
) -> Markup:
    """Return 24 columns of connections: explained above the line, unexplained below it."""
    up, down = [0] * 24, [0] * 24
    for slot in slots:
        place = int((slot["bucket"] - since).total_seconds() // 3600)
        if 0 <= place < 24:
            up[place] += int(slot["explained"])
            down[place] += int(slot["unexplained"])
    top = max(*up, *down, 1)
    line, step = 66, WIDTH / 24
    parts = [f'<line x1="0" x2="{WIDTH}" y1="{line}" y2="{line}"/>']
    for place in range(24):
        if up[place]:
            tall = max(1.5, 60 * (up[place] / top) ** 0.5)
            parts.append(_rect("sent", place * step + 3, line - 1 - tall, step - 6, tall))
        if down[place]:
            tall = max(1.5, 38 * (down[place] / top) ** 0.5)
            parts.append(_rect("over", place * step + 3, line + 1, step - 6, tall))
    parts += _hours(clock, step)
    return _svg("band", label, "".join(parts))


def _hours(clock: Sequence[str], step: float) -> list[str]:
    return [
        f'<text x="{place * step + 2:.1f}" y="{HEIGHT - 4}">{int(text):02d} h</text>'
        for place, text in enumerate(clock)
        if place % 6 == 0
    ]


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{max(height, 0):.1f}"/>'
    )


def _svg(kind: str, label: str, inside: str) -> Markup:
    return Markup(
        '<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    ).format(kind=kind, width=WIDTH, height=HEIGHT, label=label) + Markup(  # noqa: S704 - numbers
        inside + "</svg>"
    )
