"""How long a prompt is: counted by the server, or guessed and learned; a cut one is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from standin import StandIn
from test_openai_compatible import Server

from guardian.triage.llm.base import Ask, ModelReplyError, ModelTooLongError
from guardian.triage.llm.embedded import EmbeddedBackend, model_path
from guardian.triage.llm.ollama import OllamaBackend
from guardian.triage.llm.openai_compatible import OpenAICompatibleBackend
from guardian.triage.llm.tokens import CAREFUL, FEWEST, Lengths

if TYPE_CHECKING:
    import asyncio


def ask(characters: int, **options: Any) -> Ask:
    return Ask(messages=[{"role": "user", "content": "x" * characters}], schema={}, **options)


class Counting(Server):
    """A server that counts: ``tokens`` of any prompt, as llama.cpp or as vLLM tells it."""

    tokens = 900
    route = "/tokenize"

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if path == self.route:
            name = "count" if path == "/tokenize" else "input_tokens"
            self._json(writer, 200, {name: self.tokens})
        elif path in ("/tokenize", "/v1/chat/completions/input_tokens"):
            self._json(writer, 404, {"error": "not found"})
        else:
            await super()._answer(path, body, writer)


def asked(server: StandIn) -> list[str]:
    return [path.split(" ")[1] for path, _, _ in server.seen]


@pytest.mark.parametrize("route", ["/tokenize", "/v1/chat/completions/input_tokens"])
async def test_what_a_server_counts_decides(route: str) -> None:
    async with Counting(reply=lambda _: "{}") as server:
        server.route = route
        backend = OpenAICompatibleBackend(server.url, "small")
        # A guess would have refused it: 12,000 characters at three each.
        assert (await backend.ask(ask(12_000))).tokens_in == 900
        server.tokens = 3_500
        with pytest.raises(ModelTooLongError, match="3500 tokens"):
            await backend.ask(ask(10))
    assert asked(server).count("/v1/chat/completions") == 1, "nothing was sent"


async def test_a_server_that_does_not_count_is_asked_once() -> None:
    async with Counting(reply=lambda _: "{}") as server:
        server.route = "nowhere"
        backend = OpenAICompatibleBackend(server.url, "small")
        await backend.ask(ask(3_000))
        await backend.ask(ask(3_000))
        with pytest.raises(ModelTooLongError):
            await backend.ask(ask(30_000))
    assert asked(server).count("/tokenize") == 1


async def test_a_server_that_reads_less_than_it_counted_is_found_out() -> None:
    async with Counting(reply=lambda _: "{}") as server:
        server.tokens = 2_000
        with pytest.raises(ModelReplyError, match="it was cut"):
            await OpenAICompatibleBackend(server.url, "small").ask(ask(6_000))


async def test_ollama_is_guessed_and_the_guess_learns() -> None:
    """The stand-in says that it read 900 tokens, whatever it was sent."""
    async with StandIn() as server:
        backend = OllamaBackend(server.url, "small")
        with pytest.raises(ModelTooLongError):
            await backend.ask(ask(12_000))
        assert "/api/chat" not in asked(server)
        # Short enough to be whole with any tokenizer: four characters a token, from here on.
        await backend.ask(ask(3_600))
        with pytest.raises(ModelReplyError, match="it was cut"):
            await backend.ask(ask(12_000))
        with pytest.raises(ModelTooLongError):
            await backend.ask(ask(16_000))
        server.digest = "b" * 64
        with pytest.raises(ModelTooLongError):
            await backend.ask(ask(12_000))
        await backend.aclose()


def test_what_is_learned_is_bounded() -> None:
    lengths = Lengths()
    assert lengths.per_token == CAREFUL
    lengths.check(ask(1_000), 0)
    lengths.check(ask(1_000), 10)
    lengths.check(ask(1_000), 5_000)
    assert lengths.per_token == CAREFUL, "a hundred characters a token is not believed"
    lengths.check(ask(1_000), 250)
    lengths.check(ask(1_000), 400)
    lengths.check(ask(1_000), 250)
    assert FEWEST < lengths.per_token < 2.5, "the densest prompt counts"


@pytest.mark.skipif(model_path() is None, reason="the embedded model is not installed")
async def test_the_embedded_model_counts_with_its_own_tokenizer() -> None:
    pytest.importorskip("xllamacpp")
    backend = EmbeddedBackend()
    # Its own count, without a word written: each of these is one token, with two of a space.
    far = Ask(messages=[{"role": "user", "content": "hello " * 4_500}], schema={})
    try:
        with pytest.raises(ModelTooLongError, match=r"takes 45\d\d tokens"):
            await backend.ask(far)
    finally:
        await backend.aclose()
