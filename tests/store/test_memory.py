"""What DuckDB may take: little from day to day, more while something asks for it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from guardian.errors import StoreRetryError
from guardian.store import Store, backup, connection, engine
from guardian.store.open_file import OpenFile

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def limit(store: Store) -> float:
    """Return the limit in MiB."""
    with store.read() as reader:
        number, unit = str(reader.value("SELECT current_setting('memory_limit')")).split()
    return float(number) * {"MiB": 1, "GiB": 1024, "TiB": 1024**2}[unit]


def test_the_greatest_of_overlapping_wishes_counts(store: Store) -> None:
    usual = engine.EVERYDAY_BYTES / MIB
    assert limit(store) == usual
    with store.more_memory(300 * MIB):
        assert limit(store) == 300
        with store.more_memory(320 * MIB):
            assert limit(store) == 320
        assert limit(store) == 300
        assert store.squeeze()
        assert limit(store) == 300, "a squeeze takes nothing from who needs it"
    assert limit(store) == usual


def test_a_file_that_is_opened_anew_has_the_limit_that_is_asked_for(store: Store) -> None:
    with store.more_memory(300 * MIB):
        assert store.rewrite()
        assert limit(store) == 300


def test_who_asks_while_the_file_is_closed_waits_until_it_is_open(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = OpenFile.reopen
    got, enough = threading.Event(), threading.Event()

    def ask() -> None:
        with store.more_memory(300 * MIB):
            got.set()
            assert enough.wait(60)

    asking = threading.Thread(target=ask)

    def reopen(file: OpenFile) -> str | None:
        asking.start()
        assert not got.wait(0.3), "a cursor of a closed file, or of the old one"
        return usual(file)

    monkeypatch.setattr(OpenFile, "reopen", reopen)
    assert store.rewrite()
    assert got.wait(60)
    assert limit(store) == 300
    enough.set()
    asking.join(60)
    assert limit(store) == engine.EVERYDAY_BYTES / MIB


def test_a_wish_ends_also_where_nobody_is_let_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REVIVE_PAUSE_S", 0.1)
    with contextlib.ExitStack() as late, store.more_memory(300 * MIB):
        with store.read():
            store._distrust()  # as after a COMMIT that lacked memory
            store._give_up()
            with pytest.raises(StoreRetryError), store.more_memory(320 * MIB):
                pass
        assert limit(store) == 300, "of the file that was opened anew"
        late.enter_context(store.read())
        store._distrust()
        store._give_up()
    assert limit(store) == engine.EVERYDAY_BYTES / MIB


def test_nobody_gets_less_than_usual_nor_more_than_the_machine_has(store: Store) -> None:
    with store.more_memory(1):
        assert limit(store) == engine.EVERYDAY_BYTES / MIB
    with store.more_memory(1 << 50):
        assert abs(limit(store) - engine.most_bytes() / MIB) < 1


def test_what_does_not_fit_the_everyday_limit_can_be_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "EVERYDAY_BYTES", 24 * MIB)
    store = Store.open(tmp_path / "data")
    with store.more_memory(engine.COPY_BYTES), store.transaction() as tx:
        tx.execute(
            "INSERT INTO address_name SELECT '203.0.113.1', md5(n::VARCHAR), 'dns', "
            "TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-01' FROM range(100000) names (n)"
        )
    store.checkpoint()
    assert backup.write(store, tmp_path / "copy").rows > 100_000
    assert store.rewrite()
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM address_name") == 100_000
    assert limit(store) == 24
    store.close()


def test_a_store_in_memory_has_no_limit() -> None:
    store = Store.memory()
    before = limit(store)
    with store.more_memory(300 * MIB):
        assert limit(store) == before
    store.close()


def test_a_new_file_has_small_blocks_and_an_older_one_keeps_its_own(tmp_path: Path) -> None:
    def block(store: Store) -> int:
        with store.read() as reader:
            return int(reader.value("SELECT max(block_size) FROM pragma_database_size()"))

    (tmp_path / "old").mkdir()
    usual = engine.SETTINGS.pop("default_block_size")
    try:
        Store.open(tmp_path / "old").close()
    finally:
        engine.SETTINGS["default_block_size"] = usual
    old, new = Store.open(tmp_path / "old"), Store.open(tmp_path / "new")
    assert (block(old), block(new)) == (262_144, int(str(usual)))
    assert old.rewrite(), "a file that is written anew gets them"
    assert block(old) == int(str(usual))
    old.close()
    new.close()


def test_what_queries_may_put_on_the_disk_is_kept_to_and_follows_its_free_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spill(store: Store) -> None:
        with store.transaction() as tx:
            tx.execute("SET memory_limit = '24MiB'")
            tx.execute("CREATE TEMP TABLE t AS SELECT random(), random() FROM range(3000000)")

    with monkeypatch.context() as small:
        small.setattr(engine, "SPILL_BYTES", MIB)
        store = Store.open(tmp_path)
    with pytest.raises(StoreRetryError, match="needed more room beside the store"):
        spill(store)
    assert store.trouble is None, "the disk is not full"
    store.refresh_spill()
    spill(store)
    monkeypatch.setattr(Store, "free_bytes", lambda _: 0)
    store.refresh_spill()
    with store.read() as reader:
        limit = reader.value("SELECT current_setting('max_temp_directory_size')")
    assert limit == f"{engine.SPILL_LEAST_BYTES / MIB:.1f} MiB"
    store.close()
