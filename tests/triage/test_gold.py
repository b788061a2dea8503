"""The shipped gold set: rules agree with it, words say what they must, claims are grounded."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from guardian import triage
from guardian.errors import InputError
from guardian.model.finding import FindingClass
from guardian.triage import gold, stories
from guardian.triage.slots import SLOT


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return asyncio.run(gold.evaluate(triage.Settings(timezone="UTC")))


def test_the_set_is_large_and_covers_every_class() -> None:
    items = gold.load()
    assert len(items) >= 60
    assert len({item["id"] for item in items}) == len(items)
    covered = {each["class"] for item in items for each in item["findings"]}
    assert {each.value for each in FindingClass} - covered == {"ad_tracking"}


def test_rules_and_templates_do_well_on_it(report: dict[str, Any]) -> None:
    assert report["all"]["kappa"] >= 0.9, report["faults"]
    assert report["all"]["recall"]["share"] >= 0.95, report["faults"]
    assert report["all"]["false_positives"]["share"] <= 0.03, report["faults"]
    assert report["all"]["grounded_claims"]["share"] == 1.0
    assert report["all"]["says_nothing_wrong"]["share"] >= 0.95, report["faults"]
    assert report["all"]["says_what_it_must"]["share"] >= 0.95, report["faults"]
    assert report["all"]["one_incident"]["share"] >= 0.95, report["faults"]


def test_both_sets_are_told_apart(report: dict[str, Any]) -> None:
    assert report["by_source"]["scene"]["n"] >= 60
    assert report["by_source"]["corpus"]["n"] >= 60
    assert report["by_source"]["corpus"]["verdicts"].keys() == {
        "malicious", "benign", "surveillance",
    }  # fmt: skip
    corpus = gold.load(gold.GOLD_CORPUS)
    assert all(item["must_not"] for item in corpus)
    assert 0.3 < sum(item["held_out"] for item in corpus) / len(corpus) < 0.7


def test_shares_come_with_their_interval_and_their_number(report: dict[str, Any]) -> None:
    recall = report["all"]["recall"]
    assert recall["low"] < recall["share"] <= recall["high"]
    assert report["in_sample"]["n"] + report["held_out"]["n"] == report["all"]["n"]
    assert report["coverage"]["calls"] == 0


def test_every_class_has_a_story_with_known_slots() -> None:
    told = stories.stories()
    assert {each.value for each in FindingClass} <= told.keys()
    forms = {match[2] for text in _texts(told) for match in SLOT.finditer(text) if match[2]}
    assert forms <= {"every", "words", "second", "clock"}
    assert not [text for text in _texts(told) if "is recording" in text or "definitely" in text]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [text for item in items for text in _texts(item)]


def test_the_story_file_is_valid_toml() -> None:
    path = Path(stories.__file__).with_name("stories.toml")
    assert tomllib.loads(path.read_text())


def test_a_broken_set_says_where(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    whole = gold.GOLD.read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{whole}\nnot json\n")
    with pytest.raises(InputError, match=":2:"):
        gold.load(path)
    for broken in ('{"id": "a", "verdict": "benign"}', "[1]", whole.replace('"peers"', '"x"')):
        path.write_text(f"{whole}\n{broken}\n")
        with pytest.raises(InputError, match=":2: not an item of a gold set"):
            gold.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not text"):
        gold.load(path)
    with pytest.raises(InputError, match="cannot read"):
        gold.load(tmp_path / "absent")
