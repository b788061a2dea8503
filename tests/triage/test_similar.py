"""What was like this before is offered as a fact, and nothing turns in a circle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from house import finding, hit, write
from hypothesis import given
from hypothesis import strategies as st
from standin import StandIn

from guardian import triage
from guardian.store import incidents, model_endpoints, vectors
from guardian.store.ingest import utc_now
from guardian.triage import Pool, feedback, prompt, similar

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store

SETTINGS = triage.Settings(timezone="UTC")
WEEK = 7 * 86_400


def all_of(store: Store) -> list[Incident]:
    with store.read() as reader:
        return sorted(incidents.incidents(reader), key=lambda each: each.id)


def beacon_of(device: str, peer: str, at: float, **facts: float) -> None:
    return finding("c2_beacon", device, peer, level="high", calls=100, at=at,
                   **{"interval_s": 300.0, "jitter_share": 0.01, "port": 443, **facts})  # fmt: skip


def before(incident: Incident) -> str:
    return next((fact.text for fact in incident.facts if fact.kind == "before"), "")


def test_a_like_story_of_another_device_is_a_fact_with_what_was_said(home: Store) -> None:
    write(home, beacon_of("laptop", "sync.update-maker.net", 0))
    triage.run(home, SETTINGS)
    feedback.give(home, 1, "expected", actor="anna", reason="Granny's box")
    write(home, beacon_of("tablet", "cdn.update-maker.net", WEEK))
    triage.run(home, SETTINGS)
    first, second = all_of(home)
    assert before(first) == ""
    told = before(second)
    assert told.startswith("Seen before, at 19:02 on 21 Oct: Anna's laptop calls")
    assert told.endswith("somebody said that it was expected: Granny's box.")
    fact = next(fact for fact in second.facts if fact.kind == "before")
    assert fact.values["incident"] == 1
    # It is a fact for people; no model is told of it.
    assert "Granny" not in str(prompt.messages(second)[1])


def test_what_only_shares_its_kind_is_not_called_alike(home: Store) -> None:
    write(home, beacon_of("laptop", "sync.update-maker.net", 0))
    triage.run(home, SETTINGS)
    write(home, beacon_of("camera", "evil.example", WEEK, interval_s=60.0, port=8443))
    triage.run(home, SETTINGS)
    assert before(all_of(home)[1]) == ""


def test_several_kinds_alone_are_not_enough_either(home: Store) -> None:
    kinds = ("c2_beacon", "threat_intel", "exfiltration")
    write(home, *(finding(kind, "laptop", "one.example", level="high") for kind in kinds))
    triage.run(home, SETTINGS)
    write(home, *(finding(kind, "tablet", "other.example", level="high", at=WEEK)
                  for kind in kinds))  # fmt: skip
    triage.run(home, SETTINGS)
    assert [len(each.classes) for each in all_of(home)] == [3, 3]
    assert before(all_of(home)[1]) == ""


def test_one_that_was_judged_goes_before_one_that_is_nearer(home: Store) -> None:
    write(home, beacon_of("laptop", "198.51.100.10", 0, port=8443))
    write(home, beacon_of("phone", "198.51.100.20", WEEK))
    triage.run(home, SETTINGS)
    assert len(all_of(home)) == 2
    feedback.give(home, 1, "right", actor="anna")
    write(home, beacon_of("tablet", "198.51.100.30", 3 * WEEK))
    triage.run(home, SETTINGS)
    fact = next(fact for fact in all_of(home)[2].facts if fact.kind == "before")
    assert fact.values["incident"] == 1


def test_the_packet_stays_as_it_was_built(home: Store) -> None:
    write(home, beacon_of("laptop", "sync.update-maker.net", 0))
    triage.run(home, SETTINGS)
    write(home, beacon_of("tablet", "cdn.update-maker.net", WEEK))
    triage.run(home, SETTINGS)
    hashes = [each.packet_hash for each in all_of(home)]
    for _ in range(3):
        assert triage.run(home, SETTINGS).changed == ()
    assert [each.packet_hash for each in all_of(home)] == hashes


def near(text: str) -> list[float]:
    """A model for which stories about updates are alike, whoever they are about."""
    return [1.0, 0.1] if "update-maker" in text or "patches" in text else [0.0, 1.0]


async def test_a_model_at_home_finds_what_words_do_not(home: Store) -> None:
    write(home, beacon_of("laptop", "sync.update-maker.net", 0))
    write(home, beacon_of("tablet", "patches.example", WEEK, interval_s=60.0, port=8443))
    triage.run(home, SETTINGS)
    assert before(all_of(home)[1]) == ""
    async with StandIn(vector=near) as server:
        pool = Pool([triage.Endpoint(url=server.url, model="small", role="embed", name="vec")])
        await triage.watch(home, SETTINGS, pool)
        assert await similar.embed_pending(home, SETTINGS, pool) == 2
        assert triage.run(home, SETTINGS).changed == (2,)
        assert "Anna's laptop" in before(all_of(home)[1])
        # Told once: nothing is made or written again, neither vectors nor words.
        for _ in range(3):
            assert await similar.embed_pending(home, SETTINGS, pool) == 0
            assert triage.run(home, SETTINGS).changed == ()
        asked = [body for path, body, _ in server.seen if path == "POST /api/embed"]
        assert len(asked) == 1
        assert "Seen before" not in str(asked)
        with home.read() as reader:
            (row, _) = model_endpoints.endpoints(reader, now=utc_now())
        assert row["answers"] == 1
        await pool.aclose()


async def test_without_an_endpoint_for_vectors_nothing_is_asked(home: Store) -> None:
    write(home, beacon_of("laptop", "sync.update-maker.net", 0))
    triage.run(home, SETTINGS)
    away = Pool([triage.Endpoint(url="http://127.0.0.1:9", model="x", role="embed")])
    assert await similar.embed_pending(home, SETTINGS, Pool([])) == 0
    assert await similar.embed_pending(home, SETTINGS, away) == 0
    await away.aclose()


def test_vectors_are_kept_for_every_incident_and_compared_in_sql(home: Store) -> None:
    hit(home, "acr.example", "Maker")
    write(home, finding("acr", "tv", "acr.example"), beacon_of("laptop", "a.net", 0))
    triage.run(home, SETTINGS)
    with home.read() as reader:
        rows = reader.rows("SELECT incident_id, method, source, vector FROM incident_vector")
    assert {row["incident_id"] for row in rows} == {each.id for each in all_of(home)}
    assert {row["method"] for row in rows} == {similar.LOCAL}
    assert any("company Maker" in row["source"] for row in rows)
    assert all(len(row["vector"]) == similar.DIMENSIONS for row in rows)
    with home.read() as reader:
        assert vectors.nearest(reader, similar.LOCAL, {}, at_least=0.0) == {}


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.floats(0.5, 3.0), min_size=1))
def test_a_vector_has_length_one_and_is_always_the_same(found: dict[str, float]) -> None:
    row = similar.vector(found)
    size = math.sqrt(sum(each * each for each in row))
    assert size == pytest.approx(1.0) or size == 0.0  # two features may cancel out
    assert similar.vector(dict(reversed(found.items()))) == pytest.approx(row)
