"""Listen on a unix socket for lines: a bounded queue, dropped and counted when it is full.

Who writes to a socket cannot be made to wait (Suricata itself throws away what a full
socket does not take), so this end always reads, and counts what it has no room for.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import selectors
import socket
import stat
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import CollectorError
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES = 256 << 10
"""How much is read from a connection at once; also the longest datagram."""

MAX_WRITERS = 16
"""How many programs may be connected at once; one Suricata takes one connection."""

SOCKET_MODE = 0o660
"""Who may write: the owner and the group. Put Suricata's user into Guardian's group."""

_TICK_S = 0.5
_FINISH_S = 2.0


@dataclass(slots=True)
class _Writer:
    """One connection: the beginning of a line whose end is still to come."""

    connection: socket.socket
    rest: bytes = b""
    skipping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Whole lines that arrived, what of the stream was no line, and how many were dropped."""

    data: bytes
    rejects: tuple[Reject, ...]
    dropped: int

    @property
    def empty(self) -> bool:
        """Whether nothing happened at all."""
        return not (self.data or self.rejects or self.dropped)


class LineSocket:
    """A unix socket, of streams or of datagrams, that gives whole lines."""

    def __init__(
        self, path: Path, *, queue_bytes: int, max_line_bytes: int, datagrams: bool = False
    ) -> None:
        self.path = path
        self._limit = queue_bytes
        self._max_line = max_line_bytes
        self._datagrams = datagrams
        self._queue: collections.deque[bytes] = collections.deque()
        self._held = 0
        self._dropped = 0
        self._long = 0
        self._long_sample = b""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._inode = 0
        self._closed = False
        self._writers = 0
        self._alone_since = time.monotonic()

    def start(self) -> None:
        """Listen, unless it does already, or was closed for good; heal a removed socket file.

        Raises:
            CollectorError: the path cannot be used, or another program listens there.
        """
        if self._closed:
            return
        running = self._thread is not None and self._thread.is_alive()
        if running and _inode(self.path) == self._inode:
            return
        self._end()
        listening = self._bound()
        self._inode = _inode(self.path)
        self._writers, self._alone_since = 0, time.monotonic()
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._receive, args=(listening,), name=f"unix-{self.path.name}", daemon=True
        )
        self._thread.start()

    @property
    def held_bytes(self) -> int:
        """How much waits to be taken."""
        return self._held

    @property
    def alone_s(self) -> float:
        """Since when nobody has been connected; who sends datagrams never is."""
        if self._datagrams or self._closed or self._writers:
            return 0.0
        return time.monotonic() - self._alone_since

    def take(self, most_bytes: int) -> Taken:
        """Return what arrived, oldest first: about ``most_bytes`` of it, the rest waits."""
        blocks: list[bytes] = []
        with self._lock:
            size = 0
            while self._queue and size < most_bytes:
                block = self._queue.popleft()
                blocks.append(block)
                size += len(block)
            self._held -= size
            dropped, self._dropped = self._dropped, 0
            number, self._long = self._long, 0
        reject = Reject(
            reason="line too long", place=str(self.path), sample=self._long_sample, count=number
        )
        return Taken(data=b"".join(blocks), rejects=(reject,) if number else (), dropped=dropped)

    def close(self) -> None:
        """Stop listening and remove the socket; what arrived can still be taken."""
        self._closed = True
        self._end()
        if self._inode and _inode(self.path) == self._inode:
            self.path.unlink(missing_ok=True)
        self._inode = 0

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None

    def _bound(self) -> socket.socket:
        kind = socket.SOCK_DGRAM if self._datagrams else socket.SOCK_STREAM
        try:
            self._clear(kind)
            sock = socket.socket(socket.AF_UNIX, kind)
            sock.bind(str(self.path))
            self.path.chmod(SOCKET_MODE)
            if not self._datagrams:
                sock.listen(MAX_WRITERS)
            sock.setblocking(False)
        except OSError as error:
            msg = f"cannot listen on {self.path}: {error.strerror or error}"
            raise CollectorError(msg) from error
        return sock

    def _clear(self, kind: socket.SocketKind) -> None:
        """Remove the socket that a killed Guardian left; never anything else."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            msg = f"cannot listen on {self.path}: there is a file of that name"
            raise CollectorError(msg)
        with socket.socket(socket.AF_UNIX, kind) as probe:
            reason = probe.connect_ex(str(self.path))
        if reason in (0, errno.EPROTOTYPE, errno.EAGAIN):
            msg = f"cannot listen on {self.path}: another program listens there"
            raise CollectorError(msg)
        self.path.unlink()

    def _receive(self, listening: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, listening:
            selector.register(listening, selectors.EVENT_READ, None)
            while not self._stop.is_set():
                for key, _ in selector.select(_TICK_S):
                    if key.data is not None:
                        self._read(selector, key.data)
                    elif self._datagrams:
                        self._read_datagram(listening)
                    else:
                        _accept(selector, listening)
                self._count(len(selector.get_map()) - 1)
            self._finish(selector, listening)

    def _count(self, writers: int) -> None:
        if self._writers and not writers:
            self._alone_since = time.monotonic()
        self._writers = writers

    def _finish(self, selector: selectors.BaseSelector, listening: socket.socket) -> None:
        """Read what the kernel still holds, so that a planned stop loses nothing."""
        until = time.monotonic() + _FINISH_S
        while not self._datagrams and _accept(selector, listening):
            pass
        for key in list(selector.get_map().values()):
            if key.data is not None:
                while time.monotonic() < until and self._read(selector, key.data):
                    pass
                self._leave(selector, key.data)
        while self._datagrams and time.monotonic() < until and self._read_datagram(listening):
            pass

    def _read(self, selector: selectors.BaseSelector, writer: _Writer) -> bool:
        """Read once; return whether there may be more."""
        try:
            data = writer.connection.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._leave(selector, writer)
            return False
        self._feed(writer, data)
        return True

    def _leave(self, selector: selectors.BaseSelector, writer: _Writer) -> None:
        """Forget a writer; what it sent of a last line may be a whole event or a torn one."""
        with contextlib.suppress(KeyError, ValueError):
            selector.unregister(writer.connection)
        writer.connection.close()
        if writer.rest:
            self._put(writer.rest + b"\n")
            writer.rest = b""

    def _read_datagram(self, listening: socket.socket) -> bool:
        try:
            data = listening.recv(READ_BYTES)
        except OSError:
            return False
        if data:
            self._feed(_Writer(listening), data if data.endswith(b"\n") else data + b"\n")
        return True

    def _feed(self, writer: _Writer, data: bytes) -> None:
        if writer.skipping:
            end = data.find(b"\n") + 1
            if not end:
                return
            writer.skipping = False
            data = data[end:]
        end = data.rfind(b"\n") + 1
        if end:
            self._put(writer.rest + data[:end])
            writer.rest = data[end:]
        else:
            writer.rest += data
        if len(writer.rest) > self._max_line:
            with self._lock:
                self._long += 1
                self._long_sample = writer.rest[:2000]
            writer.rest, writer.skipping = b"", True

    def _put(self, lines: bytes) -> None:
        with self._lock:
            fits = len(lines)
            if self._held + fits > self._limit:
                fits = lines.rfind(b"\n", 0, self._limit - self._held) + 1
                self._dropped += lines.count(b"\n", fits)
            if fits:
                self._queue.append(lines[:fits])
                self._held += fits


def _accept(selector: selectors.BaseSelector, listening: socket.socket) -> bool:
    """Take a waiting connection; return whether there may be more."""
    try:
        connection, _ = listening.accept()
    except OSError:
        return False
    if len(selector.get_map()) > MAX_WRITERS:
        connection.close()
    else:
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, _Writer(connection))
    return True


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return 0
