from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from guardian.errors import SchemaTooNewError, StoreError
from guardian.model.batch import Batch, Reject, SourceInfo
from guardian.store import Store, archive, ingest, rollup
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = SourceInfo(name="eve:/x", kind="eve", path="/x")
ROWS = pa.table(
    {
        "ts": pa.array([datetime(2026, 1, 1), datetime(2026, 1, 2)], pa.timestamp("us")),
        "src_ip": ["10.0.0.1", "10.0.0.2"],
    }
)


def test_batch_and_bookmark_are_committed_together(store: Store) -> None:
    source_id = ingest.register(store, SOURCE)
    assert ingest.bookmark(store, source_id) is None
    batch = Batch(
        tables={"flow": ROWS},
        bookmark={"offset": 7},
        events=2,
        rejects=(Reject(reason="not JSON", place="line 3", sample=b"\xff"),),
    )
    ingest.commit(store, source_id, batch)
    ingest.commit(store, source_id, batch)
    assert ingest.bookmark(store, source_id) == {"offset": 7}
    with store.read() as reader:
        assert [row["id"] for row in reader.rows("SELECT id FROM flow ORDER BY id")] == [1, 2, 3, 4]
        source = reader.one("SELECT events, rejected, last_event FROM source")
        assert source == {"events": 4, "rejected": 2, "last_event": datetime(2026, 1, 2)}
        assert reader.value("SELECT count FROM reject_count") == 2
        assert reader.value("SELECT sample FROM quarantine LIMIT 1") == b"\xff"


def test_a_batch_that_fails_leaves_nothing(store: Store) -> None:
    source_id = ingest.register(store, SOURCE)
    bad = Batch(
        tables={"flow": ROWS, "dns": pa.table({"ts": ROWS["ts"], "no_such": [1, 2]})},
        bookmark={"offset": 7},
    )
    with pytest.raises(StoreError):
        ingest.commit(store, source_id, bad)
    assert ingest.bookmark(store, source_id) is None
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM flow") == 0


def test_a_store_of_a_newer_guardian_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with duckdb.connect(str(tmp_path / "guardian.duckdb")) as connection:
        connection.execute(
            "INSERT INTO schema_migration VALUES (9999, 'x', TIMESTAMP '2026-01-01')"
        )
    with pytest.raises(SchemaTooNewError, match="9999"):
        Store.open(tmp_path)


def test_one_event_from_the_future_makes_nothing_old(memory_store: Store) -> None:
    now = ingest.utc_now()
    source = ingest.register(memory_store, SourceInfo(name="x", kind="x", path="x"))

    def add(*moments: datetime) -> datetime:
        rows = pa.table({
            "ts": pa.array(moments, pa.timestamp("us")),
            "method": ["arp"] * len(moments),
        })  # fmt: skip
        ingest.commit(memory_store, source, Batch(tables={"sighting": rows}, bookmark={}))
        with memory_store.read() as reader:
            return reader.value("SELECT last_event FROM source WHERE source_id = ?", [source])

    far = datetime(2099, 1, 1)
    old = now - timedelta(days=900)
    assert add(old, far) == old
    assert add(far) == far  # all there is: one of the two clocks is wrong, and health says so
    assert add(now) == now  # until it is right again
    assert add(old) == now


def sums(store: Store) -> dict[str, tuple[int, int]]:
    found = {}
    for table in ("rollup_5m", "rollup_1h", "device_day", "device_week"):
        with store.read() as reader:
            row = reader.one(
                f"SELECT sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS up FROM {table}"
            )
        assert row is not None
        found[table] = (row["flows"], row["up"])
    return found


@pytest.mark.parametrize("archived", [False, True])
def test_a_source_read_anew_is_summed_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, archived: bool
) -> None:
    monkeypatch.setattr(rollup, "CHUNK", 1)
    rows = ROWS.append_column("bytes_toserver", pa.array([10, 100]))
    batch = Batch(tables={"flow": rows}, bookmark={"offset": 7})
    other = ingest.register(store, SourceInfo(name="other", kind="eve", path="/y"))
    again = ingest.register(store, SOURCE)
    for source_id in (other, again):
        ingest.commit(store, source_id, batch)
    rollup.update(store)
    once, twice = (dict.fromkeys(sums(store), (2 * n, 110 * n)) for n in (1, 2))
    assert sums(store) == twice
    if archived:
        archive.archive(store, Limits(hot_days=1), now=datetime(2026, 1, 9))
    ingest.forget(store, again)
    assert ingest.bookmark(store, again) is None
    assert sums(store) == once
    with store.read() as reader:
        assert reader.rows("SELECT source_id FROM all_flow") == [{"source_id": other}] * 2
    ingest.commit(store, again, batch)
    rollup.update(store)
    assert sums(store) == twice
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM all_flow") == 4
