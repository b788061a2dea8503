"""Hostile strings in every field a stranger controls: no effect, and nothing rendered as markup.

Each string stands in the device's name, the destination, the user agent and the signature
of one incident; verdict, level, confidence, score and the shape of the words must be those
of the same incident with plain strings, and a model must be asked the same, byte for byte.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hostile import STRINGS
from house import T0, finding, write

from guardian import triage
from guardian.store import Store, incidents
from guardian.triage import prompt
from guardian.triage.check import check
from guardian.triage.stories import Told

if TYPE_CHECKING:
    from guardian.model.incident import Incident

SETTINGS = triage.Settings(timezone="UTC", incidents_per_day=10_000, house_devices=10_000)
PLAIN = "plain-text.example"
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@pytest.fixture(scope="module")
def told() -> dict[str, Incident]:
    """One incident for each string, by string."""
    store = Store.memory()
    texts = {f"d{number}": text for number, text in enumerate([PLAIN, *STRINGS])}
    with store.transaction() as tx:
        tx.many(
            "INSERT INTO device (device_id, name, kind, first_seen, last_seen) "
            "VALUES (?, ?, 'laptop', ?, ?)",
            [(device, text, T0, T0) for device, text in texts.items()],
        )
    write(
        store,
        *(
            finding("c2_beacon", device, text, level="high",
                    calls=147, interval_s=60.0, user_agent=text, signature=text,
                    signature_id=number)
            for number, (device, text) in enumerate(texts.items())
        ),
    )  # fmt: skip
    triage.run(store, SETTINGS)
    with store.read() as reader:
        found = incidents.incidents(reader, limit=10_000)
    store.close()
    return {texts[each.device_id]: each for each in found if each.device_id}


def test_the_suite_is_large_enough(told: dict[str, Incident]) -> None:
    assert len(STRINGS) >= 150
    assert len(told) == len(STRINGS) + 1


@pytest.mark.parametrize("text", STRINGS)
def test_a_hostile_string_changes_nothing(text: str, told: dict[str, Incident]) -> None:
    found, expected = told[text], told[PLAIN]
    for name in ("verdict", "level", "confidence", "score", "classes", "status", "proposals"):
        assert getattr(found, name) == getattr(expected, name)
    assert [fact.kind for fact in found.facts] == [fact.kind for fact in expected.facts]
    assert [claim.facts for claim in found.claims] == [claim.facts for claim in expected.claims]
    lines = [found.title, found.summary, found.explanation, found.expert]
    lines += [fact.text for fact in found.facts]
    assert not [each for each in "".join(lines) if unicodedata.category(each) in _HIDDEN]
    assert sum(map(len, lines)) < 8000
    for ask in (prompt.messages, prompt.schema):
        assert json.dumps(ask(found)) == json.dumps(ask(expected))


@pytest.mark.parametrize("text", STRINGS)
def test_a_model_that_repeats_it_is_not_shown(text: str, told: dict[str, Incident]) -> None:
    incident = told[PLAIN]
    fallback = Told(title=incident.title, summary=incident.summary, claims=incident.claims,
                    explanation=incident.explanation, expert=incident.expert)  # fmt: skip
    claim = {"text": text, "facts": ["F1"]}
    reply = {"title": text, "summary": [claim, claim], "explanation": [claim] * 3, "expert": []}
    assert check(json.dumps(reply), incident, fallback, None).told is None
