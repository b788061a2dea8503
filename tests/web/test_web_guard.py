"""What every request must pass: host, origin, login; and what no reader can do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import UsageError
from guardian.web import Settings, auth, create_app
from guardian.web.site import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardian.store import Store

PASSWORD = "correct horse battery"


@pytest.fixture
def client(house: Store, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    with serve(house) as running, httpx.Client(base_url=running.url) as made:
        yield made


@pytest.fixture
def locked(house: Store, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    auth.set_password(house, PASSWORD)
    with (
        serve(house, settings=Settings(login="always", login_tries=3)) as running,
        httpx.Client(base_url=running.url) as made,
    ):
        yield made


def decisions(store: Store) -> int:
    with store.read() as reader:
        return int(reader.value("SELECT count(*) FROM decision"))


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://evil.example"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://127.0.0.1:1"}, False),
        ({"cookie": "guardian_session=x"}, False),
        ({"referer": "http://evil.example/"}, False),
        ({}, True),
    ],
)
def test_only_our_own_page_can_answer(
    client: httpx.Client, house: Store, headers: dict[str, str], passes: bool
) -> None:
    before = decisions(house)
    answer = client.post("/p/1/approve", headers=headers)
    assert answer.status_code == (303 if passes else 403)
    assert decisions(house) == before + passes


def test_our_own_origin_may_answer(client: httpx.Client, house: Store) -> None:
    origin = str(client.base_url).rstrip("/")
    assert client.post("/p/1/reject", headers={"origin": origin}).status_code == 303


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8480", 200),
        ("192.168.1.5:8480", 200),
        ("[::1]:8480", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_a_name_that_somebody_else_can_own_is_refused(
    client: httpx.Client, host: str, status: int
) -> None:
    assert client.get("/", headers={"host": host}).status_code == status


def test_a_name_of_the_keeper_may_ask(house: Store, serve: Callable[..., Any]) -> None:
    settings = Settings(hosts=("guardian.home",))
    with serve(house, settings=settings, base_url="http://watch.home:8480") as running:
        for name in ("guardian.home", "Watch.Home:8480"):
            assert httpx.get(running.url, headers={"host": name}).status_code == 200


def test_every_answer_carries_the_policy(client: httpx.Client) -> None:
    for path in ("/", "/static/guardian.css", "/nowhere", "/api/findings", "/login"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_no_page_holds_inline_script_or_style_or_a_foreign_address(client: httpx.Client) -> None:
    for path in ("/", "/incidents/214", "/approvals", "/devices/d1", "/privacy", "/health"):
        text = client.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:|<style", text)
        assert not re.search(r"""(?:src|href|action|hx-\w+)=["'](?:https?:)?//""", text)


def test_script_stays_small_and_is_what_it_says() -> None:
    static = Path(__file__).parents[2] / "src/guardian/web/static"
    script = static / "vendor/htmx.min.js"
    assert sum(file.stat().st_size for file in static.rglob("*.js")) < 100_000
    import hashlib  # noqa: PLC0415

    for file, note in [
        (script, static / "vendor/README.md"),
        (static / "fonts/inter-latin-wght-normal.woff2", static / "fonts/README.md"),
    ]:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in note.read_text()


def test_looking_changes_nothing(client: httpx.Client, house: Store) -> None:
    tables = ("decision", "proposal", "incident", "enforcement", "setting")

    def state() -> list[Any]:
        with house.read() as reader:
            return [reader.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]

    before = state()
    for path in (
        "/", "/p/1", "/p/1/sure", "/p/1/card", "/p/1/approve", "/p/1/reject", "/logout",
        "/api/proposals/1/approve", "/incidents/214", "/news?mark=x",
    ):  # fmt: skip
        client.get(path)
        client.head(path)
    assert state() == before


