"""Build the page: middleware, routes, and what an error looks like to a person."""

from __future__ import annotations

import importlib.resources
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from guardian.errors import GuardianError, InputError, RefusedError, StoreError
from guardian.intel.settings import Settings as ListSettings
from guardian.model import words
from guardian.store.ingest import utc_now
from guardian.web import (
    api,
    asking,
    auth,
    devices,
    lists,
    login,
    names,
    packets,
    people,
    privacy,
    quality,
    silence,
    things,
)
from guardian.web.security import Guard
from guardian.web.site import Site, environment, is_fragment, to_login

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from guardian.respond.settings import Settings as RespondSettings
    from guardian.store import Store
    from guardian.web.settings import Settings

log = logging.getLogger(__name__)


class _SignInError(Exception):
    """Nobody is signed in."""


def create_app(
    store: Store,
    settings: Settings,
    *,
    wake: Callable[[], None],
    listen: str = "127.0.0.1:8480",
    status: Callable[[], Mapping[str, Any]] | None = None,
    base_url: str = "",
    respond_settings: RespondSettings | None = None,
    list_settings: ListSettings | None = None,
    now: Callable[[], datetime] = utc_now,
    local_socket: bool = False,
    packet_source: packets.Packets | None = None,
) -> FastAPI:
    """Return the application that serves the page and the JSON interface.

    ``wake`` is called after an answer was written. ``listen`` decides whether a login is
    asked for. ``base_url`` is how the house reaches the page; its name may ask.
    ``local_socket`` is for a socket that file permissions protect: no login, any host.

    Raises:
        ConfigError: the time zone of the settings does not exist.
    """
    site = Site(
        store=store,
        settings=settings,
        wake=wake,
        status=status,
        login=settings.login == "always" or auth.required(listen),
        local=local_socket,
        packets=packet_source,
        respond_settings=respond_settings,
        now=now,
        zone=words.zone(settings.timezone),
        key=auth.secret(store),
        templates=environment(),
        throttle=auth.Throttle(settings.login_tries, settings.login_window_s),
    )
    app = FastAPI(title="Guardian", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site

    def signed_in(request: Request) -> None:
        if not site.signed_in(request):
            raise _SignInError

    private = [Depends(signed_in)]
    app.include_router(login.router(site))
    wanted = list_settings or ListSettings()
    app.include_router(lists.serving(site, wanted))
    app.include_router(lists.router(site, wanted), dependencies=private)
    for part in (people, devices, privacy, things, silence, names, asking, packets, quality):
        app.include_router(part.router(site), dependencies=private)
    app.include_router(api.router(site), prefix="/api", dependencies=private)
    static = importlib.resources.files("guardian.web") / "static"
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    _errors(app, site)
    name = urlsplit(base_url).hostname
    hosts = [*settings.hosts, *([name] if name else [])]
    app.add_middleware(Guard, hosts=hosts, any_host=local_socket)
    return app


def _errors(app: FastAPI, site: Site) -> None:
    @app.exception_handler(_SignInError)
    def sign_in(request: Request, _: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": "sign in first"}, status_code=401)
        return to_login(request)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        text = str(error.detail) if isinstance(error, HTTPException) else "It did not work."
        return _error(site, request, code, "This page does not exist." if code == 404 else text)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, _: Exception) -> Response:
        return _error(site, request, 422, "That address or form is not one of Guardian's.")

    @app.exception_handler(GuardianError)
    def failed(request: Request, error: Exception) -> Response:
        code = 409 if isinstance(error, RefusedError) else 404
        if not isinstance(error, RefusedError | InputError):
            log.error("%s %s: %s", request.method, request.url.path, error)
            code = 503 if isinstance(error, StoreError) else 500
        return _error(site, request, code, words.clean(str(error), 300))


def _error(site: Site, request: Request, code: int, text: str) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": text}, status_code=code)
    name = "_error.html" if is_fragment(request) else "error.html"
    try:
        body = site.render(name, title="Not done", tab="", waiting=0, mark="", text=text, code=code)
    except GuardianError:
        body = text
    return Response(body, status_code=code, media_type="text/html")
