"""What a model backend is: one request, one bounded reply, one error family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from guardian.errors import TriageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ModelAbsentError(TriageError):
    """The model or its server is not there; another may be."""


class ModelBusyError(TriageError):
    """The server has too much to do; later may be better."""


class ModelTruncatedError(TriageError):
    """The answer ended before it was whole."""


class ModelReplyError(TriageError):
    """The server answered, but not as its description says."""


class ModelRefusedError(TriageError):
    """This model may not be asked: it runs somewhere else than at home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a model is asked. ``deadline_s`` covers everything, ``max_tokens`` the reply."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    deadline_s: float = 60.0
    num_ctx: int = 4096
    max_tokens: int = 700
    keep_alive: str = "10m"
    seed: int = 1

    def size(self) -> int:
        """Return a careful guess of the prompt's length in tokens: three characters each."""
        return sum(len(each["content"]) for each in self.messages) // 3 + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, and which model gave it."""

    text: str
    model: str
    digest: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether an endpoint can be asked; ``on_gpu`` is None where that is not known."""

    ready: bool
    loaded: bool
    digest: str = ""
    on_gpu: bool | None = None
    detail: str = ""


class Backend(Protocol):
    """A language model that answers once, whole, or raises a TriageError."""

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer.

        Raises:
            TriageError: absent, busy, too slow, cut off, or not as described.
        """
        ...

    async def health(self) -> Health:
        """Return whether it can be asked; never raises a TriageError."""
        ...

    async def aclose(self) -> None:
        """Close what was opened here. Safe to call twice."""
        ...


def within(ask: Ask) -> None:
    """Refuse a prompt that would not fit, for servers cut the oldest part away in silence.

    Raises:
        ModelReplyError: it would not fit into the context window with its answer.
    """
    if ask.size() + ask.max_tokens > ask.num_ctx:
        msg = f"the prompt takes about {ask.size()} tokens, too many for {ask.num_ctx}"
        raise ModelReplyError(msg)
