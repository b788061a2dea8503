"""Signing in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.web import auth
from guardian.web.site import local_path

if TYPE_CHECKING:
    from guardian.web.site import Site


def router(site: Site) -> APIRouter:
    """Return the login's routes."""
    routes = APIRouter()

    @routes.get("/login", response_class=HTMLResponse)
    def ask(request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", "/"))
        if site.signed_in(request):
            return RedirectResponse(wanted, status_code=303)
        return _form(site, wanted)

    @routes.post("/login", response_class=HTMLResponse)
    def answer(
        request: Request,
        password: Annotated[str, Form(max_length=auth.MAX_LENGTH)] = "",
        wanted: Annotated[str, Form(alias="next", max_length=400)] = "/",
    ) -> Response:
        wanted = local_path(wanted)
        address = request.client.host if request.client else "local"
        wait_s = site.throttle.wait_s(address)
        if wait_s > 0:
            minutes = int(wait_s // 60) + 1
            return _form(
                site,
                wanted,
                f"Too many wrong tries from here. Try again in {minutes} min.",
                429,
                {"Retry-After": str(int(wait_s) + 1)},
            )
        with site.store.read() as reader:
            right = auth.check_password(reader, password)
            generation = auth.generation(reader)
        if not right:
            site.throttle.failed(address)
            return _form(site, wanted, "That is not the password.", 401)
        site.throttle.forgive(address)
        return _welcome(site, request, wanted, generation)

    @routes.post("/logout")
    def leave() -> Response:
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(auth.COOKIE, httponly=True, samesite="lax")
        return response

    return routes


def _welcome(site: Site, request: Request, wanted: str, generation: str) -> Response:
    hours = site.settings.session_hours
    response = RedirectResponse(wanted, status_code=303)
    response.set_cookie(
        auth.COOKIE,
        auth.make_session(site.key, generation, hours=hours),
        max_age=hours * 3600,
        httponly=True,
        # Lax: a link in the digest must arrive signed in; writing is checked by origin.
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _form(
    site: Site,
    wanted: str,
    error: str = "",
    status_code: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    with site.store.read() as reader:
        ready = auth.has_password(reader)
    text = site.render("login.html", title="Sign in", wanted=wanted, error=error, ready=ready)
    code = status_code if ready else 503
    return HTMLResponse(text, status_code=code, headers=headers)
