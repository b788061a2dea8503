"""Replay captures and logs through every stage, once, in order."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guardian import detect, respond, triage
from guardian.app import forecasts
from guardian.app.sources import with_updated_rules
from guardian.collect import kinds, live, registry
from guardian.collect.capture import read_capture
from guardian.collect.reader import drain
from guardian.collect.wire import PcapSightings
from guardian.errors import (
    ComponentAbsentError,
    GuardianError,
    InputError,
    UnknownFormatError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from guardian.collect.base import Collector
    from guardian.collect.reader import Progress
    from guardian.config import Config
    from guardian.store import Store

CAPTURE = "pcap"
MAX_FILES = 10_000
"""No more files of a folder are read in one go."""


@dataclass(slots=True, kw_only=True)
class InputReport:
    """What came of one input: rows stored, pieces refused, and where it broke, if it did."""

    path: str
    kind: str | None = None
    events: int = 0
    rejected: int = 0
    seconds: float = 0.0
    error: str | None = None
    exit_code: int = 0


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """The whole replay; ``as_dict`` is the JSON form that DESIGN.md promises."""

    inputs: list[InputReport] = field(default_factory=list)
    ingest_seconds: float = 0.0
    detect_seconds: float = 0.0
    triage_seconds: float = 0.0
    seconds: float = 0.0
    findings: int = 0
    incidents: int = 0
    errors: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or the exit code of the worst input."""
        return max((each.exit_code for each in self.inputs), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, times in seconds."""
        return {
            "inputs": [
                {
                    "path": each.path,
                    "kind": each.kind,
                    "events": each.events,
                    "rejected": each.rejected,
                    "seconds": round(each.seconds, 3),
                    "error": each.error,
                }
                for each in self.inputs
            ],
            "ingest_seconds": round(self.ingest_seconds, 3),
            "detect_seconds": round(self.detect_seconds, 3),
            "triage_seconds": round(self.triage_seconds, 3),
            "seconds": round(self.seconds, 3),
            "findings": self.findings,
            "incidents": self.incidents,
            "errors": list(self.errors),
        }


def replay(
    store: Store,
    config: Config,
    inputs: Sequence[Path],
    *,
    progress: Callable[[str], None] = lambda _text: None,
) -> ReplayReport:
    """Read every input, then judge everything at once.

    An input that cannot be read does not stop the others: its report says why, and
    what was readable of it stays stored. A folder that is not one log in itself stands for
    the files in it; those of no known format are reported and left out.
    """
    started = time.monotonic()
    report = ReplayReport()
    for path in inputs:
        try:
            below = _below(path)
        except OSError as error:
            reason = f"{path}: {error.strerror or error}"
            report.inputs.append(
                InputReport(path=str(path), error=reason, exit_code=InputError.exit_code)
            )
            continue
        read = [_read(store, config, each, progress, named=not below) for each in below or [path]]
        if below and all(each.kind is None for each in read):
            read[-1].exit_code = InputError.exit_code  # a folder with nothing to read in it
        report.inputs += read
    report.ingest_seconds = time.monotonic() - started
    judge(store, config, report, progress)
    report.seconds = time.monotonic() - started
    return report


def judge(
    store: Store,
    config: Config,
    report: ReplayReport,
    progress: Callable[[str], None] = lambda _text: None,
) -> None:
    """Run detect, triage and the proposals over what is stored."""
    mark = time.monotonic()
    progress("looking for findings")
    detected = detect.run(store, config.detect)
    report.detect_seconds = time.monotonic() - mark
    mark = time.monotonic()
    progress("grouping them into incidents")
    triage.run(store, config.triage)
    report.triage_seconds = time.monotonic() - mark
    respond.propose(store, config.respond)
    forecasts.update(store, days=config.respond.forecast_days)
    report.errors = tuple(detected.errors)
    with store.read() as reader:
        report.findings = int(reader.value("SELECT count(*) FROM finding"))
        report.incidents = int(reader.value("SELECT count(*) FROM incident"))


def _below(path: Path) -> list[Path]:
    """Return what is to be read below a folder, unless the folder is one log in itself.

    A folder that holds more than one log's files stands for what is in it: files, and
    folders that are one log each.
    """
    if not path.is_dir() or (_is_log(path) and not _holds_others(path)):
        return []
    found: list[Path] = []
    for each in sorted(path.iterdir()):
        if each.is_file():
            found.append(each)
        elif each.is_dir() and not each.is_symlink():
            found += _below(each) or ([each] if _is_log(each) else [])
        if len(found) >= MAX_FILES:
            break
    return found[:MAX_FILES]


def _is_log(folder: Path) -> bool:
    try:
        kinds.detect_kind(folder)
    except UnknownFormatError:
        return False
    return True


def _holds_others(folder: Path) -> bool:
    """Tell whether captures or EVE logs lie directly in a folder that also holds other logs."""
    return any(each.is_file() and _kind(each) in {CAPTURE, "eve"} for each in folder.iterdir())


def _kind(path: Path) -> str:
    try:
        return kinds.detect_kind(path)
    except (UnknownFormatError, InputError):
        return ""


def _read(
    store: Store,
    config: Config,
    path: Path,
    progress: Callable[[str], None],
    *,
    named: bool = True,
) -> InputReport:
    """Read one input; one that nobody ``named`` may be of a format that is not known."""
    report = InputReport(path=str(path))
    started = time.monotonic()
    try:
        report.kind = kinds.detect_kind(path)
        progress(f"reading {path.name} ({report.kind})")
        if report.kind == CAPTURE:
            _read_capture(store, config, path, report)
        else:
            settings = dataclasses.replace(config.collect, first_days=0.0)  # what is named, no more
            _drain(store, live.fitted(registry.KINDS[report.kind](path), settings), report)
        if report.rejected and not report.events and report.error is None:
            report.error = f"{path}: nothing in it could be read: {report.rejected} refused"
            report.exit_code = InputError.exit_code if named else 0
    except UnknownFormatError as error:
        report.error = str(error) if named else f"{path}: left out, of no format Guardian knows"
        report.exit_code = error.exit_code if named else 0
    except (InputError, ComponentAbsentError) as error:
        report.error, report.exit_code = str(error), error.exit_code
    except GuardianError as error:
        report.error, report.exit_code = str(error), max(error.exit_code, 1)
    except OSError as error:
        report.error = f"{path}: {error.strerror or error}"
        report.exit_code = InputError.exit_code
    report.seconds = time.monotonic() - started
    return report


def _read_capture(store: Store, config: Config, path: Path, report: InputReport) -> None:
    def sightings() -> None:
        _drain(store, PcapSightings(path), report, counted=False)

    settings = with_updated_rules(config).collect
    progress = read_capture(store, path, settings, meanwhile=sightings)
    _count(report, progress)


def _drain(
    store: Store, collector: Collector, report: InputReport, *, counted: bool = True
) -> None:
    progress = drain(store, collector, final=True)
    _count(report, progress, counted=counted)


def _count(report: InputReport, progress: Progress, *, counted: bool = True) -> None:
    if counted:
        report.events += progress.events
    report.rejected += progress.rejected
    if progress.error:
        report.error = progress.error
        report.exit_code = InputError.exit_code
