"""Make blocklists for the home's resolver, and say why a name is, or is not, on one.

A source that cannot be read, has shrunk by half, or suddenly lists a name that must
never be blocked is held back and reported: its last good names stay. Nothing that
must never be blocked reaches an output, whoever lists it.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.errors import InputError
from guardian.intel import list_formats, list_outputs, list_sources, never
from guardian.intel.list_explain import explain
from guardian.intel.list_names import NameSet, reduce
from guardian.intel.names import parents

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.intel.list_sources import Source

__all__ = ["build", "explain", "show"]

STATE = "state.json"
KEPT = "kept"
MERGED = "guardian-all"
MAX_SHRINK = 0.5
"""Share of its names that a source may lose at once: a list that halves is a broken list."""
CHANGES_SHOWN = 50
"""Names named in the changelog for each list and direction; all are counted."""
_EMPTY = pl.Series("name", [], dtype=pl.String)
MIN_JUDGED = 100
"""Names from which on shrinking is judged: small lists change freely."""

Row = dict[str, Any]


def show(folder: Path) -> list[Row]:
    """Return Guardian's own lists and the keeper's sources, a row each."""
    rows: list[Row] = [
        {
            "name": name, "kind": "guardian", "names": names.len(), "purpose": title,
            "licence": "Apache-2.0",
        }
        for name, (title, names) in list_sources.own(folder).items()
    ]  # fmt: skip
    rows.extend(
        {
            "name": s.name, "kind": s.format or "told by its lines", "names": None,
            "purpose": s.purpose, "licence": s.licence,
        }
        for s in list_sources.read(folder)
    )  # fmt: skip
    return rows


def build(folder: Path, out: Path, *, formats: list[str] | None = None) -> Row:
    """Make every list's files in ``out`` and return what was done, as JSON values.

    Raises:
        RuleError: ``sources.toml`` or the catalogue is wrong.
        InputError: the output folder cannot be written.
    """
    started = time.monotonic()
    formats = formats or list(list_outputs.FORMATS)
    try:
        (out / KEPT).mkdir(parents=True, exist_ok=True)
        state = _state(out)
        report = _build(folder, out, state, formats)
        _changelog(out, report)
        fresh = out / (STATE + ".new")
        fresh.write_text(json.dumps(report["state"], indent=1, sort_keys=True))
        fresh.replace(out / STATE)
    except OSError as error:
        msg = f"{error.filename or out}: cannot be written: {error.strerror}"
        raise InputError(msg) from error
    del report["state"]
    report["seconds"] = round(time.monotonic() - started, 3)
    return report


def _state(out: Path) -> Row:
    path = out / STATE
    try:
        state: Row = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:
        state = {}
    return state


def _build(folder: Path, out: Path, state: Row, formats: list[str]) -> Row:
    known = state.get("sources", {})
    own = list_sources.own(folder)
    sources: list[Row] = []
    allowed: list[pl.Series] = []
    for source in list_sources.read(folder):
        row, allow = _take(folder, out, source, known.get(source.name))
        sources.append(row)
        allowed.append(allow)
    kept = NameSet(pl.concat(allowed)) if allowed else None
    rows: list[Row] = []
    # One list at a time: of millions of names, only one copy is in memory.
    for name, (title, names) in own.items():
        rows.append(_write(out, name, _final(names, kept), title, formats))
    for source in list_sources.read(folder):
        names = _read_kept(out / KEPT / f"{source.name}.parquet")
        rows.append(_write(out, source.name, _final(names, kept), source.purpose, formats))
    built = [_read_kept(out / KEPT / f"{row['name']}.built.parquet") for row in rows]
    every = reduce(pl.concat(built)) if len(built) > 1 else (built or [_EMPTY])[0]
    del built
    rows.append(_write(out, MERGED, every, "everything, in one list", formats))
    return {
        "lists": rows,
        "sources": sources,
        "folder": str(out),
        "state": {
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "sources": {row["name"]: row for row in sources},
            "lists": {row["name"]: row["names"] for row in rows},
        },
    }


def _read_kept(path: Path) -> pl.Series:
    return pl.read_parquet(path)["name"] if path.exists() else _EMPTY


def _final(names: pl.Series, allowed: NameSet | None) -> pl.Series:
    """Return a list's names, reduced, without what must stay and what covers it."""
    rules = never.load()
    reduced = reduce(names)
    near = reduced.filter(_near(reduced, rules))
    wrong = [name for name in near.to_list() if rules.covered(name)]
    if wrong:
        reduced = reduced.filter(~reduced.is_in(wrong))
    if allowed is not None and len(allowed):
        reduced = reduced.filter(~allowed.covers(reduced))
    return reduced


