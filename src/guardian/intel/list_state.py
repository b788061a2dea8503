"""What is known of the lists between two builds: a small file beside them.

It says of each source when it was read last, with which content, and why it is held
back; of each list since when it stands. One build at a time writes it; anybody reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = "state.json"
ACCEPTED = "accepted.json"
LOCK = ".lock"

Row = dict[str, Any]


def read(out: Path) -> Row:
    """Return what the last build left; empty before the first."""
    return _json(out / STATE)


def write(out: Path, state: Row) -> None:
    """Keep what a build found, in one rename."""
    _replace(out / STATE, state)


def now() -> str:
    """Return this moment as it stands in the file: RFC 3339, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other builds in the same folder away.

    Raises:
        InputError: one is at work, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / LOCK).open("w")
    except OSError as error:
        msg = f"{out}: cannot be written: {error.strerror}"
        raise InputError(msg) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"another build is at work in {out}; try again when it is done"
            raise InputError(msg) from error
        yield


def held(out: Path) -> list[Row]:
    """Return the sources that the last build held back: ``name, held, held_since, names``."""
    rows = read(out).get("sources", {})
    return [row for row in rows.values() if row.get("held")]


def accept(out: Path, name: str, *, actor: str) -> Row:
    """Believe a source that is held back, as it is now; the next build takes it.

    Only the very content that was held back is accepted, and what must never be
    blocked still reaches no output.

    Raises:
        InputError: there is no such source, it is not held back, or there is nothing
            of it to believe.
    """
    row = read(out).get("sources", {}).get(name)
    if row is None:
        msg = f"no source is called {name!r}; see: guardian lists show"
        raise InputError(msg)
    if not row.get("held"):
        msg = f"the source {name} is not held back; there is nothing to accept"
        raise InputError(msg)
    digest = row.get("held_sha256")
    if not digest:
        msg = f"the source {name} cannot be read, so there is nothing to accept: {row['held']}"
        raise InputError(msg)
    known = accepted(out)
    known[name] = {"sha256": digest, "actor": actor[:100], "accepted_at": now()}
    _replace(out / ACCEPTED, known)
    return {"name": name, "accepted": row["held"], **known[name]}


def accepted(out: Path) -> dict[str, Row]:
    """Return what was accepted, by source: ``sha256, actor, accepted_at``."""
    return _json(out / ACCEPTED)


def waiting(out: Path) -> bool:
    """Say whether something was accepted that no build has taken yet."""
    known = accepted(out)
    return any(
        row["held_sha256"] == known[row["name"]]["sha256"]
        for row in held(out)
        if row["name"] in known and row.get("held_sha256")
    )


def _json(path: Path) -> Row:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, value: Row) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror}"
        raise InputError(msg) from error
