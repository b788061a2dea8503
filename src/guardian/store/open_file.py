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

from guardian.errors import StoreFullError, StoreReadOnlyError
from guardian.store import engine
from guardian.store.failures import mapped_errors

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

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

    def give_up(self) -> None:
        """Note that DuckDB will do nothing more with the file as it is open now."""
        self.broken = True

    def distrust(self) -> None:
        """Note that what is open must not be read either."""
        self.muddled = True

    def replaced(self) -> bool:
        """Return whether another file stands where this one was, or none at all."""
        return self.path is not None and _inode(self.path) != self._inode

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
            StoreError: it cannot be opened.
        """
        assert self.path is not None
        write = self._may_write()
        with contextlib.suppress(duckdb.Error):
            self.close()
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
            log.warning("%s; it is opened for reading", error)
            return str(error)
        self.read_only = False
        return None

    def take(self, copy: Path) -> None:
        """Close it and let a copy of it take the file's place, for ``reopen`` to open.

        Raises:
            StoreError: the file could not be closed.
        """
        assert self.path is not None
        with mapped_errors(self.path):
            self.connection.close()
            copy.replace(self.path)
        self.broken = True  # until the new file is open

    def close(self) -> None:
        """Close it: of an open database that is not to be trusted, the log is the truth."""
        if self.broken:
            with contextlib.suppress(duckdb.Error):
                self.connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        self.connection.close()


def _inode(path: Path | None) -> int | None:
    try:
        return None if path is None else path.stat().st_ino
    except OSError:
        return None
