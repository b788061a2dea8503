"""How much memory DuckDB may take: little from day to day, more while something needs it.

This is the one place that changes the limit of an open store (``engine`` has the sizes).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from guardian.store import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb


class Allowance:
    """What one open store may take; ``cursor`` gives a cursor of its connection.

    Nothing is changed where it is not ``limited``: a store that lives in memory.
    """

    def __init__(
        self, cursor: Callable[[], duckdb.DuckDBPyConnection], *, limited: bool = True
    ) -> None:
        self._cursor = cursor
        self._limited = limited
        self._changing = threading.Lock()
        self._asked: list[int] = []
        self._extra = 0

    @contextlib.contextmanager
    def more(self, wanted_bytes: int) -> Iterator[None]:
        """Let DuckDB take so much, as far as the machine has it, while the block runs.

        Blocks may overlap: the greatest wish counts. Afterwards what is only kept is given
        back; what is still in use then goes with the next squeeze.
        """
        wanted = min(wanted_bytes, engine.most_bytes())
        self._change(lambda: self._asked.append(wanted))
        try:
            yield
        finally:
            self._change(lambda: self._asked.remove(wanted))

    @contextlib.contextmanager
    def headroom(self, extra_bytes: int) -> Iterator[None]:
        """Let DuckDB take so much more while the one writer commits, or takes back.

        Queries may have filled the limit to the brim just then, and a COMMIT or ROLLBACK that
        lacks the memory for a block fails in a way that DuckDB cannot mend.
        """
        self._spare(extra_bytes)
        try:
            yield
        finally:
            self._spare(0)

    def _spare(self, extra_bytes: int) -> None:
        if not self._limited:
            return
        with self._changing:
            self._extra = extra_bytes
            with self._cursor() as cursor:
                engine.set_limit(cursor, self._limit())

    def renew(self) -> None:
        """Let a connection that was just opened have the limit that is asked for."""
        self._spare(0)

    def squeeze(self) -> None:
        """Lower the limit for a moment, so that DuckDB lets go of what it only keeps."""
        with self._changing, self._cursor() as cursor:
            if not self._asked:
                engine.set_limit(cursor, engine.KEPT_BYTES)
            engine.set_limit(cursor, self._limit())

    def _change(self, change: Callable[[], None]) -> None:
        if not self._limited:
            return
        with self._changing:
            before = self._limit()
            change()
            if self._limit() == before:
                return
            with self._cursor() as cursor:
                engine.set_limit(cursor, self._limit())
            if self._limit() < before:
                engine.release_memory()

    def _limit(self) -> int:
        return max(engine.EVERYDAY_BYTES, *self._asked, 0) + self._extra
