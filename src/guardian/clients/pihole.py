"""Speak Pi-hole v6's API: queries, denied domains, groups, clients, blocking.

One session is logged in once, shared by all calls, renewed when the server
forgets it, and logged out at close: a Pi-hole has 16 seats. A write that failed
is still answered with 201, so ``processed.errors`` decides.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

import msgspec

from guardian.clients.http import Answer, HttpService, Limits
from guardian.clients.pihole_network import Devices, Leases
from guardian.errors import ClientAuthError, ClientError, ClientResponseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import httpx

    from guardian.clients.pihole_network import Lease, NetworkDevice

ListType = Literal["allow", "deny"]
ListKind = Literal["exact", "regex"]

DEFAULT_GROUP = 0
_UNAUTHORISED = frozenset({401})
_READONLY = "readonly database"
"""While gravity swaps its database (about 1 s), writes fail with this and may be repeated."""


class Reply(msgspec.Struct, frozen=True):
    """How a query was answered; ``time`` in seconds, negative when there is none."""

    type: str | None = None
    time: float | None = None


class Asker(msgspec.Struct, frozen=True):
    """Who asked."""

    ip: str = ""
    name: str | None = None


class Query(msgspec.Struct, frozen=True):
    """One query as the server tells it now; a late reply may still change it."""

    id: int
    time: float
    type: str | None = None
    status: str | None = None
    dnssec: str | None = None
    domain: str = ""
    upstream: str | None = None
    reply: Reply = Reply()
    client: Asker = Asker()
    list_id: int | None = None
    cname: str | None = None


class Domain(msgspec.Struct, frozen=True):
    """One allowed or denied name or expression."""

    id: int
    domain: str
    type: str
    kind: str
    comment: str | None = None
    groups: tuple[int, ...] = ()
    enabled: bool = True


class Group(msgspec.Struct, frozen=True):
    """One group of clients."""

    id: int
    name: str
    comment: str | None = None
    enabled: bool = True


class Client(msgspec.Struct, frozen=True):
    """One client with the groups it is in."""

    id: int
    client: str
    comment: str | None = None
    groups: tuple[int, ...] = ()


class _Session(msgspec.Struct, frozen=True):
    valid: bool = False
    sid: str | None = None
    message: str | None = None
    totp: bool = False


class _Login(msgspec.Struct, frozen=True):
    session: _Session


class _ItemError(msgspec.Struct, frozen=True):
    item: str = ""
    error: str = ""


class _Processed(msgspec.Struct, frozen=True):
    errors: tuple[_ItemError, ...] = ()


class _Written(msgspec.Struct, frozen=True):
    processed: _Processed | None = None


class _Queries(msgspec.Struct, frozen=True):
    queries: tuple[Query, ...]


class _Domains(msgspec.Struct, frozen=True):
    domains: tuple[Domain, ...]


class _Groups(msgspec.Struct, frozen=True):
    groups: tuple[Group, ...]


class _Clients(msgspec.Struct, frozen=True):
    clients: tuple[Client, ...]


class _Blocking(msgspec.Struct, frozen=True):
    blocking: str


class PiholeClient:
    """One Pi-hole. ``url`` is its address without ``/api``, such as ``http://pi.hole``."""

    def __init__(
        self,
        url: str,
        password: str | None = None,
        *,
        http: httpx.AsyncClient | None = None,
        limits: Limits | None = None,
        ca_file: Path | None = None,
        tls_name: str | None = None,
        write_attempts: int = 4,
        write_pause_s: float = 1.0,
    ) -> None:
        base = url.rstrip("/").removesuffix("/api").removesuffix("/admin")
        self._service = HttpService(
            base + "/api", http=http, limits=limits, ca_file=ca_file, tls_name=tls_name
        )
        self._password = password
        self._write_attempts = write_attempts
        self._write_pause_s = write_pause_s
        self._sid: str | None = None
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Log out, so that the seat is free again, and close what was opened here."""
        try:
            sid, self._sid = self._sid, None
            if sid:
                await self._service.request(
                    "DELETE", "/auth", headers={"X-FTL-SID": sid}, accept=frozenset({401, 404})
                )
        except ClientError:
            pass  # the server is gone or forgot us: there is no seat left to free
        finally:
            await self._service.aclose()

    async def queries(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        length: int = 1000,
        disk: bool = False,
    ) -> AsyncIterator[tuple[Query, ...]]:
        """Yield pages of queries, newest first, until there are none older.

        ``since`` is inclusive and ``until`` exclusive, in seconds since the epoch.
        Rows that arrive meanwhile do not shift the pages: each page asks for what
        is older than the last id of the one before.
        """
        params: dict[str, Any] = {"length": length}
        if since is not None:
            params["from"] = since
        if until is not None:
            params["until"] = until
        if disk:
            params["disk"] = "true"
        while True:
            answer = await self._call("GET", "/queries", params=params)
            page = answer.decode(_Queries).queries
            if not page:
                return
            yield page
            oldest = min(query.id for query in page)
            # Ids begin at 0, and the server refuses a cursor of -1. A page that is not older
            # than the one before would never end.
            if oldest <= 0 or len(page) < length or oldest > params.get("cursor", oldest):
                return
            params["cursor"] = oldest - 1

    async def devices(self, *, most: int = 1000, addresses: int = 50) -> tuple[NetworkDevice, ...]:
        """Return the devices that Pi-hole saw in the network, the latest to ask first."""
        params: dict[str, str | int | float | bool] = {
            "max_devices": most,
            "max_addresses": addresses,
        }
        answer = await self._call("GET", "/network/devices", params=params)
        return answer.decode(Devices).devices

    async def leases(self) -> tuple[Lease, ...]:
        """Return the DHCP leases that Pi-hole gave; none when it gives none."""
        return (await self._call("GET", "/dhcp/leases")).decode(Leases).leases

    async def domains(
        self, kind_of_list: ListType | None = None, kind: ListKind | None = None
    ) -> tuple[Domain, ...]:
        """Return the domain rules, of one type and kind if asked."""
        parts = [part for part in (kind_of_list, kind) if part]
        answer = await self._call("GET", "/".join(["/domains", *parts]))
        return answer.decode(_Domains).domains

    async def add_domains(
        self,
        kind_of_list: ListType,
        kind: ListKind,
        domains: Sequence[str],
        *,
        comment: str,
        groups: Sequence[int] = (DEFAULT_GROUP,),
    ) -> None:
        """Add rules.

        Raises:
            ClientResponseError: at least one was not added (it may exist already).
        """
        await self._write(
            "POST",
            f"/domains/{kind_of_list}/{kind}",
            {"domain": list(domains), "comment": comment, "groups": list(groups), "enabled": True},
        )

    async def delete_domain(self, kind_of_list: ListType, kind: ListKind, domain: str) -> bool:
        """Remove one rule; False when it was not there."""
        return await self._delete(f"/domains/{kind_of_list}/{kind}/{quote(domain, safe='')}")

    async def groups(self) -> tuple[Group, ...]:
        """Return all groups; id 0 is the one that every client starts in."""
        return (await self._call("GET", "/groups")).decode(_Groups).groups

    async def add_group(self, name: str, *, comment: str) -> None:
        """Add a group.

        Raises:
            ClientResponseError: it was not added (it may exist already).
        """
        await self._write("POST", "/groups", {"name": name, "comment": comment, "enabled": True})

    async def delete_group(self, name: str) -> bool:
        """Remove a group; False when it was not there.

        Raises:
            ValueError: it is the default group. Deleting that empties the groups of
                every domain, so that nothing blocks any more.
        """
        if name.casefold() == "default":
            msg = "the default group must not be deleted"
            raise ValueError(msg)
        return await self._delete(f"/groups/{quote(name, safe='')}")

    async def clients(self) -> tuple[Client, ...]:
        """Return the clients that have an entry of their own."""
        return (await self._call("GET", "/clients")).decode(_Clients).clients

    async def add_client(self, client: str, *, comment: str, groups: Sequence[int]) -> None:
        """Give a client (an address) an entry with these groups."""
        body = {"client": client, "comment": comment, "groups": list(groups)}
        await self._write("POST", "/clients", body)

    async def put_client(self, client: str, *, comment: str | None, groups: Sequence[int]) -> None:
        """Replace a client's comment and groups."""
        body = {"comment": comment, "groups": list(groups)}
        await self._write("PUT", f"/clients/{quote(client, safe='')}", body)

    async def delete_client(self, client: str) -> bool:
        """Remove a client's entry; False when it was not there."""
        return await self._delete(f"/clients/{quote(client, safe='')}")

    async def blocking(self) -> bool:
        """Return whether blocking is switched on at all."""
        return (await self._call("GET", "/dns/blocking")).decode(_Blocking).blocking == "enabled"

    async def version(self) -> dict[str, Any]:
        """Return what the server says of its versions."""
        found: dict[str, Any] = (await self._call("GET", "/info/version")).json()
        return found

    async def _delete(self, path: str) -> bool:
        answer = await self._call("DELETE", path, accept=frozenset({404}))
        return answer.status != 404

    async def _write(self, method: str, path: str, body: object) -> None:
        for attempt in range(1, self._write_attempts + 1):
            answer = await self._call(method, path, json=body)
            failed = answer.decode(_Written).processed
            errors = failed.errors if failed else ()
            if not errors:
                return
            if attempt == self._write_attempts or not all(_READONLY in e.error for e in errors):
                said = "; ".join(f"{e.item}: {e.error}" for e in errors)[:500]
                msg = f"{method} {answer.url}: not done: {said}"
                raise ClientResponseError(msg, status=answer.status)
            await asyncio.sleep(self._write_pause_s)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str | int | float | bool] | None = None,
        json: object = None,
        accept: frozenset[int] = frozenset(),
    ) -> Answer:
        """Send one call in the session; a forgotten session is renewed once."""
        for renewal in (False, True):
            sid = await self._session()
            answer = await self._service.request(
                method,
                path,
                params=params,
                json=json,
                headers={"X-FTL-SID": sid} if sid else {},
                accept=accept | (frozenset() if renewal else _UNAUTHORISED),
            )
            if answer.status != 401:
                break
            if self._password is None:
                msg = f"{method} {answer.url}: 401; set the Pi-hole's app password"
                raise ClientAuthError(msg)
            if self._sid == sid:
                self._sid = None
        return answer

    async def _session(self) -> str | None:
        if self._sid is not None or self._password is None:
            return self._sid
        async with self._logging_in:
            # Whoever waited here finds the session of whoever went first.
            if self._sid is None:
                self._sid = await self._login(self._password)
            return self._sid

    async def _login(self, password: str) -> str:
        try:
            answer = await self._service.request("POST", "/auth", json={"password": password})
        except ClientAuthError as error:
            msg = f"{self._service.base_url}: Pi-hole refused the password"
            raise ClientAuthError(msg) from error
        except ClientResponseError as error:
            if error.status == 429:
                msg = (
                    f"{self._service.base_url}: Pi-hole has no free seat or is busy; "
                    "log out other sessions, or raise webserver.api.max_sessions"
                )
                raise ClientResponseError(msg, status=429) from error
            raise
        session = answer.decode(_Login).session
        if not session.valid:
            msg = f"{self._service.base_url}: Pi-hole refused the login: {session.message}"
            raise ClientAuthError(msg)
        return session.sid or ""  # a server without a password gives no session
