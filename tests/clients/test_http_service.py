"""One way to speak HTTP: deadlines, retries that harm nothing, bounded answers, one error tree."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import httpx
import pytest

from guardian.clients.adguard import AdguardClient
from guardian.clients.http import HttpService, Limits
from guardian.clients.pihole import PiholeClient
from guardian.errors import (
    ClientAuthError,
    ClientConnectionError,
    ClientResponseError,
    ConfigError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

FAST = Limits(timeout_s=60, attempts=3, pause_s=0.01, longest_pause_s=0.2, max_bytes=10_000)
HASTY = dataclasses.replace(FAST, timeout_s=0.5)


class Server:
    """Answers each request with the next prepared bytes; counts what came."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        answer = self.answers.pop(0) if self.answers else b""
        if answer == b"hang":
            await asyncio.sleep(3600)
        writer.write(answer)
        await writer.drain()
        writer.close()


def answer(status: str, body: bytes = b"{}", **headers: str) -> bytes:
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n"
    return head.encode() + body


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


def service(server: Server, limits: Limits = FAST) -> HttpService:
    return HttpService(f"http://127.0.0.1:{server.port}", limits=limits)


async def test_a_busy_server_is_tried_again(server: Server) -> None:
    server.answers = [answer("503 busy"), answer("429 slow", Retry_After="0"), answer("200 OK")]
    async with service(server) as speaker:
        assert (await speaker.request("GET", "/x")).json() == {}
    assert len(server.requests) == 3


async def test_a_long_wait_is_not_waited(server: Server) -> None:
    server.answers = [answer("429 slow", Retry_After="3600")]
    async with service(server) as speaker:
        with pytest.raises(ClientResponseError) as error:
            await speaker.request("GET", "/x")
    assert error.value.status == 429
    assert len(server.requests) == 1


@pytest.mark.parametrize(("method", "sent"), [("GET", 3), ("DELETE", 3), ("POST", 1)])
async def test_a_write_without_an_answer_is_not_repeated(
    server: Server, method: str, sent: int
) -> None:
    async with service(server) as speaker:
        with pytest.raises(ClientConnectionError):
            await speaker.request(method, "/x", json={})
    assert len(server.requests) == sent


async def test_the_deadline_holds(server: Server) -> None:
    server.answers = [b"hang"] * 3
    async with service(server, HASTY) as speaker:
        with pytest.raises(ClientConnectionError, match=r"no answer within 0\.5 s"):
            await speaker.request("POST", "/x", json={})


async def test_an_endless_answer_is_cut(server: Server) -> None:
    server.answers = [answer("200 OK", b"x" * 20_000)]
    async with service(server) as speaker:
        with pytest.raises(ClientResponseError, match="more than 10000 bytes"):
            await speaker.request("GET", "/x")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("401 no", ClientAuthError), ("403 no", ClientAuthError), ("404 no", ClientResponseError),
        ("302 away", ClientResponseError), ("500 broken", ClientResponseError),
    ],
)  # fmt: skip
async def test_every_failure_is_of_one_family(
    server: Server, line: str, kind: type[Exception]
) -> None:
    server.answers = [answer(line, b"why", Location="http://elsewhere.example/")] * 3
    async with service(server) as speaker:
        with pytest.raises(kind, match=line[:3]):
            await speaker.request("GET", "/x")
    assert len(server.requests) == 1, "and nobody is led elsewhere"


async def test_what_is_no_http_or_no_json_is_said(server: Server) -> None:
    server.answers = [b"\x00\xff nonsense\r\n\r\n", answer("200 OK", b"\xff{")]
    async with service(server) as speaker:
        with pytest.raises(ClientConnectionError):
            await speaker.request("POST", "/x")
        with pytest.raises(ClientResponseError, match="not JSON"):
            (await speaker.request("GET", "/x")).json()


async def test_a_name_that_is_no_text_costs_only_itself(server: Server) -> None:
    page = b'{"queries":[{"id":2,"time":2,"domain":"good.example"},'
    page += b'{"id":1,"time":1,"domain":"d\xff.example","macVendor":"x\xb0"}]}'
    server.answers = [answer("200 OK", page), answer("200 OK", page), answer("200 OK", b'["\xff')]
    client = PiholeClient(f"http://127.0.0.1:{server.port}", limits=FAST)
    pages = [found async for found in client.queries()]
    await client.aclose()
    assert [query.domain for query in pages[0]] == ["good.example", "d\ufffd.example"]
    async with service(server) as speaker:
        assert (await speaker.request("GET", "/x")).json()["queries"][1]["id"] == 1
        with pytest.raises(ClientResponseError, match="not JSON"):
            (await speaker.request("GET", "/x")).json()


@pytest.mark.parametrize(
    "make",
    [
        lambda http: HttpService("http://127.0.0.1:1", http=http),
        lambda http: PiholeClient("http://127.0.0.1:1", "x", http=http),
        lambda http: AdguardClient("http://127.0.0.1:1", "u", "p", http=http),
    ],
)
async def test_a_borrowed_connection_stays_open_and_an_own_one_is_closed(
    make: Callable[[httpx.AsyncClient | None], HttpService],
) -> None:
    async with httpx.AsyncClient() as borrowed:
        await make(borrowed).aclose()
        assert not borrowed.is_closed
    own = make(None)
    inner = getattr(own, "_service", own)
    await own.aclose()
    await own.aclose()
    assert inner._http.is_closed


def test_an_unreadable_authority_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        HttpService("https://pi.hole", ca_file=tmp_path / "absent.pem")
