"""What a collector hands to the store: columns, refusals and a bookmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One piece of input that could not be stored, and why.

    ``place`` is a byte offset or a line number in the source; ``sample`` holds at
    most the first 2,000 bytes. ``count`` stands for that many of the same reason
    when only one is sampled.
    """

    reason: str
    place: str
    sample: bytes = b""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Typed columns by table name, committed together with the bookmark.

    ``tables`` maps a table of the store (``flow``, ``dns`` …) to an Arrow table
    whose columns are some of that table's columns (``id`` and ``source_id``
    excepted: the store fills them). ``bookmark`` is opaque to the store: a JSON
    object from which the same collector goes on.

    ``replace`` names, by table, the columns that tell a row of this source: a row
    that says the same again is left as it is, one that says something else takes
    the place of the row with the same values there. ``ts`` is always one of them.

    ``numbered`` says that every table has a column ``n`` besides, which numbers the rows
    over the whole batch from 0 to below that many: their ids then follow the source's order
    across tables. ``newest`` is the latest time of an event where no ``ts`` says it.

    ``full`` says that more of the source waits, as far as is known: this batch may share
    its transaction with the next.

    ``dropped`` counts what a live source lost because nobody had time for it.
    """

    tables: Mapping[str, pa.Table]
    bookmark: Mapping[str, object]
    rejects: tuple[Reject, ...] = ()
    events: int = 0
    replace: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbered: int = 0
    full: bool = False
    newest: datetime | None = None
    dropped: int = 0

    @property
    def rejected(self) -> int:
        """How many pieces of input were refused."""
        return sum(reject.count for reject in self.rejects)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Which source a batch came from: a unique name, its kind, and its path or address."""

    name: str
    kind: str
    path: str
    labels: Mapping[str, str] = field(default_factory=dict)
