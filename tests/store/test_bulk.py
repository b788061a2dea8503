from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from guardian.errors import CollectorError, StoreError
from guardian.model.batch import Batch, SourceInfo
from guardian.store import bulk, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.store import Store

SOURCE = SourceInfo(name="eve:/x", kind="eve", path="/x")


def batch(number: int, *, full: bool = True, column: str = "src_ip", events: int = 100) -> Batch:
    rows = pa.table(
        {
            "n": pa.array(range(2), pa.int32()),
            "ts": pa.array([datetime(2026, 1, 1)] * 2, pa.timestamp("us")),
            column: ["10.0.0.1", "10.0.0.2"],
        }
    )
    return Batch(
        tables={"flow": rows}, numbered=2, bookmark={"at": number}, events=events, full=full
    )


def threads(store: Store) -> int:
    with store.read() as reader:
        return int(reader.value("SELECT current_setting('threads')"))


def stored(store: Store) -> int:
    with store.read() as reader:
        return int(reader.value("SELECT count(DISTINCT id) FROM flow"))


def test_full_batches_share_a_transaction_and_others_do_not(store: Store) -> None:
    source = ingest.register(store, SOURCE)
    usual = threads(store)
    given = [batch(1, full=False), batch(2), batch(3), batch(4, full=False), batch(5)]
    seen = [
        (written.events, ingest.bookmark(store, source), threads(store))
        for written in bulk.commit_all(store, source, iter(given), group_s=60)
    ]
    assert seen == [(100, {"at": 1}, usual), (300, {"at": 4}, 1), (100, {"at": 5}, 1)]
    assert threads(store) == usual
    assert stored(store) == 10


def test_a_transaction_ends_with_enough_events_or_time(store: Store) -> None:
    source = ingest.register(store, SOURCE)
    many = [batch(at, events=bulk.GROUP_EVENTS) for at in range(3)]
    assert len(list(bulk.commit_all(store, source, iter(many), group_s=60))) == 3
    few = [batch(at) for at in range(3)]
    assert len(list(bulk.commit_all(store, source, iter(few), group_s=0.0))) == 3


def test_what_a_source_gave_before_it_broke_is_committed(store: Store) -> None:
    source = ingest.register(store, SOURCE)

    def breaking() -> Iterator[Batch]:
        yield batch(1)
        yield batch(2)
        raise CollectorError("gone")

    commits = bulk.commit_all(store, source, breaking(), group_s=60)
    assert next(commits).events == 200
    with pytest.raises(CollectorError, match="gone"):
        next(commits)
    assert ingest.bookmark(store, source) == {"at": 2}
    assert stored(store) == 4


def test_a_batch_that_fails_takes_its_transaction_with_it(store: Store) -> None:
    source = ingest.register(store, SOURCE)
    given = [batch(1, full=False), batch(2), batch(3, column="no_such")]
    with pytest.raises(StoreError):
        list(bulk.commit_all(store, source, iter(given), group_s=60))
    assert ingest.bookmark(store, source) == {"at": 1}
    assert stored(store) == 2


def test_overlapping_loads_end_with_the_last(store: Store) -> None:
    usual = threads(store)
    with bulk.under_load(store):
        with bulk.under_load(store):
            assert threads(store) == 1
        assert threads(store) == 1
    assert threads(store) == usual
