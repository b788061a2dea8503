"""Say what is known of one name: what the catalogue holds, which list has it, who asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import polars as pl

from guardian.errors import InputError
from guardian.intel import addresses, catalogue, list_state, never, popular
from guardian.intel.catalogue import Action, Breakage, Grade
from guardian.intel.names import normalise, parents, registrable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

Row = dict[str, Any]
MAX_TEXT = 2_000
"""Characters of a question; a longer one is no name."""
MERGED = "guardian-all"
OWN = "Apache-2.0"
"""The licence of Guardian's own lists."""


class _Reader(Protocol):
    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]: ...


class ReadableStore(Protocol):
    """What is needed of the store: its place, and a cursor."""

    path: Path | None

    def read(self) -> AbstractContextManager[_Reader]:
        """Give a cursor."""


AHEAD = timedelta(hours=1)
"""Events dated further ahead than this come from a clock that is wrong."""

# The last day is that of what was stored: a replayed capture has its own. A few rows that are
# still to come do not count; where all are, it is the source's clock or ours.
_NEWEST = """
SELECT coalesce(max(ts) FILTER (ts <= $ahead), max(ts)) AS until
FROM (SELECT ts FROM flow UNION ALL SELECT ts FROM dns UNION ALL SELECT ts FROM dns_log)
"""

_ASKED = """
SELECT coalesce(d.name, q.src_ip) AS device, count(*) AS asked, max(q.ts) AS last_asked,
       count(*) FILTER (q.status = 'blocked') AS refused
FROM dns_question($since, $until) q
LEFT JOIN v_device_address a ON a.ip = q.src_ip AND a.valid_from <= q.ts AND q.ts < a.valid_to
LEFT JOIN device d ON d.device_id = a.device_id
WHERE (q.name = $name OR ends_with(q.name, '.' || $name))
GROUP BY 1 ORDER BY asked DESC, device LIMIT 50
"""

_CONTACTED = """
SELECT coalesce(d.name, f.src_ip) AS device, count(*) AS asked, max(f.ts) AS last_asked,
       0 AS refused
FROM flow f
LEFT JOIN v_device_address a ON a.ip = f.src_ip AND a.valid_from <= f.ts AND f.ts < a.valid_to
LEFT JOIN device d ON d.device_id = a.device_id
WHERE f.dest_ip = $name AND f.ts BETWEEN $since AND $until
GROUP BY 1 ORDER BY asked DESC, device LIMIT 50
"""

_STOOD_FOR = """
SELECT DISTINCT name FROM address_name WHERE ip = $name ORDER BY name LIMIT 20
"""

_ENFORCED = """
SELECT e.responder, e.applied_at, e.ends_at
FROM enforcement e
WHERE e.state IN ('applied', 'verified') AND e.reverted_at IS NULL
  AND list_has_any($names, from_json(json_extract(e.target, '$.names'), '["VARCHAR"]'))
ORDER BY e.applied_at
"""


def explain(name: str, store: ReadableStore, *, lists: Path | None = None) -> Row:
    """Return what is known of a name or an address as JSON values; unknown is an answer too.

    A pasted web address, an upper-case name, a name in another script and one with a
    dot at its end are understood. ``lists`` is the folder of built lists; by default the
    one beside the store. ``blocked`` says that a list of Guardian's holds the name, that
    a person's answer blocks it, or that the home's resolver refused it in the last day;
    ``blocked_by`` says which of these, and since when.

    Raises:
        InputError: it is no DNS name and no address.
    """
    clean, is_address = understand(name)
    known = catalogue.load()
    entry = known.match(clean)
    folder = lists or (store.path.parent / "lists" if store.path else None)
    state = list_state.read(folder) if folder else {}
    tails = [] if is_address else parents(clean)
    listed = _listed(tails, folder, state) if folder and tails else []
    allowed = _allowed(tails, folder, state) if folder and tails else []
    with store.read() as reader:
        asked = _asked_by(reader, clean, is_address=is_address)
        enforced = reader.rows(_ENFORCED, {"names": tails}) if tails else []
        stood = [row["name"] for row in reader.rows(_STOOD_FOR, {"name": clean})]
    for row in (*asked, *enforced):
        for key, value in row.items():
            if hasattr(value, "isoformat"):
                row[key] = value.isoformat() + "Z"
    by = _blocked_by(listed, enforced, asked)
    fixed = None if is_address else never.load().reason(clean)
    pattern = known.matcher.match(clean)
    return {
        "name": clean,
        "kind": "address" if is_address else "name",
        "registrable": registrable(clean),
        **_entry(entry),
        "sources": _sources(entry, known, listed),
        "pattern": pattern.pattern if pattern else (clean if entry else None),
        "blocked": bool(by),
        "blocked_by": by,
        "allowed_by": allowed,
        "listed": listed,
        "why": _why(entry, by=by, allowed=allowed, fixed=fixed, state=state, known=pattern),
        "never_block": fixed,
        "popular": clean in popular.load(),
        "enforcements": enforced,
        "asked_by": asked,
        "stood_for": stood,
    }


