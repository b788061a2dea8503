"""The lists and the sources as a person sees them: names, age, licence, what is held back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from guardian.intel import list_outputs, list_sources, list_state

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.intel.settings import Settings

Row = dict[str, Any]


def show(folder: Path, out: Path | None = None, settings: Settings | None = None) -> list[Row]:
    """Return Guardian's own lists, the sources in force, then those on offer, a row each.

    ``out`` is where lists are built; without it nothing is known of any build. A row
    has ``name, kind, names, source, purpose, licence, since, checked_at, age_s,
    fetched_at, taken_at, held, held_since, may_accept, formats``; times are RFC 3339,
    None for what never happened, ``age_s`` the seconds since the source last answered.
    """
    state = list_state.read(out) if out else {}
    built = state.get("lists", {})
    rows = [
        _row(
            name, "guardian", built.get(name), None, names=built.get(name, {}).get("names"),
            purpose=title, licence="Apache-2.0", source="Guardian's catalogue",
            checked_at=state.get("built_at"), fallback=names.len(),
        )
        for name, (title, names) in list_sources.own(folder).items()
    ]  # fmt: skip
    taken: Row = state.get("sources", {})
    places = list_sources.read(folder, out or folder / "none", settings)
    for place in places:
        last = taken.get(place.name)
        source = place.source
        rows.append(
            _row(
                place.name, "allow" if source.allow else "source", built.get(place.name), last,
                names=last["names"] + last["allowed"] if last else None, purpose=source.purpose,
                licence=source.licence,
                source=list_sources.shown(source.url) if source.url else source.path,
                checked_at=last["checked_at"] if last else None,
            )
        )  # fmt: skip
    if "guardian-all" in built:
        rows.append(
            _row(
                "guardian-all", "merged", built["guardian-all"], None, licence="as its parts",
                names=built["guardian-all"]["names"], purpose="everything, in one list",
                source="all of the above", checked_at=state.get("built_at"),
            )
        )  # fmt: skip
    on = {place.name for place in places}
    rows += [
        _row(
            each.name, "offered, off", None, None, names=None, purpose=each.purpose,
            licence=each.licence, source=list_sources.shown(each.url), checked_at=None,
        )
        for each in list_sources.offers(folder)
        if each.name not in on
    ]  # fmt: skip
    return rows


def _row(
    name: str, kind: str, built: Row | None, last: Row | None, *,
    names: int | None, purpose: str, licence: str, source: str,
    checked_at: str | None, fallback: int | None = None,
) -> Row:  # fmt: skip
    return {
        "name": name,
        "kind": kind,
        "names": fallback if names is None else names,
        "purpose": purpose,
        "licence": licence or "not stated",
        "source": source,
        "since": built["since"] if built else None,
        "checked_at": checked_at,
        "age_s": _age_s(checked_at),
        "fetched_at": last.get("fetched_at") if last else None,
        "taken_at": last.get("taken_at") if last else None,
        "sha256": last.get("sha256") if last else None,
        "invalid": last["invalid"] if last else None,
        "skipped": last["skipped"] if last else None,
        "held": last.get("held") if last else None,
        "held_since": last.get("held_since") if last else None,
        "may_accept": bool(last and last.get("held_sha256")),
        "formats": list(list_outputs.FORMATS) if built else [],
    }


def _age_s(moment: str | None) -> int | None:
    if moment is None:
        return None
    return max(0, round((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()))
