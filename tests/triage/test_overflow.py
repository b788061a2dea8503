"""A model outside the house: off, bounded, and nothing of the house in what is sent."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from house import DEVICES
from hypothesis import given
from hypothesis import strategies as st
from replies import as_text, good_reply
from test_ollama import read
from test_openai_compatible import Server

from guardian import triage
from guardian.errors import ConfigError
from guardian.model.finding import FindingClass, Level
from guardian.model.incident import Fact, Incident, Verdict
from guardian.store import overflow as kept
from guardian.store.ingest import utc_now
from guardian.triage import overflow, prompt, redact
from guardian.triage.llm.base import Ask
from guardian.triage.settings import Overflow

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

PRIVATE = ("Anna", "evil-site", "185.10", "192.168", "19:02", "2026-10", "laptop's")


def settings(server: Server | str, **options: Any) -> triage.Settings:
    url = server if isinstance(server, str) else server.url
    allowed = {
        "enabled": True, "url": url, "model": "big", "classes": ("c2_beacon",),
        "calls_per_month": 3, **options,
    }  # fmt: skip
    away = triage.Endpoint(url="http://127.0.0.1:9", model="x", name="away")
    return triage.Settings(endpoints=(away,), overflow=Overflow(**allowed), timezone="UTC")


def answer_in_pseudonyms(incident: Incident) -> str:
    """Write the good reply as a model does that was shown pseudonyms."""
    asked = Ask(messages=prompt.messages(incident), schema=prompt.schema(incident))
    names = {slot: name for name, slot in redact.redact(incident, asked).pseudonyms.items()}
    text = as_text(good_reply(incident))
    for slot in ("device", "peer_1", "whom"):
        text = text.replace(f"{{{slot}}}", names[slot])
    assert "{device}" not in text
    return text


async def test_unless_all_is_said_nothing_leaves(home: Store, beacon: Incident) -> None:
    async with Server(reply=lambda _: answer_in_pseudonyms(beacon)) as server:
        for missing in (
            {"enabled": False}, {"classes": ()}, {"calls_per_month": 0}, {"model": ""},
            {"classes": ("malware",)},
        ):  # fmt: skip
            assert await triage.explain_pending(home, settings(server, **missing)) == 0
            with home.transaction() as tx:
                tx.execute("UPDATE explain_job SET lease_until = NULL")
        assert server.seen == []
    assert triage.Settings().overflow.on is False
    with home.read() as reader:
        assert kept.listing(reader) == []


async def test_a_redacted_packet_leaves_and_its_answer_is_mapped_back(
    home: Store, beacon: Incident
) -> None:
    async with Server(reply=lambda _: answer_in_pseudonyms(beacon)) as server:
        assert await triage.explain_pending(home, settings(server)) == 1
        ((_, sent, headers),) = server.seen
    found = read(home, beacon.id)
    assert found.explanation.startswith("Anna's laptop has made 147 connections to evil-site.net")
    assert found.written_by == "small outside the house"
    assert found.model is not None
    assert found.model["role"] == "overflow"
    for name in ("verdict", "confidence", "level", "facts", "classes", "score", "proposals"):
        assert getattr(found, name) == getattr(beacon, name)
    with home.read() as reader:
        row = kept.one(reader, int(str(found.model["sent"])))
    assert row is not None
    assert row["outcome"] == "ok"
    # What can be read afterwards is what was received, and nothing of the house is in it.
    assert json.loads(row["body"]) == sent
    for private in PRIVATE:
        assert private not in row["body"]
        assert private not in json.dumps(headers)
    # How large a number is is told, so that it can be explained; not which it is.
    values = json.loads(json.loads(row["body"])["messages"][1]["content"])["values"]
    (rhythm,) = (each for each in values.values() if "interval_s" in each)
    assert rhythm == {"connections": 100, "interval_s": 60, "jitter_pct": 2}
    assert "147" not in row["body"]


async def test_what_comes_back_is_checked_like_any_other(home: Store, beacon: Incident) -> None:
    bad = answer_in_pseudonyms(beacon).replace("keeps calling", "is authorised by")
    bad = bad.replace(" has made ", " HOST-Z ")
    async with Server(reply=lambda _: bad.replace("evenly", "safe")) as server:
        await triage.explain_pending(home, settings(server))
        assert await triage.explain_pending(home, settings(server)) == 0
        assert len(server.seen) == 1  # the same state is never sent twice
    found = read(home, beacon.id)
    assert "HOST-Z" not in found.explanation + found.title + found.summary
    assert "authorised" not in found.title
    assert found.verdict == beacon.verdict


async def test_when_the_budget_is_spent_nothing_leaves(home: Store, beacon: Incident) -> None:
    now = utc_now().replace(day=20)
    with home.transaction() as tx:
        for days in (1, 2, 40):
            tx.execute(
                "INSERT INTO overflow_sent (incident_id, packet_hash, sent_at, url, model, body, "
                "pseudonyms, outcome) VALUES (9, 'x', ?, 'u', 'm', 'b', '{}', 'ok')",
                [now - timedelta(days=days)],
            )
    async with Server(reply=lambda _: answer_in_pseudonyms(beacon)) as server:
        spent = settings(server, calls_per_month=2)
        assert await triage.explain_pending(home, spent, now=now) == 0
        assert server.seen == []
        with home.transaction() as tx:
            tx.execute("UPDATE explain_job SET lease_until = NULL")
        left = settings(server, calls_per_month=3)
        assert await triage.explain_pending(home, left, now=now) == 1


async def test_a_model_at_home_comes_first(home: Store, beacon: Incident) -> None:
    async with (
        Server(reply=lambda _: as_text(good_reply(beacon))) as inside,
        Server(reply=lambda _: answer_in_pseudonyms(beacon)) as out,
    ):
        near = triage.Endpoint(url=inside.url, kind="openai-compatible", model="small", name="near")
        options = dataclasses.replace(settings(out), endpoints=(near,))
        assert await triage.explain_pending(home, options) == 1
        assert out.seen == []
    assert read(home, beacon.id).written_by == "small on near"


async def test_outside_the_house_only_https_is_spoken(home: Store, beacon: Incident) -> None:
    with pytest.raises(ConfigError, match="not https"):
        await triage.explain_pending(home, settings("http://203.0.113.9:80"))
    with home.read() as reader:
        assert kept.listing(reader) == []


async def test_the_key_is_sent_but_not_kept(home: Store, beacon: Incident, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sesame-open\n")
    async with Server(reply=lambda _: answer_in_pseudonyms(beacon)) as server:
        await triage.explain_pending(home, settings(server, key_file=key))
        assert server.seen[0][2]["authorization"] == "Bearer sesame-open"
    with home.read() as reader:
        assert "sesame" not in json.dumps(kept.one(reader, 1), default=str)
    with pytest.raises(ConfigError, match="key_file"):
        overflow._key(Overflow(key_file=tmp_path / "absent"))


NAMES = ("name", "owner", "room", "mac", "vendor", "peer_1", "peer_2", "address", "whom",
         "company", "domain", "signature", "filename", "first_at", "kind", "protocol", "text",
         "indicator", "anything")  # fmt: skip
KINDS = ("who", "contact", "service", "signature", "file", "listed", "lookups", "when", "what")


def incident(values: list[tuple[str, dict[str, Any]]]) -> Incident:
    facts = tuple(
        Fact(id=f"F{n}", kind=kind, text=str(held), values=held)
        for n, (kind, held) in enumerate(values, start=1)
    )
    return Incident(
        id=1, key="k", title="t", verdict=Verdict.MALICIOUS, confidence=0.8, level=Level.HIGH,
        device_id="d", classes=(FindingClass.C2_BEACON,), findings=(), first_seen=utc_now(),
        last_seen=utc_now(), status="open", summary="s", explanation="e", facts=facts, claims=(),
        written_by="template",
    )  # fmt: skip


def body(made: Incident) -> str:
    asked = Ask(messages=prompt.messages(made), schema=prompt.schema(made))
    return json.dumps(redact.redact(made, asked).messages)


shapes = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.dictionaries(st.sampled_from(NAMES), st.booleans(), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)
ours = frozenset().union(*redact._OURS.values())
strings = st.text(min_size=1, max_size=30).filter(lambda text: text not in ours)


@given(shapes, st.data())
def test_what_leaves_does_not_depend_on_any_string_of_the_house(
    shape: list[tuple[str, dict[str, bool]]], data: st.DataObject
) -> None:
    """Two houses that differ in every string send the same bytes."""

    def furnished() -> Incident:
        return incident(
            [
                (kind, {name: [data.draw(strings)] if many else data.draw(strings)
                        for name, many in held.items()})
                for kind, held in shape
            ]
        )  # fmt: skip

    assert body(furnished()) == body(furnished())


@given(st.sampled_from(NAMES), st.sampled_from(KINDS), st.data())
def test_no_marked_string_leaves(name: str, kind: str, data: st.DataObject) -> None:
    marked = "zq" + data.draw(strings) + "qz"
    sent = body(incident([("who", {"name": "x"}), (kind, {name: marked})]))
    assert marked not in sent
    assert "zq" not in sent


@given(st.floats(1e-6, 1e14) | st.integers(-(10**14), 10**14))
def test_of_a_number_one_digit_leaves(value: float) -> None:
    told = redact._about(value)
    assert len(f"{abs(told):.10e}".split("e")[0].rstrip("0").rstrip(".")) == 1
    assert abs(told - value) <= abs(value) / 2


def test_a_pseudonym_that_was_not_given_stays_and_is_refused_later() -> None:
    assert redact.restore("HOST-A met HOST-B.", {"HOST-A": "peer_1"}) == "{peer_1} met HOST-B."
    assert len({redact._letters(number) for number in range(700)}) == 700
    assert all(name not in redact.SYSTEM for name, *_ in DEVICES.values())
