"""Backup and restore, as the command line offers them."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import GuardianError, StoreError
from guardian.store import backup as copies
from guardian.store import restore as restoring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guardian.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was copied: the file, its size in bytes, its rows, and the former store if any.

    ``left_out``: cold files that are lost or damaged, and so not in it.
    """

    path: Path
    bytes: int
    rows: int
    kept: Path | None = None
    left_out: tuple[str, ...] = ()


def backup(
    store: Store,
    target: Path,
    *,
    passphrase: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> Report:
    """Write one consistent file of the store, cold tier included, while it is in use.

    Raises:
        StoreFullError: there is not enough room where it shall lie.
        StoreError: the target exists, or cannot be written.
    """
    done = copies.write(store, target, passphrase=passphrase, progress=progress)
    size = target.stat().st_size
    return Report(path=target, bytes=size, rows=done.rows, left_out=done.left_out)


def restore(
    source: Path,
    directory: Path,
    *,
    passphrase: str | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> Report:
    """Check a backup and put it in place; the former store is kept beside it.

    Raises:
        InputError: the backup is damaged or too new; nothing was changed.
        RefusedError: there is a store with something in it, and ``force`` is not set.
        StoreLockedError: the daemon runs; nothing was changed.
    """
    done = restoring.place(source, directory, passphrase=passphrase, force=force, progress=progress)
    return Report(
        path=source,
        bytes=source.stat().st_size,
        rows=done.rows,
        kept=done.kept,
        left_out=done.left_out,
    )


class Job:
    """A backup that is being written in a thread of the daemon's."""

    def __init__(self, store: Store, target: Path, passphrase: str | None) -> None:
        self._done, self._whole = 0, 0
        self._report: Report | None = None
        self._error: GuardianError | None = None

        def run() -> None:
            try:
                self._report = backup(
                    store, target, passphrase=passphrase, progress=self._note_progress
                )
            except GuardianError as error:
                self._error = error
            finally:
                if self._report is None and self._error is None:
                    self._error = _ended(sys.exc_info()[1])

        self._thread = threading.Thread(target=run, name="backup", daemon=True)
        self._thread.start()

    def _note_progress(self, done: int, whole: int) -> None:
        self._done, self._whole = done, whole

    def running(self) -> bool:
        """Return whether it is still being written."""
        return self._thread.is_alive()

    def state(self, *, wait_s: float = 0.0) -> tuple[int, int, Report | None]:
        """Return the bytes done, those of the whole, and the report once it is complete.

        Raises:
            GuardianError: the backup failed; what it said.
        """
        self._thread.join(wait_s)
        if self._error is None and self._report is None and not self._thread.is_alive():
            self._error = _ended(None)
        if self._error is not None:
            raise self._error
        return self._done, self._whole, self._report


def _ended(cause: BaseException | None) -> StoreError:
    """Return what is said of a backup that ended with neither a report nor an error of ours."""
    why = f"{type(cause).__name__}: {cause}" if cause else "it said nothing of why"
    return StoreError(f"the backup failed, there is none: {why.removesuffix(': ')}")
