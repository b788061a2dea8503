"""The cursors in use, so that a stop need not wait for what runs on them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from guardian.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


class Cursors:
    """Every cursor that a reader or the writer holds now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, duckdb.DuckDBPyConnection] = {}
        self._ending = False

    @contextmanager
    def used(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Know the cursor while the block runs.

        Raises:
            StoreError: Guardian is stopping; nothing new is begun.
        """
        with self._lock:
            if self._ending:
                msg = "Guardian is stopping"
                raise StoreError(msg)
            self._open[id(cursor)] = cursor
        try:
            yield
        finally:
            with self._lock:
                del self._open[id(cursor)]

    def abandon(self) -> bool:
        """Interrupt what runs and let nothing new begin; True while something still runs."""
        with self._lock:
            self._ending = True
        self.interrupt()
        with self._lock:
            return bool(self._open)

    def interrupt(self) -> None:
        """Interrupt what runs now; what is asked next runs."""
        with self._lock:
            for cursor in self._open.values():
                cursor.interrupt()
