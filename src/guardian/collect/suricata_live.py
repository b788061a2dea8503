"""Run Suricata on the mirrored port and keep it running.

The sensor writes its log into a folder of its own; the EVE collector follows it there.
The log is rotated by rename before it fills the disk, and what was read is removed.
What it misses, and the memory it holds, are looked at all the time (``sensor_watch``).
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from guardian.collect import packet_buffer, suricata_config
from guardian.collect.sensor_watch import Watch, look
from guardian.collect.suricata_command import Command
from guardian.collect.tail_mark import Mark
from guardian.errors import CollectorError, InputError
from guardian.store.sensors import SensorState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.collect.settings import Settings

ROTATE_BYTES = 1 << 30
"""A log of this size is rotated: an hour or more on a busy home line."""
KEEP_UNREAD = 8
"""So many rotated logs that were not read yet stay; then the oldest goes, and that is said."""
LOOK_EVERY_S = 10.0
"""How often the sensor is asked for its counts; it refreshes most of them every 8 s."""
SILENT_S = 180.0
"""A Suricata that answers no question for so long hangs and is started again. A reload of
large rule sets takes a minute, in which it does not answer."""
_STOP_TIMEOUT_S = 20.0
_TAIL_BYTES = 4000

_AF_PACKET = """af-packet:
  - interface: {interface}
    threads: auto
    cluster-id: 99
    cluster-type: cluster_flow
    defrag: yes
    use-mmap: yes
    ring-size: 20000
    checksum-checks: no
  - interface: default
"""


@dataclass(slots=True)
class Sensor:
    """One Suricata on one interface."""

    interface: str
    folder: Path
    settings: Settings
    lost_bytes: int = field(default=0, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _watch: Watch = field(init=False)
    _starts: int = field(default=0, init=False)
    _started_at: datetime | None = field(default=None, init=False)
    _next_look: float = field(default=0.0, init=False)
    _silent_after: float = field(default=0.0, init=False)
    _answered: bool = field(default=False, init=False)
    _failure: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.interface, self.settings)

    @property
    def eve(self) -> Path:
        """The log that the sensor writes."""
        return self.folder / "eve.json"

    @property
    def command_socket(self) -> Path:
        """Where the sensor takes questions."""
        return self.folder / "command.socket"

    def tend(self, bookmark: Mapping[str, object] | None = None) -> bool:
        """Start the sensor where it does not run, look at it, and rotate its log when large.

        ``bookmark`` says how far its log was read. Returns whether there was a new look.

        Raises:
            ComponentAbsentError: there is no Suricata on this machine.
            InputError: there is no such interface.
            CollectorError: Suricata ended (its last words are in the message) or hangs; said
                again until the next one answers, so that who tends it waits longer each time.
        """
        if self._process is None:
            self._start()
        elif self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            self._failed(f"Suricata on {self.interface} {self._end(code)}")
        self._rotate(Mark.from_json(bookmark))
        packet_buffer.prune(self.folder, self.settings.packet_buffer_mb)
        looked = self._look()
        if self._failure is not None and not self._answered:
            self._failed(self._failure)
        return looked

    def _end(self, code: int) -> str:
        """Say how Suricata ended; who was killed had no last words about it."""
        if code != -signal.SIGKILL:
            return f"ended with code {code}: {self._last_words()}"
        return "was killed, by somebody or because the machine's memory ran out"

    def state(self) -> SensorState:
        """Return how the sensor does."""
        counts, recent = self._watch.last, self._watch.recent
        return SensorState(
            interface=self.interface,
            started_at=self._started_at,
            packets=counts.packets,
            dropped=counts.dropped,
            recent_packets=recent[0],
            recent_dropped=recent[1],
            memory_bytes=counts.memory_bytes,
            rules=counts.rules,
            rules_failed=counts.rules_failed,
            restarts=max(0, self._starts - 1),
        )

    def trouble(self) -> str | None:
        """Say in a sentence what the sensor misses, or None."""
        if self.lost_bytes:
            return (
                f"{self.lost_bytes / 1e9:.1f} GB of what Suricata on {self.interface} wrote were "
                "removed unread, because Guardian reads too slowly"
            )
        return self._watch.trouble()

    def reload_rules(self, settings: Settings) -> None:
        """Make Suricata read its rules again, without a gap in what it sees."""
        self.settings = settings
        self._watch.settings = settings
        suricata_config.write_rules(self.folder, self.settings)
        if self._process is None:
            return
        try:
            with Command(self.command_socket) as command:
                command.ask("ruleset-reload-nonblocking")
        except CollectorError:  # it is still starting: it takes the signal up when it can
            self._process.send_signal(signal.SIGUSR2)

    def stop(self) -> None:
        """Let Suricata write what it holds and end. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        if not Path(f"/sys/class/net/{self.interface}").exists():
            msg = f"there is no network interface {self.interface}; see: ip link"
            raise InputError(msg)
        program = suricata_config.find()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        capture = _AF_PACKET.format(interface=self.interface)
        packets = packet_buffer.configuration(self.folder, self.settings.packet_buffer_mb)
        configuration = suricata_config.write(
            self.folder, program, self.settings, capture=capture, packets=packets
        )
        command = [program.path, "-c", str(configuration), f"--af-packet={self.interface}"]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "-l", str(self.folder), "-k", "none"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._starts += 1
        self._started_at = datetime.now(UTC).replace(tzinfo=None)
        self._next_look, self._answered = time.monotonic() + 1.0, False
        self._silent_after = time.monotonic() + self.settings.suricata_start_timeout_s + SILENT_S

    def _failed(self, message: str) -> NoReturn:
        self._failure = message
        raise CollectorError(message)

    def _look(self) -> bool:
        now = time.monotonic()
        if now < self._next_look or self._process is None:
            return False
        self._next_look = now + (LOOK_EVERY_S if self._answered else 1.0)
        try:
            counts = look(self.command_socket, self.interface, self._process.pid)
        except CollectorError:
            if now < self._silent_after:
                return False
            self._process.kill()
            self._process.wait()
            self._process = None
            self._failed(
                f"Suricata on {self.interface} answered nothing for {SILENT_S:.0f} s: started again"
            )
        self._answered, self._failure = True, None
        self._silent_after = now + SILENT_S
        self._watch.note(now, counts)
        return True

    @property
    def _log(self) -> Path:
        return self.folder / "suricata.log"

    def _last_words(self) -> str:
        text = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        lines = [line for line in text.splitlines() if line.startswith("E")] or text.splitlines()
        return "".join(each for each in "".join(lines[-1:]) if each.isprintable())[:300]

    def _rotate(self, mark: Mark | None) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._process is not None and self.eve.stat().st_size >= ROTATE_BYTES:
                self.eve.rename(f"{self.eve}.{int(time.time())}")
                self._process.send_signal(signal.SIGHUP)  # Suricata opens its logs anew
        rotated = sorted(self.folder.glob("eve.json.*"), key=lambda path: path.stat().st_mtime_ns)
        unread = [path for path in rotated if not _was_read(path, mark)]
        for path in rotated:
            if path not in unread:
                path.unlink(missing_ok=True)
        for path in unread[:-KEEP_UNREAD]:
            self.lost_bytes += path.stat().st_size
            path.unlink(missing_ok=True)


def _was_read(path: Path, mark: Mark | None) -> bool:
    """Tell whether a rotated log was read to its end, because the reader is in a later one."""
    if mark is None:
        return False
    state = path.stat()
    return state.st_ino != mark.inode and state.st_mtime_ns < mark.mtime_ns
