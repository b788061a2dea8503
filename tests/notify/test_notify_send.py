"""Delivery over a real SMTP session, and to a Gotify checked against its own description."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from aiosmtpd.controller import Controller

from guardian.errors import ConfigError
from guardian.notify import Channel, Digest, Settings
from guardian.notify.send import as_markdown, check, send, send_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LETTER = Digest(
    title="One thing needs your answer.", text="Plain, with “quotes”.\n", html="<p>Rich</p>"
)
TOKEN = "AbCdEfGhIjKlMnO"


class Inbox:
    """What an SMTP server was given."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def smtp() -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, port
    controller.stop()


@pytest.fixture
def gotify() -> Iterator[tuple[list[tuple[dict[str, str], Any]], int]]:
    seen: list[tuple[dict[str, str], Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            right = self.path == "/message" and TOKEN in (self.headers.get("X-Gotify-Key"), None)
            seen.append(({**dict(self.headers), "path": self.path}, body))
            answer = json.dumps(
                {"id": 1, "appid": 1, "date": "2026-11-21T21:30:00Z", **body}
                if right
                else {"error": "Unauthorized", "errorCode": 401, "errorDescription": "no"}
            ).encode()
            self.send_response(200 if right else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield seen, server.server_address[1]
    server.shutdown()
    server.server_close()


def mail(port: int, **more: Any) -> Channel:
    url = (
        f"mailto://guardian:secretpw@127.0.0.1:{port}/?from=guardian@home.example"
        "&to=anna@home.example&smtp=127.0.0.1&mode=insecure"
    )
    return Channel(name="anna", url=url, **more)


def test_a_mail_has_both_parts(smtp: tuple[Inbox, int]) -> None:
    inbox, port = smtp
    # aiosmtpd offers AUTH only over TLS; the address of a plain home relay has no user.
    channel = Channel(name="anna", url=mail(port).url.replace("guardian:secretpw@", ""))
    assert send(LETTER, Settings(channels=(channel,))) == {"anna": True}
    (message,) = inbox.messages
    assert message["Subject"] == LETTER.title
    parts = {part.get_content_type(): part for part in message.walk()}
    assert "<p>Rich</p>" in parts["text/html"].get_content()
    assert "text/plain" in parts


def test_the_plain_part_is_the_letters_own(smtp: tuple[Inbox, int]) -> None:
    inbox, port = smtp
    channel = Channel(name="a", url=mail(port).url.replace("guardian:secretpw@", ""), format="text")
    assert send(LETTER, Settings(channels=(channel,))) == {"a": True}
    (message,) = inbox.messages
    body = next(p for p in message.walk() if p.get_content_type() == "text/plain")
    assert "Plain, with “quotes”." in body.get_content()


def test_gotify_gets_what_its_description_asks(
    gotify: tuple[list[tuple[dict[str, str], Any]], int], shared: Path
) -> None:
    seen, port = gotify
    description = json.loads((shared / "apis" / "gotify-swagger2-MIT.json").read_text())
    channel = Channel(name="phone", url=f"gotify://127.0.0.1:{port}/{TOKEN}", format="markdown")
    assert send(LETTER, Settings(channels=(channel,))) == {"phone": True}
    ((headers, body),) = seen
    assert headers["path"] in description["paths"]
    reference = description["paths"]["/message"]["post"]["parameters"][0]["schema"]["$ref"]
    schema = {**description["definitions"][reference.rsplit("/", 1)[1]]}
    jsonschema.validate(body, {**schema, "definitions": description["definitions"]})
    assert body["title"] == LETTER.title
    assert body["extras"]["client::display"]["contentType"] == "text/markdown"
    assert headers["X-Gotify-Key"] == TOKEN


def test_each_channel_has_its_own_outcome_and_no_secret_is_logged(
    gotify: tuple[list[tuple[dict[str, str], Any]], int], caplog: pytest.LogCaptureFixture
) -> None:
    _, port = gotify
    caplog.set_level(logging.DEBUG)
    channels = (
        Channel(name="good", url=f"gotify://127.0.0.1:{port}/{TOKEN}"),
        Channel(name="wrong", url=f"gotify://127.0.0.1:{port}/wrongtokenwrong"),
        Channel(name="away", url=f"gotify://127.0.0.1:1/{TOKEN}"),
        Channel(name="urgent", url=f"gotify://127.0.0.1:{port}/{TOKEN}", tags=("urgent",)),
    )
    sent = send(LETTER, Settings(channels=channels))
    assert sent == {"good": True, "wrong": False, "away": False}
    guardian = [
        r.getMessage() for r in caplog.records if r.name.startswith(("guardian", "apprise"))
    ]
    assert any("wrong" in line for line in guardian)
    assert not any(TOKEN in line or "wrongtokenwrong" in line for line in guardian)
    assert send_text("Blind", "No packets.", Settings(channels=channels), tag="urgent") == {
        "good": True, "wrong": False, "away": False, "urgent": True,
    }  # fmt: skip


def silent_channel(server: socket.socket) -> Channel:
    server.bind(("127.0.0.1", 0))
    server.listen()
    return Channel(
        name="silent", url=f"gotify://127.0.0.1:{server.getsockname()[1]}/{TOKEN}?rto=120"
    )


def test_a_silent_server_does_not_hold_up_the_others(
    gotify: tuple[list[tuple[dict[str, str], Any]], int],
) -> None:
    received, port = gotify
    silent = socket.socket()
    channels = (
        silent_channel(silent),
        Channel(name="good", url=f"gotify://127.0.0.1:{port}/{TOKEN}"),
    )

    def hang_up_when_the_other_has_it() -> None:
        until = time.monotonic() + 60
        while not received and time.monotonic() < until:
            time.sleep(0.01)
        silent.close()

    watcher = threading.Thread(target=hang_up_when_the_other_has_it)
    watcher.start()
    sent = send(LETTER, Settings(channels=channels, timeout_s=60.0))
    watcher.join()
    assert sent == {"silent": False, "good": True}


def test_a_silent_server_is_not_waited_for() -> None:
    with socket.socket() as silent:
        channel = silent_channel(silent)
        before = threading.enumerate()
        assert send(LETTER, Settings(channels=(channel,), timeout_s=0.3)) == {"silent": False}
        working = [each for each in threading.enumerate() if each not in before]
        assert len(working) == 1, "the server still has it"
    working[0].join(60)


@pytest.mark.parametrize(
    "channel",
    [
        Channel(name="odd", url="nosuch://topsecret@x"),
        Channel(name="odd", url="gotify://h/topsecrettoken1", format="pdf"),
    ],
)
def test_a_wrong_channel_is_named_without_its_address(channel: Channel) -> None:
    with pytest.raises(ConfigError) as caught:
        check(Settings(channels=(channel,)))
    assert "odd" in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_markdown_shows_just_the_text() -> None:
    made = as_markdown("1. a_b* [x](http://evil)\n   http://h/p/1")
    assert made == "1. a\\_b\\* \\[x\\](http://evil)  \n<http://h/p/1>"
