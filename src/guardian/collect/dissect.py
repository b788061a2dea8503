"""Show a small capture decoded: its packets in a list, or one packet's layers.

tshark and pyshark do it, in a confined process (``collect.dissect_worker``) with limits on
memory, processor time, wall time and output. The capture is one that Guardian cut out.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec

from guardian.errors import CollectorError, ComponentAbsentError

ABSENT = "tshark is not installed, so packets cannot be shown decoded; apt-get install tshark"
TIMEOUT_S = 30.0
"""A list of 500 packets takes about half a second, one packet's layers about one."""
MAX_OUTPUT_BYTES = 4 << 20
MAX_LISTED = 500
_ONE_AT_A_TIME = threading.BoundedSemaphore(2)
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin"


def packets(capture: Path, *, limit: int = MAX_LISTED) -> list[dict[str, Any]]:
    """Return the first packets: ``number, ts`` (seconds), ``src, dest, protocol, length, info``.

    Raises:
        ComponentAbsentError: there is no tshark.
        CollectorError: the capture could not be decoded within the limits.
    """
    return _run("list", capture, max(1, min(limit, MAX_LISTED)))


def layers(capture: Path, number: int) -> list[dict[str, Any]]:
    """Return the layers of packet ``number`` (from 1): ``layer`` and its ``fields`` as lines.

    Raises:
        ComponentAbsentError: there is no tshark.
        CollectorError: the packet could not be decoded within the limits.
    """
    return _run("packet", capture, number)


def _run(kind: str, capture: Path, number: int) -> list[dict[str, Any]]:
    if shutil.which("tshark") is None and shutil.which("tshark", path=_PATH) is None:
        raise ComponentAbsentError(ABSENT)
    with tempfile.TemporaryDirectory(prefix="guardian-dissect-") as folder:
        copy = Path(folder) / "packets.pcap"
        shutil.copyfile(capture, copy)
        if os.geteuid() == 0:  # the worker gives up root and must still reach its copy
            owner = pwd.getpwnam("nobody")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            os.chown(copy, owner.pw_uid, owner.pw_gid)
        command = [sys.executable, "-I", "-m", "guardian.collect.dissect_worker"]
        with _ONE_AT_A_TIME:
            output = _bounded([*command, kind, str(copy), str(number)], folder)
    try:
        found: list[dict[str, Any]] = msgspec.json.decode(output, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        msg = "the packets could not be decoded within the limits of time and memory"
        raise CollectorError(msg) from error
    return found


def _bounded(command: list[str], folder: str) -> bytes:
    environment = {"PATH": _PATH, "HOME": folder, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    timer = threading.Timer(TIMEOUT_S, _kill, [process])
    timer.start()
    try:
        if process.stdout is None:
            return b""
        return process.stdout.read(MAX_OUTPUT_BYTES)
    finally:
        timer.cancel()
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
