"""How often known devices call home, as measured: what explains a heartbeat away.

A fingerprint is (device, protocol, host, period). It explains regular calls to that
host, or below it, at that period; it proves nothing about who the device is.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from guardian import resources
from guardian.errors import RuleError
from guardian.intel.names import is_below

if TYPE_CHECKING:
    from pathlib import Path

FILE = "blocklists/fingerprints.toml"
TOLERANCE_S = 1.0
TOLERANCE_SHARE = 0.05
"""A period matches within a second or five per cent, as in the measurement's own code."""


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    proto: str
    host: str
    period_s: float
    longer_s: float | None = None


class _Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    periodic: list[_Row]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    licence: str
    url: str
    device: list[_Device]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """One measured rhythm. ``longer_s`` is a second, longer period, where one was seen."""

    device: str
    proto: str
    host: str
    period_s: float
    longer_s: float | None = None

    def explains(self, host: str, period_s: float) -> bool:
        """Say whether regular calls to a host are this."""
        if not is_below(host, self.host):
            return False
        periods = [self.period_s] if self.longer_s is None else [self.period_s, self.longer_s]
        return any(abs(period_s - p) <= max(TOLERANCE_S, TOLERANCE_SHARE * p) for p in periods)


@functools.cache
def load() -> tuple[Fingerprint, ...]:
    """Return the measured rhythms that ship with Guardian.

    Raises:
        RuleError: the file is wrong.
    """
    return read(resources.path(FILE))


def read(path: Path) -> tuple[Fingerprint, ...]:
    """Return the rhythms of a file.

    Raises:
        RuleError: it cannot be read, or is not as agreed.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error
    return tuple(
        Fingerprint(
            device=device.name, proto=row.proto, host=row.host,
            period_s=row.period_s, longer_s=row.longer_s,
        )
        for device in found.device
        for row in device.periodic
    )  # fmt: skip


def explain(host: str, period_s: float) -> tuple[Fingerprint, ...]:
    """Return every measured rhythm that regular calls to a host are consistent with."""
    return tuple(row for row in load() if row.explains(host, period_s))
