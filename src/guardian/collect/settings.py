"""What can be set about collecting; each key's reason stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the configuration reads the types at run time


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The ``[collect]`` table of the configuration file."""

    max_line_bytes: int = 4 << 20
    """A longer line of a log is skipped and counted. Suricata's own longest (statistics,
    payloads) stay far below 1 MiB; the limit bounds memory against a line without end."""

    batch_bytes: int = 64 << 20
    """How much of a log is decoded and committed at once under load; chosen by measurement
    (docs/performance.md). A growing log that has less gives smaller batches."""

    home_nets: tuple[str, ...] = ()
    """Networks of this home besides the private ranges, such as a delegated IPv6 prefix."""

    suricata_rules: tuple[Path, ...] = ()
    """Rule files for Suricata besides Guardian's own, such as what suricata-update wrote."""

    suricata_start_timeout_s: float = 60.0
    """How long a live Suricata may take to load its rules before it counts as failed."""

    suricata_memory_mb: int = 512
    """Budget for the flow table and stream reassembly of Suricata together."""

    replay_timeout_s: float = 3600.0
    """How long Suricata may work on one capture; what it wrote until then is kept."""
