"""Lists come by URL whole or not at all, only when they changed, and within limits."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
from typing import TYPE_CHECKING

import pytest

from clients.list_server import ListServer, Page, packed
from guardian.clients.lists import FetchLimits, fetch_all, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.model.download import Download

FAST = FetchLimits(max_bytes=200_000, timeout_s=60.0, attempts=2, pause_s=0.01)
HASTY = dataclasses.replace(FAST, timeout_s=0.5)
TEXT = "0.0.0.0 ads.example.com\n" * 20


@pytest.fixture
def server() -> Iterator[ListServer]:
    made = ListServer()
    yield made
    made.close()


def get(
    server: ListServer, folder: Path, path: str = "/list", limits: FetchLimits = FAST
) -> Download:
    url = path if path.startswith("http") else server.url + path
    return asyncio.run(fetch_all({"mine": url}, folder, limits))["mine"]


@pytest.mark.parametrize(
    "stamp", [{"etag": '"abc"'}, {"modified": "Sat, 01 Aug 2026 10:00:00 GMT"}]
)
def test_an_unchanged_list_is_not_sent_again(
    stamp: dict[str, str], server: ListServer, tmp_path: Path
) -> None:
    server.put("/list", TEXT, **stamp)
    first = get(server, tmp_path)
    assert (tmp_path / "mine.list").read_text() == TEXT
    assert (first.error, first.bytes, first.plain) == (None, len(TEXT), True)
    again = get(server, tmp_path)
    assert again.error is None
    assert (again.sha256, again.fetched_at) == (first.sha256, first.fetched_at)
    assert server.seen[1][1].keys() & {"if-none-match", "if-modified-since"}
    server.put("/list", TEXT + "0.0.0.0 new.example.com\n", etag='"def"')
    assert get(server, tmp_path).sha256 != first.sha256


def test_a_copy_that_is_gone_is_fetched_whole(server: ListServer, tmp_path: Path) -> None:
    server.put("/list", TEXT, etag='"abc"')
    get(server, tmp_path)
    (tmp_path / "mine.list").unlink()
    assert get(server, tmp_path).bytes == len(TEXT)
    # Another address under the same name: the old ETag means nothing there.
    server.put("/other", "x.example.com\n", etag='"abc"')
    assert get(server, tmp_path, "/other").bytes == len("x.example.com\n")


BAD = {
    "500": (Page(status=500), "answered 500"),
    "404": (Page(status=404), "answered 404"),
    "cut off": (Page(body=TEXT.encode(), length=10_000), "without sending complete"),
    "too large": (Page(body=b"x" * 200_001), "more than 200,000 bytes"),
    "slow": (Page(body=b"x" * 9_000, pause_s=60.0), "not all of it came in 0.5 s"),
    "a bomb": (
        Page(body=packed(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"}),
        "more than 200,000 bytes",
    ),
    "a packed bomb": (
        Page(body=packed(packed(b"0" * 50_000_000)), headers={"Content-Encoding": "gzip"}),
        "more than 200,000 bytes",
    ),
    "cut gzip": (
        Page(body=packed(TEXT.encode())[:-9], headers={"Content-Encoding": "gzip"}),
        "ends in the middle",
    ),
    "no gzip": (Page(body=b"plain", headers={"Content-Encoding": "gzip"}), "cannot be unpacked"),
    "odd packing": (Page(body=b"?", headers={"Content-Encoding": "br"}), "not asked for"),
    "a loop": (Page(status=302, headers={"Location": "/list"}), "more than 5 redirects"),
    "nowhere": (Page(status=302), "redirects to no web address"),
    "to a file": (Page(status=302, headers={"Location": "file:///etc/passwd"}), "no web address"),
    "no address": (Page(status=302, headers={"Location": "http://["}), "no web address"),
    "304 of nothing": (Page(status=304), "answered 304"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_goes_wrong_leaves_the_last_copy(
    what: str, server: ListServer, tmp_path: Path
) -> None:
    page, reason = BAD[what]
    limits = HASTY if what == "slow" else FAST
    server.pages["/list"] = page
    never = get(server, tmp_path, limits=limits)
    assert reason in (never.error or "")
    assert never.sha256 is None
    assert not (tmp_path / "mine.list").exists()
    server.put("/list", TEXT)
    good = get(server, tmp_path)
    assert good.error is None
    if what != "304 of nothing":
        server.pages["/list"] = page
        bad = get(server, tmp_path, limits=limits)
        assert reason in (bad.error or "")
        assert (bad.sha256, bad.fetched_at) == (good.sha256, good.fetched_at)
    assert (tmp_path / "mine.list").read_text() == TEXT
    assert not list(tmp_path.glob("*.new"))


def test_nobody_there(server: ListServer, tmp_path: Path) -> None:
    server.close()
    assert "mine" not in (get(server, tmp_path).error or "mine")


def test_a_busy_server_is_asked_twice(server: ListServer, tmp_path: Path) -> None:
    server.pages["/list"] = Page(status=503)
    get(server, tmp_path)
    assert len(server.seen) == 2
    server.pages["/list"] = Page(status=404)
    get(server, tmp_path)
    assert len(server.seen) == 3


@pytest.mark.parametrize("parts", [1, 2])
def test_redirects_and_packed_files(parts: int, server: ListServer, tmp_path: Path) -> None:
    server.pages["/list"] = Page(status=301, headers={"Location": "/list.gz"})
    body = b"".join(gzip.compress(TEXT.encode()) for _ in range(parts))
    server.pages["/list.gz"] = Page(body=body, etag='"z"')
    found = get(server, tmp_path)
    assert found.error is None
    assert (tmp_path / "mine.list").read_text() == TEXT * parts
    server.pages["/list.gz"] = Page(body=b"0", etag='"one"')
    assert get(server, tmp_path).bytes == 1


def test_what_is_shown_holds_no_key() -> None:
    assert shown("https://me:secret@x.example/list?key=1#a") == "https://x.example/list"
