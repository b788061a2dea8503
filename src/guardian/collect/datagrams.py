"""Listen on a UDP port: a bounded queue of datagrams, dropped and counted when it is full."""

from __future__ import annotations

import collections
import socket
import threading
import time
from typing import TYPE_CHECKING

from guardian.errors import CollectorError
from guardian.intel import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_DATAGRAMS = 20_000
"""How many datagrams wait at most: some 30 MB, and a minute of a busy router."""

RECEIVE_BYTES = 4 << 20
"""The kernel's buffer that is asked for, so that a commit of a second loses nothing."""


class Listener:
    """One UDP port. Datagrams of senders that are not allowed are counted, not read."""

    def __init__(
        self, host: str, port: int, *, allowed: Callable[[str], bool] = addresses.is_internal
    ) -> None:
        self.host, self.port = host, port
        self.dropped = 0
        self.refused = 0
        self._allowed = allowed
        self._queue: collections.deque[tuple[float, str, bytes]] = collections.deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, unless it does already; port 0 becomes the port that was given.

        Raises:
            CollectorError: the port is taken or may not be used.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
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

    def take(self) -> list[tuple[float, str, bytes]]:
        """Return the datagrams that arrived: when, from whom, what."""
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None

    def _receive(self, sock: socket.socket) -> None:
        with sock:
            while not self._stop.is_set():
                try:
                    data, sender = sock.recvfrom(65_535)
                except TimeoutError:
                    continue
                except OSError:
                    return
                address = addresses.normalise(str(sender[0])) or ""
                if not self._allowed(address):
                    self.refused += 1
                elif len(self._queue) >= QUEUE_DATAGRAMS:
                    self.dropped += 1
                else:
                    self._queue.append((time.time(), address, data))
