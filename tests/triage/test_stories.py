"""The templates: every class told aloud, with much known and with little, of one and of many."""

from __future__ import annotations

import itertools
import re
import string
from typing import Any

import pytest

from guardian.model.finding import FindingClass
from guardian.model.incident import Fact
from guardian.triage import stories
from guardian.triage.fact_text import sentence
from guardian.triage.gold_item import NEVER, NEVER_QUIET
from guardian.triage.slots import Filler, capital

LEADS = [*(each.value for each in FindingClass), stories.REST]

WHO: dict[str, dict[str, Any]] = {
    "one": {"name": "Kitchen speaker", "kind": "speaker"},
    "several": {"name": "Anna's laptop and Ben's phone", "kind": "several", "devices": 2},
    "outside": {"name": "somebody on the internet", "kind": "outside"},
}
BARE: dict[str, dict[str, Any]] = {
    "what": {"classes": ["voice"], "detectors": 1, "findings": 1, "events": 1},
    "when": {
        "first_at": "2026-10-21T19:00:00", "last_at": "2026-10-21T19:00:00", "duration_s": 0,
    },
}  # fmt: skip
WHOLE: dict[str, dict[str, Any]] = {
    "what": {"classes": ["voice"], "detectors": 2, "findings": 1, "events": 147},
    "contact": {"whom": "an unknown server", "peer_1": "a.example", "peers": 1},
    "service": {"company": "Acme", "service": "Talk", "purposes": ["viewing profile"],
                "grade": "list", "breakage": "none"},
    "rhythm": {"interval_s": 60.0, "jitter_pct": 0.0, "connections": 147},
    "volume": {"bytes_up": 1, "bytes_down": 2_000_000, "bytes_usual": 500},
    "reach": {"hosts": 1, "ports": 1, "span_s": 60, "attempts": 1, "protocol": "ssh"},
    "lookups": {"domain": "a.example", "names": 1, "queries": 1},
    "bypass": {"resolver": "dns.example"},
    "listed": {"list": "phishing", "indicator": "a.example"},
    "signature": {"signature": "ET X", "category": "misc", "alerts": 1},
    "file": {"filename": "a.exe", "bytes_file": 1},
    "spoof": {"address": "192.168.1.1"},
    "order": {"first": "signs of malware", "then": "trying many ports", "gap_s": 60},
    "when": {
        "first_at": "2026-10-21T19:00:00", "last_at": "2026-10-21T21:00:00", "duration_s": 7200,
    },
    "others": {"other_devices": 1, "devices": 9},
    "blocked": {"blocked": 1, "asked": 1},
}  # fmt: skip

# One of something, a value without its unit, a machine's word, and markup that was left.
BROKEN = re.compile(
    r"\b1 (?:\w+s)\b(?<!1 address)(?<!1 alias)|[{}\[\]|]|None|\s{2}|\b(?:bool|null|nan)\b|_|\.\."
)


def packet(who: str, known: dict[str, dict[str, Any]], lead: str) -> list[Fact]:
    """Return a packet as triage makes it."""
    kinds = {"who": WHO[who], **known, "unknown": {"text": stories.story(lead)["unknown"]}}
    return [
        Fact(id=f"F{number}", kind=kind, text=sentence(kind, values, None), values=values)
        for number, (kind, values) in enumerate(kinds.items(), start=1)
    ]


def parts(text: str) -> list[str]:
    """Return the sentences of a text."""
    return re.split(r"(?<=[.?!]) (?=[A-Z“])", text)


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("verdict", ["malicious", "surveillance", "benign", "undetermined"])
def test_every_story_reads_well(lead: str, verdict: str) -> None:
    for who, known in itertools.product(WHO, (WHOLE, BARE)):
        facts = packet(who, known, lead)
        told = stories.tell(Filler(facts, None), lead, verdict=verdict)
        lines = [told.title, *parts(told.summary), *(c.text for c in told.claims), told.expert]
        lines += [fact.text for fact in facts]
        for line in lines:
            assert line, (who, lead)
            assert not BROKEN.search(line), line
            assert line == capital(line), line
        assert len(told.title) <= stories.TITLE_LENGTH
        assert not told.title.endswith(".")
        assert len(parts(told.summary)) == 2, told.summary
        assert len({claim.text for claim in told.claims}) == len(told.claims)
        assert set(parts(told.summary)).isdisjoint(claim.text for claim in told.claims)
        assert all(claim.facts for claim in told.claims)
        assert told.claims[-1].text.startswith("Not known: ")
        said = " ".join(lines).lower()
        assert not [each for each in NEVER if each in said]
        if verdict == "benign":
            words = " ".join(parts(told.summary) + [c.text for c in told.claims]).lower()
            words = words.replace("signs of malware", "")
            assert not [each for each in NEVER_QUIET if each in words], words


def test_one_acts_and_many_act() -> None:
    def title(who: str) -> str:
        return stories.tell(Filler(packet(who, WHOLE, "c2_beacon"), None), "c2_beacon").title

    assert title("one") == "Kitchen speaker calls an unknown server every minute"
    assert title("several") == "Anna's laptop and Ben's phone call an unknown server every minute"
    assert title("outside") == "Somebody on the internet calls an unknown server every minute"
    told = stories.tell(Filler(packet("outside", WHOLE, "acr"), None), "acr")
    assert "they have reported to Acme" in told.summary, "nobody knows whether it is one"


@pytest.mark.parametrize("lead", LEADS)
def test_what_to_do_is_whole_sentences(lead: str) -> None:
    for verdict in ("malicious", "benign"):
        told = stories.todo([lead], verdict)
        assert told
        for each in told:
            assert each[0] in string.ascii_uppercase
            assert each.endswith((".", "…"))
            assert "{" not in each
    assert stories.todo([], "benign") == stories.todo(["policy_violation"], "benign")


def test_a_name_keeps_its_own_capitals() -> None:
    assert capital("iPhone was first seen.") == "iPhone was first seen."
    assert capital("eBay is asked.") == "eBay is asked."
    assert capital("an unnamed device.") == "An unnamed device."


def test_a_fact_says_nothing_twice() -> None:
    peers = {"whom": "x", "peer_1": "203.0.113.9", "peers": 1, "address": "203.0.113.9"}
    assert sentence("contact", peers, None) == "It spoke with 203.0.113.9."
    assert sentence("who", {"name": "Ben's phone", "kind": "phone"}, None) == "Ben's phone."
    assert sentence("who", {"name": "Bravia", "kind": "tv"}, None) == "Bravia, TV."
    reach = {"hosts": 41, "ports": 20}
    assert sentence("reach", reach, None) == "Tried 20 ports on 41 addresses."
    service = {"company": "Acme", "grade": "payload-validated", "breakage": "device"}
    assert "its messages were read; blocking it may stop" in sentence("service", service, None)
