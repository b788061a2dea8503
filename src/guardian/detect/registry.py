"""What runs besides the rule files: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from guardian.detect.base import Detector
    from guardian.detect.settings import Settings
    from guardian.store import Store

PREPARE: dict[str, Callable[[Store, Settings, datetime], object]] = {}
"""What is brought up to date before detectors run, in this order."""

DETECTORS: tuple[Detector, ...] = ()
"""Detectors for which SQL is not enough."""
