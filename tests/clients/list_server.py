"""A web server that serves lists well and badly, on a port of its own."""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What one path answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    modified: str | None = None
    length: int | None = None
    """What Content-Length says; other than the body's, the answer is cut off."""
    pause_s: float = 0.0
    """How long each 1,000 bytes take."""


class ListServer:
    """Serves ``pages`` by path and remembers the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, ask: BaseHTTPRequestHandler) -> None:
        self.seen.append((ask.path, {k.lower(): v for k, v in ask.headers.items()}))
        page = self.pages.get(ask.path.partition("?")[0], Page(status=404))
        same = (page.etag and ask.headers.get("If-None-Match") == page.etag) or (
            not page.etag
            and page.modified
            and ask.headers.get("If-Modified-Since") == page.modified
        )
        ask.send_response(304 if same else page.status)
        for name, value in page.headers.items():
            ask.send_header(name, value)
        if page.etag:
            ask.send_header("ETag", page.etag)
        if page.modified:
            ask.send_header("Last-Modified", page.modified)
        body = b"" if same else page.body
        ask.send_header(
            "Content-Length", str(page.length if page.length and not same else len(body))
        )
        ask.end_headers()
        try:
            for start in range(0, len(body), 1000):
                ask.wfile.write(body[start : start + 1000])
                if page.pause_s:
                    ask.wfile.flush()
                    time.sleep(page.pause_s)
        except OSError:
            pass
        if page.length and page.length != len(body):
            ask.close_connection = True

    def put(self, path: str, text: str, **more: object) -> None:
        self.pages[path] = Page(body=text.encode(), **more)  # type: ignore[arg-type]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 9)
