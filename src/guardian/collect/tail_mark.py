"""What a tailer hands over: whole lines, and the place behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.model.batch import Reject


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a log was read.

    ``offset`` counts plain bytes of the file whose first line has the digest ``head``;
    ``skipping`` says that it lies within a line that is too long to keep.
    ``mtime_ns`` is when that file was last written, as far as we know.
    """

    head: str
    inode: int
    offset: int
    mtime_ns: int = 0
    skipping: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the mark as a bookmark."""
        return {
            "head": self.head,
            "inode": self.inode,
            "offset": self.offset,
            "mtime_ns": self.mtime_ns,
            "skipping": self.skipping,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object] | None) -> Mark | None:
        """Return the mark of a bookmark, or None when it has none."""
        if not value or not isinstance(value.get("head"), str):
            return None

        def number(key: str) -> int:
            found = value.get(key)
            return found if isinstance(found, int) else 0

        return cls(
            head=str(value["head"]),
            inode=number("inode"),
            offset=number("offset"),
            mtime_ns=number("mtime_ns"),
            skipping=bool(value.get("skipping")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Whole lines, at which byte of which file they began, and the mark behind them."""

    file: str
    start: int
    data: bytes | memoryview
    mark: Mark
    rejects: tuple[Reject, ...] = ()
