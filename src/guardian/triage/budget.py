"""How often models may still be asked: so many calls in an hour, so many in a night."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.model import words
from guardian.store import explanations

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store
    from guardian.triage.settings import Settings

NIGHT_BEGINS = 22
NIGHT_ENDS = 7
"""Local hours between which the night's budget counts."""


class Budget:
    """The calls that are left. Those under way count too: they are written when they end."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._zone = words.zone(settings.timezone)
        self.under_way = 0

    def left(self, now: datetime) -> int:
        """Return how many calls may begin at this moment."""
        settings = self._settings
        with self._store.read() as reader:
            hour = explanations.calls_since(reader, now - timedelta(hours=1))
            left = settings.calls_per_hour - hour
            begun = night_began(words.local(now, self._zone))
            if begun is not None:
                night = explanations.calls_since(reader, now - begun)
                left = min(left, settings.calls_per_night - night)
        return max(0, left - self.under_way)


def night_began(local: datetime) -> timedelta | None:
    """Return how long ago this night began, or None by day."""
    if NIGHT_ENDS <= local.hour < NIGHT_BEGINS:
        return None
    begin = local.replace(hour=NIGHT_BEGINS, minute=0, second=0, microsecond=0)
    return local - begin if local >= begin else local - (begin - timedelta(days=1))
