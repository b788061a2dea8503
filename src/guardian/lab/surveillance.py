"""Score the surveillance detectors on scenes with known truth: detected, and falsely detected."""

from __future__ import annotations

import random
from typing import Any

from guardian import detect
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
    for told in SCENES:
        for seed in range(seeds):
            said, detectors = play(told, seed)
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


def play(told: Told, seed: int) -> tuple[set[str], set[str]]:
    """Return the classes and the detectors of the findings that one scene gives."""
    store = Store.memory()
    try:
        told.make(random.Random(seed)).commit(store)  # noqa: S311 - test material
        detect.run(store, detect.Settings())
        with store.read() as reader:
            rows = reader.rows("SELECT class, detector FROM finding")
    finally:
        store.close()
    return {row["class"] for row in rows}, {row["detector"] for row in rows}


def _count(row: dict[str, int], *, truth: bool, said: bool) -> None:
    row["shown" if truth else "not_shown"] += 1
    if said:
        row["detected" if truth else "falsely"] += 1
