"""Open a file as plain bytes, whether it is compressed with gzip, Zstandard or not at all.

The kind is told by the first bytes, never by the name: rotated logs are renamed
by whoever rotates them.
"""

from __future__ import annotations

import errno
import gzip
import stat
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

if TYPE_CHECKING:
    from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

HEAD_BYTES = 64 << 10
"""How much of a file is looked at to tell its kind."""

BROKEN_STREAM = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a compressed file that is cut or damaged can raise."""

BOM = b"\xef\xbb\xbf"
"""What some editors put before UTF-8 text; it belongs to no line."""

_MAX_WINDOW_BYTES = 128 << 20  # what `zstd --long=27` writes; more is refused, not allocated


def is_compressed(path: Path) -> bool:
    """Tell whether a file is compressed with gzip or Zstandard."""
    with _open(path) as file:
        return file.read(4).startswith((GZIP_MAGIC, ZSTD_MAGIC))


def written_at(path: Path) -> float:
    """Return when the plain file was last written, in seconds since 1970.

    gzip keeps that in its header; a copied or unpacked file's own time says less.
    """
    with _open(path) as file:
        start = file.read(8)
    kept = int.from_bytes(start[4:8], "little") if start.startswith(GZIP_MAGIC) else 0
    return float(kept) if kept else path.stat().st_mtime


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading its plain bytes; the caller closes it.

    A cut or damaged compressed file raises one of ``BROKEN_STREAM`` on ``read``,
    after what was readable has been read.
    """
    file = _open(path)
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(GZIP_MAGIC):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    if magic.startswith(ZSTD_MAGIC):
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        return cast(
            "BinaryIO", decompressor.stream_reader(file, read_across_frames=True, closefd=True)
        )
    return file


def head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """Return the first plain bytes of a file; of a damaged one, what can be read."""
    parts: list[bytes] = []
    missing = size
    with open_plain(path) as file:
        try:
            while missing and (part := file.read(min(missing, 4096))):
                parts.append(part)
                missing -= len(part)
        except BROKEN_STREAM:
            pass
    return b"".join(parts)


def _open(path: Path) -> BinaryIO:
    """Open a file, and nothing that would make us wait, such as a pipe nobody writes to."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder says so by itself
        what = "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"
        raise OSError(errno.ENOTSUP, f"it is {what}, not a file", str(path))
    return path.open("rb")
