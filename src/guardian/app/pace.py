"""When to read a source again: at once when it is idle, in large steps under load.

A line should be on the page within two seconds, and many small commits cost more than one
large one. So a source is looked at often, which costs next to nothing for a file that did
not change; and after a reading that took long the next one waits longer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.collect.eve import EveCollector
from guardian.collect.text_log import TextLogCollector

if TYPE_CHECKING:
    from guardian.collect.base import Collector

LOOK_S = 0.1
"""How often a source is looked at: a twentieth of the two seconds to the page."""

IDLE_S = 0.5
"""How often a source is read that cannot be looked at and gave nothing: a port, a server."""

REST_RATIO = 2.0
"""After a reading the source rests for so many times as long as it took: reading takes at most
a third of a core, and under load a batch has company."""

LONGEST_REST_S = 0.7
"""But no longer, so that two seconds are kept on a slow machine too."""

BUSY_EVENTS = 20_000
"""A reading that gave so many events is followed by the next at once: it is behind."""

SURE_S = 3.0
"""A file that looks unchanged is read all the same after this time: a program may still write
to a log that was renamed."""


@dataclass(slots=True)
class Pace:
    """The pace of one source."""

    collector: Collector
    _seen: tuple[int, int, int] | None = field(default=None, init=False)
    _read_at: float = field(default=0.0, init=False)

    def due(self) -> bool:
        """Tell whether it is worth reading now; costs a look at the file at most."""
        if time.monotonic() - self._read_at >= SURE_S:
            return True
        seen = self._look()
        return seen is None or seen != self._seen

    def begin(self) -> None:
        """Note what the file is like before it is read: what comes later is news."""
        self._seen = self._look()
        self._read_at = time.monotonic()

    def rest_s(self, events: int, *, failed: bool = False) -> float:
        """Return how long to wait after a reading that gave so many events."""
        if failed:
            self._seen = None
        if events >= BUSY_EVENTS:
            return 0.0
        took = time.monotonic() - self._read_at
        least = LOOK_S if events or self._seen is not None else IDLE_S
        return min(max(least, REST_RATIO * took), LONGEST_REST_S)

    def _look(self) -> tuple[int, int, int] | None:
        if not isinstance(self.collector, EveCollector | TextLogCollector):
            return None
        try:
            state = self.collector.path.stat()
        except OSError:
            return None
        return state.st_ino, state.st_size, state.st_mtime_ns
