"""Score the surveillance detectors on scenes with known truth: detected, and falsely detected.

Two ways lead to the same table: ``run`` writes the rows of all scenes into one store,
each scene in a network of its own; ``captures`` puts all scenes on one wire, writes the
capture, and has it replayed (Suricata, then Guardian).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from guardian import detect
from guardian.detect import engine
from guardian.lab.scene_rows import Scene
from guardian.lab.scene_wire import Town
from guardian.lab.scenes_surveillance import JUDGED, SCENES, Told
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guardian.store import Reader

DETECTORS = {
    "rhythm": "surveillance.acr_rhythm",
    "bursts": "surveillance.voice_bursts",
    "uplink": "surveillance.camera_uplink",
    "crawler": "surveillance.ai_crawler",
}
"""A scene's field and the detector that must speak when it is true."""

FINE = ("certainty possible", "certainty likely", "certainty validated", "ends with power")
"""What is judged of ACR findings besides their class."""

_LEVELS = ("informational", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was found of one scene."""

    classes: frozenset[str]
    detectors: frozenset[str]
    certainty: frozenset[str]
    power: bool
    level: str


class Score:
    """The table in the making: how often each thing was shown, and said."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, int]] = {
            name: {"shown": 0, "detected": 0, "not_shown": 0, "falsely": 0}
            for name in (*JUDGED, *DETECTORS.values(), *FINE)
        }
        self.wrong: list[str] = []

    def add(self, told: Told, said: Said, place: str) -> None:
        """Count one scene."""
        for name in JUDGED:
            self._count(name, truth=name in told.truth, said=name in said.classes)
        found = said.classes & set(JUDGED)
        if found != told.truth:
            self.wrong.append(f"{told.name} ({place}): {sorted(found)}, not {sorted(told.truth)}")
        for field, detector in DETECTORS.items():
            truth = getattr(told, field)
            if truth is not None:
                self._count(detector, truth=truth, said=detector in said.detectors)
        if "acr" in told.truth:
            for certainty in ("possible", "likely", "validated"):
                self._count(
                    f"certainty {certainty}",
                    truth=told.certainty == certainty,
                    said=certainty in said.certainty,
                )
        if told.power is not None:
            self._count("ends with power", truth=told.power, said=said.power)
        if told.level is not None and told.level != said.level:
            self.wrong.append(f"{told.name} ({place}): level {said.level}, not {told.level}")

    def _count(self, name: str, *, truth: bool, said: bool) -> None:
        row = self.rows[name]
        row["shown" if truth else "not_shown"] += 1
        if said:
            row["detected" if truth else "falsely"] += 1

    def as_dict(self, seeds: int) -> dict[str, Any]:
        """Return the table as JSON values."""
        wrong = sum(r["shown"] - r["detected"] + r["falsely"] for r in self.rows.values())
        return {
            "scenes": len(SCENES),
            "doubles": sum(told.double for told in SCENES),
            "seeds": seeds,
            "table": self.rows,
            "wrong": self.wrong,
            "errors": wrong,
        }


def run(*, seeds: Sequence[int] = (0,)) -> dict[str, Any]:
    """Write the rows of all scenes into one store a seed, and judge what is said of each."""
    score = Score()
    for seed in seeds:
        store = Store.memory()
        try:
            town = Town(seed)
            together = Scene()
            for number, told in enumerate(SCENES, start=1):
                for table, rows in town.rows(number, told.make(_chance(seed, number))).items():
                    together.tables.setdefault(table, []).extend(rows)
            together.commit(store)
            detect.run(store, only_surveillance())
            _judge(store, score, f"seed {seed}")
        finally:
            store.close()
    return score.as_dict(len(seeds))


def _judge(store: Store, score: Score, place: str) -> None:
    with store.read() as reader:
        for number, told in enumerate(SCENES, start=1):
            score.add(told, said(reader, f"192.168.{number}."), place)


def _chance(seed: int, number: int) -> random.Random:
    return random.Random(seed * 1000 + number)  # noqa: S311 - test material


def captures(
    replay: Callable[[Path, Store], object],
    *,
    seeds: Sequence[int] = (0,),
    folder: Path | None = None,
) -> dict[str, Any]:
    """Play all scenes as one capture a seed through ``replay``; ``folder`` keeps the captures.

    Raises:
        GuardianError: what ``replay`` raises, such as that Suricata is not installed.
    """
    score = Score()
    sizes = []
    with TemporaryDirectory(prefix="guardian-scenes-") as scratch:
        for seed in seeds:
            target = (folder or Path(scratch)) / f"scenes-{seed}.pcap"
            sizes.append(write(target, seed))
            store = Store.memory()
            try:
                replay(target, store)
                _judge(store, score, f"seed {seed}")
            finally:
                store.close()
    return {**score.as_dict(len(seeds)), "frames": sum(sizes)}


def write(target: Path, seed: int, *, scenes: Sequence[Told] = SCENES) -> int:
    """Write the capture of scenes, the same bytes for the same seed; return its frames."""
    town = Town(seed)
    for number, told in enumerate(scenes, start=1):
        town.home(number, told.make(_chance(seed, number)))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(town.pcap())
    return len(town.wire)


def only_surveillance() -> detect.Settings:
    """Return settings under which the other detectors rest, for speed."""
    every, _ = engine.detectors(detect.Settings())
    others = tuple(each.name for each in every if not each.name.startswith("surveillance."))
    return detect.Settings(disabled=others)


def said(reader: Reader, network: str) -> Said:
    """Return what was found of the devices whose addresses begin with ``network``."""
    rows = reader.rows(
        "SELECT class, detector, level, facts ->> '$.certainty' AS certainty, "
        "coalesce((facts ->> '$.ended_with_power')::INT, 0) AS power "
        "FROM finding WHERE starts_with(src_ip, $network)",
        {"network": network},
    )
    judged = [row["level"] for row in rows if row["class"] in JUDGED]
    return Said(
        classes=frozenset(row["class"] for row in rows),
        detectors=frozenset(row["detector"] for row in rows),
        certainty=frozenset(row["certainty"] for row in rows if row["certainty"]),
        power=any(row["power"] > 0 for row in rows),
        level=max(judged, key=_LEVELS.index, default="none"),
    )


def as_table(result: dict[str, Any]) -> str:
    """Return the result as the table of ``docs/surveillance.md``."""
    lines = [
        "| class or behaviour | scenes that show it | detected | that do not | falsely detected |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in result["table"].items():
        label = name if name in FINE else f"`{name}`"
        lines.append(
            f"| {label} | {row['shown']} | {row['detected']} | {row['not_shown']} "
            f"| {row['falsely']} |"
        )
    return "\n".join([*lines, *(f"- {line}" for line in result["wrong"])]) + "\n"
