"""Stores of every schema that ever landed open with today's Guardian, and nothing is lost.

``tests/data/schemas`` holds one for each, made by the Guardian that wrote it (old_store.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from guardian.errors import SchemaTooNewError, StoreError, StoreFullError
from guardian.ops import backup
from guardian.store import Store, migrations, pages, pages_evidence, pages_listened, retention
from guardian.store.limits import TABLES, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = sorted((Path(__file__).parents[1] / "data" / "schemas").glob("*.tar.xz"))
GROWS = {"schema_migration"}
"""Tables that the upgrade itself writes to."""


def unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(params=SCHEMAS, ids=lambda path: path.name.split(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data directory as an earlier Guardian left it."""
    return unpack(request.param, tmp_path / "data")


def counted(store: Store) -> dict[str, int]:
    with store.read() as reader:
        rows = reader.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal")
        names = [row["table_name"] for row in rows]
        return {name: int(reader.value(f'SELECT count(*) FROM "{name}"')) for name in names}


def test_every_landed_schema_has_its_store() -> None:
    landed = {6}
    assert {int(path.name.split(".")[0]) for path in SCHEMAS} >= landed


def test_every_row_is_there_and_a_copy_beside_it(old: Path) -> None:
    before: dict[str, int] = json.loads((old / "rows.json").read_text())
    former = (old / "guardian.duckdb").read_bytes()
    store = Store.open(old)
    try:
        after = counted(store)
        assert {name: after[name] for name in before if name not in GROWS} == {
            name: rows for name, rows in before.items() if name not in GROWS
        }
        (kept,) = old.glob("guardian.duckdb.before-*")
        assert kept.read_bytes() == former
        with store.read() as reader:
            cold = int(reader.value("SELECT sum(rows) FROM cold_file WHERE table_name = 'flow'"))
            assert cold > 0
            assert reader.value("SELECT count(*) FROM all_flow") == before["flow"] + cold
            assert reader.value("SELECT count(*) FROM attributed_flow WHERE device_id != ''") > 0
            done = {row["version"] for row in reader.rows("SELECT version FROM schema_migration")}
        assert done == migrations.known_versions()
    finally:
        store.close()
    again = Store.open(old)  # a second time there is nothing to do
    assert counted(again) == after
    again.close()
    assert len(list(old.glob("guardian.duckdb.before-*"))) == 1


def test_the_pages_queries_run_on_it(old: Path) -> None:
    store = Store.open(old)
    try:
        now = datetime(2026, 11, 21, 8)
        with store.read() as reader:
            window = pages.window(reader, now)
            span = {"since": window.since, "until": window.until}
            assert pages.incidents(reader)
            assert pages.proposals(reader)
            assert pages.sources(reader)
            assert pages.quarantine(reader)
            device = pages.devices(reader)[0]
            assert pages_evidence.day_strip(reader, device["addresses"], **span)
            pages_listened.listened(reader, **span)
            finding = pages.findings(reader)[0]
            pages_evidence.evidence(reader, finding["evidence"])
    finally:
        store.close()


def test_it_ages_like_any_other(old: Path) -> None:
    """What an older Guardian stored counts as old as it says it is."""
    store = Store.open(old)
    report = retention.enforce(store, Limits(keep_days=5), now=datetime(2026, 11, 21, 8))
    assert report.deleted > 0
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM all_flow WHERE ts < '2026-11-10'") == 0
        assert reader.value("SELECT count(*) FROM all_flow") > 0
    store.close()


def test_the_program_works_on_it(old: Path) -> None:
    status = guardian("status", "--data", str(old), "--format", "json")
    assert status["events"]["flow"] > json.loads((old / "rows.json").read_text())["flow"]
    assert guardian("incidents", "--data", str(old), "--format", "json")


def test_its_backup_is_still_restored(tmp_path: Path) -> None:
    """The Guardian of schema 6 wrote bare DuckDB files, without the cold tier."""
    data = unpack(SCHEMAS[0], tmp_path / "old")
    bare = tmp_path / "bare.guardian"
    (data / "guardian.duckdb").rename(bare)
    report = backup.restore(bare, tmp_path / "new")
    assert report.rows > 0
    store = Store.open(tmp_path / "new")
    assert counted(store)["flow"] == json.loads((data / "rows.json").read_text())["flow"]
    store.close()


def test_a_newer_file_is_refused_politely_and_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with duckdb.connect(str(tmp_path / "guardian.duckdb")) as connection:
        connection.execute(
            "INSERT INTO schema_migration VALUES (9999, 'x', TIMESTAMP '2026-01-01')"
        )
    before = (tmp_path / "guardian.duckdb").read_bytes()
    with pytest.raises(SchemaTooNewError, match="9999"):
        Store.open(tmp_path)
    answer = run("status", "--data", str(tmp_path))
    assert answer.returncode == 3
    assert b"run the newer Guardian" in answer.stderr
    assert b"Traceback" not in answer.stderr
    assert (tmp_path / "guardian.duckdb").read_bytes() == before


@pytest.fixture
def with_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give today's Guardian one more migration."""

    def add(sql: str) -> None:
        folder = tmp_path / "migrations"
        folder.mkdir()
        for file in migrations.FOLDER.glob("*.sql"):
            (folder / file.name).write_text(file.read_text())
        (folder / "9000_next.sql").write_text(sql)
        monkeypatch.setattr(migrations, "FOLDER", folder)

    return add


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    old: Path, with_migration: Callable[[str], None]
) -> None:
    store = Store.open(old)
    before = counted(store)
    store.close()
    with_migration("CREATE TABLE next (i INTEGER); DELETE FROM flow; SELECT no_such_thing;")
    with pytest.raises(StoreError, match="9000_next"):
        Store.open(old)
    with duckdb.connect(str(old / "guardian.duckdb")) as connection:
        names = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
        assert "next" not in names
        found = connection.execute("SELECT count(*) FROM flow").fetchone()
        assert found == (before["flow"],)
        versions = connection.execute("SELECT max(version) FROM schema_migration").fetchone()
        assert versions == (max(migrations.known_versions() - {9000}),)


@pytest.mark.root
def test_without_room_for_the_copy_nothing_is_begun(
    tmp_path: Path, with_migration: Callable[[str], None]
) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)], check=True)
    try:
        unpack(SCHEMAS[0], disk / "data")
        with pytest.raises(StoreFullError, match="must be brought up to date"):
            Store.open(disk / "data")
        assert not list((disk / "data").glob("*before*"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_events_has_its_two_views(memory_store: Store, table: str) -> None:
    with memory_store.read() as reader:
        assert reader.value(f"SELECT count(*) FROM all_{table}") == 0
        assert reader.value(f"SELECT count(device_id) FROM attributed_{table}") == 0


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "guardian.cli", *words],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "400", "GUARDIAN_CONFIG": ""},
    )


def guardian(*words: str) -> Any:
    answer = run(*words)
    assert answer.returncode == 0, answer.stderr.decode()
    return json.loads(answer.stdout)
