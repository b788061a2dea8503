"""Measure a capture's replay against Suricata alone on the same capture, in one run."""

from __future__ import annotations

import gzip
import statistics
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from guardian import resources
from guardian.collect import suricata
from guardian.collect.capture import read_capture
from guardian.collect.settings import Settings
from guardian.store import Store

DEFAULT_PACKETS = 1_000_000
ROUNDS = 3
_SHIFT_S = 4 * 3600
_HEADER = struct.Struct("<IIII")


def run(size: int = DEFAULT_PACKETS) -> dict[str, Any]:
    """Replay the bundled evening, repeated to ``size`` packets, in turn with Suricata alone.

    ``ratio`` is the median of Guardian's time over Suricata's of the same round.

    Raises:
        ComponentAbsentError: there is no Suricata on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as name:
        folder = Path(name)
        capture = folder / "repeated.pcap"
        packets = _repeat(capture, size)
        rounds = [_round(folder / str(number), capture) for number in range(ROUNDS)]
    return {
        "packets": packets,
        "capture_mb": round(rounds[0]["capture_bytes"] / 1e6, 1),
        "events": rounds[0]["events"],
        "suricata_s": [round(each["suricata_s"], 2) for each in rounds],
        "guardian_s": [round(each["guardian_s"], 2) for each in rounds],
        "ratio": round(statistics.median(e["guardian_s"] / e["suricata_s"] for e in rounds), 3),
        "target_ratio": 1.5,
    }


def _round(folder: Path, capture: Path) -> dict[str, float]:
    settings = Settings()
    started = time.monotonic()
    suricata.make_eve(capture, folder / "alone", settings)
    alone = time.monotonic() - started
    store = Store.open(folder / "store")
    started = time.monotonic()
    progress = read_capture(store, capture, settings)
    guardian = time.monotonic() - started
    store.close()
    return {
        "suricata_s": alone,
        "guardian_s": guardian,
        "events": progress.events,
        "capture_bytes": capture.stat().st_size,
    }


def _repeat(target: Path, size: int) -> int:
    """Write the evening again and again, four hours later each time, up to ``size`` packets."""
    data = gzip.decompress(resources.path("pcaps/evening.pcap.gz").read_bytes())
    records = []
    place = 24
    while place < len(data):
        seconds, fraction, kept, whole = _HEADER.unpack_from(data, place)
        records.append((seconds, fraction, kept, whole, data[place + 16 : place + 16 + kept]))
        place += 16 + kept
    written = shift = 0
    with target.open("wb") as file:
        file.write(data[:24])
        while written < size:
            for seconds, fraction, kept, whole, frame in records[: size - written]:
                file.write(_HEADER.pack(seconds + shift, fraction, kept, whole) + frame)
            written += min(len(records), size - written)
            shift += _SHIFT_S
    return written
