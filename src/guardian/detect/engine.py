"""Run every detector over the rows that are new, and keep what they find.

Row ids ascend in the order of commit, so each detector remembers the last id it
has looked at. It runs when one of the tables it reads has newer rows; then it looks
at the whole span from ``window_s`` before the oldest new row to the newest. A span
that is looked at again gives the same findings, and storing those is idempotent: a
finding grows, it is never doubled and never shrinks.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from guardian import resources
from guardian.detect import addresses, names
from guardian.detect.base import SqlDetector, Window
from guardian.detect.devices import itself
from guardian.detect.registry import DETECTORS, PREPARE
from guardian.detect.rules import load_rules
from guardian.errors import RuleError, StoreError, StoreRetryError
from guardian.store import findings as table
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from guardian.detect.base import Detector
    from guardian.detect.settings import Settings
    from guardian.model.finding import Finding
    from guardian.store import Reader, Store

_ANNOTATE = "annotate"
FIRST_SHARE = 1 / 3
"""Of the memory that detectors may take: first this much for one that lacked some. It fills with
what was read, needed or not, so that a little more is often enough, and much is seldom used."""
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectReport:
    """What a run did. ``findings`` counts those new or grown; ``errors`` name the detector."""

    findings: int
    seconds: float
    errors: tuple[str, ...] = ()


def detectors(settings: Settings) -> tuple[tuple[Detector, ...], tuple[RuleError, ...]]:
    """Return every detector that is to run, and what is wrong with those that cannot."""
    folders = (resources.path("rules/detect"), *settings.rule_folders)
    loaded = load_rules(folders)
    every: list[Detector] = [*(SqlDetector(rule=rule) for rule in loaded.rules), *DETECTORS]
    return tuple(each for each in every if each.name not in settings.disabled), loaded.errors


def run(
    store: Store,
    settings: Settings,
    *,
    now: datetime | None = None,
    full: bool = False,
    paced: bool = False,
    more: Sequence[Detector] = (),
) -> DetectReport:
    """Bring devices and names up to date and run every detector that has new rows.

    ``full`` looks at everything again; ``paced`` lets a detector that took long rest
    in proportion; ``more`` detectors run besides those that ship. A detector that fails is
    reported and tried again next time; it does not stop the others.
    """
    memory = _Memory(store, settings)
    return _run(store, settings, memory, now=now or utc_now(), full=full, paced=paced, more=more)


class _Memory:
    """What the database may take in this run: its everyday limit until more is needed."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self.taken = False

    def rows(self, number: int) -> AbstractContextManager[None]:
        """Take all while a block runs, if so many rows are to be looked at."""
        if number <= self._settings.many_rows:
            return contextlib.nullcontext()
        self.taken = True
        return self.more()

    def more(self, share: float = 1.0) -> AbstractContextManager[None]:
        """Take more while a block runs: so great a share of what may be taken."""
        return self._store.more_memory(int(share * (self._settings.memory_mb << 20)))


def _run(
    store: Store,
    settings: Settings,
    memory: _Memory,
    *,
    now: datetime,
    full: bool,
    paced: bool,
    more: Sequence[Detector],
) -> DetectReport:
    started = time.monotonic()
    with store.read() as reader:
        upto = int(reader.value("SELECT next_id FROM row_counter")) - 1
        marks = {} if full else table.marks(reader)
    errors = _prepare(store, settings, memory, now=now, upto=upto, full=full)
    every, broken = detectors(settings)
    errors.extend(map(str, broken))
    found = 0
    for detector in (*every, *more):
        mark = marks.get(detector.name)
        if paced and mark and (now - mark.ran_at).total_seconds() < settings.pace * mark.seconds:
            continue
        after = mark.last_id if mark else 0

        def look(detector: Detector = detector, after: int = after) -> int:
            return _run_one(store, detector, settings, memory, now=now, after=after, upto=upto)

        begun = time.monotonic()
        try:
            found += _with_enough(memory, look)
        except (StoreError, RuleError) as error:
            errors.append(f"{detector.name}: {error}")
            seconds, text = time.monotonic() - begun, str(error)[:500]
            with store.transaction() as tx:
                table.set_error(tx, detector.name, ran_at=now, seconds=seconds, error=text)
    return DetectReport(findings=found, seconds=time.monotonic() - started, errors=tuple(errors))


