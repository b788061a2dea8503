"""Let Suricata read a capture and write the EVE log that Guardian collects.

Suricata reads about a hundred times faster than Python can; so packets go through it.
A capture that it cannot open as it is (compressed, an unusual link type) is converted
first, with the standard library or Wireshark's editcap and tshark.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.collect import compressed, link_types, suricata_config
from guardian.errors import CollectorError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.collect.settings import Settings

_MAX_LOG = 4000
_STOP_TIMEOUT_S = 10.0
_NO_PACKET = "failed to get first packet timestamp. pcap_next_ex(): -2"


@dataclass(slots=True)
class Run:
    """One Suricata at work on one capture; ``eve`` grows until ``finish`` returns."""

    eve: Path
    process: subprocess.Popen[bytes]
    log: Path
    capture: Path
    deadline: float

    @property
    def done(self) -> bool:
        """Whether Suricata has ended."""
        if self.process.poll() is None and time.monotonic() > self.deadline:
            self.stop()
        return self.process.poll() is not None

    def finish(self) -> str | None:
        """Wait for the end; return what broke, in one line, or None.

        What Suricata had written until then is in ``eve`` all the same.
        """
        try:
            code = self.process.wait(max(self.deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.stop()
            return f"{self.capture}: Suricata took too long and was stopped; the rest is not read"
        said = self.log.read_text(errors="replace")[-_MAX_LOG:]
        lines = [line for line in said.splitlines() if line.startswith(("E:", "Error", "<Error"))]
        if any(_NO_PACKET in line for line in lines):
            return None  # a capture without a packet is whole, there is only nothing in it
        unknown = re.search(r"datalink type (\d+)", lines[0]) if lines else None
        if unknown:
            return (
                f"{self.capture}: link type {unknown[1]}, and no packet of it shows IP (encrypted "
                "Wi-Fi, USB, Bluetooth, a field bus): there is nothing in it to judge"
            )
        if lines:  # the first says what went wrong, the rest what followed from it
            return f"{self.capture}: Suricata says: {_plain(lines[0])}"
        if code != 0:
            return f"{self.capture}: Suricata ended with code {code}; see -v for its words"
        return None

    def stop(self) -> None:
        """End Suricata at once."""
        self.process.kill()
        self.process.wait(_STOP_TIMEOUT_S)


def start(capture: Path, folder: Path, settings: Settings) -> Run:
    """Start Suricata on a capture, writing into ``folder``.

    Raises:
        ComponentAbsentError: there is no Suricata on this machine.
        CollectorError: the capture cannot be read at all.
    """
    program = suricata_config.find()
    folder.mkdir(parents=True, exist_ok=True)
    readable = _readable(capture, folder)
    configuration = suricata_config.write(folder, program, settings)
    log = folder / "suricata.log"
    command = [program.path, "-c", str(configuration), "-r", str(readable), "-l", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-k", "none"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    eve = folder / "eve.json"
    return Run(
        eve=eve,
        process=process,
        log=log,
        capture=capture,
        deadline=time.monotonic() + settings.replay_timeout_s,
    )


def make_eve(capture: Path, folder: Path, settings: Settings) -> Path:
    """Let Suricata read a whole capture; return the EVE log, which may be empty.

    Raises:
        ComponentAbsentError: there is no Suricata on this machine.
        CollectorError: Suricata could not read anything of it.
    """
    run = start(capture, folder, settings)
    problem = run.finish()
    if not run.eve.exists():
        raise CollectorError(problem or f"{capture}: Suricata wrote nothing")
    return run.eve


def _readable(capture: Path, folder: Path) -> Path:
    """Return the capture, or a plain copy of what is readable of a compressed one."""
    try:
        if not compressed.is_compressed(capture):
            return _opened(capture.absolute(), folder)
        plain = folder / "capture.pcap"
        with (
            compressed.open_plain(capture) as source,
            plain.open("wb") as target,
            contextlib.suppress(*compressed.BROKEN_STREAM),
        ):
            shutil.copyfileobj(source, target, 1 << 20)
    except OSError as error:
        msg = f"{capture}: cannot be read: {error.strerror or error}"
        raise CollectorError(msg) from error
    return _opened(plain, folder)


def _opened(capture: Path, folder: Path) -> Path:
    """Return the capture, or a copy with a link type that Suricata opens."""
    if not link_types.needs_rewriting(capture):
        return capture
    target = folder / "ethernet.pcap"
    return target if link_types.rewrite(capture, target) else capture


def _plain(text: str) -> str:
    return "".join(each for each in text if each.isprintable())[:300]
