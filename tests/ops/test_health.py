from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from guardian.model.batch import Batch, Reject, SourceInfo
from guardian.ops.health import forget_components, health, set_component
from guardian.ops.status import status
from guardian.store import ingest

if TYPE_CHECKING:
    from guardian.store import Store

NOW = datetime(2026, 11, 20, 21, 30)


def reasons(store: Store, *, now: datetime = NOW) -> dict[str, str]:
    return {each.about: each.state for each in health(store, running=True, now=now).reasons}


def test_a_house_without_sources_is_not_green(memory_store: Store) -> None:
    assert reasons(memory_store) == {"sources": "amber"}


def test_lag_refusals_and_broken_sources_are_said(memory_store: Store) -> None:
    source = ingest.register(memory_store, SourceInfo(name="eve", kind="eve", path="/eve.json"))
    ingest.note_read(memory_store, {"eve": NOW})
    assert reasons(memory_store) == {}
    assert reasons(memory_store, now=NOW + timedelta(minutes=10)) == {"eve": "amber"}
    ingest.note_state(memory_store, source, "/eve.json is gone")
    assert reasons(memory_store) == {"eve": "red"}
    ingest.note_state(memory_store, source, None)
    bad = Batch(tables={}, bookmark={}, events=10, rejects=(Reject(reason="x", place="1"),) * 5)
    ingest.commit(memory_store, source, bad)
    ingest.note_read(memory_store, {"eve": NOW})
    assert reasons(memory_store) == {"eve": "amber"}
    shown = status(memory_store, running=True, now=NOW)
    assert shown["sources"][0]["rejected"] == 5
    assert shown["sources"][0]["lag_seconds"] == 0
    assert shown["health"]["state"] == "amber"


def test_what_is_no_source_any_more_is_no_trouble(memory_store: Store) -> None:
    former, today = (SourceInfo(name=name, kind="eve", path=name) for name in ("former", "today"))
    ingest.begin(memory_store, [former])
    with memory_store.read() as reader:
        number = reader.value("SELECT source_id FROM source WHERE name = 'former'")
    ingest.note_state(memory_store, number, "former is gone")
    ingest.note_read(memory_store, {"former": NOW})
    assert reasons(memory_store)["former"] == "red"
    ingest.begin(memory_store, [today])
    ingest.note_read(memory_store, {"today": NOW})
    assert reasons(memory_store) == {}


def test_what_an_earlier_run_said_of_its_parts_is_forgotten(memory_store: Store) -> None:
    ingest.begin(memory_store, [SourceInfo(name="eve", kind="eve", path="eve")])
    ingest.note_read(memory_store, {"eve": NOW})
    set_component(memory_store, "suricata eth1", "red", "Suricata on eth1 was killed")
    assert reasons(memory_store) == {"suricata eth1": "red"}
    forget_components(memory_store)
    assert reasons(memory_store) == {}


def test_a_component_keeps_its_since_until_it_changes(memory_store: Store) -> None:
    set_component(memory_store, "judge", "amber", "a")
    set_component(memory_store, "judge", "amber", "b")
    with memory_store.read() as reader:
        row = reader.one("SELECT * FROM component_state")
    assert row is not None
    assert row["detail"] == "b"
    set_component(memory_store, "judge", "green", "works again")
    assert "judge" not in reasons(memory_store)
