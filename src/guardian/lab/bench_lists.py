"""Measure the list compiler and both matchers against the design's targets."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from guardian import resources
from guardian.intel import catalogue, list_formats
from guardian.intel.list_names import NameSet

_PEAK = """
import json, resource, sys
from pathlib import Path
from guardian.intel import lists
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = lists.build(Path(sys.argv[1]), Path(sys.argv[2]), formats=["domains", "hosts"])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": report["seconds"], "before": before, "after": after}))
"""


def run(*, names: int = 2_000_000, lookups: int = 2_000_000, seed: int = 7) -> dict[str, Any]:
    """Return seconds, look-ups a second and peak memory, for lists made up here.

    The compiling runs in a process of its own, so that its memory is its own.
    """
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        source = _made_up(folder, names, seed)
        compiled = _compile(folder)
        read = list_formats.read(source)
        made = NameSet(read.block["name"])
        asked = _questions(read.block["name"], lookups, seed)
        started = time.perf_counter()
        hits = int(made.covers(asked).sum())
        looked_s = time.perf_counter() - started
    return {
        "names": names,
        "compile_seconds": compiled["seconds"],
        "compile_peak_mb": round(compiled["after"] / 1024),
        "compile_own_mb": round((compiled["after"] - compiled["before"]) / 1024),
        "lookups": lookups,
        "lookup_hits": hits,
        "lookups_per_s": round(lookups / looked_s),
        "catalogue": _catalogue(seed),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _made_up(folder: Path, names: int, seed: int) -> Path:
    """Write a hosts file of as many names, a tenth of them covered by another."""
    chance = random.Random(seed)  # noqa: S311 - test material
    path = folder / "made-up.txt"
    with path.open("w") as file:
        for index in range(names):
            word = f"{chance.getrandbits(40):x}"
            sub = ("ads.", "t.", "", "")[index % 4] if index % 10 else f"a.h{index // 20}.x."
            file.write(f"0.0.0.0 {sub}{word}.example{index % 997}.com\n")
    (folder / "sources.toml").write_text(
        '[[source]]\nname = "made-up"\npath = "made-up.txt"\npurpose = "test"\nlicence = "CC0"\n'
    )
    (folder / "catalogue").mkdir()
    return path


def _compile(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _PEAK, str(folder), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _questions(known: pl.Series, count: int, seed: int) -> pl.Series:
    """Return names as a home asks them: one in ten is listed."""
    listed = known.sample(count // 10, with_replacement=True, seed=seed)
    other = pl.Series(
        "name", [f"host{i % 50000}.site{i % 3001}.org" for i in range(count * 9 // 10)]
    )
    return pl.concat([listed, other]).shuffle(seed=seed)


def _catalogue(seed: int) -> dict[str, Any]:
    """Return look-ups a second of the catalogue's matcher, one core, one name at a time."""
    known = catalogue.read(resources.path(catalogue.FOLDER))
    chance = random.Random(seed)  # noqa: S311 - test material
    suffixes = [s for entry in known.entries for s in entry.names.suffix]
    day = [
        f"x.{chance.choice(suffixes)}" if i % 10 == 0 else f"host{i % 9000}.site{i % 700}.org"
        for i in range(500_000)
    ]
    match = known.matcher.match
    started = time.perf_counter()
    hits = sum(match(name) is not None for name in day)
    single_s = time.perf_counter() - started
    started = time.perf_counter()
    many = known.match_many(day).height
    many_s = time.perf_counter() - started
    return {
        "patterns": known.patterns,
        "hits": hits,
        "lookups_per_s": round(len(day) / single_s),
        "distinct_hits": many,
        "vectorised_per_s": round(len(day) / many_s),
    }
