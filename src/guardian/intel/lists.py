"""Make blocklists for the home's resolver.

A source that cannot be read, has shrunk by half, or suddenly lists a name that must
never be blocked or that many need is held back and reported: its last good names stay.
Nothing that must never be blocked reaches an output, whoever lists it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.errors import InputError
from guardian.intel import list_formats, list_guard, list_outputs, list_sources, list_state
from guardian.intel.list_explain import explain
from guardian.intel.list_names import NameSet, reduce
from guardian.intel.list_show import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from guardian.intel.list_guard import Guard
    from guardian.intel.list_sources import Place
    from guardian.intel.settings import Settings
    from guardian.model.download import Download

__all__ = ["build", "explain", "show"]

KEPT = "kept"
MERGED = "guardian-all"
CHANGES_SHOWN = 50
"""Names named in the changelog for each list and direction; all are counted."""
CHANGES_CHARS = 200_000
"""Length of the changelog; the oldest entries fall off its end."""
READER = 2
"""Raised when the readers of formats change: then every source is read again."""
_EMPTY = pl.Series("name", [], dtype=pl.String)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One build: where from, where to, what is known, what is guarded."""

    out: Path
    formats: list[str]
    guard: Guard
    state: Row
    now: str
    downloads: Mapping[str, Download]

    def kept(self, name: str) -> Path:
        """Return the file of a source's or a list's last good names."""
        return self.out / KEPT / f"{name}.parquet"


def build(
    folder: Path,
    out: Path,
    *,
    formats: list[str] | None = None,
    settings: Settings | None = None,
    downloads: Mapping[str, Download] | None = None,
    house: Iterable[str] = (),
) -> Row:
    """Make every list's files in ``out`` and return what was done, as JSON values.

    ``downloads`` say how fetching the sources with a URL went; without it their last
    copies are read. ``house`` are the names that this house asks for most.

    Raises:
        RuleError: ``sources.toml`` or the catalogue is wrong.
        ConfigError: the keeper's sources are wrong.
        InputError: the output folder cannot be written.
    """
    started = time.monotonic()
    try:
        (out / KEPT).mkdir(parents=True, exist_ok=True)
        job = _Job(
            out=out,
            formats=formats or list(list_outputs.FORMATS),
            guard=list_guard.guard(house),
            state=list_state.read(out),
            now=list_state.now(),
            downloads=downloads or {},
        )
        report = _build(folder, job, list_sources.read(folder, out, settings))
        _changelog(out, report)
        list_state.write(out, report.pop("state"))
        _forget(job, {row["name"] for row in (*report["lists"], *report["sources"])})
    except OSError as error:
        msg = f"{error.filename or out}: cannot be written: {error.strerror}"
        raise InputError(msg) from error
    report["seconds"] = round(time.monotonic() - started, 3)
    return report


def _build(folder: Path, job: _Job, places: list[Place]) -> Row:
    own = list_sources.own(folder)
    sources = [_take(job, place) for place in places]
    parts = [_names(job.kept(f"{place.name}.allow")) for place in places]
    allowed = pl.concat(parts).unique() if parts else _EMPTY
    rows: list[Row] = []
    # One list at a time: of millions of names, only one copy is in memory.
    for name, (title, names) in own.items():
        rows.append(_write(job, name, _final(job, names, allowed), title, allowed))
    for place in places:
        if not place.source.allow:
            names = _final(job, _names(job.kept(place.name)), allowed)
            title = place.source.purpose or place.name
            rows.append(_write(job, place.name, names, title, allowed))
    built = [_names(job.kept(f"{row['name']}.built")) for row in rows]
    every = reduce(pl.concat(built)) if len(built) > 1 else (built or [_EMPTY])[0]
    del built
    rows.append(_write(job, MERGED, every, "everything, in one list", allowed))
    return {
        "lists": rows,
        "sources": sources,
        "held": [row["name"] for row in sources if row["held"]],
        "folder": str(job.out),
        "state": {
            "built_at": job.now,
            "sources": {row["name"]: row for row in sources},
            "lists": {
                row["name"]: {key: row[key] for key in ("names", "since", "digest", "title")}
                for row in rows
            },
        },
    }


def _names(path: Path) -> pl.Series:
    return pl.read_parquet(path)["name"] if path.exists() else _EMPTY


def _final(job: _Job, names: pl.Series, allowed: pl.Series) -> pl.Series:
    """Return a list's names, reduced, without what must stay and what is allowed."""
    reduced = job.guard.harmless(reduce(names))
    if allowed.len():
        reduced = reduced.filter(~NameSet(allowed).covers(reduced))
    return reduced


def _take(job: _Job, place: Place) -> Row:
    """Keep what a source says, or leave its last good names when that cannot be right."""
    last: Row = job.state.get("sources", {}).get(place.name, {})
    row = _about(job, place, last)
    download = job.downloads.get(place.name)
    if download is not None and download.error:
        return row | _held(job, last, f"it could not be fetched: {download.error}")
    try:
        row["sha256"] = digest = list_sources.digest(place.file)
        same = not last.get("held") and job.kept(place.name).exists()
        if same and (digest, READER, row["format"]) == tuple(
            last.get(key) for key in ("sha256", "reader", "format")
        ):
            return row
        found = list_formats.read(place.file, place.format)
    except OSError as error:
        missing = (
            "it was never fetched" if place.source.url else f"cannot be read: {error.strerror}"
        )
        return row | _held(job, last, f"{place.file.name}: {missing}")
    except InputError as error:
        return row | _held(job, last, str(error))
    before = _names(job.kept(place.name))
    block, allow = found.block["name"], found.allow["name"]
    if place.source.allow:
        block, allow = _EMPTY, pl.concat([block, allow]).unique()
    doubts = job.guard.doubts(block, before, first="taken_at" not in last)
    accepted = list_state.accepted(job.out).get(place.name, {}).get("sha256") == digest
    if doubts and not accepted:
        return row | _held(job, last, "; ".join(doubts), digest)
    pl.DataFrame({"name": block}).write_parquet(job.kept(place.name))
    pl.DataFrame({"name": allow}).write_parquet(job.kept(f"{place.name}.allow"))
    return row | {
        "held": None, "held_since": None, "held_sha256": None, "reader": READER,
        "names": block.len(), "allowed": allow.len(), "invalid": found.invalid,
        "skipped": found.skipped, "taken_at": job.now, "accepted": bool(doubts),
    }  # fmt: skip


