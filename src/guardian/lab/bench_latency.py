"""Measure how long a line of Suricata's log takes to the page, under a steady load.

The real daemon reads a log that grows at a given rate. Now and then a line of its own kind
is written (a marker), and the page's JSON is asked until it counts it: that is a row made
visible. Other markers are alerts, timed until the page lists them as findings: those were
judged as well. Asking takes part of the time, as a browser would.
"""

from __future__ import annotations

import json
import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from guardian.lab import eve_sample

if TYPE_CHECKING:
    from collections.abc import Callable

RATES = (200, 2000)
"""Events a second: a busy home, and the design's load."""
WARM_S = 10.0
"""Not counted: the first rows, caches, the first round of every detector."""
MEASURE_S = 30.0
TICK_S = 0.1
"""Suricata's own buffer brings lines in such bursts."""
MARK_EVERY_S = 0.7
ALERT_EVERY_S = 2.5
ASK_EVERY_S = 0.1
TARGET_S = 2.0
_START_S = 60.0
_TEMPLATES = 4000
_FIRST_SID = 8_000_000
_END = {"src_ip": "192.168.1.77", "src_port": 50000, "dest_port": 443, "proto": "TCP"}


def run(size: int = int(MEASURE_S)) -> dict[str, Any]:
    """Measure ``size`` seconds at each rate; times are in seconds."""
    return {
        "target_p95_s": TARGET_S,
        "rates": [_measure(rate, float(size)) for rate in RATES],
    }


@dataclass(slots=True)
class _Log:
    """The log, the load that is written to it, and when each marker was."""

    path: Path
    rate: int
    stop: threading.Event = field(default_factory=threading.Event)
    written: int = 0
    marks: list[float] = field(default_factory=list)
    alerts: dict[int, float] = field(default_factory=dict)

    def grow(self) -> None:
        """Write until told to stop; a tick that came late is made up for."""
        templates = self._templates()
        began = time.monotonic()
        mark_at, alert_at = began, began + 1.0
        with self.path.open("ab", buffering=0) as out:
            while not self.stop.is_set():
                now = time.monotonic()
                missing = int((now - began) * self.rate) - self.written
                stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
                lines = [
                    templates[(self.written + at) % len(templates)]
                    .replace("%TIME%", stamp)
                    .replace("%NUMBER%", str(self.written + at + 1))
                    for at in range(missing)
                ]
                self.written += missing
                if now >= mark_at:
                    mark_at += MARK_EVERY_S
                    lines.append(self._mark(stamp))
                    self.marks.append(time.monotonic())
                if now >= alert_at:
                    alert_at += ALERT_EVERY_S
                    sid = _FIRST_SID + len(self.alerts)
                    lines.append(self._alert(stamp, sid))
                    self.alerts[sid] = time.monotonic()
                if lines:
                    out.write(("\n".join(lines) + "\n").encode())
                time.sleep(TICK_S)

    def _templates(self) -> list[str]:
        pattern = self.path.with_name("templates.json")
        eve_sample.write(pattern, _TEMPLATES)
        lines = pattern.read_text(encoding="utf-8").splitlines()
        pattern.unlink()
        stamp = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+0000")
        number = re.compile(r'"flow_id":\d+')
        return [number.sub('"flow_id":%NUMBER%', stamp.sub("%TIME%", line)) for line in lines]

    def _mark(self, stamp: str) -> str:
        return json.dumps(
            {"timestamp": stamp, "event_type": "mark", "dest_ip": "203.0.113.7", **_END}
        )

    def _alert(self, stamp: str, sid: int) -> str:
        alert = {
            "action": "allowed", "gid": 1, "signature_id": sid, "rev": 1, "severity": 2,
            "signature": f"LATENCY {sid}", "category": "Misc activity",
        }  # fmt: skip
        event = {"timestamp": stamp, "flow_id": sid, "event_type": "alert", "alert": alert}
        return json.dumps({**event, "dest_ip": f"203.0.113.{sid % 200 + 10}", **_END})


def _measure(rate: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="guardian-latency-") as name:
        folder = Path(name)
        log = _Log(folder / "eve.json", rate)
        log.path.touch()
        process, url = _start(folder, log.path)
        writer = threading.Thread(target=log.grow, daemon=True)
        try:
            writer.start()
            rows, judged, asked = _watch(log, url, until=time.monotonic() + WARM_S + seconds)
            memory = _memory_mb(process.pid)
        finally:
            log.stop.set()
            process.terminate()
            process.wait(60)
            writer.join()
    return {
        "events_per_s": rate,
        "rows": _figures(rows),
        "judged": _figures(judged),
        "asking_p50_s": round(statistics.median(asked), 3),
        "memory_mb": memory,
    }


def _watch(log: _Log, url: str, *, until: float) -> tuple[list[float], list[float], list[float]]:
    """Ask the page again and again; return the delays of rows and findings, and of asking."""
    begin = time.monotonic() + WARM_S
    rows: list[float] = []
    judged: list[float] = []
    asked: list[float] = []
    counted = 0
    found: set[int] = set()

    def ask(path: str, take: Callable[[Any], None]) -> None:
        began = time.monotonic()
        take(client.get(f"{url}{path}").json())
        asked.append(time.monotonic() - began)

    def count(status: dict[str, Any]) -> None:
        nonlocal counted
        now, seen = time.monotonic(), int(status["events"].get("mark", 0))
        rows.extend(now - at for at in log.marks[counted:seen] if at >= begin)
        counted = max(counted, seen)

    def list_(findings: list[dict[str, Any]]) -> None:
        now, text = time.monotonic(), json.dumps(findings)
        for sid, at in list(log.alerts.items()):
            if sid not in found and f"LATENCY {sid}" in text:
                found.add(sid)
                if at >= begin:
                    judged.append(now - at)

    with httpx.Client(timeout=60) as client:
        while time.monotonic() < until:
            ask("/api/status", count)
            ask("/api/findings?class=policy_violation&limit=1000", list_)
            time.sleep(ASK_EVERY_S)
    late = time.monotonic()
    rows += [late - at for at in log.marks[counted:] if begin <= at < late - TARGET_S]
    judged += [
        late - at
        for sid, at in log.alerts.items()
        if sid not in found and begin <= at < late - TARGET_S
    ]
    return rows, judged, asked


def _figures(delays: list[float]) -> dict[str, Any]:
    if not delays:
        return {"markers": 0}
    ranked = sorted(delays)
    return {
        "markers": len(ranked),
        "p50_s": round(ranked[len(ranked) // 2], 2),
        "p95_s": round(ranked[min(len(ranked) - 1, int(len(ranked) * 0.95))], 2),
        "worst_s": round(ranked[-1], 2),
        "within_target": round(sum(each <= TARGET_S for each in ranked) / len(ranked), 3),
    }


def _start(folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the daemon and wait for its page."""
    config = folder / "guardian.toml"
    config.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "guardian.cli", "run", "--data", str(folder / "data"), "--config",
         str(config), "--listen", "127.0.0.1:0", "--eve", str(log)],
        stderr=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1", "COLUMNS": "300"},
    )  # fmt: skip
    assert process.stderr is not None
    said = b""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        if select.select([process.stderr], [], [], 0.5)[0]:
            said += os.read(process.stderr.fileno(), 65536)
        page = re.search(rb"page: (http://\S+)", said)
        if page:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, page[1].decode()
    process.kill()
    process.wait()
    msg = f"the daemon did not start: {said.decode(errors='replace')[-2000:]}"
    raise RuntimeError(msg)


def _memory_mb(process_id: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process_id}/status").read_text())
    return int(found[1]) // 1024 if found else 0
