"""Speak to a server with OpenAI's chat interface at home: llama.cpp, vLLM, LM Studio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from guardian.clients.http import HttpService, Limits
from guardian.errors import ClientError, ClientResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_BYTES = 4_000_000
"""A longer answer is refused: 700 tokens are about 3 kB, 64 vectors of 4,096 about 3 MB."""

_COUNTING = ("/v1/chat/completions/input_tokens", "/tokenize")

CONNECT_S = 5.0
"""Longest wait for a connection: a machine at home that is on takes one at once."""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(msgspec.Struct):
    """An answer of ``/v1/chat/completions``, as far as it is used."""

    choices: list[_Choice]
    model: str = ""
    usage: _Usage = msgspec.field(default_factory=_Usage)


class _Count(msgspec.Struct):
    # llama.cpp calls it input_tokens, vLLM count.
    input_tokens: int = 0
    count: int = 0


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]


def question(
    *,
    model: str,
    messages: Sequence[Mapping[str, str]],
    schema: Mapping[str, Any],
    max_tokens: int,
    seed: int,
) -> dict[str, Any]:
    """Return the body of a question, as ``/v1/chat/completions`` takes it."""
    return {
        "model": model,
        "messages": list(messages),
        "temperature": 0,
        "seed": seed,
        "max_tokens": max_tokens,
        "stream": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "explanation", "strict": True, "schema": schema},
        },
    }


class OpenAICompatibleClient:
    """One server. ``url`` ends before ``/v1``; ``key`` is sent only when it is given.

    ``timeout_s`` is the deadline of each call.
    """

    def __init__(self, url: str, *, timeout_s: float = 60.0, key: str = "") -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        limits = Limits(timeout_s=timeout_s, attempts=1, max_bytes=MAX_BYTES)
        # httpx would end a read after five seconds of silence; a model thinks for longer.
        silence = httpx.Timeout(None, connect=min(CONNECT_S, timeout_s))
        self._session = httpx.AsyncClient(timeout=silence, trust_env=False)
        self._http = HttpService(self.url, limits=limits, http=self._session)
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def aclose(self) -> None:
        """Close the connection. Safe to call twice."""
        await self._session.aclose()

    async def chat(self, body: Mapping[str, Any] | bytes) -> Completion:
        """Return the answer to a ``question``; bytes are sent exactly as they are.

        Raises:
            ClientConnectionError: unreachable, or past the deadline.
            ClientAuthError: it wants a key, or another one.
            ClientResponseError: an error of the server, or an answer without a choice.
        """
        sent = msgspec.Raw(body) if isinstance(body, bytes) else body
        answer = await self._http.request(
            "POST", "/v1/chat/completions", json=sent, headers=self._headers
        )
        found = answer.decode(Completion)
        if not found.choices:
            msg = f"{self.url}: an answer without a choice"
            raise ClientResponseError(msg, status=answer.status)
        return found

    async def count(self, body: Mapping[str, Any]) -> int | None:
        """Return how many tokens a ``question`` is; None when the server does not count.

        llama.cpp counts at ``/v1/chat/completions/input_tokens`` (tools/server/README.md), vLLM
        at ``/tokenize`` (docs.vllm.ai, "OpenAI-compatible server"); LM Studio at neither.
        """
        asked = {"model": body["model"], "messages": body["messages"]}
        for path in _COUNTING:
            try:
                answer = await self._http.request("POST", path, json=asked, headers=self._headers)
                found = answer.decode(_Count)
            except ClientError:
                continue
            if found.input_tokens or found.count:
                return found.input_tokens or found.count
        return None

    async def embed(self, *, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Return texts as vectors, in their order.

        Raises:
            ClientError: as for ``chat``.
        """
        answer = await self._http.request(
            "POST",
            "/v1/embeddings",
            json={"model": model, "input": list(texts), "encoding_format": "float"},
            headers=self._headers,
        )
        found = answer.decode(_Vectors).data
        return [each.embedding for each in sorted(found, key=lambda each: each.index)]

    async def models(self) -> list[str]:
        """Return the names of the models that the server has.

        Raises:
            ClientError: as for ``chat``.
        """
        answer = await self._http.request("GET", "/v1/models", headers=self._headers)
        return [each.id for each in answer.decode(_Models).data]
