"""What was not seen is said of the time it was not seen in, and not for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.ops.health import set_component
from guardian.store import pages_blind
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.store import Store


def test_drops_are_told_of_their_own_day_only(store: Store) -> None:
    now = utc_now()
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO source (source_id, name, kind, path, dropped, last_event, last_read) "
            "VALUES (900, 'netflow:2055', 'netflow', '', 44, $now, $now)",
            {"now": now},
        )
        tx.execute(
            "INSERT INTO source_pace (source_id, dropped_at, dropped_lately) VALUES (900, ?, 44)",
            [now - timedelta(hours=5)],
        )

    def told(days: float) -> str:
        since = now - timedelta(days=1) + timedelta(days=days)
        with store.read() as reader:
            return " ".join(pages_blind.blind_spots(reader, since=since, until=now))

    assert "44 events were lost on the way, or dropped because they came too fast." in told(0)
    assert "dropped" not in told(0.9)


def test_a_sensor_that_fell_silent_is_in_the_letter(store: Store) -> None:
    now = utc_now()
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO source (source_id, name, kind, path, last_event, last_read) "
            "VALUES (900, 'eve', 'eve', '/eve.json', $now, $now)",
            {"now": now},
        )
    set_component(store, "suricata eth1", "red", "Suricata on eth1 was killed; it is started again")
    set_component(store, "judge", "amber", "of no sensor")
    with store.read() as reader:
        told = " ".join(pages_blind.blind_spots(reader, since=now - timedelta(days=1), until=now))
    assert "Suricata on eth1 was killed; it is started again." in told
    assert "of no sensor" not in told
