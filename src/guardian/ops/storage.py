"""How the store is: its room, when it will be full, its disk, its file and its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.store import clock, engine, ingest, retention, room
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader, Store


def storage(store: Store, reader: Reader) -> dict[str, Any]:
    """Return bytes in use by tier, free on the disk, and the days until it is full (or None)."""
    measured = room.sizes(store)
    days = retention.forecast(reader)
    return {
        "hot_bytes": measured.hot_bytes,
        "cold_bytes": measured.cold_bytes,
        "empty_bytes": measured.hole_bytes,
        "free_bytes": measured.free_bytes,
        "kept_free_bytes": retention.kept_free(store, reader),
        "full_in_days": None if days is None else round(days, 1),
        "read_only": store.read_only,
    }


def events(reader: Reader) -> dict[str, int]:
    """Return how many rows both tiers hold, by EVE event type; absent types are left out."""
    cold = {
        row["table_name"]: int(row["rows"])
        for row in reader.rows("SELECT table_name, sum(rows) AS rows FROM cold_file GROUP BY 1")
    }
    counts = {
        table: int(reader.value(f"SELECT count(*) FROM {table}")) + cold.get(table, 0)
        for table in TABLES
        if table != "raw_event"
    }
    for row in reader.rows(
        "SELECT event_type, count(*) AS number FROM all_raw_event GROUP BY 1 ORDER BY 1"
    ):
        counts[row["event_type"]] = counts.get(row["event_type"], 0) + row["number"]
    return {name: number for name, number in counts.items() if number}


def reasons(store: Store, *, now: datetime) -> list[tuple[str, str, str]]:
    """Return what is wrong with the store, as (state, about, text)."""
    found = []
    # A small write that went well clears the trouble, but not the want of room for new rows.
    trouble = store.trouble or room.shortage(store)
    if trouble:
        found.append(("red", "store", trouble))
    if store.path is not None:
        if store.replaced():
            text = f"{store.path} was deleted or replaced while in use"
            found.append(("red", "store", text))
        for path in engine.damaged_logs(store.path.parent):
            text = (
                "the write-ahead log was torn, most likely by a power cut; what was committed "
                f"before is kept, the rest is read again. Delete {path} when you have seen this"
            )
            found.append(("amber", "store", text))
    with store.read() as reader:
        jumped = clock.trouble(reader)
        if jumped:
            found.append(("amber", "clock", jumped))
        for row in reader.rows(
            "SELECT name, last_event FROM source WHERE last_event > ? ORDER BY name",
            [now + ingest.AHEAD],
        ):
            text = (
                f"{row['name']}: events are dated {row['last_event']:%Y-%m-%d %H:%M} UTC, which "
                "is still to come; one of the two clocks is wrong"
            )
            found.append(("amber", row["name"], text))
        days = retention.forecast(reader)
    if days is not None and days < retention.FULL_SOON_DAYS:
        found.append(("amber", "store", retention.full_soon(days)))
    return found
