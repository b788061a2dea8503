"""What became of fetching one list: the copy that is at hand, and why it is not newer."""

from __future__ import annotations

import msgspec


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """The last good copy of a source, and how the last try went.

    ``fetched_at`` is when the copy came, ``checked_at`` when the server last answered,
    both RFC 3339 in UTC. ``error`` is why the last try failed, None when it did not.
    ``sha256`` and ``bytes`` are of the copy, unpacked. ``plain`` says that it came
    without encryption, so that anybody on the way could have changed it.
    """

    url: str
    sha256: str | None = None
    bytes: int = 0
    etag: str | None = None
    modified: str | None = None
    fetched_at: str | None = None
    checked_at: str | None = None
    error: str | None = None
    plain: bool = False
