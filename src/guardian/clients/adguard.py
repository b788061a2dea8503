"""Speak AdGuard Home's API: its query log, and the rules that a person wrote.

The API is described at https://github.com/AdguardTeam/AdGuardHome/tree/master/openapi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from guardian.clients.http import HttpService, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import httpx


class Question(msgspec.Struct, frozen=True):
    """What was asked."""

    name: str = ""
    type: str | None = None
    unicode_name: str | None = None


class AnswerItem(msgspec.Struct, frozen=True):
    """One value of an answer."""

    type: str | None = None
    value: Any = None
    ttl: int | None = None


class ClientInfo(msgspec.Struct, frozen=True):
    """What the server knows of who asked."""

    name: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One query. ``elapsedMs`` is a number in a text; ``time`` has nine decimals."""

    time: str
    client: str = ""
    question: Question = Question()
    reason: str | None = None
    status: str | None = None
    upstream: str | None = None
    elapsed_ms: str | None = msgspec.field(name="elapsedMs", default=None)
    cached: bool = False
    answer: tuple[AnswerItem, ...] | None = None
    client_info: ClientInfo | None = None


class QueryLog(msgspec.Struct, frozen=True):
    """A page, newest first; ``oldest`` is where the next one begins, empty at the end."""

    data: tuple[Entry, ...] | None = None
    oldest: str = ""


class Filtering(msgspec.Struct, frozen=True):
    """Whether filtering is on at all, and the rules of the user, comments included."""

    enabled: bool = True
    user_rules: tuple[str, ...] | None = None


class MatchedRule(msgspec.Struct, frozen=True):
    """A rule that decided."""

    text: str = ""
    filter_list_id: int = 0


class CheckedHost(msgspec.Struct, frozen=True):
    """What the server would do with a question; blocked when ``reason`` begins ``Filtered``."""

    reason: str = ""
    rules: tuple[MatchedRule, ...] | None = None

    @property
    def blocked(self) -> bool:
        """Whether the question would be blocked."""
        return self.reason.startswith("Filtered")


class AdguardClient:
    """One AdGuard Home. ``url`` is its address, such as ``http://192.168.1.2:3000``."""

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        *,
        http: httpx.AsyncClient | None = None,
        limits: Limits | None = None,
        ca_file: Path | None = None,
    ) -> None:
        base = url.rstrip("/").removesuffix("/control")
        self._service = HttpService(base + "/control", http=http, limits=limits, ca_file=ca_file)
        self._auth = (user, password) if user is not None and password is not None else None

    async def query_log(self, *, older_than: str = "", limit: int = 500) -> QueryLog:
        """Return a page of the query log, newest first, from before ``older_than``.

        Raises:
            ClientError: the server is away, refuses us, or answers otherwise.
        """
        params: dict[str, str | int | float | bool] = {"limit": limit}
        if older_than:
            params["older_than"] = older_than
        answer = await self._service.request("GET", "/querylog", params=params, auth=self._auth)
        return answer.decode(QueryLog)

    async def filtering(self) -> Filtering:
        """Return whether filtering is on, and the user's rules.

        Raises:
            ClientError: the server is away, refuses us, or answers otherwise.
        """
        answer = await self._service.request("GET", "/filtering/status", auth=self._auth)
        return answer.decode(Filtering)

    async def set_rules(self, rules: Sequence[str]) -> None:
        """Replace all of the user's rules; the server checks none of them.

        Raises:
            ClientError: the server is away, refuses us, or answers otherwise.
        """
        body = {"rules": list(rules)}
        await self._service.request("POST", "/filtering/set_rules", json=body, auth=self._auth)

    async def check_host(self, name: str, *, client: str | None = None) -> CheckedHost:
        """Return what the server would do with a question, of one client if named.

        Raises:
            ClientError: the server is away, refuses us, or answers otherwise.
        """
        params: dict[str, str | int | float | bool] = {"name": name}
        if client is not None:
            params["client"] = client
        answer = await self._service.request(
            "GET", "/filtering/check_host", params=params, auth=self._auth
        )
        return answer.decode(CheckedHost)

    async def aclose(self) -> None:
        """Close what was opened here."""
        await self._service.aclose()
