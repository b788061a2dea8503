"""What a model backend is: one request, one bounded reply, one error family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from guardian.errors import ClientConnectionError, ClientError, ClientResponseError, TriageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MOSTLY = 0.5
"""With less of a model than this on the GPU, it runs at the processor's speed."""


class ModelAbsentError(TriageError):
    """The model or its server is not there; another may be."""


class ModelBusyError(TriageError):
    """The server has too much to do; later may be better."""


class ModelSlowError(TriageError):
    """No whole answer before the deadline."""


class ModelTruncatedError(TriageError):
    """The answer ended before it was whole."""


class ModelReplyError(TriageError):
    """The server answered, but not as its description says."""


class ModelTooLongError(TriageError):
    """The prompt would not fit into the context window; nothing was sent."""


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
class Vectors:
    """Texts as vectors, in the texts' order, and which model made them."""

    rows: tuple[tuple[float, ...], ...]
    model: str
    digest: str
    endpoint: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether an endpoint can be asked.

    ``gpu_share`` is how much of a loaded model lies in GPU memory, 0 to 1; None where that
    is not known. ``refused`` says that this model may not be asked at all.
    """

    ready: bool
    loaded: bool
    digest: str = ""
    gpu_share: float | None = None
    detail: str = ""
    refused: bool = False

    @property
    def on_gpu(self) -> bool | None:
        """Whether most of the model lies on the GPU; None where that is not known."""
        return None if self.gpu_share is None else self.gpu_share > MOSTLY


class Backend(Protocol):
    """A language model that answers once, whole, or raises a TriageError."""

    async def ask(self, ask: Ask) -> Reply:
        """Return the whole answer.

        Raises:
            TriageError: absent, busy, too slow, cut off, or not as described.
        """
        ...

    async def load(self, ask: Ask) -> None:
        """Have the model loaded as ``ask`` needs it, where the server can be told to.

        Raises:
            TriageError: as for ``ask``.
        """
        ...

    async def embed(self, texts: Sequence[str], *, deadline_s: float) -> Vectors:
        """Return texts as vectors.

        Raises:
            TriageError: as for ``ask``; also when this backend makes no vectors.
        """
        ...

    async def health(self) -> Health:
        """Return whether it can be asked; never raises a TriageError."""
        ...

    async def aclose(self) -> None:
        """Close what was opened here. Safe to call twice."""
        ...


def mapped(error: ClientError) -> TriageError:
    """Return what a client's error means for the one who asks a model."""
    if isinstance(error, ClientConnectionError):
        slow = isinstance(error.__cause__, TimeoutError)
        return ModelSlowError(str(error)) if slow else ModelAbsentError(str(error))
    if isinstance(error, ClientResponseError):
        if error.status == 404:
            return ModelAbsentError(str(error))
        if error.status in (429, 503):
            return ModelBusyError(str(error))
        return ModelReplyError(str(error))
    return ModelAbsentError(str(error))


def same_length(rows: Sequence[Sequence[float]], texts: Sequence[str]) -> bool:
    """Say whether there is one vector for each text, all of one length and not empty."""
    sizes = {len(row) for row in rows}
    return len(rows) == len(texts) and len(sizes) <= 1 and 0 not in sizes
