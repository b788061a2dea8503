"""A model on an Ollama server at home."""

from __future__ import annotations

import time

from guardian.clients.ollama import OllamaClient
from guardian.errors import ClientConnectionError, ClientError, ClientResponseError
from guardian.triage.llm.base import (
    Ask,
    Health,
    ModelAbsentError,
    ModelBusyError,
    ModelRefusedError,
    ModelReplyError,
    ModelTruncatedError,
    Reply,
    within,
)


class OllamaBackend:
    """One model of one Ollama server; a model that runs elsewhere is never asked."""

    def __init__(self, url: str, model: str) -> None:
        self._client = OllamaClient(url)
        self._model = model
        self._digest: str | None = None

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer; see ``Backend``."""
        within(ask)
        began = time.monotonic()
        self._client.timeout_s = ask.deadline_s
        options = {
            "temperature": 0,
            "seed": ask.seed,
            "num_ctx": ask.num_ctx,
            "num_predict": ask.max_tokens,
        }
        try:
            digest = await self._home_digest()
            chat = await self._client.chat(
                model=self._model,
                messages=ask.messages,
                schema=ask.schema,
                options=options,
                keep_alive=ask.keep_alive,
            )
        except ClientConnectionError as error:
            raise ModelAbsentError(str(error)) from error
        except ClientResponseError as error:
            raise _refusal(error) from error
        except ClientError as error:
            raise ModelAbsentError(str(error)) from error
        if chat.done_reason != "stop":
            msg = f"{self._client.url}: the answer was cut ({chat.done_reason or 'no reason'})"
            raise ModelTruncatedError(msg)
        if chat.tokens_in >= ask.num_ctx - ask.max_tokens:
            # Ollama drops the oldest messages in silence when the prompt is too long.
            msg = f"{self._client.url}: the prompt filled the context window"
            raise ModelReplyError(msg)
        return Reply(
            text=chat.text,
            model=self._model,
            digest=digest,
            tokens_in=chat.tokens_in,
            tokens_out=chat.tokens_out,
            seconds=time.monotonic() - began,
            parameters=options,
        )

    async def _home_digest(self) -> str:
        """Return the model's digest.

        Raises:
            ModelAbsentError: the server does not have it.
            ModelRefusedError: it runs somewhere else.
        """
        wanted = self._model if ":" in self._model else f"{self._model}:latest"
        found = next((m for m in await self._client.models() if m.name == wanted), None)
        if found is None:
            msg = f"{self._client.url} does not have {self._model}; try: ollama pull {self._model}"
            raise ModelAbsentError(msg)
        if found.remote:
            msg = f"{self._model} runs outside the house; Guardian asks only models at home"
            raise ModelRefusedError(msg)
        return found.digest

    async def health(self) -> Health:
        """Return whether the model is there, loaded, and on the GPU."""
        try:
            digest = await self._home_digest()
            running = await self._client.running()
        except (ClientError, ModelAbsentError, ModelRefusedError) as error:
            return Health(ready=False, loaded=False, detail=str(error))
        wanted = {self._model, f"{self._model}:latest"}
        loaded = next((each for each in running if each.name in wanted), None)
        on_gpu = None if loaded is None else loaded.size_vram * 2 > loaded.size
        detail = "it runs on the processor, not on the GPU" if on_gpu is False else ""
        return Health(
            ready=True, loaded=loaded is not None, digest=digest, on_gpu=on_gpu, detail=detail
        )


def _refusal(
    error: ClientResponseError,
) -> ModelAbsentError | ModelBusyError | ModelReplyError:
    if error.status == 404:
        return ModelAbsentError(str(error))
    if error.status in (429, 503):
        return ModelBusyError(str(error))
    return ModelReplyError(str(error))
