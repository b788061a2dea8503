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

    ``offset`` counts plain bytes of the file whose first line has the digest ``head`` and whose
    first ``begin_bytes`` bytes have the digest ``begin`` (none in the marks of older versions);
    ``skipping`` says that it lies within a line that is too long to keep. ``mtime_ns`` is when
    that file was last written, as far as we know; ``end`` is where it ends when it will not
    grow any more, -1 when it may.
    """

    head: str
    inode: int
    offset: int
    mtime_ns: int = 0
    skipping: bool = False
    begin: str = ""
    begin_bytes: int = 0
    end: int = -1

    def as_json(self) -> dict[str, object]:
        """Return the mark as a bookmark."""
        return {
            "head": self.head,
            "inode": self.inode,
            "offset": self.offset,
            "mtime_ns": self.mtime_ns,
            "skipping": self.skipping,
            "begin": self.begin,
            "begin_bytes": self.begin_bytes,
            "end": self.end,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object] | None) -> Mark | None:
        """Return the mark of a bookmark, or None when it has none."""
        if not value or not isinstance(value.get("head"), str):
            return None

        def number(key: str, missing: int = 0) -> int:
            found = value.get(key)
            return found if isinstance(found, int) else missing

        begin = value.get("begin")
        return cls(
            head=str(value["head"]),
            inode=number("inode"),
            offset=number("offset"),
            mtime_ns=number("mtime_ns"),
            skipping=bool(value.get("skipping")),
            begin=begin if isinstance(begin, str) else "",
            begin_bytes=number("begin_bytes") if begin else 0,
            end=number("end", -1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Whole lines, at which byte of which file they began, and the mark behind them."""

    file: str
    start: int
    data: bytes | memoryview
    mark: Mark
    rejects: tuple[Reject, ...] = ()
