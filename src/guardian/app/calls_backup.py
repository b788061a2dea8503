"""The backup of a running daemon: begun by one call, followed by others.

A backup may take longer than an answer on the socket may; so the daemon writes it in a
thread, one at a time, and says how far it is. The passphrase is kept nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.errors import RefusedError, UsageError
from guardian.ops.backup import Job

if TYPE_CHECKING:
    from guardian.app.service import Service

WAIT_S = 0.5
"""How long one question waits for the end."""

_jobs: list[Job] = []


def begin(service: Service, *, path: str, passphrase: str | None = None) -> Any:
    """Begin a backup; it goes on when nobody asks.

    Raises:
        RefusedError: another one is being written.
    """
    if any(job.running() for job in _jobs):
        msg = "a backup is being written already; wait for its end"
        raise RefusedError(msg)
    _jobs[:] = [Job(service.store, Path(path), passphrase)]
    return {}


def state(_service: Service) -> Any:
    """Return ``done`` and ``whole`` in bytes, and ``report`` once the backup is complete.

    Raises:
        UsageError: none was begun.
        GuardianError: it failed; what it said.
    """
    if not _jobs:
        msg = "no backup was begun"
        raise UsageError(msg)
    done, whole, report = _jobs[-1].state(wait_s=WAIT_S)
    shown = report and {
        "path": str(report.path),
        "bytes": report.bytes,
        "rows": report.rows,
        "left_out": list(report.left_out),
    }
    return {"done": done, "whole": whole, "report": shown}
