"""The queue of explanations outlives its process, and does the worst and newest first."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from house import finding, furnish, write
from replies import as_text, good_reply
from standin import StandIn
from test_ollama import read, settings

from guardian import triage
from guardian.store import Store, explanations
from guardian.store.ingest import utc_now
from guardian.triage import Pool, prompt
from guardian.triage.budget import Budget

if TYPE_CHECKING:
    from guardian.model.incident import Incident


async def test_a_kill_in_the_middle_of_an_explanation_loses_nothing(tmp_path: Path) -> None:
    """A real process, a real ``kill -9`` while the model is at work, a real store on disk."""
    store = Store.open(tmp_path)
    furnish(store)
    write(store, finding("c2_beacon", "laptop", "evil-site.net", level="high", calls=147,
                         interval_s=60.0, jitter_share=0.018))  # fmt: skip
    triage.run(store, triage.Settings(timezone="UTC"))
    before = read(store, 1)
    store.close()
    async with StandIn(reply=lambda _: as_text(good_reply(before)), delay_s=3600) as server:
        script = Path(__file__).with_name("mid_explanation.py")
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(tmp_path), server.url
        )
        async with asyncio.timeout(240):
            while not server.at_once:
                await asyncio.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        server.delay_s = 0.0
        store = Store.open(tmp_path)
        with store.read() as reader:
            row = explanations.latest_job(reader, 1)
        assert row is not None
        assert (row["state"], row["attempts"]) == ("processing", 1)
        assert read(store, 1) == before
        # While the lease holds nobody takes it; then it is done, once.
        assert await triage.explain_pending(store, settings(server.url)) == 0
        later = utc_now() + timedelta(hours=1)
        assert await triage.explain_pending(store, settings(server.url), now=later) == 1
        assert await triage.explain_pending(store, settings(server.url), now=later) == 0
        assert read(store, 1).written_by == "small on gpu-1"
        with store.read() as reader:
            row = explanations.latest_job(reader, 1)
        assert row is not None
        assert (row["state"], row["attempts"]) == ("done", 2)
        store.close()


async def test_the_worst_come_first_and_of_those_the_newest(home: Store) -> None:
    write(
        home,
        finding("c2_beacon", "laptop", "old.net", level="high", at=0, interval_s=60.0),
        finding("c2_beacon", "tv", "new.net", level="high", at=90_000, interval_s=60.0),
        finding("port_scan", "phone", "192.168.30.50", level="medium", at=99_000, ports=40),
    )
    triage.run(home, triage.Settings(timezone="UTC"))
    now = utc_now()
    with home.transaction() as tx:
        explanations.enqueue(tx, now=now)
    order = []
    while (job := explanations.take(home, lease_s=60, now=now)) is not None:
        order.append((job.priority, read(home, job.incident_id).last_seen))
    assert len(order) == 3
    assert order == sorted(order, reverse=True)


async def test_the_night_has_a_budget_of_its_own(home: Store, beacon: Incident) -> None:
    night = utc_now().replace(hour=23, minute=30)
    options = triage.Settings(calls_per_hour=5, calls_per_night=2, timezone="UTC")
    spent = explanations.Call(endpoint="a", model="m", role="deep", outcome="ok", seconds=1.0)
    free = explanations.Call(endpoint="a", model="m", role="deep", outcome="absent", seconds=1.0)
    with home.transaction() as tx:
        for minutes, call in ((5, spent), (75, spent), (100, spent), (6, free)):
            explanations.record(tx, call, now=night - timedelta(minutes=minutes))
    budget = Budget(home, options)
    # Two calls fell into this night (from 22:00), which is all there is.
    assert budget.left(night) == 0
    assert Budget(home, triage.Settings(calls_per_night=3, timezone="UTC")).left(night) == 1
    noon = night.replace(hour=12) + timedelta(days=1)
    assert budget.left(noon) == 5
    budget.under_way = 2
    assert budget.left(noon) == 3


async def test_an_incident_that_changed_while_it_waited_is_not_told_of_the_past(
    home: Store, beacon: Incident
) -> None:
    now = utc_now()
    with home.transaction() as tx:
        explanations.enqueue(tx, now=now)
        tx.execute("UPDATE finding SET count = 300, updated_at = '2026-10-22'")
    triage.run(home, triage.Settings(timezone="UTC"))
    assert explanations.take(home, lease_s=60, now=now) is None
    with home.transaction() as tx:
        explanations.enqueue(tx, now=now)
    job = explanations.take(home, lease_s=60, now=now)
    assert job is not None
    assert job.packet_hash == read(home, beacon.id).packet_hash != beacon.packet_hash


async def test_what_was_recorded_tells_where_words_come_from(home: Store, beacon: Incident) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        await triage.explain_pending(home, settings(server.url))
    model = read(home, beacon.id).model
    assert model is not None
    assert model["parameters"] == {
        "temperature": 0, "seed": 1, "num_ctx": 4096, "num_predict": 700,
    }  # fmt: skip
    assert (model["model"], model["endpoint"], model["role"]) == ("small", "gpu-1", "fast")
    assert model["prompt_version"] == prompt.version()
    assert model["packet"] == beacon.packet_hash
    assert model["tokens_in"] == 900
    with home.read() as reader:
        kept = reader.one("SELECT request, model_digest, prompt_version FROM explanation")
    assert kept == {
        "request": model["request"],
        "model_digest": model["digest"],
        "prompt_version": prompt.version(),
    }


async def test_an_answer_serves_one_request_one_model_and_one_prompt(
    home: Store, beacon: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Change any of the three and the model is asked again; the same three, and it is not."""

    async def told_anew() -> int:
        """Tell the incident once more, and return how often the model was asked for it."""
        with home.transaction() as tx:
            tx.execute("UPDATE incident SET written_by = 'template', model = NULL")
            tx.execute("DELETE FROM explain_job")
        before = sum(path == "POST /api/chat" for path, _, _ in server.seen)
        assert await triage.explain_pending(home, settings(server.url), pool=pool) == 1
        with home.read() as reader:
            kept = reader.rows("SELECT request, model_digest, prompt_version FROM explanation")
        assert len(kept) == len({tuple(row.values()) for row in kept})
        return sum(path == "POST /api/chat" for path, _, _ in server.seen) - before

    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        pool = Pool(settings(server.url).endpoints)
        assert await told_anew() == 1
        assert await told_anew() == 0
        monkeypatch.setattr(prompt, "version", lambda: "another")
        assert await told_anew() == 1, "another prompt"
        assert await told_anew() == 0
        with home.transaction() as tx:
            tx.execute("UPDATE incident SET classes = classes || ['malware']")
        assert await told_anew() == 1, "another packet"
        await pool.aclose()


async def test_a_prompt_that_does_not_fit_is_not_sent_and_blames_nobody(
    home: Store, beacon: Incident
) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        pool = Pool(settings(server.url).endpoints)
        small = settings(server.url, num_ctx=1024)
        assert await triage.explain_pending(home, small, pool=pool) == 0
        assert not [path for path, _, _ in server.seen if path == "POST /api/chat"]
        assert pool.members[0].failures == 0
        await pool.aclose()
    with home.read() as reader:
        row = explanations.latest_job(reader, beacon.id)
    assert row is not None
    assert row["state"] == "failed"
    assert "too many for 1024" in row["detail"]
    with home.read() as reader:
        assert reader.value("SELECT outcome FROM model_call") == "too_long"


@pytest.mark.parametrize("reply", ["x" * 1_000_000, "[" * 100_000])
async def test_padding_is_not_read_to_its_end(home: Store, beacon: Incident, reply: str) -> None:
    async with StandIn(reply=lambda _: reply) as server:
        assert await triage.explain_pending(home, settings(server.url)) == 0
    assert read(home, beacon.id) == beacon
