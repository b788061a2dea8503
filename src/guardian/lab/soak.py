"""Let the daemon run under load, kill it again and again, and count.

Mixed sources grow at a steady rate while the real daemon reads them; it is killed (SIGKILL)
at random moments and started again, and the sources go on meanwhile. In the end the store
must hold each event of a file or database exactly once; of what came over sockets nothing
twice and nothing unsent, and all but what nobody listened to (``soak_sockets``). The memory
of the daemon must not have grown in the part without kills (``soak_memory``).

``scripts/soak --minutes 120`` is two hours of real time; with ``--speed 8`` the same two
hours of traffic come in fifteen minutes, eight times as many events a second.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.lab import soak_memory
from guardian.lab.soak_daemon import Watched
from guardian.lab.soak_sockets import (
    GRACE_S,
    SOCKET_SHARES,
    Account,
    EveStream,
    Netflow,
    Syslog,
    account,
)
from guardian.lab.soak_sources import SHARES, Eve, PiholeDb, PiholeLog, Zeek
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

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
DRAIN_S = 300.0
"""How long everything may take to be stored after the last event."""
SAY_S = 60.0
"""How often a line says how far it is."""

Source = Eve | PiholeLog | PiholeDb | Zeek
Socket = Netflow | Syslog | EveStream


@dataclass(slots=True, kw_only=True)
class Load:
    """What the sources have to give by now, and the moments of the kills."""

    daemon: Watched
    sources: list[tuple[Source, float]]
    sockets: list[tuple[Socket, float]]
    rate: float
    speed: float
    length_s: float
    moments: list[float]
    say: Callable[[str], None]
    first: datetime
    began: float = field(default_factory=time.monotonic)
    _given: float = 0.0
    _owed: dict[str, float] = field(default_factory=dict)
    _said: float = 0.0

    def run(self) -> float:
        """Let the sources grow and kill at the moments; return when the calm part began."""
        due = list(self.moments)
        while (at := time.monotonic() - self.began) < self.length_s or due:
            self.step()
            self.daemon.look()
            if due and at >= due[0]:
                due.pop(0)
                for each, _ in self.sockets:
                    each.killed(time.monotonic())
                self.daemon.kill()
                self.daemon.start(meanwhile=self.step)
            time.sleep(max(0.0, TICK_S - (time.monotonic() - self.began - at)))
        self.step()
        # The kernel says with a datagram how many it dropped before: so one more of each.
        time.sleep(0.5)
        for each, _ in self.sockets:
            each.grow(1, self._moment(self.length_s))
        for source, _ in (*self.sources, *self.sockets):
            source.end(self._moment(self.length_s) + timedelta(seconds=120))
        return self.began + self.length_s * (1 - CALM_SHARE * (1 - WARM_SHARE))

    def step(self) -> None:
        """Let each source grow to what it has to be by now."""
        at = min(time.monotonic() - self.began, self.length_s)
        number = self.rate * at - self._given
        self._given += number
        for source, share in (*self.sources, *self.sockets):
            owed = self._owed.get(source.kind, 0.0) + number * share
            self._owed[source.kind] = owed - int(owed)
            if int(owed):
                source.grow(int(owed), self._moment(at))
        for each, _ in self.sockets:
            each.look()
        if at - self._said >= SAY_S:
            self._said = at
            self.say(self._progress(at))

    def _moment(self, at: float) -> datetime:
        """Return the time of events: the traffic of as many minutes as were asked for ends now."""
        return self.first + timedelta(seconds=at * self.speed)

    def _progress(self, at: float) -> str:
        memory = [used for _, used in self.daemon.memory]
        return (
            f"minute {at / 60:.0f} of {self.length_s / 60:.0f}: {self._given:,.0f} events, "
            f"{self.daemon.kills} kills, {memory[-1]:.0f} MB (at most {max(memory):.0f})"
        )


def run(
    folder: Path,
    *,
    minutes: float,
    speed: float,
    kills: int,
    seed: int,
    rate: float = RATE,
    grace_s: float = GRACE_S,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run one soak and return its figures; ``exact`` and ``flat`` are the verdict.

    ``flat`` is None when the part without kills was too short to say.
    """
    chance = random.Random(seed)  # noqa: S311 - the same moments again are the point
    sources: list[tuple[Source, float]] = [(make(folder), share) for make, share in SHARES]
    sockets: list[tuple[Socket, float]] = [(make(folder), share) for make, share in SOCKET_SHARES]
    daemon = Watched(
        data=folder / "data",
        options=[word for source, _ in (*sources, *sockets) for word in source.option],
        config="[collect]\n" + "".join(each.config for each, _ in sockets),
    )
    length_s = minutes * 60 / speed
    moments = sorted(chance.uniform(2.0, length_s * (1 - CALM_SHARE)) for _ in range(kills))
    daemon.start()
    load = Load(
        daemon=daemon,
        sources=sources,
        sockets=sockets,
        rate=rate * speed,
        speed=speed,
        length_s=length_s,
        moments=moments,
        say=say,
        first=datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=minutes),
    )
    calm_since = load.run()
    ended = time.monotonic()
    say("all is written; waiting until it is stored")
    drained_s = _drain(daemon, _rows(sources), {each.path for each, _ in sockets})
    code = daemon.stop()
    say("comparing the store with what was written")
    since = max(calm_since, daemon.started_at + WARM_S)
    samples = [each for each in daemon.memory if each[0] <= ended]
    return {
        **_counted(load, ended - load.began, grace_s),
        "kills": daemon.kills,
        "drained_s": round(drained_s, 1),
        "start_s": round(max(daemon.starts_s), 1),
        "exit_code": code,
        **soak_memory.figures(samples, load.began, since, JUDGED_S),
        "seed": seed,
    }


