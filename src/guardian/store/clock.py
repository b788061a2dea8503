"""How old rows are, whatever the machine's clock does.

The clock of a small machine jumps: there is no battery, the network's time comes late,
somebody sets a wrong year. So Guardian counts for itself how long the machine ran, and a
row is as old as the smaller of two ages: since it happened, and since it was stored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardian.store.connection import Store
    from guardian.store.reader import Reader

TOLERANCE_S = 600.0
"""A clock that moved so much more or less than time passed was set, or has jumped."""
OFF_MOST_S = 7 * 86400.0
"""A machine that was off is believed to have been off so long at most."""
MARK_EVERY_S = 6 * 3600.0
"""How finely it is known when rows were stored."""
MARKS_KEPT_S = 800 * 86400.0
"""Marks older than the longest age that anybody keeps rows for are not needed."""
TELL_S = 86400.0
"""So long after a jump it is still told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Which start of the machine this is, and the seconds since, suspension included."""

    name: str
    up_s: float


def boot() -> Boot:
    """Ask the machine."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        name = "unknown"
    return Boot(name=name, up_s=time.clock_gettime(time.CLOCK_BOOTTIME))


def note(store: Store, now: datetime, *, running: Boot | None = None) -> float:
    """Note what the clock says, and return Guardian's age in seconds, jumps left out."""
    running = running or boot()
    with store.transaction() as tx:
        last = tx.one("SELECT * FROM clock_note")
        passed, jumped = (0.0, None) if last is None else _passed(last, now, running)
        age = passed + (last["age_s"] if last else 0.0)
        tx.execute("DELETE FROM clock_note")
        kept = (last["jumped_s"], last["jump_age_s"]) if last else (None, None)
        tx.execute(
            "INSERT INTO clock_note VALUES (?, ?, ?, ?, ?, ?)",
            [now, running.name, running.up_s, age, *((jumped, age) if jumped else kept)],
        )
        newest = tx.value("SELECT max(age_s) FROM stored_mark")
        if newest is None or age - newest >= MARK_EVERY_S:
            tx.execute("INSERT INTO stored_mark SELECT ?, next_id FROM row_counter", [age])
            tx.execute(
                "DELETE FROM stored_mark WHERE age_s < "
                "(SELECT max(age_s) FROM stored_mark WHERE age_s <= ?)",
                [age - MARKS_KEPT_S],
            )
    return age


def _passed(last: dict[str, object], now: datetime, running: Boot) -> tuple[float, float | None]:
    """Return the seconds that passed since the last note, and the jump if there was one."""
    noted, up = last["noted_at"], last["up_s"]
    assert isinstance(noted, datetime)
    assert isinstance(up, float)
    shown = (now - noted).total_seconds()
    if last["boot"] == running.name and running.up_s >= up:
        passed = running.up_s - up
        jump = shown - passed
        return passed, jump if abs(jump) > TOLERANCE_S else None
    passed = min(max(shown, 0.0), OFF_MOST_S)
    return passed, shown - passed if abs(shown - passed) > TOLERANCE_S else None


def stored_before(reader: Reader, age_s: float, keep: timedelta) -> int:
    """Return the id below which rows were stored longer than ``keep`` ago."""
    return int(
        reader.value(
            "SELECT coalesce(max(next_id), 0) FROM stored_mark WHERE age_s <= ?",
            [age_s - keep.total_seconds()],
        )
    )


def backdate(store: Store) -> None:
    """Let every row stored so far count as old as it says: for a store filled at once."""
    with store.transaction() as tx:
        tx.execute("INSERT INTO stored_mark SELECT -1e9, next_id FROM row_counter")


def trouble(reader: Reader) -> str | None:
    """Say that the clock jumped within the last day of Guardian's own time, or None."""
    row = reader.one(
        "SELECT jumped_s, noted_at FROM clock_note WHERE jumped_s IS NOT NULL AND age_s - "
        "jump_age_s < ?",
        [TELL_S],
    )
    if row is None:
        return None
    way = "forward" if row["jumped_s"] > 0 else "back"
    return (
        f"the clock jumped {way} by {_spoken(abs(row['jumped_s']))}; rows of that time may be "
        "dated wrongly. Nothing is deleted because of it. See: timedatectl"
    )


def _spoken(seconds: float) -> str:
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}"
    return f"{seconds:.0f} seconds"
