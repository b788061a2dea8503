"""Incidents as vectors, and which earlier one is nearest: cosine, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

_ROWS: dict[str, pl.DataType | type[pl.DataType]] = {
    "incident_id": pl.Int64,
    "source": pl.String,
    "vector": pl.List(pl.Float32),
}
_WANTED: dict[str, pl.DataType | type[pl.DataType]] = {
    "number": pl.Int64,
    "first_seen": pl.Datetime,
    "vector": pl.List(pl.Float32),
}


def put(
    tx: Transaction,
    method: str,
    rows: Sequence[tuple[int, str, Sequence[float]]],
    *,
    now: datetime,
) -> None:
    """Keep vectors (incident, what it was made from, vector), all made by one method."""
    if not rows:
        return
    frame = pl.DataFrame(rows, schema=_ROWS, orient="row")
    with tx.registered("made", frame):
        tx.execute(
            "INSERT OR REPLACE INTO incident_vector "
            "SELECT incident_id, ?, source, vector, ? FROM made",
            [method, now],
        )


def nearest(
    reader: Reader,
    method: str,
    wanted: Mapping[int, tuple[datetime, Sequence[float]]],
    *,
    at_least: float,
) -> dict[int, tuple[int, float]]:
    """Return for each incident the earlier one that is most like it, with its cosine.

    Only those that were over before it began count, and only from ``at_least`` on. One
    that a person has judged goes before one that is a little nearer.
    """
    if not wanted:
        return {}
    rows = [(number, first, list(vector)) for number, (first, vector) in sorted(wanted.items())]
    frame = pl.DataFrame(rows, schema=_WANTED, orient="row")
    with reader.registered("wanted", frame):
        found = reader.rows(
            """
            SELECT w.number, v.incident_id, list_cosine_similarity(w.vector, v.vector) AS score
            FROM wanted AS w
            JOIN incident_vector AS v
              ON v.method = $method AND v.incident_id <> w.number
             AND len(v.vector) = len(w.vector)
            JOIN incident AS i
              ON i.id = v.incident_id AND i.merged_into IS NULL AND i.last_seen < w.first_seen
            LEFT JOIN (SELECT DISTINCT incident_id FROM feedback WHERE revoked_at IS NULL) AS f
              ON f.incident_id = i.id
            WHERE list_cosine_similarity(w.vector, v.vector) >= $at_least
            QUALIFY row_number() OVER (
                PARTITION BY w.number
                ORDER BY (f.incident_id IS NOT NULL) DESC, score DESC, i.last_seen DESC, i.id
            ) = 1
            """,
            {"method": method, "at_least": at_least},
        )
    return {row["number"]: (row["incident_id"], float(row["score"])) for row in found}


def without(reader: Reader, local: str, method: str, *, limit: int) -> list[dict[str, Any]]:
    """Return incidents that have no vector of a method from what they are today."""
    return reader.rows(
        "SELECT l.incident_id, l.source, i.first_seen FROM incident_vector AS l "
        "JOIN incident AS i ON i.id = l.incident_id AND i.merged_into IS NULL "
        "LEFT JOIN incident_vector AS v ON v.incident_id = l.incident_id AND v.method = ? "
        "WHERE l.method = ? AND v.source IS DISTINCT FROM l.source "
        "ORDER BY i.last_seen DESC, i.id LIMIT ?",
        [method, local, limit],
    )


def note_similar(
    tx: Transaction, method: str, found: Mapping[int, tuple[int, float]], *, now: datetime
) -> bool:
    """Write what an embedding model found similar; return whether anything is new."""
    fresh = False
    for number, (other, score) in found.items():
        old = tx.value("SELECT similar_id FROM incident_similar WHERE incident_id = ?", [number])
        if old == other:
            continue
        fresh = True
        tx.execute(
            "INSERT OR REPLACE INTO incident_similar VALUES (?, ?, ?, ?, ?)",
            [number, other, score, method, now],
        )
    return fresh


def similar(reader: Reader) -> dict[int, int]:
    """Return the past incident that an embedding model found for each, by its number."""
    rows = reader.rows("SELECT incident_id, similar_id FROM incident_similar")
    return {row["incident_id"]: row["similar_id"] for row in rows}
