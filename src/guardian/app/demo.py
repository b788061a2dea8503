"""The evening at home, replayed and served, so that a newcomer sees what Guardian does.

The evening's packets have a fixed date, so the page and the digest are told that it
is the end of that evening. What a person approves is really done: to a resolver of
the demo's own on loopback, if dnsmasq is there to be one.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from guardian import resources
from guardian.app.daemon import Daemon
from guardian.app.demo_resolver import DemoResolver
from guardian.app.replay import replay
from guardian.app.sources import collectors
from guardian.notify import digest as digests
from guardian.store import Store
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from guardian.config import Config
    from guardian.notify.digest import Digest

CAPTURE = "pcaps/evening.pcap.gz"
EVE = "pcaps/evening.eve.json.gz"
PIHOLE_LOG = "pcaps/evening.pihole.log.gz"
SURICATA_NOTE = (
    "Suricata is not installed, so this replays the EVE log that it made of the same evening."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evening:
    """A replayed evening: its store, its letter, and what could not be shown."""

    store: Store
    config: Config
    digest: Digest
    notes: tuple[str, ...]
    ended: datetime
    resolver: DemoResolver | None
    temporary: Path | None = None

    async def serve(self, *, ready: Callable[[str], None]) -> None:
        """Serve the page until Ctrl-C; time goes on from the end of the evening."""
        begun = utc_now()
        daemon = Daemon(
            self.store,
            self.config,
            collectors(self.config),
            clock=lambda: self.ended + (utc_now() - begun),
        )
        await daemon.run(ready=ready)

    def close(self) -> None:
        """Stop the demo's resolver, close the store, and leave nothing that was not asked for."""
        if self.resolver is not None:
            self.resolver.close()
        self.store.close()
        if self.temporary is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)


def data_directory() -> Path:
    """Return a fresh place for one run of the demo."""
    return Path(tempfile.mkdtemp(prefix="guardian-demo-"))


def prepare(config: Config, *, progress: Callable[[str], None], temporary: bool = False) -> Evening:
    """Replay the bundled evening into the configuration's data directory.

    A ``temporary`` one is removed when the evening is closed.

    Raises:
        StoreError: the data directory cannot be used.
    """
    notes = []
    source = CAPTURE
    if shutil.which("suricata") is None:
        source, notes = EVE, [SURICATA_NOTE]
    resolver = DemoResolver.start(config.data)
    if resolver is None:
        notes.append(
            "dnsmasq is absent or does not start: what you approve cannot be shown at work."
        )
    else:
        config = dataclasses.replace(config, respond=resolver.settings(config.respond))
    store = Store.open(config.data)
    inputs = [resources.path(source), resources.path(PIHOLE_LOG)]
    report = replay(store, config, inputs, progress=progress)
    notes.extend(f"{each.path}: {each.error}" for each in report.inputs if each.error)
    with store.read() as reader:
        # Not the last event: Suricata stamps its statistics with the wall clock.
        ended = reader.value("SELECT max(end_ts) FROM flow") or utc_now()
    letter = digests.build(
        store,
        since=ended - timedelta(days=1),
        until=ended,
        now=ended,
        settings=dataclasses.replace(config.notify, base_url=f"http://{config.listen}"),
    )
    return Evening(
        store=store,
        config=config,
        digest=letter,
        notes=tuple(notes),
        ended=ended,
        resolver=resolver,
        temporary=config.data if temporary else None,
    )
