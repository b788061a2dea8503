"""How the cold tier is: files that cannot be read, and files that are not this store's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.store import cold_files, cold_lost

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from guardian.store import Store

LOUD = timedelta(days=7)
"""A loss is red for so long, then amber until its day would have been deleted anyway: what
nothing can be done about must not hide what else turns red."""
NAMED = 3
"""Up to so many lost files have a line each; more are one line."""


def reasons(store: Store, *, now: datetime) -> list[tuple[str, str, str]]:
    """Return what is wrong with the cold tier, as (state, about, text)."""
    if store.path is None:
        return []
    with store.read() as reader:
        lost = cold_lost.lost(reader)
    fresh = any(now - row["noted_at"] < LOUD for row in lost)
    state = "red" if fresh else "amber"
    found = [(state, "store", text) for text in _lines(lost, store.path.parent)]
    for folder, number in cold_files.put_aside(store):
        text = (
            f"{number} cold {'file' if number == 1 else 'files'} that this store does not know "
            f"went to {folder}: of a store that lay here before, most likely. Delete the folder "
            "if you do not want it"
        )
        found.append(("amber", "store", text))
    return found


def _lines(lost: list[dict[str, Any]], home: Path) -> list[str]:
    todo = "Put {it} back from a backup, or restore that backup; all else is read as before"
    if len(lost) > NAMED:
        rows = sum(row["rows"] for row in lost)
        tables = ", ".join(sorted({row["table_name"] for row in lost}))
        return [
            f"{len(lost)} cold files are missing or damaged: {rows:,} rows of {tables} from "
            f"{lost[0]['day']} to {lost[-1]['day']} cannot be read ({home / cold_files.FOLDER}). "
            + todo.format(it="the files")
        ]
    return [
        f"{row['rows']:,} rows of {row['table_name']} of {row['day']} cannot be read: "
        f"{home / row['file']} {row['reason']}. " + todo.format(it="the file")
        for row in lost
    ]
