"""A model that answers from recorded answers: for tests, demonstrations and evaluations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.triage.llm.base import (
    Ask,
    Health,
    ModelAbsentError,
    ModelTruncatedError,
    Reply,
    Vectors,
)
from guardian.triage.prompt import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence


class ReplayBackend:
    """Answers of a JSON file: request fingerprint to answer; ``*`` answers everything.

    An answer is a text, or ``{"text": …, "done_reason": "length"}`` for one that was cut.
    """

    def __init__(self, url: str, model: str = "replay") -> None:
        self._path = Path(url)
        self._model = model or "replay"

    async def aclose(self) -> None:
        """Nothing is open."""

    async def ask(self, ask: Ask) -> Reply:
        """Return the recorded answer; see ``Backend``."""
        try:
            recorded = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{self._path}: no recorded answers: {error}"
            raise ModelAbsentError(msg) from error
        found = recorded.get(fingerprint(ask.messages, ask.schema), recorded.get("*"))
        if found is None:
            msg = f"{self._path}: nothing recorded for this request"
            raise ModelAbsentError(msg)
        answer = found if isinstance(found, dict) else {"text": found}
        if answer.get("done_reason", "stop") != "stop":
            msg = f"{self._path}: the recorded answer was cut"
            raise ModelTruncatedError(msg)
        return Reply(text=str(answer["text"]), model=self._model, digest="replay")

    async def load(self, ask: Ask) -> None:
        """Nothing is loaded."""

    async def embed(self, texts: Sequence[str], *, deadline_s: float) -> Vectors:
        """Refuse: only answers are recorded."""
        del texts, deadline_s
        msg = f"{self._path}: no recorded vectors"
        raise ModelAbsentError(msg)

    async def health(self) -> Health:
        """Return whether the recording is there."""
        return Health(ready=self._path.is_file(), loaded=True, digest="replay")
