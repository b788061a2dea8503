"""A model on an Ollama server at home."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from guardian.clients.ollama import OllamaClient
from guardian.errors import ClientError
from guardian.triage.llm.base import (
    MOSTLY,
    Ask,
    Health,
    ModelAbsentError,
    ModelRefusedError,
    ModelReplyError,
    ModelTruncatedError,
    Reply,
    Vectors,
    mapped,
    same_length,
)
from guardian.triage.llm.tokens import Lengths, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class OllamaBackend:
    """One model of one Ollama server; a model that runs elsewhere is never asked."""

    def __init__(self, url: str, model: str) -> None:
        self._client = OllamaClient(url)
        self._model = model
        self._lengths: dict[str, Lengths] = {}
        # The server adds this tag to a name that has none.
        self._whole = model if ":" in model else f"{model}:latest"

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer; see ``Backend``."""
        began = time.monotonic()
        options = {**_options(ask), "num_predict": ask.max_tokens}
        with _mapped():
            digest = await self._home_digest()
            lengths = self._lengths.setdefault(digest, Lengths())
            within(ask, lengths.guess(ask))
            chat = await self._client.chat(
                model=self._model,
                messages=ask.messages,
                schema=ask.schema,
                options=options,
                keep_alive=ask.keep_alive,
                deadline_s=ask.deadline_s,
            )
        if chat.done_reason != "stop":
            msg = f"{self._client.url}: the answer was cut ({chat.done_reason or 'no reason'})"
            raise ModelTruncatedError(msg)
        lengths.check(ask, chat.tokens_in)
        return Reply(
            text=chat.text,
            model=self._model,
            digest=digest,
            tokens_in=chat.tokens_in,
            tokens_out=chat.tokens_out,
            seconds=time.monotonic() - began,
            parameters=options,
        )

    async def load(self, ask: Ask) -> None:
        """Load the model with the context window that ``ask`` needs."""
        with _mapped():
            await self._home_digest()
            await self._client.load(
                model=self._model,
                options=_options(ask),
                keep_alive=ask.keep_alive,
                deadline_s=ask.deadline_s,
            )

    async def embed(self, texts: Sequence[str], *, deadline_s: float) -> Vectors:
        """Return texts as vectors; see ``Backend``."""
        with _mapped():
            digest = await self._home_digest()
            rows = await self._client.embed(
                model=self._model, texts=texts, keep_alive="10m", deadline_s=deadline_s
            )
        if not same_length(rows, texts):
            msg = f"{self._client.url}: not one vector for each text"
            raise ModelReplyError(msg)
        return Vectors(rows=tuple(map(tuple, rows)), model=self._model, digest=digest)

    async def _home_digest(self) -> str:
        """Return the model's digest.

        Raises:
            ModelAbsentError: the server does not have it.
            ModelRefusedError: it runs somewhere else.
        """
        found = next((m for m in await self._client.models() if m.name == self._whole), None)
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
        except ModelRefusedError as error:
            return Health(ready=False, loaded=False, detail=str(error), refused=True)
        except (ClientError, ModelAbsentError) as error:
            return Health(ready=False, loaded=False, detail=str(error))
        loaded = next((each for each in running if each.name == self._whole), None)
        if loaded is None:
            return Health(ready=True, loaded=False, digest=digest)
        share = loaded.size_vram / loaded.size if loaded.size else 0.0
        detail = ""
        if share <= MOSTLY:
            detail = f"fallen to the processor: {share:.0%} of it lies on the GPU"
        return Health(ready=True, loaded=True, digest=digest, gpu_share=share, detail=detail)


def _options(ask: Ask) -> dict[str, Any]:
    return {"temperature": 0, "seed": ask.seed, "num_ctx": ask.num_ctx}


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Map the client's errors to those of models."""
    try:
        yield
    except ClientError as error:
        raise mapped(error) from error
