"""What can be set about detecting; each key's reason stands beside it."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the configuration reads the types at run time
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - the configuration reads the types at run time

from guardian.detect.devices.settings import Settings as DeviceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The ``[detect]`` table of the configuration file.

    The thresholds of a rule stand in the head of its own file in ``rules/detect``,
    each with unit and reason; ``parameters`` overrides them by detector and name.
    """

    rule_folders: tuple[Path, ...] = ()
    """Folders of further rules, beside those that ship with Guardian."""

    disabled: tuple[str, ...] = ()
    """Detectors that do not run, by name (``scan.port_scan``)."""

    parameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Thresholds that differ from the rule's own: detector, then parameter, then value."""

    resolvers: tuple[str, ...] = ()
    """Addresses of the home's own DNS servers. Without it they are inferred from use: the
    inside addresses that answer DNS."""

    own_addresses: tuple[str, ...] = ()
    """Addresses that Guardian itself sends from, besides those of its machine, which the daemon
    asks for; what they do is tagged and never a finding."""

    max_findings: int = 2_000
    """Findings that one detector may give in one run; a flood stops here and is reported."""

    max_peers: int = 50
    """Peers kept in one finding; the count goes on."""

    max_evidence: int = 100
    """Evidence rows named in one finding; the count goes on."""

    memory_mb: int = 768
    """MiB that the database may take for itself while detectors look at ``many_rows``; what does
    not fit goes to the disk. A day of five million connections then stays below 1.5 GB in all."""

    many_rows: int = 1_000_000
    """Rows that are new to a detector from which on it may take ``memory_mb``; fewer, as each
    round of a running daemon has, are looked at within the store's everyday limit."""

    pace: float = 20.0
    """With pacing, a detector rests this many times as long as its last run took, so that all of
    them together take at most a few per cent of the machine."""

    devices: DeviceSettings = field(default_factory=DeviceSettings)
    """The table ``[detect.devices]``: how devices are told apart."""
