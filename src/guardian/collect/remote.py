"""Ask a server again and again: a loop of its own, a pace, and a back-off.

A collector is read by whatever thread has time, but a client's session and connection
belong to one event loop. So each remote collector has a loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from guardian.errors import ClientAuthError, ClientError, CollectorError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

CALL_TIMEOUT_S = 120.0
"""How long one reading may take; the client's own limits are far below."""

MAX_PAUSE_S = 300.0
"""The longest pause after failures: a server that comes back is noticed in five minutes."""

FAREWELL_S = 10.0
"""How long the client may take to log out."""

CLOSED = "the collector was closed"

Result = TypeVar("Result")


class Poller:
    """When to ask next, and where to run it. Closed once, with the client's last words."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._next = 0.0
        self._failures = 0
        self._error: str | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._asking: Future[Any] | None = None

    def due(self, *, now: bool = False) -> bool:
        """Tell whether it is time to ask; while backing off, say again what is wrong.

        Raises:
            CollectorError: the last try failed and the next is still to come.
        """
        if now or time.monotonic() >= self._next:
            return True
        if self._error is not None:
            raise CollectorError(self._error)
        return False

    def call(self, what: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end and set the pace by its outcome.

        Raises:
            CollectorError: the server could not be asked, did not answer as agreed, or the
                collector was closed, be it meanwhile.
        """
        with self._lock:
            if self._closed:
                what.close()
                raise CollectorError(CLOSED)
            future = asyncio.run_coroutine_threadsafe(what, self._running())
            self._asking = future
        try:
            result = future.result(CALL_TIMEOUT_S)
        except CancelledError as error:
            raise CollectorError(CLOSED) from error
        except TimeoutError as error:
            future.cancel()
            raise self._failed(f"no answer within {CALL_TIMEOUT_S:.0f} s") from error
        except ClientAuthError as error:
            # Whoever is refused again and again is locked out: a person must look at this first.
            raise self._failed(str(error), least_s=MAX_PAUSE_S) from error
        except ClientError as error:
            raise self._failed(str(error)) from error
        self._failures, self._error = 0, None
        self._next = time.monotonic() + self._every_s
        return result

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """End what is under way, run the client's farewell, end the loop. Safe to call twice."""
        with self._lock:
            loop, thread, self._loop, self._closed = self._loop, self._thread, None, True
            if self._asking is not None:
                # Whoever waits for it must not wait until its time is up: the loop ends here.
                self._asking.cancel()
        if loop is None or thread is None:
            last.close()
            return
        farewell = asyncio.run_coroutine_threadsafe(last, loop)
        try:
            farewell.result(FAREWELL_S)
        except (TimeoutError, ClientError):
            farewell.cancel()  # the server is gone: there is nobody to say farewell to
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=5.0)

    def _failed(self, message: str, *, least_s: float = 0.0) -> CollectorError:
        self._failures += 1
        pause = max(least_s, min(MAX_PAUSE_S, self._every_s * 2.0**self._failures))
        self._next = time.monotonic() + pause
        self._error = f"{message} (asked again in {pause:.0f} s)"
        return CollectorError(self._error)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=loop.run_forever, name="remote", daemon=True)
            self._thread.start()
            self._loop = loop
        return self._loop
