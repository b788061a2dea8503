"""What the bytes of each cold file were: read again a little a round, for disks that forget.

Parquet's pages are read without a check (DuckDB 1.5): a byte that a disk changed is another
value, or a query that fails, possibly years later.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.store import cold_files

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from guardian.store.connection import Store
    from guardian.store.reader import Reader

AGAIN = timedelta(days=30)
"""So long after it was last read a file is read again."""

ROUND_BYTES = 64 << 20
"""So much is read in a round, at least one file: at the default pace 9 GB a day."""


def changed(store: Store, *, now: datetime) -> list[tuple[str, str]]:
    """Read what is due, and return files whose bytes are not what they were, with their tables.

    A file that was never read is remembered as it is now.

    Raises:
        StoreError: what was read could not be noted.
    """
    with store.read() as reader:
        listed = reader.rows(
            """
            SELECT file, table_name, bytes, sha256
            FROM cold_file LEFT JOIN cold_sum USING (file)
            WHERE read_at IS NULL OR read_at NOT BETWEEN $since AND $now
            ORDER BY read_at NULLS FIRST, file
            """,
            {"since": now - AGAIN, "now": now},
        )
    home, left = cold_files.root(store), ROUND_BYTES
    bad, found = [], []
    for row in listed:
        if left <= 0:
            break
        left -= row["bytes"]
        digest = _sum(home / row["file"])
        if digest is None:  # that is noticed elsewhere
            continue
        if not digest or row["sha256"] not in (None, digest):
            bad.append((row["file"], row["table_name"]))
        else:
            found.append((row["file"], digest, now))
    if found:
        with store.transaction() as tx:
            tx.many("DELETE FROM cold_sum WHERE file = ?", [(name,) for name, *_ in found])
            tx.many("INSERT INTO cold_sum VALUES (?, ?, ?)", found)
    return bad


def as_it_was(reader: Reader, name: str, path: Path) -> bool:
    """Tell whether a file has the bytes that it had, as far as that is known."""
    known = reader.value("SELECT sha256 FROM cold_sum WHERE file = ?", [name])
    return known is None or known == _sum(path)


def _sum(path: Path) -> str | None:
    """Return the SHA-256 of a file, None where there is none, nothing if the disk refuses it."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError:
        return ""
