"""The blocklists: served to the home's resolvers, and shown to people.

A resolver subscribes to ``/lists/<name>.<format>`` and asks again with the ETag it got,
so that an unchanged list costs nothing. It has no session; a token in the address keeps
strangers out where that is wanted.
"""

from __future__ import annotations

import hmac
import os
import re
import threading
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from guardian import resources
from guardian.intel import list_outputs, list_show, list_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.intel.settings import Settings
    from guardian.web.site import Site

CHUNK = 256 * 1024
"""Bytes in memory for each reader of a list."""
MAX_READERS = 16
"""Lists that are sent at the same time; a house has a handful of resolvers."""
_NAME = re.compile(r"([A-Za-z0-9_-]{1,80})\.([a-z.]{1,20})")


def folder(site: Site) -> Path | None:
    """Return where the lists are built; None of a store in memory."""
    return site.store.path.parent / "lists" if site.store.path else None


def serving(site: Site, settings: Settings) -> APIRouter:
    """Return the route that resolvers ask; it needs no session."""
    routes = APIRouter()
    readers = _Readers()

    @routes.api_route("/lists/{file}", methods=["GET", "HEAD"])
    def one(
        request: Request, file: str, token: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        # Compared first and in constant time: an answer must not tell which lists there are.
        if settings.token and not hmac.compare_digest(
            token.encode(errors="replace"), settings.token.encode()
        ):
            return _refused(403, "This list needs the token in its address.")
        path = _path(folder(site), file)
        try:
            opened = path.open("rb") if path else None
        except OSError:
            opened = None
        if opened is None:
            return _refused(404, "There is no such list.")
        return _sent(request, opened, readers)

    return routes


def _refused(code: int, text: str, **headers: str) -> Response:
    return PlainTextResponse(text + "\n", status_code=code, headers=headers)


def _path(lists: Path | None, file: str) -> Path | None:
    found = _NAME.fullmatch(file)
    kind = found[2] if found else ""
    kind = list_outputs.ALSO_CALLED.get(kind, kind)
    form = list_outputs.FORMATS.get(kind)
    if lists is None or found is None or form is None:
        return None
    return lists / f"{found[1]}.{form.suffix}"


class _Readers:
    """How many lists are being sent."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    def chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield a file in pieces and close it at the end, whatever the end is."""
        with self._lock:
            self.number += 1
        try:
            while piece := file.read(CHUNK):
                yield piece
        finally:
            with self._lock:
                self.number -= 1
            file.close()


def _sent(request: Request, file: BinaryIO, readers: _Readers) -> Response:
    """Answer with an open file: what was opened is what is described, also while it is replaced."""
    about = os.fstat(file.fileno())
    etag = f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
    headers = {
        "ETag": etag,
        "Last-Modified": formatdate(about.st_mtime, usegmt=True),
        "Cache-Control": "no-cache",
        "Content-Type": "text/plain; charset=utf-8",
    }
    if _unchanged(request, etag, about.st_mtime):
        file.close()
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(about.st_size)
    if request.method == "HEAD":
        file.close()
        return Response(headers=headers)
    if readers.number >= MAX_READERS:
        file.close()
        return _refused(503, "Too many lists are being sent.", **{"Retry-After": "30"})
    return StreamingResponse(readers.chunks(file), headers=headers)


def _unchanged(request: Request, etag: str, modified: float) -> bool:
    """Say whether the asker has this already; the ETag counts before the date (RFC 9110)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        held = {tag.strip().removeprefix("W/") for tag in tags[:2000].split(",")}
        return etag in held or "*" in held
    since = request.headers.get("if-modified-since", "")
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, TypeError, OverflowError):
        return False


def router(site: Site, settings: Settings) -> APIRouter:
    """Return the page of the lists; it needs a session like every page."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/lists")
    def lists(request: Request) -> Response:
        out = folder(site)
        rows = list_show.show(resources.path("blocklists"), out, settings)
        for row in rows:
            row["held_since"] = _moment(row["held_since"])
        return site.page(
            "lists.html",
            title="Blocklists",
            tab="names",
            rows=[row for row in rows if row["kind"] != "offered, off"],
            offered=[row for row in rows if row["kind"] == "offered, off"],
            held=[row for row in rows if row["held"]],
            built=bool(out and list_state.read(out)),
            forms=_FORMS,
            base=str(request.base_url),
            key=f"?token={settings.token}" if settings.token else "",
        )

    @routes.post("/lists/accept")
    def accept(request: Request, source: Annotated[str, Form(max_length=80)]) -> Response:
        out = folder(site)
        if out is None:
            raise HTTPException(404, "no such list")
        list_state.accept(out, source, actor=site.actor(request))
        return RedirectResponse("/lists", status_code=303)

    return routes


def _moment(text: str | None) -> datetime | None:
    """Return a time of the state file as the page's clock wants it: UTC without a zone."""
    return (
        None if text is None else datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    )


_FORMS: tuple[dict[str, Any], ...] = (
    {"for": "Pi-hole", "form": "pihole"},
    {"for": "AdGuard Home", "form": "adguard"},
    {"for": "dnsmasq", "form": "dnsmasq"},
    {"for": "unbound", "form": "unbound"},
    {"for": "a response policy zone", "form": "rpz"},
    {"for": "a hosts file", "form": "hosts"},
    {"for": "plain names", "form": "domains"},
)
