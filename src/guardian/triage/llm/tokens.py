"""How long a prompt is in tokens: counted where a server can, else guessed with care.

Servers cut a prompt that is too long in silence, and the oldest part goes first. llama.cpp
and vLLM count a conversation when asked; Ollama has no such route, so there the length is
guessed from characters, and the guess is mended by what each answer says that it read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.triage.llm.base import ModelReplyError, ModelTooLongError

if TYPE_CHECKING:
    from guardian.triage.llm.base import Ask

CAREFUL = 3.0
"""Characters of a token before anything was learned: English JSON has about four."""

FEWEST, MOST = 1.5, 6.0
"""No tokenizer makes less or more of such a prompt; what an answer says beyond is not believed."""

MARGIN = 0.95
"""Of what was learned, so much is used: the next prompt may be a little denser."""

CUT_BELOW = 0.7
"""A server that read less than this share of what it should have has cut the prompt."""

_FRAME = 64
"""Tokens of a chat template around two messages."""


class Lengths:
    """What is known of one model's tokens."""

    def __init__(self) -> None:
        self._per_token: float | None = None

    @property
    def per_token(self) -> float:
        """Characters of a token, on the careful side."""
        return CAREFUL if self._per_token is None else self._per_token * MARGIN

    def guess(self, ask: Ask) -> int:
        """Return how long a prompt may be, in tokens."""
        return round(characters(ask) / self.per_token) + _FRAME

    def check(self, ask: Ask, read: int, counted: int | None = None) -> None:
        """Learn from how many tokens a server says it ``read``; 0 means that it says nothing.

        ``counted`` is the length as the server itself counted it before, if it did.

        Raises:
            ModelReplyError: it read too few: the prompt was cut.
        """
        if read <= 0:
            return
        length = characters(ask)
        whole = counted if counted is not None else length / (self._per_token or MOST)
        # A prompt that fits with any tokenizer was not cut: what was read before may not count.
        fits = counted is None and length / FEWEST + _FRAME < ask.num_ctx
        if not fits and read < CUT_BELOW * whole:
            msg = f"the server read {read} tokens of a prompt of about {round(whole)}: it was cut"
            raise ModelReplyError(msg)
        seen = length / read
        if fits and FEWEST <= seen <= MOST:
            self._per_token = min(seen, self._per_token or seen)


def characters(ask: Ask) -> int:
    """Return the prompt's length in characters."""
    return sum(len(each["content"]) for each in ask.messages)


def within(ask: Ask, tokens: int) -> None:
    """Refuse a prompt that would not fit.

    Raises:
        ModelTooLongError: it would not fit into the context window with its answer.
    """
    if tokens + ask.max_tokens > ask.num_ctx:
        msg = (
            f"the prompt takes {tokens} tokens and its answer up to {ask.max_tokens}, "
            f"too many for {ask.num_ctx}"
        )
        raise ModelTooLongError(msg)
