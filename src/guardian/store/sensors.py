"""Keep how each sensor does: what it saw and missed, and the memory it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorState:
    """One look at one sensor; ``recent`` counts are those of the last minutes."""

    interface: str
    started_at: datetime | None
    packets: int
    dropped: int
    recent_packets: int
    recent_dropped: int
    memory_bytes: int | None
    rules: int | None
    rules_failed: int | None
    restarts: int


def note(store: Store, state: SensorState) -> None:
    """Write down the latest look at a sensor."""
    with store.transaction() as tx:
        tx.execute(
            """
            INSERT OR REPLACE INTO sensor_state
            SELECT $interface, $now, $started_at, $packets, $dropped, $recent_packets,
                $recent_dropped, $memory_bytes, $rules, $rules_failed, $restarts
            """,
            asdict(state) | {"now": utc_now()},
        )


def states(reader: Reader) -> list[dict[str, Any]]:
    """Return the latest look at each sensor, by interface."""
    return reader.rows("SELECT * FROM sensor_state ORDER BY interface")
