"""Say what is known of one name: what the catalogue holds, which list has it, who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from guardian.errors import InputError
from guardian.intel import catalogue, never
from guardian.intel.names import normalise, parents, registrable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

Row = dict[str, Any]


class _Reader(Protocol):
    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]: ...


class ReadableStore(Protocol):
    """What is needed of the store: its place, and a cursor."""

    path: Path | None

    def read(self) -> AbstractContextManager[_Reader]:
        """Give a cursor."""


_ASKED = """
SELECT coalesce(d.name, q.src_ip) AS device, count(*) AS asked, max(q.ts) AS last_asked,
       count(*) FILTER (q.status = 'blocked') AS refused
FROM v_dns_query q
LEFT JOIN v_device_address a ON a.ip = q.src_ip AND a.valid_from <= q.ts AND q.ts < a.valid_to
LEFT JOIN device d ON d.device_id = a.device_id
WHERE (q.name = $name OR ends_with(q.name, '.' || $name))
  AND q.ts >= (SELECT max(ts) FROM v_dns_query) - INTERVAL 1 DAY
GROUP BY 1 ORDER BY asked DESC, device LIMIT 50
"""

_ENFORCED = """
SELECT e.responder, e.applied_at, e.ends_at
FROM enforcement e
WHERE e.state IN ('applied', 'verified') AND e.reverted_at IS NULL
  AND list_has_any($names, from_json(json_extract(e.target, '$.names'), '["VARCHAR"]'))
ORDER BY e.applied_at
"""


def explain(name: str, store: ReadableStore, *, lists: Path | None = None) -> Row:
    """Return what is known of a name as JSON values. An unknown name is an answer too.

    ``lists`` is the folder of built lists; by default the one beside the store.

    Raises:
        InputError: it is no DNS name.
    """
    clean = normalise(name)
    if clean is None:
        msg = f"{name!r} is no DNS name"
        raise InputError(msg)
    known = catalogue.load()
    entry = known.match(clean)
    folder = lists or (store.path.parent / "lists" if store.path else None)
    listed = _listed(clean, folder) if folder else []
    with store.read() as reader:
        asked = reader.rows(_ASKED, {"name": clean})
        enforced = reader.rows(_ENFORCED, {"names": parents(clean)})
    for row in (*asked, *enforced):
        for key, value in row.items():
            if hasattr(value, "isoformat"):
                row[key] = value.isoformat() + "Z"
    refused = any(row["refused"] for row in asked)
    why = [
        *(f"on the list {row['list']} as {row['pattern']}" for row in listed),
        *(f"blocked by {row['responder']} until {row['ends_at']}" for row in enforced),
        *(["the home's resolver refused it in the last day"] if refused else []),
    ]
    return {
        "name": clean,
        "registrable": registrable(clean),
        **_entry(entry, known),
        "blocked": bool(enforced or refused),
        "listed": listed,
        "why": why or ["no list of Guardian's holds it, and nothing blocks it"],
        "never_block": never.load().reason(clean),
        "enforcements": enforced,
        "asked_by": asked,
    }


def _entry(entry: catalogue.Entry | None, known: catalogue.Catalogue) -> Row:
    if entry is None:
        return {
            "classes": [], "company": None, "service": None, "purposes": [],
            "evidence_grade": None, "breakage": None, "breaks": None, "sends": None,
            "safe_action": None, "entry": None, "sources": [],
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
        "sources": [known.sources[key].title for key in entry.sources if key in known.sources],
    }


def _listed(name: str, folder: Path) -> list[Row]:
    """Return the built lists that hold the name, or something above it."""
    found: list[Row] = []
    for path in sorted((folder / "kept").glob("*.built.parquet")):
        tails = pl.scan_parquet(path).filter(pl.col("name").is_in(parents(name))).collect()
        found.extend(
            {"list": path.name.removesuffix(".built.parquet"), "pattern": pattern}
            for pattern in tails["name"].to_list()
        )
    return found
