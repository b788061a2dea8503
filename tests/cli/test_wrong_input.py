"""A wrong word on the command line gets one clear line and an exit code, never a traceback."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from guardian import resources
from guardian.cli import main
from guardian.ops import backup
from guardian.store import Store

if TYPE_CHECKING:
    from pathlib import Path

MISUSED = (
    "findings --limit -1",
    "findings --limit 0",
    "findings --limit 99999999999999999999",
    "findings --class nosuch",
    "findings --level loud",
    "incidents --format yaml",
    "explain abc",
    "explain -1",
    "approve x",
    "bench ingest --size -3",
    "bench nosuch",
    "lists explain",
    "feedback 1 perhaps",
    "export nosuch",
    "nosuch",
)
ABSENT = (
    "explain 999",
    "evidence 999",
    "approve 9999",
    "revert 99",
    "feedback 999 right",
    "overflow show 99",
    "unsuppress 99",
    "rename nosuch x",
    "suppress --device nosuch --reason x",
    "lists explain http://",
    "parsers test {tmp}",
    "indicators load {tmp}/none",
    "restore {tmp}/none",
    "eval {tmp}",
    "replay {tmp}/none",
    "replay {tmp}",
)


@pytest.mark.parametrize("words", MISUSED)
def test_a_misuse_is_named(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--data", str(tmp_path)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "guardian" in said.splitlines()[-1]
    assert ": error: " in said.splitlines()[-1]


@pytest.mark.parametrize("words", ABSENT)
def test_what_is_not_there_is_one_line(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    data = tmp_path / "data"
    code = main([*words.replace("{tmp}", str(folder)).split(), "--data", str(data)])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("guardian:")]
    assert code == 3
    assert len(said) == 1
    assert "Errno" not in said[0]


def test_a_directory_without_a_store_is_not_backed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, file = tmp_path / "wrong", tmp_path / "copy"
    assert main(["backup", str(file), "--data", str(wrong)]) == 3
    assert "no store in" in (said := capsys.readouterr().err)
    assert "--data DIR" in said
    assert not list(tmp_path.iterdir())


def test_no_passphrase_is_not_a_wrong_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GUARDIAN_BACKUP_PASSPHRASE", raising=False)
    locked = tmp_path / "locked.guardian"
    store = Store.open(tmp_path / "old")
    backup.backup(store, locked, passphrase="one")
    store.close()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["restore", str(locked), "--data", str(tmp_path / "new")]) == 2
    assert "--passphrase-file" in capsys.readouterr().err


def test_a_format_is_tried_on_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "some.log"
    log.write_text("Nov 20 21:00:01 dnsmasq[1]: query[A] a.example from 192.168.1.5\n")
    shipped = resources.path("parsers/dnsmasq.toml")
    told = ["--data", str(tmp_path / "data")]
    assert main(["parsers", "test", str(shipped), str(log), *told]) == 0
    assert "1 dns_log rows" in capsys.readouterr().out


def test_secrets_are_left_out_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "guardian.toml"
    file.write_text("[[notify.channels]]\nname = 'a'\nurl = 'gotify://house/SECRETTOKEN'\n")
    assert main(["config", "--config", str(file)]) == 0
    shown = capsys.readouterr()
    assert "SECRETTOKEN" not in shown.out + shown.err


@pytest.mark.root
def test_a_folder_of_somebody_else_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    Store.open(data).close()
    main(["status", "--data", str(data)])
    capsys.readouterr()
    os.seteuid(65534)
    try:
        code = main(["status", "--data", str(data)])
    finally:
        os.seteuid(0)
    said = [line for line in capsys.readouterr().err.splitlines() if line]
    assert code == 2
    assert len(said) == 1
    assert "run it as the user that Guardian runs as, or as root" in said[0]