def test_a_stranger_sees_nothing(locked: httpx.Client) -> None:
    for path in ("/", "/incidents/214", "/p/1", "/health", "/devices", "/approvals", "/privacy"):
        answer = locked.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/login?next={path}"
    for path in ("/api/findings", "/api/status", "/api/proposals"):
        assert locked.get(path).status_code == 401
    assert locked.post("/api/proposals/1/approve").status_code == 401
    assert locked.get("/p/1/card", headers={"hx-request": "true"}).status_code == 401
    assert "laptop" not in locked.get("/login").text


def test_the_cookie_is_bound_and_closed(locked: httpx.Client, house: Store) -> None:
    answer = locked.post("/login", data={"password": PASSWORD, "next": "/p/1"})
    assert answer.headers["location"] == "/p/1"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert locked.get("/").status_code == 200
    auth.set_password(house, "another password")
    assert locked.get("/").status_code == 303


def test_guessing_is_slowed_down(locked: httpx.Client) -> None:
    codes = [locked.post("/login", data={"password": f"guess {n}"}).status_code for n in range(5)]
    assert codes == [401, 401, 401, 429, 429]
    refused = locked.post("/login", data={"password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


def test_without_a_password_only_an_explanation_is_served(
    house: Store, serve: Callable[..., Any]
) -> None:
    with serve(house, listen="0.0.0.0:8480") as running:
        answer = httpx.get(running.url, follow_redirects=True)
    assert answer.status_code == 503
    assert "guardian password" in answer.text
    assert "Anna" not in answer.text


@pytest.mark.parametrize(
    ("listen", "needed"),
    [
        ("127.0.0.1:8480", False), ("localhost:80", False), ("[::1]:8480", False),
        ("0.0.0.0:8480", True), ("[::]:8480", True), ("192.168.1.2:8480", True),
        ("guardian.home:8480", True), (":8480", True),
    ],
)  # fmt: skip
def test_who_must_sign_in(listen: str, needed: bool) -> None:
    assert auth.required(listen) is needed


def test_a_short_password_is_refused(memory_store: Store) -> None:
    with pytest.raises(UsageError):
        auth.set_password(memory_store, "short")


@given(st.text(max_size=300))
def test_no_text_passes_for_a_session(value: str) -> None:
    assert not auth.session_holds(b"k" * 32, "g", value)


def test_a_session_ends_and_cannot_be_bent() -> None:
    made = auth.make_session(b"k" * 32, "g", hours=1, now_s=1000)
    assert auth.session_holds(b"k" * 32, "g", made, now_s=1000 + 3599)
    assert not auth.session_holds(b"k" * 32, "g", made, now_s=1000 + 3601)
    assert not auth.session_holds(b"k" * 32, "other", made, now_s=1001)
    assert not auth.session_holds(b"q" * 32, "g", made, now_s=1001)
    longer = "9" + made
    assert not auth.session_holds(b"k" * 32, "g", longer, now_s=1001)


@given(st.text(max_size=60))
def test_a_login_never_leads_away(text: str) -> None:
    found = local_path(text)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert "\\" not in found


def test_the_throttle_forgets_within_bounds() -> None:
    throttle = auth.Throttle(2, 10)
    for number in range(3000):
        throttle.failed(f"10.0.{number // 256}.{number % 256}", now_s=0)
    assert len(throttle._failed) == auth.Throttle.MAX_ADDRESSES
    throttle.failed("a", now_s=0)
    throttle.failed("a", now_s=1)
    assert throttle.wait_s("a", now_s=2) == 8
    assert throttle.wait_s("a", now_s=11) == 0


def test_a_local_socket_needs_no_login(house: Store) -> None:
    app = create_app(house, Settings(login="always"), wake=lambda: None, local_socket=True)
    transport = httpx.ASGITransport(app=app)

    async def ask() -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://guardian") as made:
            return (await made.get("/api/findings")).status_code

    import asyncio  # noqa: PLC0415

    assert asyncio.run(ask()) == 200


def test_a_large_or_endless_body_is_refused(client: httpx.Client) -> None:
    assert client.post("/p/1/approve", content=b"x" * 100_000).status_code == 413

    def endless() -> Iterator[bytes]:
        yield b"sure=yes"

    assert client.post("/p/1/approve", content=endless()).status_code == 411
