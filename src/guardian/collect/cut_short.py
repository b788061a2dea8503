"""Tell of a capture whose packets were cut so short that no connection can be read in it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from guardian.collect import captures

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_AT_FRAMES = 5000
"""So many frames show how a capture was made."""
WHOLE_BYTES = 54
"""Ethernet, IPv4 and TCP without options: with less there is no port and no flag to read."""
_FLOW = b'"event_type":"flow"'
_SMALL_LOG_BYTES = 1 << 20
"""A longer log of Suricata holds connections; it is not searched."""


def words(capture: Path, eve: Path) -> str | None:
    """Return what to say, in one line, of a capture that gave no connection for that reason."""
    if eve.exists() and (eve.stat().st_size > _SMALL_LOG_BYTES or _FLOW in eve.read_bytes()):
        return None
    kept = _kept(capture)
    if kept is None:
        return None
    return (
        f"{capture}: its packets were cut to {kept} bytes when they were captured, too short for "
        "addresses and ports: there is nothing in it to judge (capture them whole)"
    )


def _kept(capture: Path) -> int | None:
    """Return the length that packets were cut to; None when enough is left, or none was cut."""
    longest = seen = cut = 0

    def look(_link: int, data: bytes, begin: int, end: int) -> bool:
        # A packet's length on the wire stands right before its bytes, in both formats; the
        # order of its bytes is the one in which it is a length: frames are no gigabytes.
        nonlocal longest, seen, cut
        seen += 1
        length = min(struct.unpack_from(order, data, begin - 4)[0] for order in ("<I", ">I"))
        longest = max(longest, end - begin)
        cut += length > end - begin
        return seen >= LOOKED_AT_FRAMES

    try:
        next(captures.frames(capture, look), None)
    except (captures.DamagedError, OSError):
        return None  # said elsewhere
    return longest if cut and longest < WHOLE_BYTES else None
