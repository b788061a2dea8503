"""Model backends: one file each, one line in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.errors import ConfigError
from guardian.triage.llm.embedded import EmbeddedBackend
from guardian.triage.llm.ollama import OllamaBackend
from guardian.triage.llm.openai_compatible import OpenAICompatibleBackend
from guardian.triage.llm.replay import ReplayBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.triage.llm.base import Backend

BACKENDS: dict[str, Callable[[str, str], Backend]] = {
    "ollama": OllamaBackend,
    "openai-compatible": OpenAICompatibleBackend,
    "embedded": EmbeddedBackend,
    "replay": ReplayBackend,
}
"""Kind to backend, made from an address and a model's name."""


def make(kind: str, url: str, model: str) -> Backend:
    """Return the backend of an endpoint.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in BACKENDS:
        msg = f"triage.endpoints: unknown kind {kind!r}; known: {', '.join(BACKENDS)}"
        raise ConfigError(msg)
    return BACKENDS[kind](url, model)
