"""Score detections against a labelled corpus: each entry replayed alone, in an empty store.

A malicious entry counts as detected when one of the classes its label accepts is
reported at ``medium`` or above. An observed entry is one whose label names classes
that must be reported at any level. On a benign entry, an attack class at ``medium``
or above is a false positive.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.detect import indicators
from guardian.errors import GuardianError, InputError
from guardian.model.finding import ATTACK_CLASSES
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_KINDS = frozenset(
    {"pcap", "pcapng", "eve-json", "zeek", "zeek-conn-csv-labelled", "pihole-log", "pihole-db"}
)
"""Kinds of entries that Guardian reads; others are reported as skipped."""

_LOUD = ("medium", "high", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How one entry of the corpus fared. ``accepted`` and ``observed`` are None when not asked."""

    file: str
    kind: str
    malicious: bool | None
    scored: bool
    read: bool
    skipped: bool
    accepted: bool | None
    observed: bool | None
    false_positives: tuple[str, ...]
    classes: tuple[str, ...]
    crashed: bool
    error: str | None
    seconds: float


def evaluate(
    corpus: Path,
    replay: Callable[[Path, Store], object],
    *,
    only: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Replay every entry of ``labels.jsonl`` and return entries and totals as JSON values.

    ``replay`` brings one input into an empty store and runs detection over it; it
    raises a GuardianError for what it cannot read. ``only`` limits to files whose
    name contains it; ``progress`` is called with a line for each entry.

    Raises:
        InputError: the corpus has no readable ``labels.jsonl``.
    """
    entries: list[Entry] = []
    for label in labels(corpus / "labels.jsonl"):
        if only and only not in label["file"]:
            continue
        entry = _skipped(label) if label["kind"] not in READ_KINDS else _one(corpus, label, replay)
        entries.append(entry)
        if progress is not None:
            progress(_line(entry))
    return {"entries": [asdict(entry) for entry in entries], "totals": totals(entries)}


def labels(path: Path) -> Iterator[dict[str, Any]]:
    """Yield each entry of a ``labels.jsonl``: its label's keys, and ``file`` and ``kind``.

    Raises:
        InputError: it cannot be read; the message says which line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        raise InputError(msg) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label = json.loads(line)
            yield {"file": label["file"], "kind": label["kind"], **label["label"]}
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path}:{number}: not a label: {error}"
            raise InputError(msg) from error


def _skipped(label: dict[str, Any]) -> Entry:
    return Entry(
        file=label["file"], kind=label["kind"], malicious=label["malicious"],
        scored=bool(label.get("scored")), read=False, skipped=True, accepted=None,
        observed=None, false_positives=(), classes=(), crashed=False, error=None, seconds=0.0,
    )  # fmt: skip


def _one(corpus: Path, label: dict[str, Any], replay: Callable[[Path, Store], object]) -> Entry:
    started = time.monotonic()
    error: str | None = None
    crashed = False
    found: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="guardian-eval-") as folder:
        store = Store.open(Path(folder))
        try:
            if label.get("needs"):
                indicators.load(store, corpus / label["needs"], "corpus")
            replay(corpus / label["file"].rstrip("/"), store)
        except GuardianError as cause:
            error = str(cause)
        except Exception as cause:  # noqa: BLE001 - a crash is what this measures
            crashed, error = True, f"{type(cause).__name__}: {cause}"
        found = _found(store)
        store.close()
    return _scored(label, found, error=error, crashed=crashed, seconds=time.monotonic() - started)


def _found(store: Store) -> list[tuple[str, str]]:
    with store.read() as reader:
        rows = reader.rows("SELECT DISTINCT class, level FROM finding ORDER BY class, level")
    return [(row["class"], row["level"]) for row in rows]


def _scored(
    label: dict[str, Any],
    found: list[tuple[str, str]],
    *,
    error: str | None,
    crashed: bool,
    seconds: float,
) -> Entry:
    loud = {name for name, level in found if level in _LOUD}
    scored = bool(label.get("scored"))
    benign = scored and label["malicious"] is False
    wanted = label.get("observe") or []
    return Entry(
        file=label["file"],
        kind=label["kind"],
        malicious=label["malicious"],
        scored=scored,
        read=error is None,
        skipped=False,
        accepted=bool(loud & set(label["accept"])) if scored and label["malicious"] else None,
        observed=set(wanted) <= {name for name, _ in found} if wanted else None,
        false_positives=tuple(sorted(loud & ATTACK_CLASSES)) if benign else (),
        classes=tuple(f"{name}:{level}" for name, level in found),
        crashed=crashed,
        error=error,
        seconds=round(seconds, 3),
    )


def totals(entries: list[Entry]) -> dict[str, Any]:
    """Return the counts that the targets are about, and their shares."""
    malicious = [entry for entry in entries if entry.accepted is not None]
    observing = [entry for entry in entries if entry.observed is not None]
    benign = [
        entry
        for entry in entries
        if entry.scored and entry.malicious is False and not entry.skipped
    ]
    detected = sum(bool(entry.accepted) for entry in malicious)
    accused = sum(bool(entry.false_positives) for entry in benign)
    return {
        "entries": len(entries),
        "read": sum(entry.read for entry in entries),
        "skipped": sum(entry.skipped for entry in entries),
        "malicious": len(malicious),
        "detected": detected,
        "detected_share": round(detected / len(malicious), 4) if malicious else None,
        "observe": len(observing),
        "observed": sum(bool(entry.observed) for entry in observing),
        "benign": len(benign),
        "false_positive_entries": accused,
        "false_positive_share": round(accused / len(benign), 4) if benign else None,
        "crashed": sum(entry.crashed for entry in entries),
        "seconds": round(sum(entry.seconds for entry in entries), 1),
        "slowest_seconds": max((entry.seconds for entry in entries), default=0.0),
    }


def _line(entry: Entry) -> str:
    state = "read"
    if entry.skipped:
        state = "skipped"
    elif entry.crashed:
        state = "CRASHED"
    elif entry.accepted is not None:
        state = "detected" if entry.accepted else "MISSED"
    elif entry.false_positives:
        state = "FALSE POSITIVE"
    if entry.observed is False:
        state += ", NOT OBSERVED"
    return f"{state:16} {entry.seconds:6.1f} s  {entry.file}"
