"""The wheel holds everything that Guardian needs besides its code."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SHIPPED = ("rules", "blocklists", "parsers", "pcaps", "appliance")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling", reason="what builds the wheel is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(REPO), "--no-deps", "--no-build-isolation"]
    options = ["--no-index", "--quiet", "--disable-pip-version-check", "--wheel-dir", str(folder)]
    subprocess.run([*command, *options], check=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.parametrize("part", SHIPPED)
def test_shipped_data_is_inside(wheel: zipfile.ZipFile, part: str) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", part], cwd=REPO, check=False, capture_output=True, text=True
    )
    wanted = tracked.stdout.splitlines() or [
        str(path.relative_to(REPO)) for path in (REPO / part).rglob("*") if path.is_file()
    ]
    there = [name for name in wanted if (REPO / name).exists()]
    assert there
    names = set(wheel.namelist())
    assert [name for name in there if f"guardian/_data/{name}" not in names] == []


def test_templates_migrations_and_scripts_of_the_page_are_inside(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    for folder, ending in (
        ("guardian/store/migrations/", ".sql"),
        ("guardian/web/templates/", ".html"),
        ("guardian/web/static/", ".js"),
        ("guardian/web/static/", ".css"),
    ):
        assert [name for name in names if name.startswith(folder) and name.endswith(ending)]


def test_the_command_is_declared(wheel: zipfile.ZipFile) -> None:
    (entry,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "guardian = guardian.cli:main" in wheel.read(entry).decode()
    assert [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
