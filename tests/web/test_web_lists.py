"""Resolvers fetch the lists, unchanged ones for nothing; people see what is held back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardian.clients.lists import fetch_all
from guardian.intel import list_formats, list_state, lists
from guardian.intel.settings import Settings, Source
from guardian.web import Settings as WebSettings
from guardian.web import auth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guardian.store import Store

TOKEN = "hush-3f9"


def build(store: Store, text: str = "ads.example.com\n") -> Path:
    assert store.path is not None
    folder = store.path.parent / "house"
    (folder / "catalogue").mkdir(parents=True, exist_ok=True)
    (folder / "mine.txt").write_text(text)
    (folder / "sources.toml").write_text('[[source]]\nname = "mine"\npath = "mine.txt"\n')
    out = store.path.parent / "lists"
    lists.build(folder, out)
    return out


def test_every_form_is_served_and_an_unchanged_one_is_not_sent(
    store: Store, serve: Callable[..., Any], tmp_path: Path
) -> None:
    out = build(store)
    with serve(store) as page, httpx.Client(base_url=page.url) as http:
        for form, kind in {
            "hosts": "hosts", "domains": "domains", "txt": "domains", "adguard": "adblock",
            "abp": "adblock", "pihole": "adblock", "dnsmasq": "dnsmasq", "unbound": "unbound",
            "rpz": "rpz",
        }.items():  # fmt: skip
            answer = http.get(f"/lists/mine.{form}")
            assert (answer.status_code, answer.headers["content-type"][:10]) == (200, "text/plain")
            path = tmp_path / "got"
            path.write_bytes(answer.content)
            read = list_formats.read(path, list_formats.Format(kind))
            assert read.block["name"].to_list() == ["ads.example.com"], form
        etag, modified = answer.headers["etag"], answer.headers["last-modified"]
        for headers in (
            {"If-None-Match": etag}, {"If-None-Match": f'"x", W/{etag}'}, {"If-None-Match": "*"},
            {"If-Modified-Since": modified},
        ):  # fmt: skip
            same = http.get("/lists/mine.rpz", headers=headers)
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        for headers in (
            {"If-None-Match": '"x"', "If-Modified-Since": modified},
            {"If-Modified-Since": "yesterday"},
            {"If-Modified-Since": "Sat, 01 Aug 1970 10:00:00 GMT"},
        ):
            assert http.get("/lists/mine.rpz", headers=headers).status_code == 200
        head = http.head("/lists/mine.rpz")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == (out / "mine.rpz").stat().st_size
        build(store, "ads.example.com\nnew.example.com\n")
        fresh = http.get("/lists/mine.rpz", headers={"If-None-Match": etag})
        assert fresh.status_code == 200
        assert b"new.example.com" in fresh.content


def test_another_guardian_subscribes(
    store: Store, serve: Callable[..., Any], tmp_path: Path
) -> None:
    build(store, "".join(f"h{i}.example.com\n" for i in range(30_000)))
    with serve(store) as page:
        urls = {"mine": f"{page.url}/lists/mine.adguard"}
        first = asyncio.run(fetch_all(urls, tmp_path / "copies"))["mine"]
        again = asyncio.run(fetch_all(urls, tmp_path / "copies"))["mine"]
    assert (first.error, first.etag is not None) == (None, True)
    assert again.fetched_at == first.fetched_at
    assert list_formats.read(tmp_path / "copies/mine.list").block.height == 30_000


@pytest.mark.parametrize(
    "path",
    ["mine.exe", "nobody.hosts", "..%2fguardian.hosts", "mine", "state.json", ".lock", "a/b.hosts"],
)
def test_nothing_else_is_served(path: str, store: Store, serve: Callable[..., Any]) -> None:
    build(store)
    with serve(store) as page:
        assert httpx.get(f"{page.url}/lists/{path}").status_code == 404


def test_a_token_is_asked_for_and_never_logged(
    store: Store, serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    build(store)
    auth.set_password(store, "correct horse")
    with (
        caplog.at_level("DEBUG", logger="guardian"),
        serve(
            store, settings=WebSettings(login="always"), list_settings=Settings(token=TOKEN)
        ) as page,
    ):
        base = f"{page.url}/lists/mine.hosts"
        assert httpx.get(f"{base}?token={TOKEN}").status_code == 200
        for wrong in ("", "?token=", "?token=hush", "?token=%ff%fe", f"?token={TOKEN}x"):
            assert httpx.get(base + wrong).status_code == 403
        # Without the token nobody learns which lists there are.
        assert httpx.get(f"{page.url}/lists/nobody.hosts").status_code == 403
        assert httpx.get(f"{page.url}/lists").status_code == 303
    assert TOKEN not in caplog.text


def test_a_reader_keeps_the_list_that_it_began(store: Store, serve: Callable[..., Any]) -> None:
    out = build(store, "".join(f"h{i}.example.com\n" for i in range(60_000)))
    whole = (out / "mine.hosts").read_bytes()
    with (
        serve(store) as page,
        httpx.stream("GET", f"{page.url}/lists/mine.hosts", timeout=120) as answer,
    ):
        pieces = answer.iter_bytes(1000)
        got = next(pieces)
        build(store, "".join(f"n{i}.example.com\n" for i in range(40_000)))
        got += b"".join(pieces)
    assert got == whole
    assert (out / "mine.hosts").read_bytes() != whole


def test_the_page_shows_what_is_held_and_a_person_accepts(
    store: Store, serve: Callable[..., Any]
) -> None:
    build(store, "".join(f"h{i}.example.com\n" for i in range(200)))
    out = build(store, "h1.example.com\nspotify.com\n")
    assert list_state.held(out)
    wanted = Settings(source=(Source(name="mine", path="mine.txt", licence="CC0-1.0"),))
    with serve(store, list_settings=wanted) as page, httpx.Client(base_url=page.url) as http:
        text = http.get("/lists").text
        assert "Held back" in text
        assert "spotify.com, which many homes need" in text
        assert f"{page.url}/lists/guardian-all.pihole" in text
        assert "stevenblack" in text
        answer = http.post("/lists/accept", data={"source": "mine"})
        assert answer.status_code == 303
        assert list_state.waiting(out)
        assert http.post("/lists/accept", data={"source": "nobody"}).status_code == 404
