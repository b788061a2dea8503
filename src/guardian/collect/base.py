"""What every collector is: a source that is read from a bookmark, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from guardian.model.batch import Batch, SourceInfo


class Collector(Protocol):
    """Read one source.

    A collector keeps no state that matters: everything it needs to go on is in the
    bookmark of the last committed batch, so that a kill at any moment costs nothing.
    """

    @property
    def source(self) -> SourceInfo:
        """Which source this is; its name is unique and stable over restarts."""

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield what is unread, oldest first, and end when there is no more for now.

        With ``final`` the source will not grow any more: a last line without its
        newline is read too.

        Raises:
            CollectorError: the source cannot be read, or not further.
        """


@runtime_checkable
class Closing(Protocol):
    """A collector that holds something open: a session, a port, a thread."""

    def close(self) -> None:
        """Give it back. Safe to call twice; nothing is read afterwards."""


@runtime_checkable
class Holding(Closing, Protocol):
    """A collector that may hold, after its end, what arrived before and was not read yet."""

    def holds(self) -> bool:
        """Tell whether ``batches`` would still yield something after ``close``."""

    def not_stored(self, number: int) -> None:
        """Count so many pieces as dropped: it gave them, and the store could not take them."""
