"""Collect a packet capture: Suricata reads it, Guardian reads Suricata, at the same time.

A capture that was read to its end is not read again; one whose reading was cut short is
forgotten and read anew, because a second run of Suricata writes another log.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.collect import cut_short, suricata
from guardian.collect.eve import EveCollector
from guardian.collect.reader import Progress, drain
from guardian.errors import CollectorError
from guardian.model.batch import Batch
from guardian.store import ingest

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.collect.settings import Settings
    from guardian.store import Store

POLL_S = 0.05
WORTH_READING_BYTES = 16 << 20
"""While Suricata runs, less than this is left to grow: large batches cost less a row."""
_EDGE_BYTES = 1 << 20
_DONE = {"done": True}


def read_capture(
    store: Store,
    capture: Path,
    settings: Settings,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> Progress:
    """Read a capture into the store; ``meanwhile`` is work to do while Suricata starts.

    Raises:
        ComponentAbsentError: there is no Suricata on this machine.
        CollectorError: the capture cannot be read at all.
    """
    name = f"pcap:{capture.absolute()}#{fingerprint(capture)}"
    with tempfile.TemporaryDirectory(prefix="guardian-") as folder:
        collector = EveCollector(path=Path(folder) / "eve.json", settings=settings, name=name)
        source_id = ingest.register(store, collector.source)
        known = ingest.bookmark(store, source_id)
        if known == _DONE:
            return Progress()
        if known is not None:
            ingest.forget(store, source_id)
        run = suricata.start(capture, Path(folder), settings)
        try:
            meanwhile()
            progress = _follow(store, collector, run)
            if progress.error is None:
                progress = replace(progress, error=cut_short.words(capture, run.eve))
        finally:
            if not run.done:
                run.stop()
    ingest.commit(store, source_id, Batch(tables={}, bookmark=_DONE))
    if progress.error:
        ingest.note_state(store, source_id, progress.error)
    return progress


def _follow(store: Store, collector: EveCollector, run: suricata.Run) -> Progress:
    events = rejected = taken = 0
    while True:
        ended = run.done
        written = run.eve.stat().st_size if run.eve.exists() else 0
        if written and (ended or written - taken >= WORTH_READING_BYTES):
            taken = written
            got = drain(store, collector, final=ended)
            events, rejected = events + got.events, rejected + got.rejected
        if ended:
            break
        time.sleep(POLL_S)
    return Progress(events=events, rejected=rejected, error=run.finish())


def fingerprint(capture: Path) -> str:
    """Return a digest of a file's size, its first and its last mebibyte."""
    try:
        size = capture.stat().st_size
        with capture.open("rb") as file:
            digest = hashlib.sha256(size.to_bytes(8, "big") + file.read(_EDGE_BYTES))
            file.seek(max(size - _EDGE_BYTES, 0))
            digest.update(file.read(_EDGE_BYTES))
    except OSError as error:
        msg = f"{capture}: cannot be read: {error.strerror or error}"
        raise CollectorError(msg) from error
    return digest.hexdigest()[:12]