def _rows(sources: list[tuple[Source, float]]) -> int:
    return sum(rows for source, _ in sources for rows, _ in source.totals().values())


def _counted(load: Load, seconds: float, grace_s: float) -> dict[str, Any]:
    """Return the figures about the rows of a store that no daemon has open."""
    wrong = compare(load.daemon.data, [source for source, _ in load.sources])
    accounts = heard(load.daemon.data, [each for each, _ in load.sockets], grace_s)
    wrong += [line for kind, each in accounts.items() for line in each.wrong(kind)]
    events = _rows(load.sources) + sum(each.sent for each in accounts.values())
    return {
        "events": events,
        "seconds": round(seconds, 1),
        "events_per_s": round(events / seconds),
        "exact": not wrong,
        "wrong": wrong,
        "sockets": {kind: dataclasses.asdict(each) for kind, each in accounts.items()},
        "grace_s": grace_s,
    }


def _drain(daemon: Watched, written: int, sockets: set[str]) -> float:
    """Wait until as many rows are stored as were written, and no socket gives any more.

    Gives up after ``DRAIN_S``.
    """
    began = time.monotonic()
    before = -1
    while time.monotonic() - began < DRAIN_S:
        daemon.look()
        found = daemon.status()
        by_socket = sum(each["events"] for each in found["sources"] if each["path"] in sockets)
        if sum(found["events"].values()) - by_socket >= written and by_socket == before:
            break
        before = by_socket
        time.sleep(1.0)
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


def heard(data: Path, sockets: list[Socket], grace_s: float = GRACE_S) -> dict[str, Account]:
    """Return what became of what was sent over each socket."""
    found = {}
    store = Store.open(data)
    try:
        with store.read() as reader:
            for each in sockets:
                rows = reader.polars(
                    "SELECT bytes_toserver AS number FROM all_flow WHERE source_id IN "
                    "(SELECT source_id FROM source WHERE path = ?)",
                    [each.path],
                )
                dropped = reader.value(
                    "SELECT sum(dropped) FROM source WHERE path = ?", [each.path]
                )
                found[each.kind] = account(
                    each.sent,
                    (-1 if number is None else number for number in rows["number"].to_list()),
                    each.gaps,
                    int(dropped or 0),
                    grace_s,
                )
    finally:
        store.close()
    return found


def passed(figures: dict[str, Any]) -> bool:
    """Tell whether every row is there once, memory did not grow, and the daemon ended well."""
    return bool(figures["exact"] and figures["flat"] is not False and figures["exit_code"] == 0)


def verdict(figures: dict[str, Any]) -> str:
    """Return the one line that a person reads."""
    rows = (
        f"each exactly once ({_over_sockets(figures)})"
        if figures["exact"]
        else "NOT EXACT: " + "; ".join(figures["wrong"])
    )
    slope = f"{figures['memory_slope_mb_per_min']:+.1f} MB a minute when warm"
    return (
        f"soak {'passed' if passed(figures) else 'FAILED'}: {figures['events']:,} events in "
        f"{figures['seconds']:,.0f} s, {figures['kills']} kills, {rows}; memory at most "
        f"{figures['memory_most_mb']} MB, half the time under {figures['memory_median_mb']} MB, "
        + ("too short to say whether it grows" if figures["flat"] is None else slope)
    )


def _over_sockets(figures: dict[str, Any]) -> str:
    """Say what became of what was sent over sockets."""
    parts = figures["sockets"].values()
    lost = sum(each["lost_dead"] + each["lost_grace"] for each in parts)
    return (
        f"of {sum(each['sent'] for each in parts):,} sent over sockets {lost:,} met no daemon or "
        f"died with it, {sum(each['dropped'] for each in parts):,} were counted as dropped, "
        "every other is there once"
    )


def _say(text: str) -> None:
    sys.stderr.write(f"{datetime.now():%H:%M:%S} {text}\n")  # noqa: DTZ005 - for the person here
    sys.stderr.flush()


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
            say=_say,
        )
    sys.stdout.write(verdict(figures) + "\n" + json.dumps(figures) + "\n")
    return 0 if passed(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
