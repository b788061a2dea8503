"""Listen on a UDP port: a bounded queue of datagrams, dropped and counted when it is full."""

from __future__ import annotations

import collections
import functools
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

from guardian.errors import CollectorError
from guardian.intel import addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUEUE_DATAGRAMS = 20_000
"""How many datagrams wait at most: a minute of a busy router, some 28 MB of 1,400 bytes each."""

QUEUE_BYTES = 32 << 20
"""And how many bytes of data: a datagram may have 65,507 of them, whatever sends it."""

RECEIVE_BYTES = 4 << 20
"""The kernel's buffer that is asked for, so that a commit of a second loses nothing."""


_SO_RXQ_OVFL = 40
"""Linux: with each datagram, say how many the kernel dropped before (asm-generic/socket.h)."""


class Listener:
    """One UDP port. Datagrams of senders that are not allowed are counted, not read.

    Dropped are those that the queue had no room for, and those that the kernel threw away
    because this thread did not get to run.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        allowed: Callable[[str], bool] = addresses.is_internal,
        queue_datagrams: int = QUEUE_DATAGRAMS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.host, self.port = host, port
        self._dropped = self._refused = 0
        self._told = (0, 0)
        self._allowed = allowed
        self._limit = queue_datagrams
        self._limit_bytes = queue_bytes
        self._bytes_in = self._bytes_out = 0  # two threads, and each writes its own number
        self._closed = False
        self._queue: collections.deque[tuple[float, str, bytes]] = collections.deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def allow_home(self, home_nets: Sequence[addresses.Network]) -> None:
        """Read what senders of the home send: those of private ranges, and of these networks."""
        self._allowed = functools.partial(addresses.is_internal, home_nets=tuple(home_nets))

    def start(self) -> None:
        """Listen, unless it does already or was closed; port 0 becomes the port that was given.

        Raises:
            CollectorError: the port is taken or may not be used.
        """
        if self._closed or (self._thread is not None and self._thread.is_alive()):
            return
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            sock.settimeout(0.5)
            sock.bind((self.host, self.port))
        except OSError as error:
            msg = f"cannot listen on UDP {self.host}:{self.port}: {error.strerror or error}"
            raise CollectorError(msg) from error
        self.port = sock.getsockname()[1]
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._receive, args=(sock,), name=f"udp-{self.port}", daemon=True
        )
        self._thread.start()

    @property
    def held(self) -> int:
        """How many datagrams wait to be taken."""
        return len(self._queue)

    def lost(self) -> tuple[int, int]:
        """Return how many were dropped, and how many refused, since the last call."""
        now = (self._dropped, self._refused)
        before, self._told = self._told, now  # the thread only ever adds to its own numbers
        return now[0] - before[0], now[1] - before[1]

    def take(self) -> list[tuple[float, str, bytes]]:
        """Return the datagrams that arrived: when, from whom, what."""
        taken = [self._queue.popleft() for _ in range(len(self._queue))]
        self._bytes_out += sum(len(data) for _, _, data in taken)
        return taken

    def close(self) -> None:
        """Stop listening; what arrived can still be taken. Safe to call twice."""
        self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None

    def _receive(self, sock: socket.socket) -> None:
        lost = 0
        with sock:
            while not self._stop.is_set():
                try:
                    data, notes, _, sender = sock.recvmsg(65_535, socket.CMSG_SPACE(4))
                except TimeoutError:
                    continue
                except OSError:
                    return
                for level, kind, value in notes:
                    if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                        total = int.from_bytes(value[:4], sys.byteorder)
                        self._dropped += (total - lost) & 0xFFFF_FFFF
                        lost = total
                self._take_in(str(sender[0]), data)

    def _take_in(self, sender: str, data: bytes) -> None:
        address = addresses.normalise(sender) or ""
        if not self._allowed(address):
            self._refused += 1
        elif (
            len(self._queue) >= self._limit
            or self._bytes_in - self._bytes_out + len(data) > self._limit_bytes
        ):
            self._dropped += 1
        else:
            self._bytes_in += len(data)
            self._queue.append((time.time(), address, data))