def _about(job: _Job, place: Place, last: Row) -> Row:
    """Return what is known of a source before it is read, the last state filled in."""
    source, download = place.source, job.downloads.get(place.name)
    row: Row = {
        "names": 0, "allowed": 0, "invalid": 0, "skipped": 0, "held": None, "held_since": None,
        "held_sha256": None, "checked_at": job.now, "fetched_at": None, **last,
        "name": place.name, "format": source.format, "licence": source.licence,
        "purpose": source.purpose, "allow": source.allow,
        "path": None if source.url else source.path,
        "url": list_sources.shown(source.url) if source.url else None,
    }  # fmt: skip
    if not source.url:
        row["checked_at"] = job.now
    elif download is not None:
        row |= {"checked_at": download.checked_at, "fetched_at": download.fetched_at,
                "plain": download.plain}  # fmt: skip
    return row


def _held(job: _Job, last: Row, why: str, digest: str | None = None) -> Row:
    since = last.get("held_since") if last.get("held") else None
    kept = {"sha256": last.get("sha256")}
    return {"held": why, "held_since": since or job.now, "held_sha256": digest, **kept}


def _write(job: _Job, name: str, names: pl.Series, title: str, allowed: pl.Series) -> Row:
    """Write a list's files if it says something else than before; return what changed."""
    kept = job.kept(f"{name}.built")
    before = _names(kept)
    added = names.filter(~NameSet(before).holds(names)) if before.len() else names
    removed = before.filter(~NameSet(names).holds(before)) if before.len() else before
    spared = allowed.filter(NameSet(names).covers(allowed)).sort() if allowed.len() else allowed
    last: Row = job.state.get("lists", {}).get(name, {})
    digest = list_outputs.fingerprint(names, spared)
    files = [job.out / f"{name}.{list_outputs.FORMATS[kind].suffix}" for kind in job.formats]
    same = (last.get("digest"), last.get("title")) == (digest, title)
    if not same or not all(file.exists() for file in (kept, *files)):
        list_outputs.write(
            job.out, name, names, title=title, formats=job.formats, spared=spared
        )  # fmt: skip
        pl.DataFrame({"name": names}).write_parquet(kept)
    _note_since(job, name, added, first=not last)
    return {
        "name": name, "title": title, "names": names.len(), "exceptions": spared.len(),
        "added": added.len(), "removed": removed.len(),
        "added_names": added.head(CHANGES_SHOWN).to_list(),
        "removed_names": removed.head(CHANGES_SHOWN).to_list(),
        "formats": job.formats, "since": last.get("since", job.now), "digest": digest,
    }  # fmt: skip


def _note_since(job: _Job, name: str, added: pl.Series, *, first: bool) -> None:
    """Keep when names came that were not in the list's first build."""
    path = job.kept(f"{name}.since")
    if first:
        path.unlink(missing_ok=True)
    elif added.len():
        fresh = pl.DataFrame({"name": added}).with_columns(since=pl.lit(job.now))
        if path.exists():
            fresh = pl.concat([pl.read_parquet(path).join(fresh, on="name", how="anti"), fresh])
        fresh.write_parquet(path)


def _forget(job: _Job, names: set[str]) -> None:
    """Remove what lists left that are made no longer: nobody should go on reading them."""
    gone = (job.state.get("lists", {}).keys() | job.state.get("sources", {}).keys()) - names
    for name in gone:
        for form in list_outputs.FORMATS.values():
            (job.out / f"{name}.{form.suffix}").unlink(missing_ok=True)
        for end in ("", ".allow", ".built", ".since"):
            job.kept(f"{name}{end}").unlink(missing_ok=True)
        for end in ("list", "json"):
            (job.out / list_sources.FETCHED / f"{name}.{end}").unlink(missing_ok=True)


def _changelog(out: Path, report: Row) -> None:
    """Put what changed on top of the changelog."""
    lines = [f"## {report['state']['built_at']}"]
    for row in report["lists"]:
        if row["added"] or row["removed"]:
            lines.append(f"- {row['name']}: {row['added']} added, {row['removed']} removed")
            lines += [f"  + {name}" for name in row["added_names"]]
            lines += [f"  - {name}" for name in row["removed_names"]]
    lines += [
        f"- {row['name']} held back: {row['held']}" for row in report["sources"] if row["held"]
    ]
    lines += [
        f"- {row['name']} accepted by a person although in doubt"
        for row in report["sources"]
        if row.get("accepted") and row.get("taken_at") == report["state"]["built_at"]
    ]
    if len(lines) == 1:
        return
    path = out / "CHANGES.md"
    old = path.read_text() if path.exists() else ""
    path.write_text("\n".join([*lines, "", old])[:CHANGES_CHARS])
