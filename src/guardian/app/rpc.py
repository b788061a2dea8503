"""Let the command line speak to the running daemon, over a socket that only its user may open.

One JSON object a line each way: ``{"call": NAME, "parameters": {…}}`` is answered
``{"result": …}`` or ``{"error": TEXT, "exit_code": N}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import msgspec

from guardian.errors import GuardianError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.app.service import Service

SOCKET_NAME = "guardian.sock"
MAX_LINE_BYTES = 64 << 20
TIMEOUT_S = 300.0


class DaemonError(GuardianError):
    """The daemon answered with an error; it carries the daemon's exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


async def serve(service: Service, directory: Path) -> asyncio.Server:
    """Open the socket in the data directory, which is closed to others."""
    loop = asyncio.get_running_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            line = await reader.readline()
            reply = await loop.run_in_executor(None, _answer, service, line)
            writer.write(reply + b"\n")
            await writer.drain()
        writer.close()

    with _short(directory) as place:
        path = f"{place}/{SOCKET_NAME}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - the path goes through /proc
        old_mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(answer, path, limit=MAX_LINE_BYTES)
        finally:
            os.umask(old_mask)


def ask(directory: Path, name: str, parameters: dict[str, Any]) -> Any:
    """Call the daemon that owns this data directory.

    Raises:
        ConnectionError: no daemon listens there.
        DaemonError: it refused; the message and the exit code are its own.
    """
    request = msgspec.json.encode({"call": name, "parameters": parameters})
    with _short(directory) as place, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(f"{place}/{SOCKET_NAME}")
        except OSError as error:
            raise ConnectionError(str(error)) from error
        connection.sendall(request + b"\n")
        with connection.makefile("rb") as stream:
            reply = msgspec.json.decode(stream.readline() or b"{}")
    if "result" not in reply:
        raise DaemonError(
            reply.get("error", "the daemon closed the line"), reply.get("exit_code", 1)
        )
    return reply["result"]


def _answer(service: Service, line: bytes) -> bytes:
    try:
        request = msgspec.json.decode(line)
        if not isinstance(request, dict) or not isinstance(request.get("parameters"), dict):
            msg = "not a call"
            raise UsageError(msg)
        result = service.call(str(request.get("call")), request["parameters"])
        return msgspec.json.encode({"result": result})
    except msgspec.DecodeError as error:
        return msgspec.json.encode({"error": f"not JSON: {error}", "exit_code": 2})
    except GuardianError as error:
        return msgspec.json.encode({"error": str(error), "exit_code": error.exit_code})


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[str]:
    """Give a short name for a folder: a socket's path may have only 107 bytes."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
