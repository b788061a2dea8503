"""The gate that readers of the store pass: open, but for the moments when the file is changed."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Inside = TypeVar("Inside")

HURRY_S = 0.1
"""Who waits to be alone looks, and hurries the others, once in so many seconds."""


class Gate:
    """Lets any number of readers in, or one that needs to be alone."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._inside = 0
        self._shut = False

    @contextlib.contextmanager
    def reading(self, enter: Callable[[], Inside]) -> Iterator[Inside]:
        """Run the block as a reader; ``enter`` makes what it reads with, once it is let in."""
        with self._moved:
            self._moved.wait_for(lambda: not self._shut)
            made = enter()
            self._inside += 1
        try:
            yield made
        finally:
            with self._moved:
                self._inside -= 1
                self._moved.notify_all()

    @contextlib.contextmanager
    def alone(self, patience_s: float, hurry: Callable[[], None] = lambda: None) -> Iterator[bool]:
        """Keep new readers out while the block runs; True when the old ones have gone.

        It waits up to ``patience_s`` seconds for them, and calls ``hurry`` again and again.
        """
        with self._moved:
            self._shut = True
            try:
                yield self._emptied(patience_s, hurry)
            finally:
                self._shut = False
                self._moved.notify_all()

    def _emptied(self, patience_s: float, hurry: Callable[[], None]) -> bool:
        until = time.monotonic() + patience_s
        while self._inside and (left := until - time.monotonic()) > 0:
            hurry()
            self._moved.wait(min(left, HURRY_S))
        return self._inside == 0
