"""Run Suricata on the mirrored port and keep it running.

The sensor writes its log into a folder of its own; the EVE collector follows it there.
The log is rotated by rename before it fills the disk, and what was read is removed.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.collect import suricata_config
from guardian.errors import CollectorError, InputError

if TYPE_CHECKING:
    from guardian.collect.settings import Settings

ROTATE_BYTES = 1 << 30
"""A log of this size is rotated: an hour or more on a busy home line."""
KEEP_ROTATED = 2
"""So many rotated logs stay, in case the reader lags."""
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
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def eve(self) -> Path:
        """The log that the sensor writes."""
        return self.folder / "eve.json"

    def tend(self) -> None:
        """Start the sensor where it does not run, and rotate its log where it is large.

        Raises:
            ComponentAbsentError: there is no Suricata on this machine.
            InputError: there is no such interface.
            CollectorError: Suricata ended; its last words are in the message.
        """
        if self._process is None:
            self._start()
        elif self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            msg = f"Suricata on {self.interface} ended with code {code}: {self._last_words()}"
            raise CollectorError(msg)
        self._rotate()

    def reload_rules(self, settings: Settings) -> None:
        """Make Suricata read its rules again, without a gap in what it sees."""
        self.settings = settings
        suricata_config.write_rules(self.folder, self.settings)
        if self._process is not None:
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
        configuration = suricata_config.write(self.folder, program, self.settings, capture=capture)
        command = [program.path, "-c", str(configuration), f"--af-packet={self.interface}"]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "-l", str(self.folder), "-k", "none"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def _log(self) -> Path:
        return self.folder / "suricata.log"

    def _last_words(self) -> str:
        text = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        lines = [line for line in text.splitlines() if line.startswith("E")] or text.splitlines()
        return "".join(each for each in "".join(lines[-1:]) if each.isprintable())[:300]

    def _rotate(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.eve.stat().st_size < ROTATE_BYTES or self._process is None:
                return
            self.eve.rename(f"{self.eve}.{int(time.time())}")
            self._process.send_signal(signal.SIGHUP)  # Suricata opens its logs anew
            for old in sorted(self.folder.glob("eve.json.*"))[:-KEEP_ROTATED]:
                old.unlink(missing_ok=True)
