"""What ``guardian status`` says: what is stored, from where, and how Guardian is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.ops.health import health
from guardian.store.ingest import utc_now
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader, Store

TYPED_TABLES = tuple(table for table in TABLES if table != "raw_event")


def status(store: Store, *, running: bool, now: datetime | None = None) -> dict[str, Any]:
    """Return the JSON form that DESIGN.md promises: running, events, sources, health."""
    now = now or utc_now()
    with store.read() as reader:
        return {
            "running": running,
            "events": events(reader),
            "sources": sources(reader, now=now),
            "findings": reader.value("SELECT count(*) FROM finding"),
            "incidents": reader.value("SELECT count(*) FROM incident"),
            "health": health(store, running=running, now=now).as_dict(),
        }


def events(reader: Reader) -> dict[str, int]:
    """Return how many rows are stored, by EVE event type; absent types are left out."""
    counts = {table: int(reader.value(f"SELECT count(*) FROM {table}")) for table in TYPED_TABLES}
    for row in reader.rows(
        "SELECT event_type, count(*) AS number FROM raw_event GROUP BY 1 ORDER BY 1"
    ):
        counts[row["event_type"]] = counts.get(row["event_type"], 0) + row["number"]
    return {name: number for name, number in counts.items() if number}


def sources(reader: Reader, *, now: datetime) -> list[dict[str, Any]]:
    """Return each source with what it gave and how far behind it is, in seconds.

    ``lag_seconds`` is the time since the source was last read to its end.
    """
    found = []
    for row in reader.rows(
        "SELECT s.*, p.* EXCLUDE (source_id) "
        "FROM source s LEFT JOIN source_pace p USING (source_id) ORDER BY name"
    ):
        whole = row["caught_up"] or row["last_read"]
        lag = (now - whole).total_seconds() if whole else None
        found.append(
            {
                "name": row["name"],
                "kind": row["kind"],
                "path": row["path"],
                "events": row["events"],
                "rejected": row["rejected"],
                "dropped": row["dropped"],
                "lag_seconds": None if lag is None else round(max(lag, 0.0), 1),
                "last_event": rfc3339(row["last_event"]),
                "state": row["state"],
                "detail": row["detail"],
            }
        )
    return found


def rfc3339(moment: datetime | None) -> str | None:
    """Return a stored UTC time as RFC 3339 text."""
    return None if moment is None else moment.isoformat() + "Z"
