"""What every request must pass, and every answer carries.

A page elsewhere must not reach Guardian through the reader's browser. So the ``Host``
must be an address or a name that nobody else can own (DNS rebinding), a request that
changes something must come from our own page (cross-site request forgery), and no page
may run a script, load a resource or send a form anywhere but to us.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
MAX_BODY_BYTES = 64 << 10
"""No form of ours is larger."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware: refuse strange hosts and cross-site writes, add security headers."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), any_host: bool = False) -> None:
        """``hosts`` are names to allow besides addresses and this machine's own name.

        ``any_host`` is for a socket that no browser can reach.
        """
        self._app = app
        self._any_host = any_host
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *(each.lower() for each in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    answer.setdefault("Cache-Control", "no-store")
            await send(message)

        if refusal:
            await refusal(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if not self._any_host and not self._may_ask(host):
            return PlainTextResponse(
                "Guardian does not answer to this name. If it is yours, add it to `hosts` "
                "in the [web] part of the configuration.\n",
                status_code=421,
            )
        if scope["method"] in _SAFE:
            return None
        if not from_our_page(headers):
            return PlainTextResponse(
                "This request did not come from Guardian's own page, so nothing was done.\n",
                status_code=403,
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return PlainTextResponse("That is too large.\n", status_code=413)
        if "transfer-encoding" in headers:
            return PlainTextResponse("A length is needed.\n", status_code=411)
        return None

    def _may_ask(self, host: str) -> bool:
        name = (urlsplit(f"//{host}").hostname or "") if _plain(host) else ""
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        return True


def from_our_page(headers: Headers) -> bool:
    """Whether a writing request comes from our page, or from a program that is no browser.

    Browsers say where a request comes from in ``Sec-Fetch-Site``, older ones in
    ``Origin``; neither can be forged by a page. A request with neither and without a
    cookie carries nobody's rights but its own.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is not None:
        return _plain(origin) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return "cookie" not in headers and "referer" not in headers


def _plain(text: str) -> bool:
    """Whether a header is short printable ASCII without brackets that do not pair."""
    if not (0 < len(text) <= 300 and text.isascii() and text.isprintable()):
        return False
    try:
        urlsplit(text if "//" in text else f"//{text}")
    except ValueError:
        return False
    return True
