"""One session, lossless paging, and no success that was none."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fakes.pihole import Pihole
from guardian.clients.http import Limits
from guardian.clients.pihole import PiholeClient
from guardian.errors import ClientAuthError, ClientConnectionError, ClientResponseError

if TYPE_CHECKING:
    from pathlib import Path

FAST = Limits(timeout_s=60.0, attempts=3, pause_s=0.01)


def client(server: Pihole, password: str | None = "secret") -> PiholeClient:
    return PiholeClient(server.url, password, limits=FAST, write_pause_s=0.01)


def row(number: int) -> dict[str, Any]:
    return {
        "id": number, "time": 1795226000.0 + number, "type": "A", "status": "FORWARDED",
        "dnssec": "UNKNOWN", "domain": f"n{number}.example", "upstream": "9.9.9.9#53",
        "reply": {"type": "IP", "time": 0.01}, "client": {"ip": "192.168.1.2", "name": None},
        "list_id": None, "ede": {"code": -1, "text": None}, "cname": None,
    }  # fmt: skip


async def test_many_calls_share_one_session_and_give_the_seat_back(pihole: Pihole) -> None:
    async with client(pihole) as speaker:
        await asyncio.gather(*(speaker.domains() for _ in range(8)))
        assert pihole.logins == 1
        assert len(pihole.sessions) == 1
    assert pihole.sessions == set()


async def test_a_forgotten_session_is_renewed_once_for_all(pihole: Pihole) -> None:
    async with client(pihole) as speaker:
        await speaker.domains()
        pihole.sessions.clear()
        await asyncio.gather(*(speaker.groups() for _ in range(6)))
        assert pihole.logins == 2


async def test_a_wrong_password_is_said_and_not_repeated(pihole: Pihole) -> None:
    async with client(pihole, "wrong") as speaker:
        with pytest.raises(ClientAuthError, match="refused the password"):
            await speaker.domains()
    assert pihole.logins == 1


async def test_no_password_is_needed_where_none_is_set(pihole: Pihole) -> None:
    pihole.password = None
    async with client(pihole, None) as speaker:
        assert await speaker.blocking()
    async with client(pihole, "unneeded") as speaker:
        await speaker.blocking()
        await speaker.blocking()
    assert pihole.logins == 1


async def test_full_seats_are_explained(pihole: Pihole) -> None:
    pihole.max_sessions = 0
    async with client(pihole) as speaker:
        with pytest.raises(ClientResponseError, match="no free seat"):
            await speaker.domains()


async def test_it_backs_off_when_it_is_asked_to(pihole: Pihole) -> None:
    pihole.busy = 2
    async with client(pihole) as speaker:
        assert await speaker.domains() == ()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
async def test_paging_gives_each_query_once_while_new_ones_come(pihole: Pihole, count: int) -> None:
    pihole.queries = [row(n) for n in range(count)]
    got: list[int] = []
    async with client(pihole) as speaker:
        async for page in speaker.queries(length=10):
            got += [query.id for query in page]
            pihole.queries.append(row(1000 + len(got)))
    assert got == list(reversed(range(count)))


async def test_only_what_is_asked_for_by_time_comes(pihole: Pihole) -> None:
    pihole.queries = [row(n) for n in range(30)]
    async with client(pihole) as speaker:
        pages = [p async for p in speaker.queries(since=1795226010.0, until=1795226020.0, length=3)]
    assert [q.id for page in pages for q in page] == list(reversed(range(10, 20)))


async def test_a_failed_item_inside_a_created_answer_is_an_error(pihole: Pihole) -> None:
    async with client(pihole) as speaker:
        await speaker.add_domains("deny", "exact", ["a.example"], comment="x")
        with pytest.raises(ClientResponseError, match="UNIQUE"):
            await speaker.add_domains("deny", "exact", ["a.example"], comment="x")
        with pytest.raises(ClientResponseError, match="FOREIGN KEY"):
            await speaker.add_domains("deny", "exact", ["b.example"], comment="x", groups=[9])
        with pytest.raises(ClientResponseError, match="regex_error"):
            await speaker.add_domains("deny", "regex", ["((x"], comment="x")


async def test_a_database_that_is_being_swapped_is_waited_for(pihole: Pihole) -> None:
    pihole.swapping = 2
    async with client(pihole) as speaker:
        await speaker.add_group("guardian-1", comment="x")
        assert [group.name for group in await speaker.groups()] == ["Default", "guardian-1"]


async def test_the_default_group_is_never_deleted(pihole: Pihole) -> None:
    async with client(pihole) as speaker:
        with pytest.raises(ValueError, match="default group"):
            await speaker.delete_group("Default")
        assert not await speaker.delete_group("other")
    assert ("DELETE", "/groups/Default") not in pihole.log


async def test_expressions_survive_the_address_line(pihole: Pihole) -> None:
    rule = "(\\.|^)a+b%20c/d\\.example$"
    async with client(pihole) as speaker:
        await speaker.add_domains("deny", "regex", [rule], comment="x")
        assert await speaker.delete_domain("deny", "regex", rule)
        assert not await speaker.delete_domain("deny", "regex", rule)


async def test_a_borrowed_connection_is_left_open(pihole: Pihole) -> None:
    async with httpx.AsyncClient() as borrowed:
        async with PiholeClient(pihole.url, "secret", http=borrowed) as speaker:
            await speaker.domains()
        assert not borrowed.is_closed


async def test_an_absent_server_is_a_connection_error() -> None:
    async with PiholeClient("http://127.0.0.1:1", "x", limits=FAST) as speaker:
        with pytest.raises(ClientConnectionError, match=r"POST http://127\.0\.0\.1:1/api/auth"):
            await speaker.domains()


def test_the_stand_in_answers_as_the_real_one_did(corpus: Path) -> None:
    """Recorded calls are made again; status and content must be the recorded ones."""
    recorded = json.loads(
        (corpus / "pihole-live" / "api_lists_domains_groups_clients_blocking.json").read_text()
    )
    server = Pihole(password=None)
    server.domains.append(
        {**server._row({}, 1), "domain": "appsid.test", "unicode": "appsid.test", "type": "deny",
         "kind": "exact", "comment": None, "groups": [0], "enabled": True}
    )  # fmt: skip
    compared = 0
    try:
        for call in recorded:
            if not _played(call):
                continue
            status, answer = server.handle(
                call["method"], "/api" + call["path"], None, call["body"]
            )
            assert status == call["status"], call
            if status < 300 and answer:
                assert _essence(answer) == _essence(call["response"]), call
            compared += 1
    finally:
        server.close()
    assert compared >= 25


def _played(call: dict[str, Any]) -> bool:
    path, body = call["path"], call["body"]
    if not path.startswith(("/domains/", "/groups", "/clients")) or "_sugg" in path:
        return False
    moved = isinstance(body, dict) and "type" in body
    return not moved and path != "/groups/Default" and call["method"] != "PATCH"


def _essence(answer: dict[str, Any]) -> Any:
    kept = {
        kind: [
            {k: v for k, v in each.items() if k in {"domain", "client", "name", "comment", "type"}}
            for each in answer[kind]
        ]
        for kind in ("domains", "groups", "clients")
        if kind in answer
    }
    if len(next(iter(kept.values()), [])) > 1:  # lists depend on what came before
        kept = {}
    return kept, (answer.get("processed") or {}).get("errors")
