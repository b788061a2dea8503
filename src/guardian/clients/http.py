"""Speak HTTP to one remote system: a deadline, bounded retries, one family of errors.

Every client of this package is a few lines over ``HttpService.request``, so that
httpx is seen nowhere else. A failure that cannot have changed anything (no
connection, 429, 502 to 504, or a method that may be repeated) is tried again
with a growing pause; everything else is reported at once.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
import msgspec

from guardian.errors import (
    ClientAuthError,
    ClientConnectionError,
    ClientResponseError,
    ConfigError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how often a remote system is tried, and how much it may answer."""

    timeout_s: float = 10.0
    """Deadline of one attempt, connecting and reading included."""
    attempts: int = 3
    """Tries in all, the first one included."""
    pause_s: float = 0.5
    """Pause before the second try; doubled for each one after."""
    longest_pause_s: float = 30.0
    """A server's ``Retry-After`` is obeyed up to this; a longer one ends the tries."""
    max_bytes: int = 64 * 1024 * 1024
    """A longer answer is refused: a page of 1,000 queries is about 300 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: status, headers (names in lower case) and body."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Decode the body.

        Raises:
            ClientResponseError: it is not JSON.
        """
        try:
            return _decoded(self.body, Any)
        except (msgspec.DecodeError, RecursionError) as error:
            msg = f"{self.method} {self.url}: the answer is not JSON"
            raise ClientResponseError(msg, status=self.status) from error

    def decode(self, kind: type[T]) -> T:
        """Decode the body as ``kind``, unknown fields ignored, bytes that are no text replaced.

        Raises:
            ClientResponseError: it is not JSON, or not of that shape.
        """
        try:
            found: T = _decoded(self.body, kind)
        except (msgspec.DecodeError, RecursionError) as error:
            msg = f"{self.method} {self.url}: unexpected answer: {error}"
            raise ClientResponseError(msg, status=self.status) from error
        return found


class HttpService:
    """One remote system behind a base address.

    A borrowed ``http`` client is left open; one that is made here is closed by
    ``aclose``. ``tls_name`` is the name that the server's certificate carries when
    it is reached by another one (Pi-hole signs ``pi.hole`` only); ``ca_file`` is
    the authority to trust instead of the system's.
    """

    def __init__(
        self,
        base_url: str,
        *,
        http: httpx.AsyncClient | None = None,
        limits: Limits | None = None,
        ca_file: Path | None = None,
        tls_name: str | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.limits = limits or Limits()
        self._owned = http is None
        # A home server is never reached by way of a proxy named in the environment.
        self._http = http or httpx.AsyncClient(verify=_trust(ca_file), trust_env=False)
        self._extensions = {"sni_hostname": tls_name} if tls_name else {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was opened here. Safe to call twice."""
        if self._owned:
            await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | float | bool] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Answer:
        """Send one request and return its answer if it is 2xx or in ``accept``.

        Raises:
            ClientConnectionError: unreachable, or not answered before the deadline.
            ClientAuthError: 401 or 403.
            ClientResponseError: any other status, or an answer that is too long.
        """
        content = None if json is None else msgspec.json.encode(json)
        sent = {"accept": "application/json", **(headers or {})}
        if content is not None:
            sent["content-type"] = "application/json"
        request = self._http.build_request(
            method,
            self.base_url + path,
            params=params,
            content=content,
            headers=sent,
            extensions=self._extensions,
        )
        for attempt in range(1, self.limits.attempts + 1):
            last = attempt == self.limits.attempts
            try:
                answer = await self._once(request, auth)
            except ClientConnectionError as error:
                if last or not _may_repeat(method, error.__cause__):
                    raise
                await asyncio.sleep(self._pause(attempt))
                continue
            if answer.status not in _BUSY or answer.status in accept:
                return _checked(answer, accept)
            pause = self._pause(attempt, answer.headers.get("retry-after"))
            if last or pause > self.limits.longest_pause_s:
                return _checked(answer, accept)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _once(self, request: httpx.Request, auth: tuple[str, str] | None) -> Answer:
        where = f"{request.method} {request.url.copy_with(query=None)}"
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                response = await self._http.send(
                    request, stream=True, auth=auth, follow_redirects=False
                )
                try:
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > self.limits.max_bytes:
                            msg = f"{where}: more than {self.limits.max_bytes} bytes"
                            raise ClientResponseError(msg, status=response.status_code)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            msg = f"{where}: no answer within {self.limits.timeout_s:g} s"
            raise ClientConnectionError(msg) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            msg = f"{where}: {error or type(error).__name__}"
            raise ClientConnectionError(msg) from error
        return Answer(
            method=request.method,
            url=str(request.url.copy_with(query=None)),
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body),
        )

    def _pause(self, attempt: int, retry_after: str | None = None) -> float:
        pause = self.limits.pause_s * 2.0 ** (attempt - 1)
        if retry_after and retry_after.isascii() and retry_after.isdigit():
            pause = max(pause, float(retry_after[:9]))
        return pause


def _decoded(body: bytes, kind: Any) -> Any:
    """Decode JSON; bytes that are not UTF-8 become U+FFFD.

    A resolver passes on names as they were asked, and one device may ask for any bytes:
    that must not cost the rest of the page, again and again.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UnicodeDecodeError:
        return msgspec.json.decode(body.decode("utf-8", "replace"), type=kind)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        msg = f"cannot read the certificate authority {ca_file}: {error}"
        raise ConfigError(msg) from error


def _may_repeat(method: str, cause: BaseException | None) -> bool:
    return method in _REPEATABLE or isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout)


def _checked(answer: Answer, accept: frozenset[int]) -> Answer:
    if 200 <= answer.status < 300 or answer.status in accept:
        return answer
    said = answer.body[:300].decode(errors="replace").strip()
    msg = f"{answer.method} {answer.url}: {answer.status} {said}".rstrip()
    if answer.status in {401, 403}:
        raise ClientAuthError(msg)
    raise ClientResponseError(msg, status=answer.status)
