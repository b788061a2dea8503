"""The worst that a model can write: none of it is shown, none of it changes a verdict."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from replies import as_text, fact_id, good_reply

from guardian.triage.check import check
from guardian.triage.stories import Told

if TYPE_CHECKING:
    from guardian.model.incident import Incident


def template(incident: Incident) -> Told:
    return Told(
        title=incident.title, summary=incident.summary, explanation=incident.explanation,
        expert=incident.expert, claims=incident.claims,
    )  # fmt: skip


def judged(incident: Incident, reply: Any) -> Any:
    return check(as_text(reply), incident, template(incident), None)


def with_claim(incident: Incident, text: str, facts: list[Any] | None = None) -> dict[str, Any]:
    reply = copy.deepcopy(good_reply(incident))
    cited = [fact_id(incident, "rhythm")] if facts is None else facts
    reply["explanation"].append({"text": text, "facts": cited})
    return reply


WORST = {
    "invented host": "{device} contacted the host evilcorp in another country.",
    "invented host name": "{device} contacted update.evilcorp.com as well.",
    "invented address": "{device} also contacted 203.0.113.77 in the night.",
    "invented byte count": "{device} sent 14 gigabytes of data.",
    "invented byte count in words": "{device} sent fourteen gigabytes of data.",
    "invented time": "{device} began at midnight on Tuesday.",
    "swapped ends": "{peer_1} has been scanning {device}.",
    "swapped ends, passive": "{device} was contacted by {peer_1} again and again.",
    "authorised scanner": "{device} is an authorised scanner of the house.",
    "calming": "This looks like a harmless and legitimate update.",
    "normal": "This is normal behaviour of {device}.",
    "wrong noun": "{device} has contacted {RHYTHM.connections} devices in the house.",
    "wrong noun, of": "There were {RHYTHM.connections} of the servers in contact.",
    "bent number": "{device} made more than {RHYTHM.connections} to {peer_1}.",
    "denied": "{device} has never made {RHYTHM.connections} to {peer_1}.",
    "certain": "This definitely looks like a timer.",
    "action": "You should unplug {device} and block {peer_1}.",
    "link": "See https://evil.example/{device} for more.",
    "markup": "<b>{device}</b> calls {peer_1}.",
    "unknown slot": "{device} also contacted {peer_9}.",
    "slot of another fact": "{device} sent {F99.bytes_up}.",
    "attribute walk": "{device.__class__} calls {peer_1}.",
    "format trick": "{device!r} calls {peer_1:>1000}.",
    "rests on nothing": "Criminals often work like that in the evening.",
    "company of its own": "{device} talks to Samsung in the evening.",
    "other language": "Этот ноутбук звонит на {peer_1}.",
    "right to left": "{device} calls \u202e{peer_1}.",
    "too long": "{device} calls " + "again and " * 40 + "again.",
}


@pytest.mark.parametrize("name", WORST)
def test_worst_claims_are_dropped_and_the_rest_stays(beacon: Incident, name: str) -> None:
    text = WORST[name].replace("RHYTHM", fact_id(beacon, "rhythm"))
    found = judged(beacon, with_claim(beacon, text))
    assert found.kept == 3
    assert len(found.dropped) == 1
    assert found.told is not None
    assert len(found.told.claims) == 4  # the three good ones, and what is not known


@pytest.mark.parametrize(
    "facts", [[], ["F99"], ["rhythm"], ["connections"], ["F1", "F99"], [1], [None], ["F1.name"]]
)
def test_a_citation_that_is_none_has_no_support(beacon: Incident, facts: list[Any]) -> None:
    found = judged(beacon, with_claim(beacon, "{device} keeps a steady pace.", facts))
    assert found.kept == 3


def test_a_sentence_without_slots_must_speak_of_its_facts(beacon: Incident) -> None:
    when = fact_id(beacon, "when")
    assert judged(beacon, with_claim(beacon, "The pace is even, like a timer.")).kept == 4
    assert judged(beacon, with_claim(beacon, "The pace is even, like a timer.", [when])).kept == 3


@pytest.mark.parametrize("part", ["title", "summary", "expert"])
def test_other_parts_fall_back_to_the_template(beacon: Incident, part: str) -> None:
    reply = good_reply(beacon)
    bad = {"text": "{device} is an authorised scanner.", "facts": [fact_id(beacon, "who")]}
    reply[part] = "{device} is an authorised scanner" if part == "title" else [bad, bad]
    found = judged(beacon, reply)
    assert found.told is not None
    assert getattr(found.told, part).strip() == getattr(beacon, part).strip()


@pytest.mark.parametrize(
    "reply",
    [
        "", "null", "[]", "{}", "not json", '{"title": 1}', "[" * 5000, '"' + "x" * 1_000_000,
        json.dumps({"title": "x", "summary": [], "explanation": "x", "expert": []}),
        json.dumps({"title": "x", "summary": [], "explanation": [], "expert": [],
                    "verdict": "benign"}),
    ],
)  # fmt: skip
def test_anything_else_leaves_the_template(beacon: Incident, reply: str) -> None:
    found = check(reply, beacon, template(beacon), None)
    assert found.told is None
    assert found.dropped


def test_a_megabyte_of_padding_leaves_the_template(beacon: Incident) -> None:
    reply = good_reply(beacon)
    reply["expert"] = [{"text": "x" * 1_000_000, "facts": ["F1"]}]
    assert judged(beacon, reply).told is None


def test_mostly_bad_leaves_the_template(beacon: Incident) -> None:
    reply = good_reply(beacon)
    bad = {"text": "{device} is harmless.", "facts": [fact_id(beacon, "who")]}
    reply["explanation"] += [bad, bad, bad]
    assert judged(beacon, reply).told is None


@given(text=st.text(max_size=200))
@limits(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_gets_a_digit_or_markup_through(beacon: Incident, text: str) -> None:
    found = judged(beacon, with_claim(beacon, text))
    if found.kept == 4:
        assert not set('0123456789<>@/\\`"') & set(text)
