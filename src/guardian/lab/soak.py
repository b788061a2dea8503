"""Let the daemon run under load, kill it again and again, and count.

Mixed sources grow at a steady rate while the real daemon reads them; it is killed (SIGKILL)
at random moments and started again. In the end the store must hold each event exactly
once, and the memory of the daemon must not have grown in the part without kills.

``scripts/soak --minutes 120`` is two hours of real time; ``--speed 8`` puts eight times the
events into the same time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from guardian.lab.soak_sources import SHARES, Eve, PiholeDb, PiholeLog, Zeek
from guardian.store import Store

RATE = 2000.0
"""Events a second at speed 1."""
TICK_S = 0.1
CALM_SHARE = 0.4
"""The last part of the time has no kills: memory is watched there."""
WARM_SHARE = 0.25
"""The first part of that is not counted: caches fill."""
WARM_S = 180.0
"""Nor are so many seconds after a start: names that are remembered come one by one."""
JUDGED_S = 240.0
"""Memory rises for half a minute and is given back: over less time its slope is chance."""
START_S = 60.0
DRAIN_S = 300.0
"""How long everything may take to be stored after the last event."""
SLOPE_MB_PER_MIN = 3.0
"""Memory that grows faster than this, in the calm part, is not flat."""

Source = Eve | PiholeLog | PiholeDb | Zeek


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

    def start(self) -> None:
        """Start it and wait until its page answers."""
        began = time.monotonic()
        config = self.data.parent / "guardian.toml"
        config.write_text(self.config)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "guardian.cli", "run", "--data", str(self.data), "--config",
             str(config), "--listen", "127.0.0.1:0", *self.options],
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "300"},
        )  # fmt: skip
        self.url = self._url()
        self.started_at = time.monotonic()
        self.starts_s.append(self.started_at - began)

    def _url(self) -> str:
        assert self.process is not None
        assert self.process.stderr is not None
        said = b""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            if select.select([self.process.stderr], [], [], 0.5)[0]:
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
            self.process.stderr.read()
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

    def stored(self) -> int:
        """Return how many rows the daemon says it has."""
        answer = httpx.get(f"{self.url}/api/status", timeout=60).json()
        return sum(answer["events"].values())


def run(
    folder: Path, *, minutes: float, speed: float, kills: int, seed: int, rate: float = RATE
) -> dict[str, Any]:
    """Run one soak and return its figures; ``exact`` and ``flat`` are the verdict.

    ``flat`` is None when the part without kills was too short to say.
    """
    chance = random.Random(seed)  # noqa: S311 - the same moments again are the point
    sources: list[tuple[Source, float]] = [(make(folder), share) for make, share in SHARES]
    options = [word for source, _ in sources for word in source.option]
    daemon = Watched(data=folder / "data", options=options)
    length_s = minutes * 60 / speed
    moments = sorted(chance.uniform(2.0, length_s * (1 - CALM_SHARE)) for _ in range(kills))
    began = time.monotonic()
    daemon.start()
    calm_since = _load(daemon, sources, rate * speed, speed, length_s, moments)
    written = sum(rows for source, _ in sources for rows, _ in source.totals().values())
    ended = time.monotonic()
    loaded_s = ended - began
    drained_s = _drain(daemon, written)
    code = daemon.stop()
    wrong = compare(folder / "data", [source for source, _ in sources])
    since = max(calm_since, daemon.started_at + WARM_S)
    memory = _memory([each for each in daemon.memory if each[0] <= ended], since)
    judged = ended - since >= JUDGED_S
    return {
        "events": written,
        "seconds": round(loaded_s, 1),
        "events_per_s": round(written / loaded_s),
        "kills": daemon.kills,
        "exact": not wrong,
        "wrong": wrong,
        "drained_s": round(drained_s, 1),
        "start_s": round(max(daemon.starts_s), 1),
        "exit_code": code,
        **memory,
        "flat": memory["memory_slope_mb_per_min"] <= SLOPE_MB_PER_MIN if judged else None,
        "seed": seed,
    }


def _load(
    daemon: Watched,
    sources: list[tuple[Source, float]],
    rate: float,
    speed: float,
    length_s: float,
    moments: list[float],
) -> float:
    """Let the sources grow and kill at the moments; return when the calm part began."""
    began = time.monotonic()
    virtual = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=length_s * speed)
    due = list(moments)
    given, owed = 0.0, {id(source): 0.0 for source, _ in sources}
    while (at := time.monotonic() - began) < length_s or due:
        number = rate * min(at, length_s) - given
        given += number
        moment = virtual + timedelta(seconds=min(at, length_s) * speed)
        for source, share in sources:
            owed[id(source)] += number * share
            whole = int(owed[id(source)])
            if whole:
                source.grow(whole, moment)
                owed[id(source)] -= whole
        daemon.look()
        if due and at >= due[0]:
            due.pop(0)
            daemon.kill()
            daemon.start()
        time.sleep(max(0.0, TICK_S - (time.monotonic() - began - at)))
    for source, _ in sources:
        source.end(virtual + timedelta(seconds=length_s * speed + 120))
    return began + length_s * (1 - CALM_SHARE * (1 - WARM_SHARE))


def _drain(daemon: Watched, written: int) -> float:
    """Wait until as many rows are stored as were written; give up after ``DRAIN_S``."""
    began = time.monotonic()
    while time.monotonic() - began < DRAIN_S and daemon.stored() < written:
        daemon.look()
        time.sleep(0.5)
    return time.monotonic() - began


def compare(data: Path, sources: list[Source]) -> list[str]:
    """Return what a store holds otherwise than was written; empty: each event exactly once."""
    wrong = []
    store = Store.open(data)
    try:
        with store.read() as reader:
            for source in sources:
                for table, expected in source.totals().items():
                    where = " AND " if " WHERE " in source.query else " WHERE "
                    row = reader.one(
                        source.query.format(table=table) + where + "source_id IN "
                        "(SELECT source_id FROM source WHERE path = ?)",
                        [source.option[1]],
                    )
                    found = (row["rows"], row["sum"]) if row else (0, 0)
                    if found != expected:
                        wrong.append(f"{source.kind} {table}: {found} instead of {expected}")
            rejected = reader.value("SELECT sum(rejected) FROM source")
            if rejected:
                wrong.append(f"{rejected} pieces refused")
    finally:
        store.close()
    return wrong


def _memory(samples: list[tuple[float, float]], since: float) -> dict[str, float]:
    """Return the greatest memory and how fast it grew since a moment, in megabytes."""
    calm = [(at / 60, used) for at, used in samples if at >= since]
    most = max((used for _, used in samples), default=0.0)
    slope = 0.0
    if len(calm) > 2:
        middle = sum(at for at, _ in calm) / len(calm)
        mean = sum(used for _, used in calm) / len(calm)
        spread = sum((at - middle) ** 2 for at, _ in calm)
        slope = sum((at - middle) * (used - mean) for at, used in calm) / spread if spread else 0.0
    return {
        "memory_judged_s": round(60 * (calm[-1][0] - calm[0][0])) if calm else 0,
        "memory_most_mb": round(most),
        "memory_median_mb": round(sorted(used for _, used in samples)[len(samples) // 2]),
        "memory_calm_most_mb": round(max((used for _, used in calm), default=0.0)),
        "memory_slope_mb_per_min": round(slope, 2),
    }


def passed(figures: dict[str, Any]) -> bool:
    """Tell whether every row is there once, memory did not grow, and the daemon ended well."""
    return bool(figures["exact"] and figures["flat"] is not False and figures["exit_code"] == 0)


def verdict(figures: dict[str, Any]) -> str:
    """Return the one line that a person reads."""
    rows = "each exactly once" if figures["exact"] else "NOT EXACT: " + "; ".join(figures["wrong"])
    slope = f"{figures['memory_slope_mb_per_min']:+.1f} MB a minute when warm"
    return (
        f"soak {'passed' if passed(figures) else 'FAILED'}: {figures['events']:,} events in "
        f"{figures['seconds']:,.0f} s, {figures['kills']} kills, {rows}; memory at most "
        f"{figures['memory_most_mb']} MB, half the time under {figures['memory_median_mb']} MB, "
        + ("too short to say whether it grows" if figures["flat"] is None else slope)
    )


def main() -> int:
    """Run a soak as the command line says; 0 when it passed."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Load, kill and count.")
    parser.add_argument("--minutes", type=float, default=120, help="of traffic (default 120)")
    parser.add_argument("--speed", type=float, default=1, help="times as fast (default 1)")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second at speed 1")
    parser.add_argument("--kills", type=int, help="default: one for each 40 s that it takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a new folder to work in, and to keep")
    options = parser.parse_args()
    took_s = options.minutes * 60 / options.speed
    kills = options.kills if options.kills is not None else max(1, int(took_s / 40))
    with tempfile.TemporaryDirectory(prefix="guardian-soak-") as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        figures = run(
            folder,
            minutes=options.minutes,
            speed=options.speed,
            kills=kills,
            seed=options.seed,
            rate=options.rate,
        )
    sys.stdout.write(verdict(figures) + "\n" + json.dumps(figures) + "\n")
    return 0 if passed(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
