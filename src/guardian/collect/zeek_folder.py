"""Find the logs below a folder of Zeek's, also where ``current`` links to.

zeekctl keeps its archive in one folder (``logs/2026-11-20/``), and what is being written
now in another, to which ``logs/current`` is a link.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MAX_FILES = 20_000
"""How many files of a folder are looked at; a year of hourly rotation is 8,760 a log."""

_LOG_NAME = re.compile(r"\.(?:log|json|ndjson)(?:[._-].*)?$|\.log$", re.IGNORECASE)


def logs(folder: Path) -> tuple[list[Path], list[OSError]]:
    """Return the files with a log's name in order of their names, and what cannot be listed."""
    errors: list[OSError] = []
    found: list[Path] = []
    for top in (folder, *_links(folder)):
        for where, _, names in os.walk(top, onerror=errors.append):
            found += [Path(where, name) for name in names if _LOG_NAME.search(name)]
    files = [file for file in sorted(found) if file.is_file()]
    lasting = [error for error in errors if error.filename == str(folder) or not _is_gone(error)]
    return files[-MAX_FILES:], lasting


def _links(folder: Path) -> list[Path]:
    """Return the links in a folder to folders elsewhere, neither within it nor around it."""
    try:
        links = [each for each in sorted(folder.iterdir()) if each.is_symlink() and each.is_dir()]
    except OSError:
        return []  # the walk says so
    home = folder.resolve()
    away: dict[Path, Path] = {}
    for link in links:
        there = link.resolve()
        if not there.is_relative_to(home) and not home.is_relative_to(there):
            away.setdefault(there, link)
    return list(away.values())


def _is_gone(error: OSError) -> bool:
    return isinstance(error, FileNotFoundError)  # a folder that was cleared away while we walked
