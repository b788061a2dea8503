"""OpenAI's chat interface as llama.cpp, vLLM and LM Studio speak it: every way to fail."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from replies import as_text, good_reply
from standin import StandIn
from test_ollama import read

from guardian import triage
from guardian.triage import prompt
from guardian.triage.llm.base import Ask
from guardian.triage.llm.openai_compatible import OpenAICompatibleBackend

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store

ERROR = {"error": {"message": "no", "type": "server_error", "code": 503}}
FAULTS: dict[str, tuple[int, Any]] = {
    "404": (404, ERROR),
    "401": (401, ERROR),
    "429": (429, ERROR),
    "503": (503, ERROR),
    "html-502": (502, "<html>bad gateway</html>"),
    "list": (200, ["an answer"]),
    "no-choice": (200, {"choices": [], "model": "small"}),
    "wrong-shape": (200, {"choices": [{"message": "a text"}]}),
    "no-content": (200, {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}),
    "no-reason": (200, {"choices": [{"message": {"content": "{}"}}]}),
    "length": (200, {"choices": [{"message": {"content": "{"}, "finish_reason": "length"}]}),
    "filter": (
        200, {"choices": [{"message": {"content": "{}"}, "finish_reason": "content_filter"}]},
    ),
}  # fmt: skip


class Server(StandIn):
    """A server of OpenAI's interface, with its own faults."""

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if path == "/v1/models":
            self._json(writer, 200, {"data": [{"id": "small"}]})
        elif path == "/v1/embeddings":
            rows = [{"index": n, "embedding": self.vector(t)} for n, t in enumerate(body["input"])]
            self._json(writer, 200, {"data": rows[::-1], "model": "small"})
        elif self.fault in FAULTS:
            status, value = FAULTS[self.fault]
            self._json(writer, status, value)
        elif self.fault == "half":
            writer.write(b'HTTP/1.1 200 X\r\ncontent-length: 900\r\n\r\n{"choices": [')
            await writer.drain()
            writer.close()
        elif self.fault == "closed":
            writer.close()
        else:
            await asyncio.sleep(3600 if self.fault == "slow" else 0)
            choice = {"index": 0, "finish_reason": "stop",
                      "message": {"role": "assistant", "content": self.reply(body)}}  # fmt: skip
            usage = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}
            self._json(writer, 200, {"choices": [choice], "model": "small", "usage": usage})


def settings(server: Server, **options: Any) -> triage.Settings:
    one = triage.Endpoint(url=server.url, kind="openai-compatible", model="small", name="gpu")
    return triage.Settings(endpoints=(one,), timezone="UTC", **options)


@pytest.mark.parametrize("fault", [*FAULTS, "half", "closed", "slow"])
async def test_every_fault_leaves_the_template(home: Store, beacon: Incident, fault: str) -> None:
    async with Server(reply=lambda _: as_text(good_reply(beacon)), fault=fault) as server:
        options = settings(server, deadline_s=0.5 if fault == "slow" else 120.0)
        assert await triage.explain_pending(home, options) == 0
    assert read(home, beacon.id) == beacon
    with home.read() as reader:
        (call,) = reader.rows("SELECT outcome, detail FROM model_call")
    expected = {
        "404": "absent", "401": "absent", "429": "busy", "503": "busy", "slow": "timeout",
        "half": "absent", "closed": "absent", "no-reason": "truncated", "length": "truncated",
        "filter": "truncated", "no-content": "rejected",
    }  # fmt: skip
    assert call["outcome"] == expected.get(fault, "error")


async def test_the_whole_way_and_exactly_what_is_sent(home: Store, beacon: Incident) -> None:
    async with Server(reply=lambda _: as_text(good_reply(beacon))) as server:
        assert await triage.explain_pending(home, settings(server)) == 1
        chats = [
            (body, heads) for path, body, heads in server.seen if path.endswith("/chat/completions")
        ]
    ((body, headers),) = chats
    assert body == {
        "model": "small",
        "messages": prompt.messages(beacon),
        "temperature": 0,
        "seed": 1,
        "max_tokens": 700,
        "stream": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "explanation", "strict": True, "schema": prompt.schema(beacon),
            },
        },
    }  # fmt: skip
    assert "authorization" not in headers
    assert read(home, beacon.id).written_by == "small on gpu"


async def test_vectors_come_back_in_the_order_of_the_texts() -> None:
    async with Server(vector=lambda text: [float(len(text)), 1.0]) as server:
        backend = OpenAICompatibleBackend(server.url, "small")
        found = await backend.embed(["a", "bbb", "cc"], deadline_s=120.0)
    assert found.rows == ((1.0, 1.0), (3.0, 1.0), (2.0, 1.0))


async def test_the_key_of_the_environment_is_not_sent(
    beacon: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    asked = Ask(messages=prompt.messages(beacon), schema=prompt.schema(beacon))
    async with Server(reply=lambda _: "{}") as server:
        reply = await OpenAICompatibleBackend(server.url, "small").ask(asked)
        assert reply.text == "{}"
        assert "sesame" not in json.dumps([heads for *_, heads in server.seen])
