"""The daemon of a soak: started, watched, killed, started again."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

START_S = 60.0


@dataclass(slots=True, kw_only=True)
class Watched:
    """The daemon of one soak, through all its lives."""

    data: Path
    options: list[str]
    config: str = ""
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    starts_s: list[float] = field(default_factory=list)
    started_at: float = 0.0
    kills: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    said: str = ""
    """The end of what it wrote to its log."""

    def start(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start it and wait until its page answers; ``meanwhile`` is called again and again."""
        began = time.monotonic()
        config = self.data.parent / "guardian.toml"
        config.write_text(self.config)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "guardian.cli", "run", "--data", str(self.data), "--config",
             str(config), "--listen", "127.0.0.1:0", *self.options],
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "300"},
        )  # fmt: skip
        self.url = self._url(meanwhile)
        self.started_at = time.monotonic()
        self.starts_s.append(self.started_at - began)

    def _url(self, meanwhile: Callable[[], None]) -> str:
        assert self.process is not None
        assert self.process.stderr is not None
        said = b""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            meanwhile()
            if select.select([self.process.stderr], [], [], 0.1)[0]:
                said += os.read(self.process.stderr.fileno(), 65536)
            found = re.search(rb"page: (http://\S+)", said)
            if found:
                os.set_blocking(self.process.stderr.fileno(), False)
                return found[1].decode()
        msg = f"the daemon did not start: {said.decode(errors='replace')[-2000:]}"
        raise RuntimeError(msg)

    def look(self) -> None:
        """Note its memory, and let it go on writing its log."""
        assert self.process is not None
        if self.process.stderr is not None:
            said = self.process.stderr.read() or b""
            self.said = (self.said + said.decode(errors="replace"))[-2000:]
        if self.process.poll() is not None:
            msg = f"the daemon ended by itself ({self.process.returncode}): {self.said}"
            raise RuntimeError(msg)
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", text)
        if found:
            self.memory.append((time.monotonic(), int(found[1]) / 1024))

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def status(self) -> dict[str, Any]:
        """Return what the daemon says of itself."""
        found: dict[str, Any] = httpx.get(f"{self.url}/api/status", timeout=60).json()
        return found
