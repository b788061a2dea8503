"""The gate that readers of the store pass: open, but for the moments when the file is changed."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Inside = TypeVar("Inside")


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
    def alone(self, patience_s: float) -> Iterator[bool]:
        """Keep new readers out while the block runs; True when the old ones have gone.

        It waits up to ``patience_s`` seconds for them.
        """
        with self._moved:
            self._shut = True
            try:
                yield self._moved.wait_for(lambda: self._inside == 0, patience_s)
            finally:
                self._shut = False
                self._moved.notify_all()
