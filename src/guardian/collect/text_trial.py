"""Try a log format on a file, for a person who writes one: ``guardian parsers test``."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.collect import compressed, parser_spec, text_log
from guardian.errors import CollectorError, UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.collect.parser_spec import Sample, Spec

EXAMPLES = 3
"""How many rows of each table are shown."""

MAX_BATCHES = 20
"""How much of a long file is read: a million lines are enough to judge a format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a format makes of a file."""

    kind: str
    rows: Mapping[str, int]
    examples: tuple[Mapping[str, object], ...]
    rejected: Mapping[str, int]
    places: tuple[str, ...]


def problems(spec: Spec) -> tuple[str, ...]:
    """Return how a format's samples differ from the rows that they should become."""
    found: list[str] = []
    for number, sample in enumerate(spec.sample, 1):
        made, rejected = _made(spec, sample)
        # The number that a flow gets is a digest; that it has one is what counts.
        wanted = [row | {"flow_id": "set"} if "flow_id" in row else row for row in sample.rows]
        if len(made) != len(wanted):
            found.append(f"sample {number}: {len(made)} rows, not {len(wanted)}")
        for place, (is_, should) in enumerate(zip(made, wanted, strict=False), 1):
            found += [
                f"sample {number}, row {place}: {key} is {is_.get(key)!r}, not {should.get(key)!r}"
                for key in sorted(is_.keys() | should.keys())
                if is_.get(key) != should.get(key)
            ]
        if rejected != sample.rejected:
            found.append(f"sample {number}: {rejected} lines refused, not {sample.rejected}")
    return tuple(found)


def _made(spec: Spec, sample: Sample) -> tuple[list[dict[str, object]], int]:
    reference = datetime.fromisoformat(spec.sample_time)
    made: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "sample.log"
        log.write_text("\n".join(sample.lines) + "\n", encoding="utf-8")
        written = reference.replace(tzinfo=UTC).timestamp()
        os.utime(log, (written, written))
        collector = text_log.collector(log, spec, timezone="UTC", reference=reference)
        batches = list(collector.batches(None, final=True))
    for batch in batches:
        for table, columns in batch.tables.items():
            for row in columns.to_pylist():
                values = {key: _plain(value) for key, value in row.items() if value is not None}
                if "flow_id" in values:
                    values["flow_id"] = "set"
                made.append({"table": table} | values)
    return made, sum(batch.rejected for batch in batches)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def try_file(path: Path, spec: Spec | None = None, *, timezone: str = "local") -> Trial:
    """Read a file with a format (or the one that fits) and say what came of it.

    A ``.toml`` file is a format itself: its samples are tried.

    Raises:
        UnknownFormatError: no shipped format fits.
        CollectorError: the file cannot be read.
        RuleError: the format is wrong.
    """
    if spec is None and path.suffix == ".toml":
        return _try_format(parser_spec.load(path))
    spec = spec or _fitting(path)
    rows: dict[str, int] = {}
    examples: list[Mapping[str, object]] = []
    rejected: dict[str, int] = {}
    places: list[str] = []
    collector = text_log.collector(path, spec, timezone=timezone)
    for batch in islice(collector.batches(None, final=True), MAX_BATCHES):
        for table, columns in batch.tables.items():
            for row in columns.slice(0, max(0, EXAMPLES - rows.get(table, 0))).to_pylist():
                shown = {key: value for key, value in row.items() if value is not None}
                examples.append({"table": table} | shown)
            rows[table] = rows.get(table, 0) + columns.num_rows
        for reject in batch.rejects:
            rejected[reject.reason] = rejected.get(reject.reason, 0) + reject.count
            if len(places) < 10:
                places.append(f"{reject.place}: {reject.reason}")
    return Trial(
        kind=spec.kind,
        rows=rows,
        examples=tuple(examples),
        rejected=rejected,
        places=tuple(places),
    )


def _try_format(spec: Spec) -> Trial:
    wrong = problems(spec)
    rows: dict[str, int] = {}
    for sample in spec.sample:
        for row in sample.rows:
            rows[str(row.get("table"))] = rows.get(str(row.get("table")), 0) + 1
    reason = "a sample that does not become what it says"
    return Trial(
        kind=spec.kind,
        rows=rows,
        examples=tuple(row for sample in spec.sample for row in sample.rows)[:EXAMPLES],
        rejected={reason: len(wrong)} if wrong else {},
        places=wrong[:10],
    )


def _fitting(path: Path) -> Spec:
    try:
        head = compressed.head(path).removeprefix(compressed.BOM)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise CollectorError(msg) from error
    for kind, fits in text_log.sniffers():
        if fits(path, head):
            return parser_spec.shipped(kind)
    msg = f"{path}: none of the formats in parsers/ fits; write one and name it"
    raise UnknownFormatError(msg)
