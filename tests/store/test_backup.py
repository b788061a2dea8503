from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guardian.errors import InputError, StoreError, StoreLockedError
from guardian.ops import backup
from guardian.store import Store

if TYPE_CHECKING:
    from pathlib import Path

SET = "INSERT INTO setting VALUES (?, ?)"


def count(store: Store) -> int:
    with store.read() as reader:
        return int(reader.value("SELECT count(*) FROM setting"))


def test_a_backup_made_in_use_is_restored_whole(store: Store, tmp_path: Path) -> None:
    with store.transaction() as tx:
        tx.execute(SET, ["before", "1"])
    target = tmp_path / "copy.guardian"
    report = backup.backup(store, target)
    assert report.bytes == target.stat().st_size
    with store.transaction() as tx:
        tx.execute(SET, ["after", "2"])
    store.close()
    assert store.path is not None
    restored = backup.restore(target, store.path.parent)
    assert restored.rows == report.rows
    assert restored.kept is not None
    again = Store.open(store.path.parent)
    assert count(again) == 1
    with again.transaction() as tx:  # keys and sequences came along
        tx.execute("INSERT INTO source (name, kind, path) VALUES ('a', 'b', 'c')")
    again.close()


def test_a_backup_is_not_written_over_another(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.guardian"
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        backup.backup(store, target)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("content", [b"", b"not a database", b"\0" * 9000])
def test_a_damaged_backup_changes_nothing(store: Store, tmp_path: Path, content: bytes) -> None:
    with store.transaction() as tx:
        tx.execute(SET, ["kept", "1"])
    assert store.path is not None
    store.close()
    broken = tmp_path / "broken.guardian"
    broken.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.guardian"):
        backup.restore(broken, store.path.parent)
    again = Store.open(store.path.parent)
    assert count(again) == 1
    again.close()


def test_restore_under_a_running_daemon_is_refused(tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other")
    copy = tmp_path / "copy.guardian"
    backup.backup(other, copy)
    other.close()
    code = (
        "import sys, pathlib; from guardian.store import Store; "
        "s = Store.open(pathlib.Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreLockedError):
            backup.restore(copy, tmp_path / "data")
        holder.communicate(b"")
