from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from guardian.collect.reader import drain
from guardian.errors import CollectorError, StoreError, StoreRetryError
from guardian.model.batch import Batch, SourceInfo
from guardian.store import Store, bulk, connection, ingest
from guardian.store.commit import COMMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def test_a_load_that_was_refused_does_not_count(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REVIVE_PAUSE_S", 0.1)
    usual = threads(store)
    with store.read():
        store._distrust()  # as after a COMMIT that lacked memory
        store._give_up()
        with pytest.raises(StoreRetryError), bulk.under_load(store):
            pass
    with contextlib.ExitStack() as late, bulk.under_load(store):
        assert threads(store) == 1
        late.enter_context(store.read())
        store._distrust()
        store._give_up()
    assert threads(store) == usual
    with bulk.under_load(store):
        assert threads(store) == 1
    assert threads(store) == usual


# -- a COMMIT that fails: DuckDB says so when a block's memory is lacking


def failing(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, times: int, stored_first: bool = False
) -> None:
    """Let the next COMMITs fail, before they do anything or when all is in the log."""
    usual = store._allowance.headroom
    left = [times]

    @contextlib.contextmanager
    def headroom(extra_bytes: int) -> Iterator[None]:
        fails = left[0] > 0 and extra_bytes == COMMIT_BYTES
        left[0] -= fails
        msg = "TransactionContext Error: Failed to commit: failed to pin block of size 64.0 KiB"
        if fails and not stored_first:
            raise duckdb.TransactionException(msg)
        with usual(extra_bytes):
            yield
        if fails:
            raise duckdb.TransactionException(msg)

    monkeypatch.setattr(store._allowance, "headroom", headroom)


def stored_after_a_restart(store: Store) -> int:
    assert store.path is not None
    folder = store.path.parent
    store.close()
    again = Store.open(folder)
    found = stored(again)
    again.close()
    return found


@pytest.mark.parametrize("stored_first", [False, True])
def test_a_failed_commit_is_made_again_unless_it_was_made(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, stored_first: bool
) -> None:
    source = ingest.register(store, SOURCE)
    failing(store, monkeypatch, times=1, stored_first=stored_first)
    given = [batch(1, full=False), batch(2, full=False)]
    seen = list(bulk.commit_all(store, source, iter(given)))
    assert [written.events for written in seen] == [100, 100]
    assert ingest.bookmark(store, source) == {"at": 2}
    assert stored(store) == 4
    assert stored_after_a_restart(store) == 4


@pytest.mark.parametrize("stored_first", [False, True])
def test_a_large_group_is_read_again_from_where_the_store_is(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, stored_first: bool
) -> None:
    source = ingest.register(store, SOURCE)
    failing(store, monkeypatch, times=1, stored_first=stored_first)
    with pytest.raises(StoreError, match="Failed to commit"):
        list(bulk.commit_all(store, source, iter([batch(1), batch(2)]), group_s=60))
    mark = ingest.bookmark(store, source) or {"at": 0}
    assert mark == {"at": 2 if stored_first else 0}
    rest = [batch(number) for number in range(int(mark["at"]) + 1, 4)]
    list(bulk.commit_all(store, source, iter(rest), group_s=60))
    assert stored_after_a_restart(store) == 6


def test_nothing_is_written_that_does_not_follow_what_is_stored(store: Store) -> None:
    source = ingest.register(store, SOURCE)
    with store.read() as reader:
        position = ingest.position(reader, source)
    list(bulk.commit_all(store, source, iter([batch(1, full=False)])))
    with pytest.raises(StoreError, match="not where this reading began"):
        list(bulk.commit_all(store, source, iter([batch(1, full=False)]), position=position))
    assert stored(store) == 2


class Live:
    """A source that cannot be asked again."""

    source = SOURCE
    missed = 0

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        del bookmark, final
        yield batch(1, full=False, events=2)
        yield batch(2, full=False, events=3)

    def close(self) -> None: ...

    def holds(self) -> bool:
        return False

    def not_stored(self, number: int) -> None:
        self.missed += number


def test_what_a_live_source_gave_and_nobody_could_store_is_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live()
    ingest.register(store, SOURCE)
    failing(store, monkeypatch, times=2)
    with pytest.raises(StoreError):
        drain(store, live)
    assert live.missed == 5
    assert drain(store, live).events == 5
    assert live.missed == 5


def test_what_a_failed_commit_left_is_not_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REVIVE_PAUSE_S", 0.1)
    source = ingest.register(store, SOURCE)
    failing(store, monkeypatch, times=1)
    with store.read() as early:
        with pytest.raises(StoreRetryError):
            list(bulk.commit_all(store, source, iter([batch(1, full=False)])))
        with pytest.raises(StoreRetryError, match="opened anew"), store.read():
            pass
        with pytest.raises(StoreRetryError, match="opened anew"):
            store.checkpoint()
        assert early.value("SELECT count(*) FROM source") == 1
    assert stored(store) == 0, "open again, once its readers are through"
    list(bulk.commit_all(store, source, iter([batch(1, full=False)])))
    assert stored_after_a_restart(store) == 2
