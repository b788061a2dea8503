"""What DuckDB may take: little from day to day, more while something asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.store import Store, engine

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


def test_nobody_gets_less_than_usual_nor_more_than_the_machine_has(store: Store) -> None:
    with store.more_memory(1):
        assert limit(store) == engine.EVERYDAY_BYTES / MIB
    with store.more_memory(1 << 50):
        assert abs(limit(store) - engine.most_bytes() / MIB) < 1


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
