"""Ask a running Suricata: its command socket takes one JSON object and answers with one.

https://docs.suricata.io/en/latest/unix-socket.html
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from guardian.errors import CollectorError

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_BYTES = 4 << 20
"""A longer answer is refused: all counters of Suricata take some 20 kB."""

TIMEOUT_S = 5.0


class Command:
    """One conversation with one Suricata; use it as a context."""

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def __enter__(self) -> Command:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.settimeout(self._timeout_s)
        self._socket = opened
        try:
            opened.connect(str(self._path))
            self._exchange({"version": "0.2"})
        except OSError as error:
            opened.close()
            msg = f"Suricata does not answer at {self._path}: {error.strerror or error}"
            raise CollectorError(msg) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def ask(self, command: str, **arguments: str) -> Any:
        """Return the message of the answer.

        Raises:
            CollectorError: no answer in time, or Suricata refuses.
        """
        question: dict[str, Any] = {"command": command}
        if arguments:
            question["arguments"] = arguments
        try:
            answer = self._exchange(question)
        except OSError as error:
            msg = f"Suricata did not answer {command}: {error.strerror or error}"
            raise CollectorError(msg) from error
        if answer.get("return") != "OK":
            msg = f"Suricata refused {command}: {str(answer.get('message'))[:200]}"
            raise CollectorError(msg)
        return answer.get("message")

    def _exchange(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._socket is None:
            msg = "a conversation that was not begun"
            raise CollectorError(msg)
        self._socket.sendall(json.dumps(question).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = self._socket.recv(1 << 16)
            answer += part
            if not part or len(answer) > ANSWER_BYTES:
                msg = "an answer without an end"
                raise CollectorError(msg)
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError) as error:
            msg = "an answer that is not JSON"
            raise CollectorError(msg) from error
        return found if isinstance(found, dict) else {}
