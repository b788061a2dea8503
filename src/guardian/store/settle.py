"""Let a store that was made ready beside the old one take its place, whatever comes between.

Each rename is done only where it is still due, so that the work can be cut anywhere and
done again: the store's file itself moves last.
"""

from __future__ import annotations

import contextlib
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
"""In there, when all is checked: the name of the folder for the former store, if any."""
WORK = ".backup-"
"""Below the data directory: how the folder begins in which a backup is prepared."""
_FILE, _LOG, _COLD = "guardian.duckdb", "guardian.duckdb.wal", "cold"


def restoring(directory: Path) -> bool:
    """Return whether a restored store waits there for the next start to move it into place."""
    return (directory / STAGING / READY).exists()


def settle(directory: Path) -> bool:
    """Move a store that is ready into place; return whether there was one.

    Raises:
        StoreError: the disk refused; the next call goes on.
    """
    staging = directory / STAGING
    ready = staging / READY
    if not ready.exists():
        return False
    try:
        if (staging / _FILE).exists():
            _move(directory, staging, ready.read_text())
        shutil.rmtree(staging)
    except OSError as error:
        msg = f"the restored store could not be moved into place: {error}"
        raise StoreError(msg) from error
    return True


def _move(directory: Path, staging: Path, kept: str) -> None:
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


@contextlib.contextmanager
def work_folder(directory: Path) -> Iterator[Path]:
    """Give a new folder beside the store that nobody else may open, while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix=WORK, dir=directory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
