"""The rolling packet buffer of a live sensor: Suricata's pcap-log within a budget of bytes.

Suricata writes files of one size and overwrites the oldest
(https://docs.suricata.io/en/latest/configuration/suricata-yaml.html#packet-log-pcap-log). It
does not count what an earlier run left, so the budget is enforced here as well.
"""

from __future__ import annotations

import contextlib
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

FOLDER = "packets"
"""Below a sensor's folder."""
NAME = "packets.pcap"
FILES = 16
"""The budget is split into so many files: the oldest sixteenth goes at a time."""
MIN_FILE_MB = 4
"""Suricata refuses smaller files; so a budget below twice this is exceeded."""
SLACK_S = 60.0
"""A file's name and its time of last change may be off by this much from its packets."""

_YAML = """  - pcap-log:
      enabled: yes
      filename: {name}
      dir: {folder}
      limit: {limit}mb
      max-files: {files}
      mode: normal
      use-stream-depth: no
      honor-pass-rules: no
"""


def configuration(folder: Path, budget_mb: int) -> str:
    """Return the YAML that makes Suricata keep packets below ``folder``; empty for no budget."""
    if budget_mb <= 0:
        return ""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    limit = max(MIN_FILE_MB, budget_mb // FILES)
    files = max(2, budget_mb // limit)
    return _YAML.format(name=NAME, folder=target, limit=limit, files=files)


def prune(folder: Path, budget_mb: int) -> int:
    """Remove the oldest files beyond the budget; return how many bytes that gave back.

    The newest file is left alone, because Suricata writes to it.
    """
    found = _files(folder)
    left = sum(size for _, size, _, _ in found)
    freed = 0
    for path, size, _, _ in found[:-1] if budget_mb > 0 else found:
        if left <= max(budget_mb, 0) << 20:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            freed += size
        left -= size
    return freed


def between(folder: Path, since: datetime, until: datetime) -> list[Path]:
    """Return the files that may hold packets of that time (UTC, naive), oldest first."""
    low = since.replace(tzinfo=UTC).timestamp() - SLACK_S
    high = until.replace(tzinfo=UTC).timestamp() + SLACK_S
    return [path for path, _, begun, changed in _files(folder) if begun <= high and changed >= low]


def size_bytes(folder: Path) -> int:
    """Return how much the buffer holds now."""
    return sum(size for _, size, _, _ in _files(folder))


def _files(folder: Path) -> list[tuple[Path, int, float, float]]:
    """Return each file with its size, when it was begun and last changed; oldest first."""
    found = []
    for path in (folder / FOLDER).glob(f"{NAME}.*"):
        begun = path.name.removeprefix(f"{NAME}.").split(".")[0]
        with contextlib.suppress(OSError):
            about = path.stat()
            start = float(begun) if begun.isdecimal() else about.st_mtime
            found.append((path, about.st_size, start, about.st_mtime))
    return sorted(found, key=lambda each: (each[2], each[0].name))
