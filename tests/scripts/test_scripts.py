"""The scripts parse, are quick the second time, and copy apt's own entries faithfully."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SCRIPTS = (
    "scripts/common.sh",
    "scripts/demo",
    "scripts/test",
    "scripts/check",
    "scripts/fuzz",
    ".ci/run",
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_parses(name: str) -> None:
    subprocess.run(["bash", "-n", str(REPO / name)], check=True)


@pytest.mark.parametrize("name", SCRIPTS[1:])
def test_it_can_be_run(name: str) -> None:
    assert os.access(REPO / name, os.X_OK)


def test_no_host_is_named_in_a_script() -> None:
    for name in SCRIPTS:
        assert "://" not in (REPO / name).read_text()


def test_what_is_set_up_is_not_set_up_again(tmp_path: Path) -> None:
    if not (REPO / ".venv/.guardian-dev.txt").exists():
        pytest.skip("the environment was not made by the scripts")
    script = f'. "{REPO}/scripts/common.sh"; need_venv requirements/dev.txt; echo done'
    run = subprocess.run(
        ["bash", "-c", script, str(REPO / "scripts/test")],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        cwd=REPO,
    )
    assert run.stdout == "done\n"
    assert "installing" not in run.stderr


DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
CLASSIC = """\
deb http://mirror.example/debian-security bookworm-security main
deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian bookworm-updates main
"""


def _backports(tmp_path: Path) -> str:
    """Run the scripts' own function on a copy of an apt configuration."""
    text = (REPO / "scripts/common.sh").read_text().replace("/etc/apt", str(tmp_path))
    start, end = text.index("add_backports() {"), text.index("stamp_of()")
    subprocess.run(["bash", "-c", f"set -eu\n{text[start:end]}\nadd_backports"], check=True)
    made = [*tmp_path.rglob("guardian-backports.*")]
    return made[0].read_text() if made else ""


@pytest.mark.skipif(shutil.which("awk") is None, reason="no awk")
def test_backports_from_a_deb822_entry(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(DEB822)
    made = _backports(tmp_path)
    assert "Suites: bookworm-backports\n" in made
    assert "URIs: http://mirror.example/debian\n" in made
    assert "security" not in made
    assert "bookworm-updates" not in made
    assert _backports(tmp_path) == made


def test_backports_from_a_classic_entry(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(CLASSIC)
    line = "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm-backports main contrib"
    assert _backports(tmp_path).strip() == line


def test_without_an_entry_nothing_is_made_up(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    assert _backports(tmp_path).strip() == ""
