from __future__ import annotations

import contextlib
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from guardian.errors import StoreError, StoreFullError
from guardian.store import Store, migrations, retention
from guardian.store.ingest import utc_now
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD, BAD = "CREATE TABLE next (i INTEGER)", "CREATE TABLE other (i NO_SUCH_TYPE)"


@pytest.fixture
def due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give today's Guardian more migrations, numbered from 9001; none: as it is."""
    folder = tmp_path / "migrations"
    today = migrations.FOLDER

    def set_to(*texts: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(today, folder)
        for number, sql in enumerate(texts, 9001):
            (folder / f"{number}_next.sql").write_text(sql)
        monkeypatch.setattr(migrations, "FOLDER", folder)

    return set_to


@pytest.fixture
def home(store: Store) -> Path:
    with store.transaction() as tx:
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('a', 'b', 'c')")
    store.close()
    assert store.path is not None
    return store.path.parent


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def sources(home: Path) -> int:
    opened = Store.open(home)
    with opened.read() as reader:
        found = int(reader.value("SELECT count(*) FROM source"))
    opened.close()
    return found


def test_when_the_second_of_two_fails_the_first_is_undone(
    home: Path, due: Callable[..., None]
) -> None:
    before = (home / "guardian.duckdb").read_bytes()
    due(GOOD, BAD)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"9002_next\.sql failed, the store is as it was"):
            Store.open(home)
        assert names(home) == ["guardian.duckdb"]
        assert (home / "guardian.duckdb").read_bytes() == before
    due()
    assert sources(home) == 1  # the former Guardian opens it


def test_a_run_that_was_killed_keeps_the_copy_from_before_it(
    home: Path, due: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    apply = migrations._apply

    def dying(cursor: Any, version: int, *more: Any) -> None:
        if version == 9002:
            raise Killed
        apply(cursor, version, *more)

    before = (home / "guardian.duckdb").read_bytes()
    due(GOOD, BAD)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_apply", dying)
        with pytest.raises(Killed):
            Store.open(home)
    assert (home / "guardian.duckdb.migrating-9001").read_bytes() == before
    with pytest.raises(StoreError, match=r"9002_next\.sql"):  # the run goes on, and fails
        Store.open(home)
    assert (home / "guardian.duckdb").read_bytes() == before

    due(GOOD, "CREATE TABLE other (i INTEGER)")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_apply", dying)
        with pytest.raises(Killed):
            Store.open(home)
    assert sources(home) == 1
    assert names(home) == ["guardian.duckdb", "guardian.duckdb.before-9001"]
    assert (home / "guardian.duckdb.before-9001").read_bytes() == before


@pytest.mark.parametrize(("days", "floor", "gone"), [(29, 0, 0), (31, 0, 1), (2, 1 << 60, 1)])
def test_a_former_file_goes_after_a_month_or_where_room_is_wanted(
    home: Path, due: Callable[..., None], days: int, floor: int, gone: int
) -> None:
    due(GOOD)
    former = home / "guardian.duckdb.before-9001"
    limits = Limits(free_floor_bytes=floor)
    with contextlib.closing(Store.open(home)) as store:
        retention.enforce(store, Limits(free_floor_bytes=1 << 60), now=utc_now())
        assert former.exists()
        retention.enforce(store, limits, now=utc_now() + timedelta(days=days))
    assert former.exists() is not bool(gone)
    assert (home / "guardian.duckdb").exists()


def test_a_copy_of_a_run_that_changed_nothing_is_made_anew(
    home: Path, due: Callable[..., None]
) -> None:
    (home / "guardian.duckdb.migrating-9001").write_text("of long ago")
    before = (home / "guardian.duckdb").read_bytes()
    due(GOOD)
    assert sources(home) == 1
    assert names(home) == ["guardian.duckdb", "guardian.duckdb.before-9001"]
    assert (home / "guardian.duckdb.before-9001").read_bytes() == before


def test_a_full_disk_is_said_although_nothing_is_left_to_undo(tmp_path: Path) -> None:
    class Full:
        def execute(self, sql: str, *_: object) -> None:
            if sql == "COMMIT":
                raise duckdb.IOException("Could not write: No space left on device")
            if sql == "ROLLBACK":
                raise duckdb.TransactionException("cannot rollback - no transaction is active")

    file = tmp_path / "0001_next.sql"
    file.write_text("SELECT 1")
    with pytest.raises(StoreFullError, match="No space left"):
        migrations._apply(Full(), 1, file, None)  # type: ignore[arg-type]


def test_what_only_adds_needs_no_room_for_a_copy(
    home: Path, due: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(home)._replace(free=0)
    monkeypatch.setattr(migrations.shutil, "disk_usage", lambda _: free)
    due(GOOD)
    with pytest.raises(StoreFullError, match="the copy that is kept before"):
        Store.open(home)
    due(f"-- Only adds: a table.\n{GOOD}")
    assert sources(home) == 1
    assert names(home) == ["guardian.duckdb"]
