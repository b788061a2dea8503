"""How much memory DuckDB may take: little from day to day, more while something needs it.

This is the one place that changes the limit of an open store (``engine`` has the sizes).

Who asks for more comes in like any reader, so that nobody holds what is closed just then, and
only then takes the lock. The writer, and who is alone with the file, take the lock only: who
waits to be alone waits for those inside.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from guardian.errors import StoreError
from guardian.store import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import duckdb

    from guardian.store.reader import Reader


class Allowance:
    """What one open store may take.

    ``reading`` lets in who asks for more; ``cursor`` gives the writer, and who is alone with
    the file, a cursor of the open connection. Nothing is changed where it is not ``limited``:
    a store that lives in memory.
    """

    def __init__(
        self,
        cursor: Callable[[], duckdb.DuckDBPyConnection],
        reading: Callable[[], AbstractContextManager[Reader]],
        *,
        limited: bool = True,
    ) -> None:
        self._cursor = cursor
        self._reading = reading
        self._limited = limited
        self._changing = threading.Lock()
        self._asked: list[int] = []
        self._extra = 0

    @contextlib.contextmanager
    def more(self, wanted_bytes: int) -> Iterator[None]:
        """Let DuckDB take so much, as far as the machine has it, while the block runs.

        Blocks may overlap: the greatest wish counts. Afterwards what is only kept is given
        back; what is still in use then goes with the next squeeze.

        Raises:
            StoreError: the store is to be opened anew, or Guardian stops; nothing was asked for.
        """
        if not self._limited:
            yield
            return
        wanted = min(wanted_bytes, engine.most_bytes())
        with self._reading() as reader:
            self._ask(reader.cursor, wanted)
        try:
            yield
        finally:
            self._withdraw(wanted)

    def _ask(self, cursor: duckdb.DuckDBPyConnection, wanted: int) -> None:
        with self._changing:
            before = self._limit()
            self._asked.append(wanted)
            if self._limit() != before:
                engine.set_limit(cursor, self._limit())

    def _withdraw(self, wanted: int) -> None:
        with self._changing:
            before = self._limit()
            self._asked.remove(wanted)
            if self._limit() == before:
                return
        # Where nobody is let in now the file is opened anew, and has the limit from then on.
        with contextlib.suppress(StoreError), self._reading() as reader, self._changing:
            engine.set_limit(reader.cursor, self._limit())
        engine.release_memory()

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

    def _limit(self) -> int:
        return max(engine.EVERYDAY_BYTES, *self._asked, 0) + self._extra
