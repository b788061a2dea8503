"""Keep one list of the things in the home, whatever addresses they use this week."""

from __future__ import annotations

from guardian.detect.devices.settings import Settings
from guardian.detect.devices.update import update

__all__ = ["Settings", "update"]
