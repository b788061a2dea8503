"""Keep marked blocks of lines in a file that others write in too.

Each order's lines stand between two comment lines with its mark. All other lines are
left as they are, and a change puts the whole file in place at once.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from guardian.errors import ResponderError

_MAX_FILE_BYTES = 64 * 1024 * 1024


def block_of(path: Path, mark: str) -> list[str]:
    """Return the lines between the order's marks (empty when there is no whole block).

    Raises:
        ResponderError: the file cannot be read.
    """
    lines = _read(path)
    begin, end = _marks(mark)
    if begin not in lines or end not in lines:
        return []
    return lines[lines.index(begin) + 1 : lines.index(end)]


def other_lines(path: Path, mark: str) -> list[str]:
    """Return all lines but the order's own.

    Raises:
        ResponderError: the file cannot be read.
    """
    return _without(_read(path), mark)


def replace_block(path: Path, mark: str, block: list[str]) -> None:
    """Write the order's lines at the end of the file, or take them out when there are none.

    Raises:
        ResponderError: the file cannot be read or written.
    """
    before = _read(path)
    kept = _without(before, mark)
    if block:
        if kept and not kept[-1].endswith("\n"):
            kept[-1] += "\n"
        begin, end = _marks(mark)
        kept = [*kept, begin, *block, end]
    if kept != before:
        _write(path, "".join(kept))


def _read(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            msg = f"{path} is larger than {_MAX_FILE_BYTES} bytes; it is not Guardian's"
            raise ResponderError(msg)
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return []
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise ResponderError(msg) from error
    return text.splitlines(keepends=True)


def _marks(mark: str) -> tuple[str, str]:
    return f"# {mark} begin\n", f"# {mark} end\n"


def _without(lines: list[str], mark: str) -> list[str]:
    """Return the lines without the order's blocks.

    A block without its end ends at a blank or a mark, so that a torn file does not
    swallow another's lines.
    """
    begin, end = _marks(mark)
    kept: list[str] = []
    inside = False
    for line in lines:
        if line == begin:
            inside = True
        elif inside and line == end:
            inside = False
        elif not inside or line.startswith("#") or not line.strip():
            inside = False
            kept.append(line)
    return kept


def _write(path: Path, text: str) -> None:
    """Put a whole file in place at once, with the rights and owner of the one before."""
    try:
        # A leading dot: dnsmasq passes such files of a hostsdir over.
        handle, name = tempfile.mkstemp(prefix=".guardian-", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _like(temporary, path)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise ResponderError(msg) from error


def _like(temporary: Path, path: Path) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        temporary.chmod(0o644)  # dnsmasq reads it as its own user
        return
    temporary.chmod(stat.S_IMODE(old.st_mode))
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.chown(temporary, old.st_uid, old.st_gid)
