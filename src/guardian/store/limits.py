"""How long rows are kept, and how much room they may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

TABLES = (
    "flow",
    "dns",
    "dns_log",
    "tls",
    "http",
    "quic",
    "fileinfo",
    "alert",
    "anomaly",
    "dhcp",
    "sighting",
    "raw_event",
)
"""The tables of events, which age; findings and incidents stay."""


_Table = Literal[
    "flow", "dns", "dns_log", "tls", "http", "quic", "fileinfo", "alert", "anomaly", "dhcp",
    "sighting", "raw_event",
]  # fmt: skip
_Days = Annotated[int, msgspec.Meta(ge=1)]
# What a file says is checked: a nought that was meant as "no limit" would delete every row.


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The ``[store]`` table of the configuration file."""

    hot_days: _Days = 7
    """Rows of so many days stay in the fast tier: detectors look back a week."""
    keep_days: _Days = 90
    """Rows older than this are deleted: a season, for "was this there before?". A row is as
    old as the smaller of two ages: since it happened, and since it was stored."""
    keep_days_by_table: tuple[tuple[_Table, _Days], ...] = (
        ("alert", 365),
        ("dhcp", 365),
        ("raw_event", 30),
        ("anomaly", 30),
    )
    """Exceptions, as (table, days): alerts and leases are few and tell most."""
    max_bytes: Annotated[int, msgspec.Meta(ge=256 << 20)] = 50 << 30
    """The whole store, both tiers, in bytes; the oldest days of event rows go first."""
    least_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """So much of ``max_bytes`` event rows keep, even where sums, findings and answers, which
    stay for good, outgrow the rest."""
    max_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.6
    """No table may take more than this share of ``max_bytes``."""
    free_floor_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Below this much free disk the oldest days go, whatever their age. None fits the disk: a
    twentieth of it, 192 MiB at least and 1 GiB at most (``room.floor_bytes``)."""
    rollup_5m_days: _Days = 30
    """Five-minute sums are kept for a month; hourly ones for good."""
    compact_waste: float = 0.5
    """When so much of the file is empty it is written anew, smaller."""
    compact_min_bytes: int = 256 << 20
    """A file smaller than this is not worth writing anew."""
    cold_files_per_day: int = 4
    """More files of one table and day than this are merged into one."""
    every_s: Annotated[float, msgspec.Meta(ge=1)] = 600.0
    """How often the limits are enforced, in seconds; at once when the disk is nearly full."""
    tick_s: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    """How often roll-ups are brought up to date and the disk is looked at, in seconds."""
