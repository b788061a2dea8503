"""Try a log format on a file, for a person who writes one: ``guardian parsers test``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from guardian.collect import compressed, parser_spec, text_log
from guardian.errors import CollectorError, UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from guardian.collect.parser_spec import Spec

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


def try_file(path: Path, spec: Spec | None = None, *, timezone: str = "local") -> Trial:
    """Read a file with a format (or the one that fits) and say what came of it.

    Raises:
        UnknownFormatError: no shipped format fits.
        CollectorError: the file cannot be read.
    """
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


def _fitting(path: Path) -> Spec:
    try:
        head = compressed.head(path)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise CollectorError(msg) from error
    for kind, fits in text_log.sniffers():
        if fits(path, head):
            return parser_spec.shipped(kind)
    msg = f"{path}: none of the formats in parsers/ fits; write one and name it"
    raise UnknownFormatError(msg)
