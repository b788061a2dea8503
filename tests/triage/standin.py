"""A stand-in that speaks Ollama's protocol on the loopback, and can fail in every known way.

It is no Ollama. Its requests and answers are checked against Ollama's published API
description where that is at hand. Error bodies follow the server's own source.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DIGEST = "a" * 64


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class StandIn:
    """``reply`` makes the answer's text from the request; ``fault`` names how it fails."""

    reply: Callable[[dict[str, Any]], str | Awaitable[str]] = lambda _: "{}"
    vector: Callable[[str], list[float]] = lambda _: [1.0, 0.0]
    fault: str = ""
    remote: bool = False
    on_gpu: bool = True
    done_reason: str = "stop"
    busy_times: int = 0
    model: str = "small:latest"
    digest: str = DIGEST
    loaded: bool = True
    delay_s: float = 0.0
    at_once: int = 0
    most_at_once: int = 0
    loads: list[tuple[float, float]] = field(default_factory=list)
    seen: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    sent: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {
                    k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:] if ": " in x)
                }
                size = int(headers.get("content-length", 0))
                body = json.loads(await reader.readexactly(size)) if size else {}
                self.seen.append((f"{method} {path}", body, headers))
                await self._answer(path, body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if path == "/api/tags":
            model = {
                "name": self.model,
                "model": self.model,
                "digest": self.digest,
                "size": 1000,
                "modified_at": "2026-10-21T00:00:00Z",
                "details": {"format": "gguf"},
            }
            if self.remote:
                model |= {"remote_host": "https://ollama.com", "remote_model": "big"}
            self._json(writer, 200, {"models": [model]}, path)
        elif path == "/api/ps":
            self._json(
                writer,
                200,
                {"models": [self._running()] if self.loaded else []},
                path,
            )
        elif path == "/api/chat" and not body["messages"]:
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(self.delay_s)
            self.loads.append((began, asyncio.get_running_loop().time()))
            self.loaded = True
            value = json.loads(self._line(body, "", done=True)) | {"done_reason": "load"}
            self._json(writer, 200, value, path)
        elif path == "/api/chat":
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await asyncio.sleep(self.delay_s)
            try:
                await self._chat(body, writer)
            finally:
                self.at_once -= 1
        elif path == "/api/embed":
            rows = [self.vector(text) for text in body["input"]]
            value = {"model": body["model"], "embeddings": rows, "total_duration": 5,
                     "load_duration": 1, "prompt_eval_count": 9}  # fmt: skip
            self._json(writer, 200, value, path)
        else:
            self._json(writer, 404, {"error": "not found"}, path)

    def _running(self) -> dict[str, Any]:
        return {
            "name": self.model,
            "model": self.model,
            "size": 1000,
            "digest": self.digest,
            "expires_at": "2026-10-21T00:00:00Z",
            "details": {},
            "size_vram": 1000 if self.on_gpu else 0,
            "context_length": 4096,
        }

    def _json(self, writer: asyncio.StreamWriter, status: int, value: Any, path: str = "") -> None:
        if status == 200:
            self.sent.append((path, value))
        data = json.dumps(value).encode()
        self._raw(writer, status, data, "application/json")

    def _raw(self, writer: asyncio.StreamWriter, status: int, data: bytes, kind: str) -> None:
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (status, kind.encode(), len(data), data)
        )

    async def _chat(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if self.busy_times > 0:
            self.busy_times -= 1
            self._json(
                writer,
                503,
                {"error": "server busy, please try again.  maximum pending requests exceeded"},
            )
            return
        whole = {
            "404": (404, {"error": f"model '{body['model']}' not found"}),
            "503": (503, {"error": "server busy, please try again"}),
            "list": (500, ["error"]),
            "wrong-shape": (200, {"message": "a text"}),
        }
        if self.fault in whole:
            self._json(writer, *whole[self.fault])
            return
        if self.fault == "html-502":
            self._raw(writer, 502, b"<html>bad gateway</html>", "text/html")
            return
        if self.fault == "slow":
            await asyncio.sleep(3600)
        made = self.reply(body)
        text = made if isinstance(made, str) else await made
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        half = len(text) // 2
        lines = [self._line(body, text[:half]), self._line(body, text[half:])]
        if self.fault == "mid-stream":
            lines[1] = b'{"error":"llama runner process no longer running","status":500}\n'
        elif self.fault == "half-line":
            lines[1] = lines[1][: len(lines[1]) // 2]
        elif self.fault == "cut":
            writer.write(chunked(lines[0]))
            writer.write(b"ffff\r\n{")
            await writer.drain()
            writer.close()
            return
        elif self.fault == "blank-line":
            lines[1] = b"\n"
        if self.fault not in ("mid-stream", "half-line", "no-done", "blank-line"):
            lines.append(self._line(body, "", done=True))
        for line in lines:
            writer.write(chunked(line))
        writer.write(b"0\r\n\r\n")

    def _line(self, body: dict[str, Any], text: str, *, done: bool = False) -> bytes:
        value: dict[str, Any] = {
            "model": body["model"],
            "created_at": "2026-10-21T00:00:00Z",
            "message": {"role": "assistant", "content": text},
            "done": done,
        }
        if done:
            value |= {
                "done_reason": self.done_reason,
                "total_duration": 5,
                "load_duration": 1,
                "prompt_eval_count": 900,
                "prompt_eval_duration": 1,
                "eval_count": 120,
                "eval_duration": 1,
            }
        self.sent.append(("/api/chat", value))
        return json.dumps(value).encode() + b"\n"