def _asked_by(reader: _Reader, name: str, *, is_address: bool) -> list[Row]:
    """Return who asked for the name, or went to the address, in the last day stored."""
    now = datetime.now(UTC).replace(tzinfo=None)
    until = reader.rows(_NEWEST, {"ahead": now + AHEAD})[0]["until"]
    if until is None:
        return []
    span = {"since": until - timedelta(days=1), "until": until}
    return reader.rows(_CONTACTED if is_address else _ASKED, {"name": name, **span})


def understand(text: str) -> tuple[str, bool]:
    """Return the name or address that a person means, and whether it is an address.

    Raises:
        InputError: there is none in it.
    """
    asked = text.strip()
    if len(asked) <= MAX_TEXT and asked:
        address = addresses.normalise(asked.strip("[]"))
        if address is not None:
            return address, True
        host = _host(asked)
        address = addresses.normalise(host)
        if address is not None:
            return address, True
        clean = normalise(host.removeprefix("*.").removeprefix("."))
        if clean is not None:
            return clean, False
    shown = "".join(each if each.isprintable() else "?" for each in asked[:80])
    msg = f"{shown!r} is no DNS name, web address or IP address"
    raise InputError(msg)


def _host(text: str) -> str:
    """Return the host of what somebody pasted: a URL, ``host:port``, a mail address, a rule."""
    plain = text.removeprefix("@@").removeprefix("||").rstrip("^|")
    try:
        host = urlsplit(plain if "://" in plain else f"//{plain}").hostname
    except ValueError:
        host = None
    return host or plain


def _entry(entry: catalogue.Entry | None) -> Row:
    if entry is None:
        return {
            "classes": [], "company": None, "service": None, "purposes": [],
            "evidence_grade": None, "breakage": None, "breaks": None, "sends": None,
            "safe_action": None, "entry": None, "ports": [],
        }  # fmt: skip
    return {
        "classes": list(entry.classes),
        "company": entry.company,
        "service": entry.service,
        "purposes": list(entry.purposes),
        "evidence_grade": str(entry.grade),
        "breakage": str(entry.breakage),
        "breaks": entry.breaks or None,
        "sends": entry.sends,
        "safe_action": str(entry.safe_action),
        "entry": entry.id,
        "ports": list(entry.ports),
    }


def _sources(
    entry: catalogue.Entry | None, known: catalogue.Catalogue, listed: list[Row]
) -> list[str]:
    """Return where the catalogue's knowledge comes from, then the sources that list the name."""
    keys = entry.sources if entry else ()
    titles = [known.sources[key].title for key in keys if key in known.sources]
    return titles + [
        f"the list {row['list']}, {row['source']}"
        for row in listed
        if not row["list"].startswith("guardian-")
    ]


