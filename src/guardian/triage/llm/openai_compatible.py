"""A model behind OpenAI's chat interface, on a server at home."""

from __future__ import annotations

import time

from guardian.clients.openai_compatible import OpenAICompatibleClient
from guardian.errors import ClientError, ClientResponseError
from guardian.triage.llm.base import (
    Ask,
    Health,
    ModelAbsentError,
    ModelBusyError,
    ModelReplyError,
    ModelTruncatedError,
    Reply,
    within,
)


class OpenAICompatibleBackend:
    """One model of one server. Its digest is not told there, so its name stands for it."""

    def __init__(self, url: str, model: str) -> None:
        self._url, self._model = url, model

    async def aclose(self) -> None:
        """Nothing stays open between calls."""

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer; see ``Backend``."""
        within(ask)
        began = time.monotonic()
        client = OpenAICompatibleClient(self._url, timeout_s=ask.deadline_s)
        try:
            found = await client.chat(
                model=self._model,
                messages=ask.messages,
                schema=ask.schema,
                max_tokens=ask.max_tokens,
                seed=ask.seed,
            )
        except ClientResponseError as error:
            if error.status in (429, 503):
                raise ModelBusyError(str(error)) from error
            if error.status == 404:
                raise ModelAbsentError(str(error)) from error
            raise ModelReplyError(str(error)) from error
        except ClientError as error:
            raise ModelAbsentError(str(error)) from error
        finally:
            await client.aclose()
        choice = found.choices[0]
        if choice.finish_reason != "stop":
            msg = f"{self._url}: the answer was cut ({choice.finish_reason or 'no reason'})"
            raise ModelTruncatedError(msg)
        return Reply(
            text=choice.message.content or "",
            model=found.model or self._model,
            digest=f"name:{found.model or self._model}",
            tokens_in=found.usage.prompt_tokens,
            tokens_out=found.usage.completion_tokens,
            seconds=time.monotonic() - began,
            parameters={"temperature": 0, "seed": ask.seed, "max_tokens": ask.max_tokens},
        )

    async def health(self) -> Health:
        """Return whether the server answers and has the model."""
        client = OpenAICompatibleClient(self._url, timeout_s=5.0)
        try:
            names = await client.models()
        except ClientError as error:
            return Health(ready=False, loaded=False, detail=str(error))
        finally:
            await client.aclose()
        has = not self._model or self._model in names
        detail = "" if has else f"{self._url} does not have {self._model}"
        return Health(ready=has, loaded=has, digest=f"name:{self._model}", detail=detail)