def _near(names: pl.Series, rules: never.NeverBlock) -> pl.Series:
    """Say which names are, cover, or lie below one that must stay; few, so Python may look."""
    held = pl.Series("name", [*rules.exact, *rules.below])
    above = {tail for name in held.to_list() for tail in parents(name) if "." in tail}
    below = NameSet(pl.Series("name", list(rules.below), dtype=pl.String))
    return names.is_in(sorted(above)) | below.covers(names)


def _take(folder: Path, out: Path, source: Source, last: Row | None) -> tuple[Row, pl.Series]:
    """Keep what a source says, or leave its last good names when that cannot be right.

    Return what is to be said of it, and the names that it allows.
    """
    kept = out / KEPT / f"{source.name}.parquet"
    path = folder / source.path
    now = datetime.now(UTC).isoformat(timespec="seconds")
    before = (last or {}).get("names", 0)
    row: Row = {"name": source.name, "path": source.path, "licence": source.licence, "held": None}
    try:
        found = list_formats.read(path, source.format)
        row["sha256"] = list_sources.digest(path)
        row["held"] = _doubt(found.block["name"], before)
    except InputError as error:
        return row | {
            "held": str(error),
            "names": before,
            "since": (last or {}).get("since"),
        }, _EMPTY
    row |= {"read": found.block.height, "invalid": found.invalid, "skipped": found.skipped}
    if row["held"] is not None:
        return row | {"names": before, "since": (last or {}).get("since")}, _EMPTY
    found.block.write_parquet(kept)
    return row | {"names": found.block.height, "since": now}, found.allow["name"]


def _doubt(names: pl.Series, before: int) -> str | None:
    """Return why this source is not to be believed today, or None."""
    rules = never.load()
    near = names.filter(_near(names, rules))
    for name in near.sort().to_list():
        if rules.covered(name):
            return f"it lists {name}, which must never be blocked"
    if before >= MIN_JUDGED and names.len() < before * MAX_SHRINK:
        return f"it shrank from {before} to {names.len()} names"
    return None


def _write(out: Path, name: str, names: pl.Series, title: str, formats: list[str]) -> Row:
    kept = out / KEPT / f"{name}.built.parquet"
    before = _read_kept(kept)
    added = names.filter(~NameSet(before).holds(names)) if before.len() else names
    removed = before.filter(~NameSet(names).holds(before)) if before.len() else before
    files = [out / f"{name}.{list_outputs.FORMATS[kind][0]}" for kind in formats]
    if added.len() or removed.len() or not all(file.exists() for file in (kept, *files)):
        list_outputs.write(out, name, names, title=title, formats=formats)
        pl.DataFrame({"name": names}).write_parquet(kept)
    return {
        "name": name, "names": names.len(), "added": added.len(), "removed": removed.len(),
        "added_names": added.head(CHANGES_SHOWN).to_list(),
        "removed_names": removed.head(CHANGES_SHOWN).to_list(),
        "formats": formats,
    }  # fmt: skip


def _changelog(out: Path, report: Row) -> None:
    """Put what changed on top of the changelog; the oldest entries fall off its end."""
    lines = [f"## {report['state']['built_at']}"]
    for row in report["lists"]:
        if row["added"] or row["removed"]:
            lines.append(f"- {row['name']}: {row['added']} added, {row['removed']} removed")
            lines += [f"  + {name}" for name in row["added_names"]]
            lines += [f"  - {name}" for name in row["removed_names"]]
    lines += [
        f"- {row['name']} held back: {row['held']}" for row in report["sources"] if row["held"]
    ]
    if len(lines) == 1:
        return
    path = out / "CHANGES.md"
    old = path.read_text() if path.exists() else ""
    path.write_text("\n".join([*lines, "", old])[:200_000])
