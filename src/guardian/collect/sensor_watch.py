"""Watch a running Suricata: what it could not take, and what memory it needs.

A sensor that loses packets still writes events, so nobody would notice: the kernel's count
of packets without room is the one sign, and is told in plain words.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.collect.suricata_command import Command
from guardian.errors import CollectorError

if TYPE_CHECKING:
    from guardian.collect.settings import Settings

_NO_MEMORY = (("tcp", "ssn_memcap_drop"), ("tcp", "segment_memcap_drop"), ("flow", "memcap"))
"""Counters of what Suricata could not follow because its own memory limits were reached."""

_FEWEST = 1000
"""Packets in the window below which a share says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What Suricata counted since it was started, and what it holds now."""

    packets: int = 0
    dropped: int = 0
    unfollowed: int = 0
    memory_bytes: int | None = None
    rules: int | None = None
    rules_failed: int | None = None


@dataclass(slots=True)
class Watch:
    """The last looks at one sensor."""

    interface: str
    settings: Settings
    _looks: collections.deque[tuple[float, Counts]] = field(default_factory=collections.deque)

    def note(self, now_s: float, counts: Counts) -> None:
        """Take up a look; those older than the window are forgotten, except one to compare."""
        if self._looks and counts.packets < self._looks[-1][1].packets:
            self._looks.clear()  # it was started again and counts anew
        self._looks.append((now_s, counts))
        while len(self._looks) > 2 and now_s - self._looks[1][0] >= self.settings.sensor_window_s:
            self._looks.popleft()

    @property
    def last(self) -> Counts:
        """The latest look."""
        return self._looks[-1][1] if self._looks else Counts()

    @property
    def recent(self) -> tuple[int, int, int]:
        """Packets, drops and what could not be followed within the window."""
        if not self._looks:
            return 0, 0, 0
        first = self._looks[0][1] if len(self._looks) > 1 else Counts()
        last = self.last
        return (
            last.packets - first.packets,
            last.dropped - first.dropped,
            last.unfollowed - first.unfollowed,
        )

    def trouble(self) -> str | None:
        """Say in a sentence what is not as it should be, or None."""
        packets, dropped, unfollowed = self.recent
        minutes = max(1, round(self.settings.sensor_window_s / 60))
        memory = self.last.memory_bytes or 0
        looked_s = self._looks[-1][0] - self._looks[0][0] if self._looks else 0.0
        if not packets and looked_s >= self.settings.sensor_window_s:
            return (
                f"Suricata on {self.interface} saw no packet in the last {minutes} minutes: is the "
                "switch's port mirrored, and the cable in?"
            )
        if packets >= _FEWEST and dropped >= self.settings.sensor_drop_share * packets:
            return (
                f"Suricata on {self.interface} missed {dropped / packets:.1%} of the packets of "
                f"the last {minutes} minutes ({dropped:,} of {packets:,}): the machine is too "
                "slow or too busy for this port"
            )
        if unfollowed:
            return (
                f"Suricata on {self.interface} has no memory left to follow connections: raise "
                f"collect.suricata_memory_mb (now {self.settings.suricata_memory_mb})"
            )
        if memory > self.settings.sensor_memory_mb << 20:
            return (
                f"Suricata on {self.interface} holds {memory / 1e9:.1f} GB of memory, more than "
                f"collect.sensor_memory_mb = {self.settings.sensor_memory_mb}"
            )
        return None


def look(command_socket: Path, interface: str, process_id: int) -> Counts:
    """Ask a running Suricata for its counts.

    Raises:
        CollectorError: it does not answer.
    """
    with Command(command_socket) as command:
        port = command.ask("iface-stat", iface=interface)
        rules = command.ask("ruleset-stats")
        try:
            counters = command.ask("dump-counters")
        except CollectorError:  # in its first half minute it has none yet
            counters = {}
    first = rules[0] if isinstance(rules, list) and rules else {}
    return Counts(
        packets=_whole(port, "pkts"),
        dropped=_whole(port, "drop"),
        unfollowed=sum(_whole(_inner(counters, group), name) for group, name in _NO_MEMORY),
        memory_bytes=resident_bytes(process_id),
        rules=_whole(first, "rules_loaded"),
        rules_failed=_whole(first, "rules_failed"),
    )


def resident_bytes(process_id: int) -> int | None:
    """Return how much memory a process holds, or None when it is gone."""
    try:
        text = Path(f"/proc/{process_id}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def _inner(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _whole(value: Any, key: str) -> int:
    found = _inner(value, key)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0
