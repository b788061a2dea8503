"""Readers of foreign bytes: what was found once stays found, and a little is searched each time."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
FOUND = HERE / "found"
"""Inputs that broke a reader once: ``<target>-<what>``, as small as they could be made."""


def target_of(file: Path) -> str:
    return max((name for name in TARGETS if file.name.startswith(f"{name}-")), key=len)


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_and_its_halves_pass(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert seeds
    if TARGETS[name].slow:
        for data in (*seeds, seeds[0][: len(seeds[0]) // 2]):
            target.run(data)
        return
    for seed in seeds:
        for data in (seed, seed[: len(seed) // 2], seed[len(seed) // 2 :], b"", b"\n", b"\x00"):
            target.run(data)


@pytest.mark.parametrize("file", sorted(FOUND.iterdir()), ids=lambda file: file.name)
def test_what_was_found_once_is_fixed(file: Path) -> None:
    TARGETS[target_of(file)].run(file.read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python"
)
def test_a_short_search_finds_nothing(  # the same each time: scripts/fuzz searches anew
    tmp_path: Path,
) -> None:
    command = [
        sys.executable,
        str(HERE / "run.py"),
        "--seconds",
        "60",
        "--runs",
        "3000",
        "--seed",
        "1",
    ]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
