"""Likely causes: a fixed list for each class, ranked by rules, or by a model that is checked."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replies import as_text, fact_id, good_reply
from standin import StandIn
from test_ollama import read, settings

from guardian import triage
from guardian.model.finding import FindingClass
from guardian.model.incident import Verdict
from guardian.triage import causes, fact_text, prompt

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store


def test_every_class_has_causes_whose_facts_exist() -> None:
    kinds = set(fact_text._PIECES)
    for each in FindingClass:
        listed = causes.of_class(each.value)
        assert len(listed) >= 2, each
        for cause in listed:
            assert set(cause.rests) | set(cause.against) <= kinds
            assert cause.text[0].islower()
            assert not cause.text.endswith(".")


def test_rules_rank_by_the_facts_and_always_alike(beacon: Incident) -> None:
    ranked = causes.rank(beacon)
    assert ranked[0].key == "remote_control"
    assert ranked == causes.rank(beacon)
    known = {fact.id for fact in beacon.facts}
    assert all(each.facts and set(each.facts) <= known for each in ranked)
    # The same facts under a calm verdict: nobody is accused first.
    calm = dataclasses.replace(beacon, verdict=Verdict.BENIGN)
    assert causes.rank(calm)[0].key != "remote_control"


def ranking(incident: Incident, *keys: str) -> list[dict[str, Any]]:
    return [{"cause": key, "facts": [fact_id(incident, "rhythm")]} for key in keys]


async def test_a_models_ranking_is_shown_with_its_name(home: Store, beacon: Incident) -> None:
    reply = good_reply(beacon) | {"causes": ranking(beacon, "remote_control", "monitoring")}
    async with StandIn(reply=lambda _: as_text(reply)) as server:
        assert await triage.explain_pending(home, settings(server.url)) == 1
        sent = next(body for path, body, _ in server.seen if path == "POST /api/chat")
    found = read(home, beacon.id)
    told, by = causes.told(found)
    assert by == "small on gpu-1"
    assert [claim.text for claim in told][:2] == [
        "software that waits for orders from a server",
        "a monitoring tool that somebody set up",
    ]
    assert len(told) == causes.SHOWN
    asked = json.loads(sent["messages"][1]["content"])["causes"]
    assert list(asked) == ["keep_alive", "monitoring", "remote_control", "updater"]
    assert "causes" in sent["format"]["required"]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"cause": "aliens", "facts": ["F1"]}, "not on the list"),
        ({"cause": "miner_hidden", "facts": ["F1"]}, "not on the list"),
        ({"cause": "remote_control", "facts": []}, "without facts"),
        ({"cause": "remote_control", "facts": ["F99"]}, "unknown facts"),
        ({"cause": "remote_control", "facts": ["F1"]}, "do not speak of it"),
        ({"cause": "remote_control", "facts": "F1"}, "without facts"),
        ({"cause": "remote_control", "facts": ["F2"], "note": "block it"}, "not a cause"),
        ("remote_control", "not a cause"),
    ],
)
def test_a_cause_that_cannot_be_checked_is_dropped(
    beacon: Incident, entry: object, why: str
) -> None:
    kept, dropped = causes.checked([entry], beacon)
    assert kept == ()
    assert why in dropped[0]


def test_a_harmless_cause_cannot_come_before_the_verdict(beacon: Incident) -> None:
    kept, dropped = causes.checked(ranking(beacon, "updater", "remote_control"), beacon)
    assert kept == ()
    assert "against the verdict" in dropped[-1]
    second, _ = causes.checked(ranking(beacon, "remote_control", "updater"), beacon)
    assert [each.key for each in second] == ["remote_control", "updater"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.sampled_from(["cause", "facts", "remote_control", "F1", "F2"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["cause", "facts", "x"]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def test_whatever_comes_only_listed_causes_stay(beacon: Incident) -> None:
    known = {cause.key for cause in causes.possible(beacon)}
    ids = {fact.id for fact in beacon.facts}

    @given(anything)
    def holds(value: object) -> None:
        kept, _ = causes.checked(value, beacon)
        assert {each.key for each in kept} <= known
        assert all(each.facts and set(each.facts) <= ids for each in kept)

    holds()


def test_one_changed_character_of_the_causes_is_another_request(beacon: Incident) -> None:
    asked, form = prompt.messages(beacon), prompt.schema(beacon)
    other = json.loads(json.dumps(asked).replace("waits for orders", "waits for order"))
    assert prompt.fingerprint(asked, form) != prompt.fingerprint(other, form)
