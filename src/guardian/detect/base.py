"""What every detector is: a name, what it reads, and findings out of a window of rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from guardian.model.finding import Finding, FindingClass, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from guardian.detect.rules import Rule
    from guardian.detect.settings import Settings
    from guardian.store import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The span of event time that a detector looks at, whole: ``since`` to ``until``."""

    since: datetime
    until: datetime


def utc_offset_s(moment: datetime) -> int:
    """Return how many seconds the home's clock (this machine's) was ahead of UTC then."""
    local = moment.replace(tzinfo=UTC).astimezone()
    return int((local.utcoffset() or timedelta()).total_seconds())


class Detector(Protocol):
    """Turn rows into findings.

    ``reads`` are the tables whose new rows make it run; ``window_s`` is how far
    before the oldest new row it must look to judge the newest.
    """

    @property
    def name(self) -> str:
        """Its name, ``area.what``: stable, as stored findings carry it."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables whose new rows make it run."""

    @property
    def window_s(self) -> int:
        """Seconds before the oldest new row that it looks at too."""

    def find(self, reader: Reader, window: Window, settings: Settings) -> Iterable[Finding]:
        """Yield the findings of a window.

        Raises:
            StoreError: a query failed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlDetector:
    """A detector that is a rule file."""

    rule: Rule

    @property
    def name(self) -> str:
        """The rule's folder and file name."""
        return self.rule.name

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables that the rule's head names."""
        return self.rule.reads

    @property
    def window_s(self) -> int:
        """The window that the rule's head names."""
        return self.rule.window_s

    def find(self, reader: Reader, window: Window, settings: Settings) -> Iterable[Finding]:
        """Run the query and turn its rows into findings."""
        values = self.bound(window, settings)
        for row in reader.rows(self.rule.sql, values):
            yield self._finding(row)

    def bound(self, window: Window, settings: Settings) -> dict[str, Any]:
        """Return what the query binds: the window, and parameters with their overrides."""
        override = settings.parameters.get(self.name, {})
        values: dict[str, Any] = {
            "since": window.since,
            "until": window.until,
            "utc_offset_s": utc_offset_s(window.until),
        }
        for name, parameter in self.rule.parameters.items():
            values[name] = override.get(name, parameter.default)
        return {name: value for name, value in values.items() if name in self.rule.used}

    def _finding(self, row: Mapping[str, Any]) -> Finding:
        level = row.get("level")
        return Finding(
            finding_class=FindingClass(row.get("class") or self.rule.finding_class),
            level=Level(level) if level else self.rule.level,
            detector=self.name,
            title=row.get("title") or self.rule.title,
            key=str(row["key"]),
            src_ip=row["src_ip"],
            peers=tuple(peer for peer in row["peers"] or () if peer),
            first_seen=row["first_seen"],
            last_seen=row["last_seen"],
            count=int(row["count"]),
            facts={k: v for k, v in (row["facts"] or {}).items() if v is not None},
            evidence=tuple(row["evidence"] or ()),
            tags=tuple(dict.fromkeys((*self.rule.tags, *(row.get("tags") or ())))),
        )
