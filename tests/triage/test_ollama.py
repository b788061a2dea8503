"""Ollama through the real client: every known way to fail, and nothing that should not be sent."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from replies import as_text, good_reply
from standin import DIGEST, StandIn

from guardian import triage
from guardian.store import explanations, incidents
from guardian.store.ingest import utc_now
from guardian.triage import export, feedback
from guardian.triage.llm.base import Ask, ModelRefusedError
from guardian.triage.llm.embedded import EmbeddedBackend, model_path
from guardian.triage.llm.ollama import OllamaBackend

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.model.incident import Incident
    from guardian.store import Store

FAULTS = ("404", "503", "list", "wrong-shape", "html-502", "mid-stream", "half-line", "no-done",
          "cut", "blank-line", "slow")  # fmt: skip


def settings(*urls: str, **options: Any) -> triage.Settings:
    endpoints = tuple(
        triage.Endpoint(url=url, model="small", name=f"gpu-{n}")
        for n, url in enumerate(urls, start=1)
    )
    return triage.Settings(endpoints=endpoints, timezone="UTC", **options)


def read(store: Store, number: int) -> Incident:
    with store.read() as reader:
        found = incidents.incident(reader, number)
    assert found is not None
    return found


async def test_checked_words_of_a_model_are_shown_with_their_origin(
    home: Store, beacon: Incident
) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        assert await triage.explain_pending(home, settings(server.url)) == 1
        found = read(home, beacon.id)
        assert found.explanation.startswith("Anna's laptop has made 147 connections to evil-site")
        assert found.written_by == "small on gpu-1"
        assert found.model is not None
        assert found.model["digest"] == DIGEST
        for name in ("verdict", "confidence", "level", "facts", "classes", "score", "proposals"):
            assert getattr(found, name) == getattr(beacon, name)
        # The same state is never asked about twice.
        assert await triage.explain_pending(home, settings(server.url)) == 0
        chats = [body for path, body, _ in server.seen if path == "POST /api/chat"]
        assert len(chats) == 1
        assert chats[0]["options"] == {
            "temperature": 0,
            "seed": 1,
            "num_ctx": 4096,
            "num_predict": 700,
        }


async def test_a_growing_incident_is_told_anew_without_asking_again(
    home: Store, beacon: Incident
) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        await triage.explain_pending(home, settings(server.url))
        with home.transaction() as tx:
            tx.execute("""UPDATE finding SET count = 300, updated_at = '2026-10-22',
                       facts = json_merge_patch(facts, '{"calls": 300}')""")
        triage.run(home, settings(server.url))
        assert read(home, beacon.id).written_by == "template"
        assert await triage.explain_pending(home, settings(server.url)) == 1
        assert "300 connections" in read(home, beacon.id).explanation
        assert len([1 for path, *_ in server.seen if path == "POST /api/chat"]) == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_leaves_the_template(home: Store, beacon: Incident, fault: str) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon)), fault=fault) as server:
        deadline_s = 0.5 if fault == "slow" else 120.0
        assert await triage.explain_pending(home, settings(server.url, deadline_s=deadline_s)) == 0
    assert read(home, beacon.id) == beacon
    with home.read() as reader:
        assert reader.value("SELECT count(*) FROM model_call WHERE outcome = 'ok'") == 0
        assert reader.value("SELECT count(*) FROM model_call") == 1


async def test_a_server_that_is_down_leaves_the_template(home: Store, beacon: Incident) -> None:
    assert await triage.explain_pending(home, settings("http://127.0.0.1:9")) == 0
    assert read(home, beacon.id) == beacon


async def test_a_cut_answer_is_no_answer(home: Store, beacon: Incident) -> None:
    reply = as_text(good_reply(beacon))
    async with StandIn(reply=lambda _: reply, done_reason="length") as server:
        assert await triage.explain_pending(home, settings(server.url)) == 0
    assert read(home, beacon.id) == beacon


async def test_the_next_endpoint_answers_when_the_first_is_away(
    home: Store, beacon: Incident
) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        assert await triage.explain_pending(home, settings("http://127.0.0.1:9", server.url)) == 1
    assert read(home, beacon.id).written_by == "small on gpu-2"


async def test_a_model_outside_the_house_is_never_asked(home: Store, beacon: Incident) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon)), remote=True) as server:
        assert await triage.explain_pending(home, settings(server.url)) == 0
        assert not [path for path, *_ in server.seen if path == "POST /api/chat"]
        with pytest.raises(ModelRefusedError, match="outside the house"):
            await OllamaBackend(server.url, "small").ask(Ask(messages=[], schema={}))
    assert read(home, beacon.id) == beacon


async def test_the_key_of_a_cloud_is_not_sent_to_the_house(
    home: Store, beacon: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "sesame")
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        await triage.explain_pending(home, settings(server.url))
        assert server.seen
        assert all("sesame" not in str(headers) for *_, headers in server.seen)


async def test_a_job_of_a_dead_process_is_taken_again(home: Store, beacon: Incident) -> None:
    now = utc_now()
    with home.transaction() as tx:
        explanations.enqueue(tx, now=now)
    first = explanations.take(home, lease_s=60, now=now)
    assert first is not None
    assert explanations.take(home, lease_s=60, now=now) is None
    later = now + timedelta(days=365)
    again = explanations.take(home, lease_s=60, now=later)
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)


async def test_the_budget_holds(home: Store, beacon: Incident) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        assert await triage.explain_pending(home, settings(server.url, calls_per_hour=0)) == 0
        assert server.seen == []


async def test_triage_never_waits_for_a_model(home: Store) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        slow = settings(f"http://127.0.0.1:{silent.getsockname()[1]}")
        await asyncio.to_thread(triage.run, home, slow)
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


async def test_requests_and_answers_are_as_ollama_describes_them(
    home: Store, beacon: Incident, shared: Path
) -> None:
    described = yaml.safe_load((shared / "apis" / "ollama-openapi.yaml").read_text())
    schemas = described["components"]["schemas"]

    def valid(name: str, value: object) -> None:
        root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        Draft202012Validator(root).validate(value)

    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        await triage.explain_pending(home, settings(server.url))
        backend = OllamaBackend(server.url, "small")
        health = await backend.health()
        await backend.load(Ask(messages=[], schema={}))
        await backend.embed(["one", "two"], deadline_s=120.0)
        await backend.aclose()
    assert (health.ready, health.loaded, health.on_gpu) == (True, True, True)
    for path, body, _ in server.seen:
        if path == "POST /api/chat":
            valid("ChatRequest", body)
        if path == "POST /api/embed":
            valid("EmbedRequest", body)
    names = {"/api/tags": "ListResponse", "/api/ps": "PsResponse", "/api/embed": "EmbedResponse"}
    for path, value in server.sent:
        valid(names.get(path, "ChatStreamEvent"), json.loads(json.dumps(value)))
    assert {path for path, _ in server.sent} == {*names, "/api/chat"}


@pytest.mark.skipif(model_path() is None, reason="the embedded model is not installed")
async def test_tokens_of_a_real_model_come_through_the_protocol() -> None:
    """The stand-in's words are a real model's: made under the grammar of the request."""
    own = EmbeddedBackend()

    async def words(body: dict[str, Any]) -> str:
        made = await own.ask(
            Ask(messages=body["messages"], schema=body["format"], max_tokens=40, deadline_s=240)
        )
        return made.text

    form = {"type": "object", "properties": {"word": {"enum": ["yes", "maybe"]}},
            "required": ["word"], "additionalProperties": False}  # fmt: skip
    asked = Ask(messages=[{"role": "user", "content": "Say yes or maybe, as JSON."}], schema=form)
    async with StandIn(reply=words) as server:
        backend = OllamaBackend(server.url, "small")
        reply = await backend.ask(asked)
        await backend.aclose()
    assert json.loads(reply.text)["word"] in ("yes", "maybe")
    await own.aclose()


@pytest.mark.live
async def test_a_real_server_when_one_is_named(home: Store, beacon: Incident) -> None:

    url, model = os.environ.get("GUARDIAN_OLLAMA"), os.environ.get("GUARDIAN_OLLAMA_MODEL", "")
    if not url:
        pytest.skip("GUARDIAN_OLLAMA names no server")
    live = triage.Settings(endpoints=(triage.Endpoint(url=url, model=model),), timezone="UTC")
    await triage.explain_pending(home, live)
    with home.read() as reader:
        assert reader.value("SELECT count(*) FROM model_call") >= 1
    assert read(home, beacon.id).verdict == beacon.verdict


async def test_accepted_explanations_are_exported_without_the_house_in_them(
    home: Store, beacon: Incident
) -> None:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        await triage.explain_pending(home, settings(server.url))
    with home.read() as reader:
        assert list(export.training(reader)) == []
    feedback.give(home, beacon.id, "right", actor="anna")
    with home.read() as reader:
        lines = list(export.training(reader))
    assert len(lines) == 1
    assert [each["role"] for each in json.loads(lines[0])["messages"]] == [
        "system", "user", "assistant",
    ]  # fmt: skip
    for private in ("Anna", "evil-site", "185.10", "147", "192.168"):
        assert private not in lines[0]
