"""Open the store: one writer, many readers, one file, one process.

DuckDB lets one process own a file, and cursors of one connection see only what
is committed. So the daemon holds the file; ``Store.transaction`` lets one writer
in at a time, and ``Store.read`` gives each reader a cursor of its own that is
never blocked by the writer.

A disk that is full or read-only stops the writer, not the readers; the next write tries
again. When DuckDB gives its open file up, the store opens it anew by itself.

Times are UTC ``TIMESTAMP`` in microseconds. Fetched rows hold naive ``datetime``
objects that mean UTC.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

import duckdb

from guardian.errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreRetryError,
)
from guardian.store import commit, engine, room
from guardian.store.archive import refresh_views
from guardian.store.cursors import Cursors
from guardian.store.failures import mapped_errors
from guardian.store.gate import Gate
from guardian.store.memory import Allowance
from guardian.store.migrations import check_version, migrate
from guardian.store.open_file import OpenFile
from guardian.store.reader import Reader, Transaction
from guardian.store.settle import clear_leftovers, settle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["FILE_NAME", "Reader", "Store", "Transaction", "mapped_errors"]

log = logging.getLogger(__name__)

FILE_NAME = "guardian.duckdb"
REVIVE_PAUSE_S = 5.0
"""New readers wait so long for the old ones when the file has to be opened anew."""
FOLD_PATIENCE_S = 5.0
"""A checkpoint waits so long for queries that read what was changed since they began."""
SWAP_PAUSE_S = 0.2
"""New readers wait no longer than this for the last old one, when a new file takes its place."""


class Store:
    """The one open database of this process.

    ``trouble`` says why the last write failed, where the disk is the reason; None is good.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, path: Path | None, *, read_only: bool = False
    ) -> None:
        self._file = OpenFile(connection, path, read_only=read_only)
        self._writing = threading.Lock()
        self._gate = Gate()
        self._allowance = Allowance(self._file.cursor, self.read, limited=path is not None)
        self._cursors = Cursors()
        self.path = path
        self.reserve_bytes = room.RESERVE_BYTES
        self.trouble: str | None = None

    @classmethod
    def open(cls, directory: Path, *, keep_former: bool = True) -> Store:
        """Open, or create, the store in ``directory`` and bring its schema up to date.

        On a disk that cannot be written an existing store is opened for reading; its first
        write after the disk can be written again opens it for writing. ``keep_former``
        keeps a copy of the file beside it before its schema is changed.

        Raises:
            StoreLockedError: another process owns it (the daemon, most likely).
            SchemaTooNewError: a newer Guardian wrote it.
            StoreDamagedError: the file is not as it was written; it was left alone.
            StoreError: it cannot be opened; the message says why.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            msg = f"cannot make the data directory {directory}: {error.strerror}"
            raise StoreError(msg) from error
        settle(directory)
        path = directory / FILE_NAME
        try:
            connection = engine.connect(path)
        except (StoreReadOnlyError, StoreFullError) as error:
            if not path.exists():
                raise
            log.warning("%s; it is opened for reading", error)
            return cls._to_read(path, str(error))
        clear_leftovers(directory)
        return cls._prepared(connection, path, keep_former=keep_former)

    @classmethod
    def memory(cls) -> Store:
        """Return an empty store that lives in memory, for tests and one-off replays."""
        return cls._prepared(duckdb.connect(":memory:", config=engine.settings(None)), None)

    @classmethod
    def _prepared(
        cls, connection: duckdb.DuckDBPyConnection, path: Path | None, *, keep_former: bool = True
    ) -> Store:
        try:
            with mapped_errors(path):
                migrate(connection, path, keep_former=keep_former)
            store = cls(connection, path)
            refresh_views(store)
        except BaseException:
            connection.close()
            raise
        return store

    @classmethod
    def _to_read(cls, path: Path, trouble: str) -> Store:
        connection = engine.connect(path, read_only=True)
        try:
            with mapped_errors(path):
                check_version(connection)
        except BaseException:
            connection.close()
            raise
        store = cls(connection, path, read_only=True)
        store.trouble = trouble
        return store

    @property
    def read_only(self) -> bool:
        """Whether the file is open for reading only: its disk could not be written."""
        return self._file.read_only

    @contextlib.contextmanager
    def read(self) -> Iterator[Reader]:
        """Give a cursor that sees what is committed, and is not blocked by the writer.

        Raises:
            StoreRetryError: a COMMIT failed halfway, and the file is still to be opened anew.
        """
        # Where the file is gone, or another is there, what is open is all there is to read.
        may_help = self._file.broken and not self.replaced()
        if may_help and self._writing.acquire(timeout=1.0):
            try:
                self._revive()
            finally:
                self._writing.release()
        with self._gate.reading(self._reader) as reader:
            try:
                with self._cursors.used(reader.cursor):
                    yield reader
            finally:
                reader.close()

    def _reader(self) -> Reader:
        if self._file.muddled:
            self._refuse_broken()
        with mapped_errors(self.path, self._give_up):
            return Reader(self._file.cursor(), self._give_up)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Let one writer in: all of the block is committed, or none of it.

        Raises:
            StoreReadOnlyError: the disk cannot be written; nothing was lost.
            StoreFullError: the disk has no room; nothing was lost.
            StoreRetryError: memory was short, or the file is still to be opened anew. Whether
                what was to be committed is there says the store, once it is open again.
            StoreError: DuckDB refused; the cause is chained.
        """
        with self._writing:
            try:
                self._revive()
                self._refuse_broken()
                self._refuse_read_only()
                with mapped_errors(self.path, self._give_up):
                    cursor = self._file.cursor()
                try:
                    with self._cursors.used(cursor), self._committed(cursor):
                        yield Transaction(cursor, self._give_up)
                finally:
                    cursor.close()
            except (StoreFullError, StoreReadOnlyError, StoreDamagedError) as error:
                self.trouble = str(error)
                raise
            self.trouble = None

    def _committed(self, cursor: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
        return commit.committed(
            cursor,
            self.path,
            headroom=self._allowance.headroom,
            fatal=self._give_up,
            muddled=self._distrust,
        )

    def _refuse_broken(self) -> None:
        if self._file.broken and self.path is not None:
            self._file.require_own()
            msg = "the store is to be opened anew as soon as its readers are through"
            raise StoreRetryError(msg)

    def _refuse_read_only(self) -> None:
        if self.read_only:
            msg = f"the disk is read-only ({self.path}); what was stored can be read"
            raise StoreReadOnlyError(msg)

    def _give_up(self) -> None:  # DuckDB will do nothing more with the file as it is open now
        self._file.broken = True

    def _distrust(self) -> None:  # nor must what is open be read
        self._file.broken = self._file.muddled = True

    def _revive(self) -> None:
        """Open the file anew where that is needed and may help; the writer's lock is held."""
        if not self._file.due():
            return
        self._file.require_own()
        # What is muddled is not to be trusted: nobody need wait for who reads it still.
        hurry = self._cursors.interrupt if self._file.muddled else lambda: None
        with self._gate.alone(REVIVE_PAUSE_S, hurry) as alone:
            if not alone:
                return
            self._reopen()
            if not self.read_only:
                log.warning("the store is open for writing again")

    def _reopen(self) -> None:
        self.trouble = self._file.reopen() or self.trouble
        with mapped_errors(self.path, self._give_up):
            self._allowance.renew()

    def require_room(self) -> None:
        """Refuse to take more in while less than ``reserve_bytes`` are free (``room``).

        Raises:
            StoreFullError: the disk is nearly full.
        """
        room.require(self)

    def free_bytes(self) -> int:
        """Return the free bytes of the store's disk; 0 for a store that lives in memory."""
        return 0 if self.path is None else room.disk(self.path).free

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file.

        A query that began before rows were changed holds that off: it is waited for.

        Raises:
            StoreRetryError: it still ran after ``FOLD_PATIENCE_S``; the log stays as it is.
        """
        until = time.monotonic() + FOLD_PATIENCE_S
        while True:
            try:
                with self._writing:
                    return self._fold()
            except StoreRetryError:
                if time.monotonic() > until:
                    raise
            time.sleep(SWAP_PAUSE_S)

    def _fold(self) -> None:
        self._revive()
        if self.read_only:
            return
        self._refuse_broken()
        try:
            with (
                mapped_errors(self.path, self._give_up),
                self._file.cursor() as cursor,
                self._allowance.headroom(commit.COMMIT_BYTES),
            ):
                cursor.execute("CHECKPOINT")
        except (StoreFullError, StoreReadOnlyError) as error:
            self.trouble = str(error)
            raise

    def squeeze(self) -> bool:
        """Let DuckDB give the memory of blocks back that nobody reads now.

        It keeps what it once held until its limit is reached. Returns False, with at most
        the log folded in, when readers left no moment for it.
        """
        with self._writing:
            try:
                self._fold()
            except StoreRetryError:
                return False
            if self.read_only:
                return False
            with self._gate.alone(SWAP_PAUSE_S) as alone:
                if not alone or self._file.broken:
                    return False
                self._allowance.squeeze()
        return True

    def more_memory(self, wanted_bytes: int) -> AbstractContextManager[None]:
        """Let DuckDB take up to so much memory while the block runs, as far as there is some.

        A store that lives in memory has no limit: it has nowhere else to go.

        Raises:
            StoreRetryError: a COMMIT failed halfway, and the file is still to be opened anew.
        """
        return self._allowance.more(wanted_bytes)

    def refresh_spill(self) -> None:
        """Let queries put as much on the disk as its free room allows now."""
        if self.path is not None:
            with self.read() as reader:
                engine.set_spill(reader.cursor, self.free_bytes())

    def replaced(self) -> bool:
        """Return whether another file stands where this store's file was, or none at all."""
        return self._file.replaced()

    def rewrite(self, *, patience_s: float = 30.0) -> bool:
        """Write the file anew without its holes, so that the disk gets the room back.

        Readers go on while the copy is made; new ones wait for a fraction of a second while
        it takes the old one's place. Returns False, with nothing changed, when readers left
        no such moment within ``patience_s`` seconds.

        Raises:
            StoreError: the copy could not be made, or not take the place; nothing was changed.
        """
        if self.path is None or self.read_only:
            return False
        copy = self.path.with_name(f".{FILE_NAME}.rewrite")
        memory: AbstractContextManager[None] = contextlib.nullcontext()
        with self._writing:
            if not self._file.gone():
                self._file.require_own()
                self._refuse_broken()
                memory = self._allowance.headroom(engine.COPY_BYTES)
            room.remove(copy)
            try:
                with memory:
                    self._file.copy_to(copy)
                return self._take_place(copy, patience_s)
            finally:
                room.remove(copy)

    def _take_place(self, copy: Path, patience_s: float) -> bool:
        assert self.path is not None
        until = time.monotonic() + patience_s
        while True:
            with self._gate.alone(min(SWAP_PAUSE_S, patience_s)) as alone:
                if alone:
                    self._exchange(copy)
                    return True
            if time.monotonic() > until:
                return False
            time.sleep(SWAP_PAUSE_S)

    def _exchange(self, copy: Path) -> None:
        try:
            self._file.take(copy)
        except StoreError:
            if self._file.broken:  # closed by now: what stands there still is opened again
                with contextlib.suppress(StoreError):
                    self._reopen()
            raise
        self._reopen()

    def abandon(self) -> bool:
        """Interrupt what runs, undone as a whole, for the end; True while something still runs."""
        return self._cursors.abandon()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._writing:
            self._file.close()
