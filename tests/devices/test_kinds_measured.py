"""Types as guessed for labelled devices: read with ``-s`` to see the table of docs/devices.md."""

# ruff: noqa: T201 - the tables are read by a person

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections import Counter
from typing import TYPE_CHECKING

from guardian.app.replay import replay
from guardian.config import Config
from guardian.detect.devices.clues import TELLING_DOMAINS
from guardian.detect.devices.kinds import kind_of
from guardian.detect.devices.update import NARROW_MOST
from guardian.intel.names import registrable
from guardian.store import Store

if TYPE_CHECKING:
    from pathlib import Path

CAPTURES = {
    "Aria": "appliance", "D-LinkCam": "camera", "EdimaxCam1": "camera", "HueBridge": "hub",
    "TP-LinkPlugHS110": "plug", "WeMoSwitch": "plug", "SmarterCoffee": "appliance",
    "MAXGateway": "hub", "D-LinkDoorSensor": "appliance",
}  # fmt: skip
"""A part of the capture's file name, which is the data set's folder, and the device's type."""

EVERY = "GUARDIAN_MEASURE" in os.environ
FEW = ("EdimaxCam1", "HueBridge")
"""What is read without ``GUARDIAN_MEASURE``: the sensor takes seconds for each."""

CLOUDS = (
    ("doorbell", ("doorbell",)),
    ("camera", ("cam", "camera")),
    ("plug", ("plug",)),
    ("hub", ("hub",)),
    ("speaker", ("echo", "homepod", "home-mini", "nest-mini")),
    ("appliance", ("tstat", "kettle", "brewer", "fridge", "microwave", "air", "bulb", "led",
                   "strip", "sousvide", "sensor", "mov", "opener")),
)  # fmt: skip
"""A type, and parts of the names of devices that are of it; the first that fits counts."""


def half(name: str) -> str:
    odd = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2
    return "looked at" if odd else "not looked at"


def verdict(found: str, wanted: str) -> str:
    return "unknown" if found == "unknown" else "right" if found == wanted else "wrong"


def test_devices_that_set_themselves_up(corpus: Path, tmp_path: Path) -> None:
    sums: Counter[str] = Counter()
    for name in CAPTURES if EVERY else FEW:
        wanted = CAPTURES[name]
        (path,) = corpus.glob(f"pcap/iot/iotsentinel-{name}-Setup*.pcap")
        store = Store.open(tmp_path / name)
        replay(store, Config(data=tmp_path / name), [path])
        with store.read() as reader:
            rows = reader.rows(
                "SELECT name, kind, kind_certainty, reasons ->> '$.kind' AS why, vendor "
                "FROM device JOIN device_hint USING (device_id) WHERE kind <> 'network' "
                "GROUP BY ALL ORDER BY count(*) DESC, name"
            )
        store.close()
        found = rows[0]["kind"] if rows else "unknown"
        sums[verdict(found, wanted)] += 1
        print(f"{name:18} {wanted:10} {found:10} {verdict(found, wanted):8} {rows[:2]}")
    print(dict(sums))
    assert sums["wrong"] == 0
    assert sums["right"] >= (5 if EVERY else 2)


def test_devices_by_nothing_but_the_clouds_they_call(shared: Path) -> None:
    called: dict[str, set[str]] = {}
    for path in sorted((shared / "lists" / "behaviot").rglob("*_destinations/*.csv")):
        if not path.stem.startswith("_"):
            with path.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    name = (row.get("domain") or "").lstrip("*.").lower()
                    called.setdefault(path.stem, set()).add(name)
    sums: Counter[tuple[str, str]] = Counter()
    for name, names in sorted(called.items()):
        wanted = next((kind for kind, parts in CLOUDS if any(p in name for p in parts)), None)
        if wanted is None:
            continue
        hints = [("domain", each) for each in names if re.search(TELLING_DOMAINS, each)]
        if len({registrable(each) or each for each in names}) <= NARROW_MOST:
            hints.append(("narrow", "few places"))
        found = kind_of(hints).kind
        sums[half(name), verdict(found, wanted)] += 1
        print(f"{name:22} {half(name):14} {wanted:10} {found:10} {verdict(found, wanted)}")
    print({" ".join(key): count for key, count in sorted(sums.items())})
    wrong = sum(count for (_, what), count in sums.items() if what == "wrong")
    right = sum(count for (_, what), count in sums.items() if what == "right")
    assert wrong <= 1
    assert right >= 9
