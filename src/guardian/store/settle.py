"""Let a store that was made ready beside the old one take its place, whatever comes between.

Each rename is done only where it is still due, so that the work can be cut anywhere and
done again: the store's file itself moves last.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGING = ".restore"
"""Below the data directory: where a restored store is made ready."""
READY = "ready"
"""In there, when all is checked and on the disk: ``{"kept": NAME}``, the folder for the former
store; null where there is none. Earlier versions wrote the bare name, or nothing."""
WORK = ".guardian.backup-"
"""Below the data directory: how the folder begins in which a backup is prepared."""
_FILE, _LOG, _COLD = "guardian.duckdb", "guardian.duckdb.wal", "cold"

log = logging.getLogger(__name__)


class UnreadyError(StoreError):
    """There is no store but one of which it is not known whether it is whole."""


def restoring(directory: Path) -> bool:
    """Return whether a restored store waits there for the next start to move it into place."""
    return (directory / STAGING / READY).exists()


def present(directory: Path) -> list[str]:
    """Return what there is of a store: its file, a log, a cold tier with something in it."""
    found = [name for name in (_LOG, _FILE) if (directory / name).exists()]
    cold = directory / _COLD
    return [*found, _COLD] if cold.is_dir() and any(cold.iterdir()) else found


def make_ready(directory: Path, kept: str | None) -> None:
    """Say that what lies below ``STAGING`` is whole; ``kept``: where the former store goes.

    All of it is on the disk before that is, and that before this returns.

    Raises:
        OSError: the disk refused.
    """
    staging = directory / STAGING
    for folder, _, files in os.walk(staging, topdown=False):
        for name in files:
            _sync(Path(folder, name))
        _sync(Path(folder))
    part = staging / f"{READY}.part"
    part.write_text(json.dumps({"kept": kept}))
    _sync(part)
    part.rename(staging / READY)
    _sync(staging)
    _sync(directory)


def settle(directory: Path) -> bool:
    """Move a store that is ready into place; return whether there was one.

    Raises:
        StoreError: the disk refused, and the next call goes on; or it cannot be known where
            the former store goes. Nothing was changed then.
    """
    if not restoring(directory):
        return False
    with turn(directory):
        return move_in(directory)


def move_in(directory: Path) -> bool:
    """Do what ``settle`` does, in this process's turn."""
    if not restoring(directory):  # another process was faster
        return False
    staging = directory / STAGING
    try:
        if (staging / _FILE).exists():
            readable, kept = _read(staging / READY)
            if not readable:
                return _unready(directory)
            _move(directory, staging, kept)
        shutil.rmtree(staging)
    except OSError as error:
        msg = f"the restored store could not be moved into place: {error}"
        raise StoreError(msg) from error
    return True


@contextlib.contextmanager
def turn(directory: Path) -> Iterator[None]:
    """Let one process at a time move stores about in a data directory."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some disks of other machines have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(ready: Path) -> tuple[bool, str | None]:
    """Return whether the mark can be read, and the name of the folder for the former store."""
    text = ready.read_bytes().decode("utf-8", "replace").strip("\0 \n")
    if text.startswith("before-restore-") and text.removeprefix("before-restore-").isdigit():
        return True, text  # of an earlier version
    if not text:  # an earlier version had no former store; or the disk lost what it said
        return not present(ready.parent.parent), None
    try:
        kept = json.loads(text)["kept"]
    except (ValueError, LookupError, TypeError):
        return False, None
    return kept is None or (isinstance(kept, str) and Path(kept).name == kept), kept


def _unready(directory: Path) -> bool:
    said = (
        f"a restored store lies in {directory / STAGING}, but its mark '{READY}' cannot be read: "
        "nothing was changed"
    )
    if (directory / _FILE).exists():
        log.warning("%s, the former store stays; restore once more", said)
        return False
    msg = f"{said}, and there is no other store; restore once more"
    raise UnreadyError(msg)


def free_name(directory: Path) -> str:
    """Return the name of a folder for a former store, below the data directory."""
    number = 1
    while (directory / f"before-restore-{number}").exists():
        number += 1
    return f"before-restore-{number}"


def _move(directory: Path, staging: Path, kept: str | None) -> None:
    if kept is None and (directory / _FILE).exists():
        kept = free_name(directory)  # somebody began a store there since the mark was written
    if kept:
        former = directory / kept
        former.mkdir(exist_ok=True, mode=0o700)
        # While the new cold tier waits, what lies in its place is the former one.
        due = (_LOG, _FILE, _COLD) if (staging / _COLD).exists() else (_LOG, _FILE)
        for name in due:
            if (directory / name).exists():
                (directory / name).rename(former / name)
    elif (staging / _COLD).exists():
        shutil.rmtree(directory / _COLD, ignore_errors=True)
    if (staging / _COLD).exists():
        (staging / _COLD).rename(directory / _COLD)
    (staging / _FILE).rename(directory / _FILE)
    _sync(directory)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_in_use: set[Path] = set()
"""The folders of backups that this process makes now."""


@contextlib.contextmanager
def work_folder(directory: Path) -> Iterator[Path]:
    """Give a new folder beside the store that nobody else may open, while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix=WORK, dir=directory))
    _in_use.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _in_use.discard(folder)


def clear_leftovers(directory: Path) -> None:
    """Remove what a kill left of backups, of rewriting and of copying the file.

    For whoever has just locked the store: nobody but this process makes such things then.
    """
    with contextlib.suppress(OSError):  # it is only room that they take
        # The second: a backup's links to cold files, as earlier versions named them.
        for pattern in (f"{WORK}*", ".*.store.cold"):
            for folder in set(directory.glob(pattern)) - _in_use:
                shutil.rmtree(folder, ignore_errors=True)
        for pattern in (f".{_FILE}.rewrite", f".{_FILE}.rewrite.wal", f"{_FILE}.*.part"):
            for file in directory.glob(pattern):
                file.unlink(missing_ok=True)
