"""Score the surveillance detectors on scenes with known truth: detected, and falsely detected."""

from __future__ import annotations

import random
import sys
from typing import Any

from guardian import detect
from guardian.detect import engine
from guardian.lab.scenes_surveillance import JUDGED, SCENES, Told
from guardian.store import Store

DETECTORS = {
    "rhythm": "surveillance.acr_rhythm",
    "bursts": "surveillance.voice_bursts",
    "uplink": "surveillance.camera_uplink",
}
"""A scene's field and the detector that must speak when it is true."""


def run(*, seeds: int = 5) -> dict[str, Any]:
    """Play every scene with as many seeds; return a row for each class, and what went wrong."""
    table = {name: {"shown": 0, "detected": 0, "not_shown": 0, "falsely": 0} for name in JUDGED}
    behaviour = {
        name: {"shown": 0, "detected": 0, "not_shown": 0, "falsely": 0} for name in DETECTORS
    }
    wrong: list[str] = []
    settings = _only_surveillance()
    for told in SCENES:
        for seed in range(seeds):
            said, detectors = play(told, seed, settings)
            for name in JUDGED:
                _count(table[name], truth=name in told.truth, said=name in said)
            if said & set(JUDGED) != told.truth:
                wrong.append(f"{told.name} (seed {seed}): {sorted(said)}, not {sorted(told.truth)}")
            for field, detector in DETECTORS.items():
                truth = getattr(told, field)
                if truth is not None:
                    _count(behaviour[field], truth=truth, said=detector in detectors)
                    if truth != (detector in detectors):
                        wrong.append(f"{told.name} (seed {seed}): {detector} is {not truth}")
    return {
        "scenes": len(SCENES),
        "seeds": seeds,
        "classes": table,
        "behaviour": behaviour,
        "wrong": wrong,
    }


def _only_surveillance() -> detect.Settings:
    """Return settings under which the other detectors rest, for speed."""
    every, _ = engine.detectors(detect.Settings())
    others = tuple(each.name for each in every if not each.name.startswith("surveillance."))
    return detect.Settings(disabled=others)


def play(
    told: Told, seed: int, settings: detect.Settings | None = None
) -> tuple[set[str], set[str]]:
    """Return the classes and the detectors of the findings that one scene gives."""
    store = Store.memory()
    try:
        told.make(random.Random(seed)).commit(store)  # noqa: S311 - test material
        detect.run(store, settings or detect.Settings())
        with store.read() as reader:
            rows = reader.rows("SELECT class, detector FROM finding")
    finally:
        store.close()
    return {row["class"] for row in rows}, {row["detector"] for row in rows}


def _count(row: dict[str, int], *, truth: bool, said: bool) -> None:
    row["shown" if truth else "not_shown"] += 1
    if said:
        row["detected" if truth else "falsely"] += 1


def as_table(result: dict[str, Any]) -> str:
    """Return the result as the table of ``docs/surveillance.md``."""
    lines = [
        "| class or behaviour | scenes that show it | detected | that do not | falsely detected |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in (*result["classes"].items(), *result["behaviour"].items()):
        label = DETECTORS.get(name, name)
        lines.append(
            f"| `{label}` | {row['shown']} | {row['detected']} | {row['not_shown']} "
            f"| {row['falsely']} |"
        )
    return "\n".join([*lines, *(f"- {line}" for line in result["wrong"])]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_table(run(seeds=3)))