def _with_enough(memory: _Memory, work: Callable[[], Done]) -> Done:
    """Do some work, and again with more memory while there was not enough of it."""
    # For this work alone: what others only keep in memory, because they may, is much.
    memory.taken = False
    for limit in (contextlib.nullcontext(), memory.more(FIRST_SHARE)):
        with limit:
            try:
                return work()
            except StoreRetryError:
                if memory.taken:
                    raise
    with memory.more():
        return work()


def _prepare(
    store: Store, settings: Settings, memory: _Memory, *, now: datetime, upto: int, full: bool
) -> list[str]:
    """Annotate new addresses and names, then update the devices and the catalogue's hits."""
    with store.read() as reader:
        mark = None if full else table.marks(reader).get(_ANNOTATE)
    after = mark.last_id if mark else 0
    errors = []
    with memory.rows(upto - after):
        if upto > after:
            _with_enough(memory, partial(_annotate, store, settings, now, after, upto))
        for name, step in PREPARE.items():
            try:
                _with_enough(memory, partial(step, store, settings, now))
            except (StoreError, RuleError) as error:
                errors.append(f"{name}: {error}")
    return errors


def _annotate(store: Store, settings: Settings, now: datetime, after: int, upto: int) -> None:
    started = time.monotonic()
    with store.transaction() as tx:
        addresses.annotate(tx, after=after, home_networks=settings.devices.home_networks)
        names.annotate(tx, after=after)
        seconds = time.monotonic() - started
        table.set_mark(tx, _ANNOTATE, last_id=upto, ran_at=now, seconds=seconds)


def _run_one(
    store: Store,
    detector: Detector,
    settings: Settings,
    memory: _Memory,
    *,
    now: datetime,
    after: int,
    upto: int,
) -> int:
    """Run one detector over the span that its new rows touch; return the findings changed."""
    started = time.monotonic()
    with store.read() as reader:
        window, new_rows = _window(reader, detector, after=after, upto=upto)
        if window is None:
            return 0
        with memory.rows(new_rows):
            most = settings.max_findings + 1
            rows = list(islice(detector.find(reader, window, settings), most))
        rows = itself.not_accused(reader, _with_devices(reader, rows))
    limits = table.Limits(peers=settings.max_peers, evidence=settings.max_evidence)
    with store.transaction() as tx:
        kept = rows[: settings.max_findings]
        changed = table.upsert(tx, kept, now=now, limits=limits)
        seconds = time.monotonic() - started
        table.set_mark(tx, detector.name, last_id=upto, ran_at=now, seconds=seconds)
    if len(rows) > settings.max_findings:
        msg = f"gives more than {settings.max_findings} findings; the rest is not kept"
        raise RuleError(msg)
    return changed


def _window(
    reader: Reader, detector: Detector, *, after: int, upto: int
) -> tuple[Window | None, int]:
    """Return the span from the oldest new row, less what came before it, to the newest.

    Besides, how many rows of its tables are new: ids count the rows of all tables.
    """
    if upto <= after or not detector.reads:
        return None, 0
    union = " UNION ALL ".join(
        "SELECT min(ts) AS first, max(ts) AS last, count(*) AS number "
        f"FROM {name} WHERE id > $after AND id <= $upto"
        for name in detector.reads
    )
    row = reader.one(
        "SELECT min(first) AS first, max(last) AS last, sum(number)::BIGINT AS number "
        f"FROM ({union})",
        {"after": after, "upto": upto},
    )
    if row is None or row["first"] is None:
        return None, 0
    window = Window(
        since=row["first"] - timedelta(seconds=detector.window_s),
        until=row["last"] + timedelta(seconds=1),
    )
    return window, row["number"]


def _with_devices(reader: Reader, rows: Sequence[Finding]) -> list[Finding]:
    """Attribute each finding to the device that held its address when it was last seen."""
    wanted = [
        (n, row.src_ip, row.last_seen)
        for n, row in enumerate(rows)
        if row.src_ip and row.device_id is None
    ]
    if not wanted:
        return list(rows)
    frame = pl.DataFrame(
        wanted,
        schema={"n": pl.Int64, "ip": pl.String, "at_ts": pl.Datetime("us")},
        orient="row",
    )
    with reader.registered("wanted", frame):
        held = {
            row["n"]: row["device_id"]
            for row in reader.rows(
                "SELECT w.n, min(a.device_id) AS device_id FROM wanted w JOIN v_device_address a "
                "ON a.ip = w.ip AND a.valid_from <= w.at_ts AND w.at_ts < a.valid_to GROUP BY w.n"
            )
        }
    return [replace(row, device_id=held[n]) if n in held else row for n, row in enumerate(rows)]
