"""What all pages share: the store, the templates, who is asking, and the frame around a page."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse

from guardian import respond
from guardian.model import words
from guardian.store import pages
from guardian.store.ingest import utc_now
from guardian.web import auth, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, tzinfo

    from starlette.requests import Request
    from starlette.responses import Response

    from guardian.respond.settings import Settings as RespondSettings
    from guardian.store import Store
    from guardian.web.packets import Packets
    from guardian.web.settings import Settings


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything a page needs, built once by ``create_app``.

    ``wake`` tells the daemon that an answer was written. ``status`` returns what
    ``guardian status`` prints, or is None where no daemon runs. ``login`` is whether a
    person must sign in.
    """

    store: Store
    settings: Settings
    wake: Callable[[], None]
    status: Callable[[], Mapping[str, Any]] | None
    login: bool
    local: bool = False
    respond_settings: RespondSettings | None = None
    packets: Packets | None = None
    now: Callable[[], datetime] = utc_now
    zone: tzinfo | None = None
    key: bytes = b""
    throttle: auth.Throttle = field(default_factory=lambda: auth.Throttle(5, 900))
    templates: jinja2.Environment

    def signed_in(self, request: Request) -> bool:
        """Whether this request may see the page."""
        if not self.login or self.local:
            return True
        cookie = request.cookies.get(auth.COOKIE, "")
        if not cookie:
            return False
        with self.store.read() as reader:
            generation = auth.generation(reader)
        return bool(generation) and auth.session_holds(self.key, generation, cookie)

    def answer(self, proposal_id: int, verb: str, *, actor: str, channel: str) -> None:
        """Write a person's answer and tell the daemon.

        Raises:
            GuardianError: it cannot be answered so; nothing was written.
        """
        respond.answer(
            self.store,
            proposal_id,
            verb,
            actor=actor,
            channel=channel,
            settings=self.respond_settings,
        )
        self.wake()

    def actor(self, request: Request) -> str:
        """Return who answers: the person on the page, and from which address."""
        where = request.client.host if request.client else "local"
        return f"page from {where}"

    def render(self, template: str, /, **context: Any) -> str:
        """Return a template's text with the house's clock and words bound to it."""
        now = self.now()

        def clock(moment: datetime | None) -> str:
            return words.clock(moment, self.zone, now)

        def day(moment: datetime | None) -> str:
            return words.day(moment, self.zone, now)

        def local(moment: datetime | None, form: str = "%H:%M:%S") -> str:
            return words.DASH if moment is None else f"{words.local(moment, self.zone):{form}}"

        shared = {"clock": clock, "day": day, "local": local, "now": now}
        return self.templates.get_template(template).render(
            {**shared, "poll_s": self.settings.poll_s, "login": self.login, **context}
        )

    def page(
        self, template: str, /, *, title: str, tab: str, status_code: int = 200, **context: Any
    ) -> HTMLResponse:
        """Return a whole page with the navigation around it."""
        with self.store.read() as reader:
            waiting = len({row["incident_id"] for row in pages.proposals(reader, waiting=True)})
            mark = pages.mark(reader)
        text = self.render(template, title=title, tab=tab, waiting=waiting, mark=mark, **context)
        return HTMLResponse(text, status_code=status_code)

    def part(self, template: str, /, **context: Any) -> HTMLResponse:
        """Return a piece of a page, for an open page to put in place."""
        return HTMLResponse(self.render(template, **context))


def environment() -> jinja2.Environment:
    """Return the templates: everything is escaped, an unknown name is an error."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            str(importlib.resources.files("guardian.web") / "templates")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        clean=words.clean,
        size=words.size,
        number=words.number,
        duration=words.duration,
        kind=words.finding_class,
        device_kind=words.device_kind,
        strength=words.evidence,
    )
    env.globals.update(bar=draw.bar, dash=words.DASH, counted=words.counted, verdict=words.verdict)
    return env


def _plain(value: object) -> object:
    """Take control and direction characters out of whatever is printed into a page."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return words.clean(value, len(value))
    return value


def is_fragment(request: Request) -> bool:
    """Whether an open page asks, and wants only the piece to put in place."""
    return request.headers.get("hx-request") == "true"


def to_login(request: Request) -> Response:
    """Send a reader to the login, to come back where they wanted to go."""
    if is_fragment(request):
        return HTMLResponse("", status_code=401, headers={"HX-Refresh": "true"})
    wanted = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?next={wanted}", status_code=303)


def local_path(text: str) -> str:
    """Return a path on this page, or the first page when it would lead elsewhere."""
    safe = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text[:300] if safe and "\\" not in text else "/"
