"""The store's file as DuckDB has it open: given up, opened anew, or changed for a copy.

Nothing here locks: who opens it anew sees to it that nobody uses what is closed then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import StoreError, StoreFullError, StoreReadOnlyError, StoreRetryError
from guardian.store import engine
from guardian.store.failures import explained, mapped_errors

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

RETRY_S = 2.0
"""A file that could not be opened for writing is tried again after so many seconds."""


class OpenFile:
    """One open database and the file that it came from (None: it lives in memory).

    ``broken`` says that DuckDB will do nothing more with it as it is open now, ``muddled``
    that nor must it be read.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, path: Path | None, *, read_only: bool = False
    ) -> None:
        self.connection = connection
        self.path = path
        self.read_only = read_only
        self.broken = self.muddled = False
        self.retry_at = 0.0
        self._inode = _inode(path)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a cursor of the connection that is open now."""
        return self.connection.cursor()

    def replaced(self) -> bool:
        """Return whether another file stands where this one was, or none at all."""
        return self.path is not None and _inode(self.path) != self._inode

    def gone(self) -> bool:
        """Return whether the file was deleted or moved away: what is open is all there is."""
        return self.path is not None and _inode(self.path) is None

    def require_own(self) -> None:
        """Refuse to open what stands there, or to write over it, when it is not this file.

        Raises:
            StoreError: the file is gone, or another was put in its place.
        """
        if not self.replaced():
            return
        if not self.gone():
            msg = (
                f"another file was put in the place of the running store ({self.path}); it is "
                "left alone: stop Guardian, look which one you want, start it again"
            )
        else:
            msg = (
                f"{self.path} was deleted while Guardian runs; what is open of it is written "
                "anew where it can still be read"
            )
        raise StoreError(msg)

    def due(self) -> bool:
        """Return whether opening it anew is needed, or may help."""
        return self.path is not None and (self.broken or (self.read_only and self._may_write()))

    def _may_write(self) -> bool:
        assert self.path is not None
        waited = self.broken or time.monotonic() >= self.retry_at
        return waited and os.access(self.path.parent, os.W_OK)

    def reopen(self) -> str | None:
        """Close it and open what stands there, for writing where the disk lets it.

        Returns why it can only be read; None when it can be written, or that was not tried.

        Raises:
            StoreError: it cannot be opened, or is not this file: then it was not closed either.
        """
        assert self.path is not None
        self.require_own()
        write = self._may_write()
        with contextlib.suppress(duckdb.Error):
            self.close()
        self.broken = True  # until it is open again
        trouble = self._open_to_write(self.path) if write else None
        if trouble or not write:
            self.connection = engine.connect(self.path, read_only=True)
            self.read_only = True
        self.broken = self.muddled = False
        self._inode = _inode(self.path)
        return trouble

    def _open_to_write(self, path: Path) -> str | None:
        try:
            self.connection = engine.connect(path)
        except (StoreFullError, StoreReadOnlyError) as error:
            self.retry_at = time.monotonic() + RETRY_S
            _log.warning("%s; it is opened for reading", error)
            return str(error)
        self.read_only = False
        return None

    def copy_to(self, copy: Path) -> None:
        """Write what is open to another file, without its holes.

        Raises:
            StoreError: it could not be written, or, of a file that is gone, not be read.
        """
        try:
            copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            engine.copy_database(self.connection, copy)
        except (duckdb.FatalException, duckdb.ConnectionException) as error:
            self.broken = True
            if not self.gone():
                raise explained(error, copy) from error
            msg = (
                f"{self.path} was deleted while Guardian runs, and what was open of it cannot be "
                "read any more: stop Guardian, put the last backup in place: guardian restore FILE"
            )
            raise StoreError(msg) from error
        except duckdb.Error as error:
            raise explained(error, copy) from error
        except OSError as error:
            raise self._not_anew(error) from error
        if self.muddled:
            _log.warning("a commit had failed halfway: some of its rows may be there twice")

    def take(self, copy: Path) -> None:
        """Close it and let a copy of it take the file's place, for ``reopen`` to open.

        Raises:
            StoreError: it did not take the place; what stood there stands there still.
        """
        assert self.path is not None
        if not self.gone():
            self.require_own()
        if log_of(copy).exists():
            msg = f"the copy could not be finished; {self.path} stays as it is"
            raise StoreRetryError(msg)
        if self.gone():
            self._put(copy)  # first: what is open is all there is
            self.broken = True
            with contextlib.suppress(duckdb.Error):
                self.close()
            return
        self.broken = True  # until what stands there then is open
        with mapped_errors(self.path):
            self.connection.close()
        if log_of(self.path).exists():  # it would be replayed on the copy, which has its rows
            msg = f"the log of {self.path} could not be folded in; the file stays as it is"
            raise StoreRetryError(msg)
        self._put(copy)

    def _put(self, copy: Path) -> None:
        assert self.path is not None
        try:
            log_of(self.path).unlink(missing_ok=True)  # where the file is gone: the copy has it all
            copy.replace(self.path)
        except OSError as error:
            raise self._not_anew(error) from error
        self._inode = _inode(self.path)

    def _not_anew(self, error: OSError) -> StoreError:
        return StoreError(f"{self.path} could not be written anew: {error.strerror}")

    def close(self) -> None:
        """Close it: of an open database that is not to be trusted, the log is the truth."""
        if self.broken:
            with contextlib.suppress(duckdb.Error):
                self.connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        self.connection.close()


def log_of(path: Path) -> Path:
    """Return where DuckDB keeps the write-ahead log of a file."""
    return path.with_name(path.name + ".wal")


def _inode(path: Path | None) -> int | None:
    try:
        return None if path is None else path.stat().st_ino
    except OSError:
        return None
