"""Each detector against its table of cases: a hit, a near miss, nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from guardian import detect
from guardian.detect.engine import detectors

from .cases import filled

FOLDER = Path(__file__).parents[1] / "cases" / "detect"


def _cases() -> list[Any]:
    return [
        pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
        for path in sorted(FOLDER.glob("*.yaml"))
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]
    ]


ALL = frozenset(each.name for each in detectors(detect.Settings())[0])
EVERY = frozenset(
    each.name
    for each in detectors(detect.Settings())[0]
    if not each.name.startswith("surveillance.")  # theirs lie beside the catalogue's tests
)


def test_every_detector_has_cases() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= EVERY


@pytest.mark.parametrize(("detector", "case"), _cases())
def test_case(detector: str, case: dict[str, Any]) -> None:
    store = filled(case.get("rows") or {})
    settings = detect.Settings(disabled=tuple(ALL - {detector}))
    report = detect.run(store, settings)
    assert [error for error in report.errors if error.startswith(detector)] == []
    with store.read() as reader:
        rows = reader.rows(
            "SELECT class, level, src_ip, peers, count, title, key, tags FROM finding "
            "WHERE detector = $detector ORDER BY key",
            {"detector": detector},
        )
    expected = case.get("expect") or []
    assert case["kind"] != "hit" or expected, "a hit expects something"
    assert len(rows) == len(expected), rows
    for row, want in zip(rows, expected, strict=True):
        for key, value in want.items():
            if key in ("peers", "tags"):
                assert set(value) <= set(row[key]), row
            elif key == "title":
                assert value in row["title"], row
            else:
                assert row[key] == value, row
    # Twice is once: what is looked at again, whole, changes nothing.
    with store.read() as reader:
        before = reader.rows("SELECT * FROM finding ORDER BY id")
    detect.run(store, settings, full=True)
    with store.read() as reader:
        assert reader.rows("SELECT * FROM finding ORDER BY id") == before
    store.close()
