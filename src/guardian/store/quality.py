"""How well stories are told: scorings of triage, and what people and models did since."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardian.store.connection import Reader, Store

MAX_KEPT = 200
"""So many scorings are kept; the oldest go."""


def save(store: Store, report: Mapping[str, Any], *, now: datetime) -> int:
    """Keep a scoring (``triage.gold.evaluate``) and return its id."""
    with store.transaction() as tx:
        number = int(
            tx.value(
                "INSERT INTO triage_score (taken_at, set_digest, prompt_version, "
                "template_version, models, report) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                [
                    now,
                    str(report["set"]),
                    str(report["prompt_version"]),
                    str(report["template_version"]),
                    json.dumps(report["models"]),
                    json.dumps(report),
                ],
            )
        )
        tx.execute("DELETE FROM triage_score WHERE id <= ?", [number - MAX_KEPT])
    return number


def scores(reader: Reader, *, limit: int = 20) -> list[dict[str, Any]]:
    """Return scorings, the newest first: id, taken_at, digests, models and report."""
    rows = reader.rows("SELECT * FROM triage_score ORDER BY id DESC LIMIT ?", [limit])
    return [
        {**row, "models": _decoded(row["models"]), "report": _decoded(row["report"])}
        for row in rows
    ]


def answers(reader: Reader) -> list[dict[str, Any]]:
    """Return what people said by leading class: right, wrong, expected; what counts now."""
    return reader.rows(
        "SELECT class, count(*) FILTER (answer = 'right') AS right, "
        "count(*) FILTER (answer = 'wrong') AS wrong, "
        "count(*) FILTER (answer = 'expected') AS expected, count(*) AS said "
        "FROM feedback WHERE revoked_at IS NULL GROUP BY class ORDER BY said DESC, class LIMIT 60"
    )


def written(reader: Reader, *, since: datetime) -> list[dict[str, Any]]:
    """Return who worded the incidents that were last seen since then, and of how many."""
    return reader.rows(
        "SELECT written_by, count(*) AS incidents FROM incident "
        "WHERE last_seen >= ? AND merged_into IS NULL "
        "GROUP BY written_by ORDER BY incidents DESC, written_by LIMIT 20",
        [since],
    )


def outcomes(reader: Reader, *, since: datetime) -> list[dict[str, Any]]:
    """Return each model's calls since then: how many were answered, refused, or failed."""
    return reader.rows(
        "SELECT model, count(*) AS calls, count(*) FILTER (outcome = 'ok') AS answered, "
        "count(*) FILTER (outcome IN ('timeout', 'absent', 'error')) AS failed, "
        "sum(claims_kept)::BIGINT AS kept, sum(claims_dropped)::BIGINT AS dropped, "
        "round(sum(tokens_out) / nullif(sum(seconds) FILTER (outcome = 'ok'), 0), 1) "
        "AS tokens_per_s FROM model_call WHERE called_at >= ? "
        "GROUP BY model ORDER BY calls DESC, model LIMIT 20",
        [since],
    )


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
