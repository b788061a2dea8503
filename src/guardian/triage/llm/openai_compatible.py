"""A model behind OpenAI's chat interface, on a server at home."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from guardian.clients.openai_compatible import OpenAICompatibleClient, question
from guardian.errors import ClientError
from guardian.triage.llm.base import (
    Ask,
    Health,
    ModelReplyError,
    ModelTruncatedError,
    Reply,
    Vectors,
    mapped,
    same_length,
)
from guardian.triage.llm.tokens import Lengths, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.clients.openai_compatible import Completion

LOOK_S = 5.0
"""Deadline of a question about the server itself."""


class OpenAICompatibleBackend:
    """One model of one server. Its digest is not told there, so its name stands for it."""

    def __init__(self, url: str, model: str) -> None:
        self._url, self._model = url, model
        self._lengths = Lengths()
        self._counts = True

    async def aclose(self) -> None:
        """Nothing stays open between calls."""

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer; see ``Backend``."""
        began = time.monotonic()
        body = question(
            model=self._model,
            messages=ask.messages,
            schema=ask.schema,
            max_tokens=ask.max_tokens,
            seed=ask.seed,
        )
        client = OpenAICompatibleClient(self._url, timeout_s=ask.deadline_s)
        try:
            counted = await client.count(body) if self._counts else None
            within(ask, self._lengths.guess(ask) if counted is None else counted)
            found = await client.chat(body)
        except ClientError as error:
            raise mapped(error) from error
        finally:
            await client.aclose()
        # One that answers and does not count is not asked to count again.
        self._counts = counted is not None
        self._lengths.check(ask, found.usage.prompt_tokens, counted)
        return reply_of(found, ask, url=self._url, model=self._model, began=began)

    async def load(self, ask: Ask) -> None:
        """Do nothing: such a server loads its model itself, when it starts or is asked."""

    async def embed(self, texts: Sequence[str], *, deadline_s: float) -> Vectors:
        """Return texts as vectors; see ``Backend``."""
        client = OpenAICompatibleClient(self._url, timeout_s=deadline_s)
        try:
            rows = await client.embed(model=self._model, texts=texts)
        except ClientError as error:
            raise mapped(error) from error
        finally:
            await client.aclose()
        if not same_length(rows, texts):
            msg = f"{self._url}: not one vector for each text"
            raise ModelReplyError(msg)
        digest = f"name:{self._model}"
        return Vectors(rows=tuple(map(tuple, rows)), model=self._model, digest=digest)

    async def health(self) -> Health:
        """Return whether the server answers and has the model."""
        client = OpenAICompatibleClient(self._url, timeout_s=LOOK_S)
        try:
            names = await client.models()
        except ClientError as error:
            return Health(ready=False, loaded=False, detail=str(error))
        finally:
            await client.aclose()
        has = not self._model or self._model in names
        detail = "" if has else f"{self._url} does not have {self._model}"
        return Health(ready=has, loaded=has, digest=f"name:{self._model}", detail=detail)


def reply_of(found: Completion, ask: Ask, *, url: str, model: str, began: float) -> Reply:
    """Return a whole answer of such a server as a reply.

    Raises:
        ModelTruncatedError: the answer was cut.
    """
    choice = found.choices[0]
    if choice.finish_reason != "stop":
        msg = f"{url}: the answer was cut ({choice.finish_reason or 'no reason'})"
        raise ModelTruncatedError(msg)
    return Reply(
        text=choice.message.content or "",
        model=found.model or model,
        digest=f"name:{found.model or model}",
        tokens_in=found.usage.prompt_tokens,
        tokens_out=found.usage.completion_tokens,
        seconds=time.monotonic() - began,
        parameters={"temperature": 0, "seed": ask.seed, "max_tokens": ask.max_tokens},
    )
