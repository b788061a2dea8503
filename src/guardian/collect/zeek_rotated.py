"""Find what one Zeek log was rotated into: beside it, and in the archive's dated folders.

Zeek renames ``conn.log`` to ``conn.2026-11-20-10-00-00.log`` where it lies (a supervised
one to ``log-queue/conn__…__….log``); zeekctl then packs it into a folder of the day,
``2026-11-20/conn.10:00:00-11:00:00.log.gz``, beside ``current``. Which of these files was
read how far is known by their beginnings (``zeek_files``), not by these names.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.collect import zeek_files

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

MAX_ROTATED = 2000
"""How many rotated files of a log are looked at, the newest: twelve weeks of hourly ones."""

KEPT_NS = 2 * 86_400 * 10**9
"""So long a file that was read stays known, because it may be packed later under another name."""

SETTLED_S = 10.0
"""A packed file that was written less long ago may still be being packed."""

GONE_S = 60.0
"""So long after its folder last changed, a log that is not there is missed, not being rotated."""

_DAY_NS = 86_400 * 10**9
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = r"[0-9][0-9T:_.-]*"
_QUEUE = "log-queue"  # where a supervised Zeek puts them for zeek-archiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rotated files that are to be looked at, and folders that could not be."""

    files: list[Path]
    errors: list[OSError]


def rotated(log: Path, since_ns: int) -> Found:
    """Return the files that a log was rotated into and that were written after ``since_ns``.

    Plain ones come before packed ones, so that of two with the same content the whole one is
    read; within each, the oldest first.
    """
    name, stem, suffix = map(re.escape, (log.name, log.stem, log.suffix))
    pattern = re.compile(
        rf"(?:{name}[.-]{_STAMP}|{stem}[._-]+{_STAMP}(?:[^/]*=[^/]*__)?{suffix})(?:[.](?:gz|zst))?"
    )
    seen: dict[tuple[int, int], tuple[bool, int, Path]] = {}
    errors: list[OSError] = []
    for folder in _folders(log, since_ns):
        try:
            names = [each for each in folder.iterdir() if pattern.fullmatch(each.name)]
        except FileNotFoundError:
            continue
        except OSError as error:
            errors.append(error)
            continue
        for path in names:
            with suppress(OSError):  # packed and moved away while we look
                state = path.stat()
                packed = path.suffix in {".gz", ".zst"}
                settling = packed and 0 <= time.time() - state.st_mtime < SETTLED_S
                if path.is_file() and path != log and state.st_mtime_ns > since_ns and not settling:
                    seen[state.st_dev, state.st_ino] = (packed, state.st_mtime_ns, path)
    newest = sorted(seen.values(), key=lambda each: each[1])[-MAX_ROTATED:]
    return Found(files=[path for *_, path in sorted(newest)], errors=errors)


def _folders(log: Path, since_ns: int) -> Iterator[Path]:
    """Yield the log's folder, and those of days that changed since then."""
    beside = log.absolute().parent  # as it was named: ``current`` is a link to where Zeek runs
    yield beside
    yield beside / _QUEUE
    archives = [beside, beside.parent]
    around = beside.parent.parent / "logs"  # zeekctl: spool/zeek is what logs/current links to
    with suppress(OSError):
        if (around / "current").samefile(beside):
            archives.append(around)
    for archive in archives:
        days: list[Path] = []
        with suppress(OSError):  # an archive that is not there, or not for us to list
            days = sorted(each for each in archive.iterdir() if _DAY.fullmatch(each.name))
        for day in days:
            with suppress(OSError):
                if day.is_dir() and day.stat().st_mtime_ns > since_ns - _DAY_NS:
                    yield day


def first_since(
    log: Path, bookmark: Mapping[str, object] | None, known: Container[str], first_days: float
) -> int:
    """Return after which time (ns) a log's rotated files are read.

    The bookmark says so. A first reading goes ``first_days`` back. The bookmark of an older
    Guardian does not say: it names the one file that was read, and what is newer was not.
    """
    kept = (bookmark or {}).get("since_ns")
    now = time.time_ns()
    if isinstance(kept, int):
        return min(kept, now)  # a clock that was put back
    if bookmark is None:
        return now - int(first_days * _DAY_NS)
    newest_first = sorted(rotated(log, 0).files, key=mtime_ns, reverse=True)
    for file in (log, *newest_first):
        with suppress(OSError, zeek_files.NotZeekError):
            found = zeek_files.describe(file, final=False)
            if found is not None and found.identity in known:
                return file.stat().st_mtime_ns - 1
    return now


def is_missed(log: Path) -> bool:
    """Tell a log that is gone for good from one whose next record Zeek has not written yet.

    Zeek makes a log with its first record, which for a quiet one can take hours.
    """
    if is_there(log):
        return False
    with suppress(OSError):
        if time.time() - log.parent.stat().st_mtime < GONE_S:
            return False
        return not log.suffix or not any(each.suffix == log.suffix for each in log.parent.iterdir())
    return True


def is_there(log: Path) -> bool:
    """Tell whether there is something of that name, readable or not."""
    try:
        log.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def mtime_ns(file: Path) -> int:
    """Return when a file was last written; 0 when it is gone."""
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return 0
