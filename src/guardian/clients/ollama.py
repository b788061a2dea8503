"""Speak to an Ollama server on the home network, through the ``ollama`` package.

The package lets many kinds of failure through, each in its own class, and takes a
stream that ends too early for a whole one; here each becomes one of Guardian's errors.
Models that run elsewhere (``remote_host``) are told apart, so that they can be refused.
``OLLAMA_API_KEY`` of the environment is for ollama.com and is not sent to other hosts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec
import ollama

from guardian.clients.http import HttpService, Limits
from guardian.errors import ClientConnectionError, ClientResponseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

T = TypeVar("T")

MAX_ANSWER = 65_536
"""Longest answer that is read, in characters."""

CONNECT_S = 5.0
"""Longest wait for a connection: a machine at home that is on takes one at once."""

LOOK_S = 5.0
"""Deadline of a question about the server itself: which models it has, which are loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A finished answer of ``/api/chat``."""

    text: str
    done_reason: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model that the server has. ``remote`` says that it really runs somewhere else."""

    name: str
    digest: str
    remote: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A model that is loaded: its size, and how much of it lies in GPU memory, in bytes."""

    name: str
    size: int
    size_vram: int


class _Tag(msgspec.Struct):
    name: str = ""
    model: str = ""
    digest: str = ""
    remote_host: str = ""
    remote_model: str = ""


class _Tags(msgspec.Struct):
    models: list[_Tag] = []


class OllamaClient:
    """One Ollama server."""

    def __init__(self, url: str) -> None:
        self.url = url
        # No limit between two reads: a long prompt is silent for long, and each call has
        # its own deadline over everything.
        self._client = ollama.AsyncClient(
            host=url,
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
        )
        # The package adds the key of ollama.com for whatever host it is given.
        self._client._client.headers.pop("authorization", None)
        self._http = HttpService(url, limits=Limits(timeout_s=LOOK_S, attempts=1))

    async def aclose(self) -> None:
        """Close the connection. Safe to call twice."""
        await self._client._client.aclose()
        await self._http.aclose()

    async def chat(
        self,
        *,
        model: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        options: Mapping[str, Any],
        keep_alive: str,
        deadline_s: float,
    ) -> Chat:
        """Return the whole answer to a conversation.

        Raises:
            ClientConnectionError: unreachable, or past the deadline.
            ClientResponseError: an error of the server, a stream that ends too early,
                or an answer that is not as described.
        """

        async def read() -> Chat:
            parts: list[str] = []
            length = 0
            stream = await self._client.chat(
                model=model,
                messages=list(messages),
                format=dict(schema),
                options=dict(options),
                keep_alive=keep_alive,
                # A model that thinks aloud spends its tokens before the answer.
                think=False,
                stream=True,
            )
            async for chunk in stream:
                text = chunk.message.content or ""
                length += len(text)
                if length > MAX_ANSWER:
                    msg = f"{self.url}: more than {MAX_ANSWER} characters"
                    raise ClientResponseError(msg)
                parts.append(text)
                if chunk.done:
                    return Chat(
                        text="".join(parts),
                        done_reason=chunk.done_reason or "",
                        tokens_in=chunk.prompt_eval_count or 0,
                        tokens_out=chunk.eval_count or 0,
                    )
            msg = f"{self.url}: the answer ended without its end mark"
            raise ClientResponseError(msg)

        return await self._mapped(read, deadline_s)

    async def load(
        self, *, model: str, options: Mapping[str, Any], keep_alive: str, deadline_s: float
    ) -> None:
        """Load a model, with the context window of ``options``; at once if it is loaded so.

        Raises:
            ClientConnectionError, ClientResponseError: as for ``chat``.
        """

        async def read() -> None:
            # A conversation without messages only loads (done_reason "load").
            await self._client.chat(
                model=model, messages=[], options=dict(options), keep_alive=keep_alive
            )

        await self._mapped(read, deadline_s)

    async def embed(
        self, *, model: str, texts: Sequence[str], keep_alive: str, deadline_s: float
    ) -> list[list[float]]:
        """Return texts as vectors, in their order.

        Raises:
            ClientConnectionError, ClientResponseError: as for ``chat``.
        """

        async def read() -> list[list[float]]:
            found = await self._client.embed(model=model, input=list(texts), keep_alive=keep_alive)
            return [[float(each) for each in row] for row in found.embeddings]

        return await self._mapped(read, deadline_s)

    async def models(self) -> list[ModelInfo]:
        """Return the models that the server has.

        Raises:
            ClientConnectionError, ClientResponseError: as for ``chat``.
        """
        # The package drops remote_host, so the raw answer is read here.
        answer = await self._http.request("GET", "/api/tags")
        found = answer.decode(_Tags).models
        return [
            ModelInfo(
                name=each.model or each.name,
                digest=each.digest,
                remote=bool(each.remote_host or each.remote_model),
            )
            for each in found
        ]

    async def running(self) -> list[Running]:
        """Return the models that are loaded.

        Raises:
            ClientConnectionError, ClientResponseError: as for ``chat``.
        """

        async def read() -> list[Running]:
            found = await self._client.ps()
            return [
                Running(
                    name=each.model or each.name or "",
                    size=int(each.size or 0),
                    size_vram=int(each.size_vram or 0),
                )
                for each in found.models
            ]

        return await self._mapped(read, LOOK_S)

    async def _mapped(self, read: Callable[[], Awaitable[T]], deadline_s: float) -> T:
        try:
            async with asyncio.timeout(deadline_s):
                return await read()
        except TimeoutError as error:
            msg = f"{self.url}: no whole answer within {deadline_s:g} s"
            raise ClientConnectionError(msg) from error
        except ollama.ResponseError as error:
            msg = f"{self.url}: {error.error[:200]}"
            raise ClientResponseError(msg, status=error.status_code) from error
        except (ConnectionError, httpx.HTTPError, OSError) as error:
            msg = f"{self.url}: {error or type(error).__name__}"
            raise ClientConnectionError(msg) from error
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            # The package raises these for JSON that is cut, or of another shape.
            msg = f"{self.url}: the answer is not as described: {str(error)[:200]}"
            raise ClientResponseError(msg) from error