def _listed(tails: list[str], folder: Path, state: Row) -> list[Row]:
    """Return the built lists that hold the name or something above it, the source's own first."""
    found: list[Row] = []
    for path in sorted((folder / "kept").glob("*.built.parquet")):
        name = path.name.removesuffix(".built.parquet")
        since: Row = state.get("lists", {}).get(name, {})
        source: Row = state.get("sources", {}).get(name, {})
        found.extend(
            {
                "list": name,
                "pattern": pattern,
                "since": _since(folder, name, pattern) or since.get("since"),
                "source": _origin(name, source),
                "licence": source.get("licence") or ("" if source or name == MERGED else OWN),
            }
            for pattern in _held(path, tails)
        )
    return sorted(found, key=lambda row: row["list"] == MERGED)


def _origin(name: str, source: Row) -> str:
    if name == MERGED:
        return "all lists together"
    return str(source.get("url") or source.get("path") or "Guardian's catalogue")


def _allowed(tails: list[str], folder: Path, state: Row) -> list[Row]:
    found: list[Row] = []
    for name in state.get("sources", {}):
        held = _held(folder / "kept" / f"{name}.allow.parquet", tails)
        found.extend({"list": name, "pattern": pattern} for pattern in held)
    return found


def _held(path: Path, tails: list[str]) -> list[str]:
    if not path.exists():
        return []
    names: list[str] = (
        pl.scan_parquet(path).filter(pl.col("name").is_in(tails)).collect()["name"].to_list()
    )
    return names


def _since(folder: Path, name: str, pattern: str) -> str | None:
    """Return when a name came onto a list, if that was after the list's first build."""
    path = folder / "kept" / f"{name}.since.parquet"
    if not path.exists():
        return None
    rows = pl.scan_parquet(path).filter(pl.col("name") == pattern).collect()["since"].to_list()
    return rows[0] if rows else None


def _blocked_by(listed: list[Row], enforced: list[Row], asked: list[Row]) -> list[Row]:
    by: list[Row] = [
        {"by": "list", "what": row["list"], "pattern": row["pattern"], "since": row["since"]}
        for row in listed
        if row["list"] != MERGED or len(listed) == 1
    ]
    by += [
        {"by": "answer", "what": row["responder"], "pattern": None, "since": row["applied_at"],
         "until": row["ends_at"]}
        for row in enforced
    ]  # fmt: skip
    refused = [row["last_asked"] for row in asked if row["refused"]]
    if refused:
        by.append({"by": "resolver", "what": "the home's resolver", "pattern": None, "since": None,
                   "last": max(refused)})  # fmt: skip
    return by


def _why(
    entry: catalogue.Entry | None, *, by: list[Row], allowed: list[Row], fixed: str | None,
    state: Row, known: object,
) -> list[str]:  # fmt: skip
    """Return the reasons as sentences, the deciding ones first."""
    said = {
        "list": "on the list {what} as {pattern}, since {since}: a resolver that subscribes "
        "to it refuses the name",
        "answer": "blocked by {what} since {since}, because a person said so",
        "resolver": "the home's resolver refused it in the last day",
    }
    why = [said[row["by"]].format(**{**row, "since": str(row["since"])[:10]}) for row in by]
    why += [f"the source {row['list']} allows {row['pattern']}" for row in allowed]
    if fixed:
        why.append(f"no list and no proposal may block it: {fixed}")
    if any(row["by"] == "list" for row in by) or allowed or fixed:
        return why
    if entry is None:
        why.append("nobody lists it: neither Guardian's catalogue nor a source")
    elif entry.safe_action is not Action.BLOCK:
        why.append(
            f"the catalogue knows it, but Guardian's lists leave it out: {_cost(entry)}; "
            f"the most that Guardian suggests is to {entry.safe_action}"
        )
    elif entry.grade is Grade.SUSPECTED:
        why.append("the catalogue only suspects it, so Guardian's lists leave it out")
    elif not state:
        why.append("Guardian's lists would hold it, but none is built yet: guardian lists build")
    elif known is not None:
        why.append("it fits a pattern that no list can say, so Guardian's lists leave it out")
    else:
        why.append("it is an address, and lists hold names")
    return why


def _cost(entry: catalogue.Entry) -> str:
    if entry.breaks:
        return f"what breaks: {entry.breaks}"
    if entry.breakage is Breakage.UNKNOWN:
        return "what blocking it breaks is not known"
    return "blocking it is not known to break anything"
