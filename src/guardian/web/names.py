"""What is known of a name: who owns it, what it sends, who asked for it, and what blocks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from guardian.errors import InputError
from guardian.intel import lists

if TYPE_CHECKING:
    from guardian.web.site import Site


def router(site: Site) -> APIRouter:
    """Return the route that explains a name."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/names")
    def names(name: Annotated[str, Query(max_length=2000)] = "") -> Response:
        known: dict[str, Any] | None = None
        wrong = ""
        if name:
            try:
                known = lists.explain(name, site.store)
            except InputError as error:
                wrong = str(error)
        return site.page(
            "names.html", title="Names", tab="names", name=name, known=known, wrong=wrong
        )

    return routes
