"""Every kind of input and the collector that reads it: one line a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.collect import eve, pihole_db, text_log, zeek

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guardian.collect.base import Collector

KINDS: dict[str, Callable[[Path], Collector]] = {
    "eve": lambda path: eve.EveCollector(path=path),
    "pihole-db": lambda path: pihole_db.PiholeDbCollector(path=path),
    "zeek": lambda path: zeek.ZeekCollector(path=path),
    **text_log.kinds(),  # the formats in parsers/
}
