"""What one thread writes, read in another as a file."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def piped(work: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """Run ``work`` in a thread and give what it writes as something to read.

    What fails in there, whatever it is, is raised at the end, unless the reader failed first.
    """
    failed: list[BaseException] = []
    read_end, write_end = os.pipe()

    def run() -> None:
        try:
            with os.fdopen(write_end, "wb") as sink:
                work(sink)
        except BaseException as error:  # noqa: BLE001 - raised below: what it wrote is cut
            failed.append(error)

    # No executor: the end of the program would wait for it.
    thread = threading.Thread(target=run, name="backup")
    thread.start()
    try:
        with os.fdopen(read_end, "rb") as source:
            yield source
    finally:
        thread.join()
    if failed:
        raise failed[0]
