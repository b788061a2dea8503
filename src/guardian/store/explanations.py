"""Explanations by models in the store: what waits, what was written, and what it cost.

A job is taken with a lease, so that one that died with its process is taken again
when the lease has run out. Answers are kept by the exact request, the model and the
prompt, so that the same question is never asked twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.store.incidents import claims_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.model.incident import Claim
    from guardian.store.connection import Reader, Store, Transaction

ATTEMPTS = 3
"""How often one explanation is tried before the template stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An explanation that somebody is working on."""

    id: int
    incident_id: int
    packet_hash: str
    priority: int
    attempts: int


GENERATED = ("ok", "rejected", "truncated", "timeout", "error")
"""Outcomes of calls in which a model worked: these count against the budget."""

KEPT_DAYS = 60
"""Calls and finished jobs are kept for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to a model.

    ``outcome`` is ok, rejected, truncated, too_long, timeout, error, absent, busy, refused or
    vectors.
    """

    endpoint: str
    model: str
    role: str
    outcome: str
    seconds: float
    tokens_in: int = 0
    tokens_out: int = 0
    claims_kept: int = 0
    claims_dropped: int = 0
    detail: str = ""


def enqueue(tx: Transaction, *, now: datetime) -> None:
    """Queue every living incident whose present state no model has been asked about."""
    tx.execute(
        "DELETE FROM explain_job WHERE state = 'pending' AND packet_hash NOT IN "
        "(SELECT packet_hash FROM incident)"
    )
    tx.execute(
        """
        INSERT INTO explain_job (incident_id, packet_hash, priority, state, queued_at)
        SELECT id, packet_hash,
               list_position(['informational','low','medium','high','critical'], level) - 1,
               'pending', $now
        FROM incident AS i
        WHERE status IN ('open', 'noted') AND merged_into IS NULL AND written_by = 'template'
          AND NOT EXISTS (SELECT 1 FROM explain_job AS j
                          WHERE j.incident_id = i.id AND j.packet_hash = i.packet_hash)
        ORDER BY id
        """,
        {"now": now},
    )


def tidy(tx: Transaction, *, now: datetime) -> None:
    """Forget calls and ended jobs of long ago."""
    before = [now - timedelta(days=KEPT_DAYS)]
    tx.execute(
        "DELETE FROM explain_job WHERE state IN ('done', 'failed') AND queued_at < ?", before
    )
    tx.execute("DELETE FROM model_call WHERE called_at < ?", before)


def take(store: Store, *, lease_s: float, now: datetime) -> Job | None:
    """Take the job to do next, the worst and newest first, or return None.

    A job that was taken too often and whose process died each time is given up.
    """
    with store.transaction() as tx:
        tx.execute(
            "UPDATE explain_job SET state = 'failed', finished_at = $now, "
            "detail = 'taken ' || attempts || ' times and never finished' "
            "WHERE state = 'processing' AND lease_until < $now AND attempts >= $attempts",
            {"now": now, "attempts": ATTEMPTS},
        )
        row = tx.one(
            """
            SELECT j.id, j.incident_id, j.packet_hash, j.priority, j.attempts
            FROM explain_job AS j JOIN incident AS i ON i.id = j.incident_id
            WHERE i.packet_hash = j.packet_hash
              AND (j.state = 'pending' OR (j.state = 'processing' AND j.lease_until < $now))
              AND j.attempts < $attempts AND (j.lease_until IS NULL OR j.lease_until < $now)
            ORDER BY j.priority DESC, i.last_seen DESC, j.id
            LIMIT 1
            """,
            {"now": now, "attempts": ATTEMPTS},
        )
        if row is None:
            return None
        tx.execute(
            "UPDATE explain_job SET state = 'processing', attempts = attempts + 1, "
            "lease_until = ? WHERE id = ?",
            [now + timedelta(seconds=lease_s), row["id"]],
        )
        return Job(**{**row, "attempts": row["attempts"] + 1})


def finish(tx: Transaction, job: Job, state: str, *, now: datetime, detail: str = "") -> None:
    """Write how a job ended: ``done`` or ``failed``."""
    tx.execute(
        "UPDATE explain_job SET state = ?, finished_at = ?, detail = ? WHERE id = ?",
        [state, now, detail[:300], job.id],
    )


def retry(tx: Transaction, job: Job, *, after_s: float, now: datetime, detail: str = "") -> None:
    """Put a job back, not to be taken again before ``after_s`` seconds have gone."""
    state = "pending" if job.attempts < ATTEMPTS else "failed"
    tx.execute(
        "UPDATE explain_job SET state = ?, lease_until = ?, detail = ? WHERE id = ?",
        [state, now + timedelta(seconds=after_s), detail[:300], job.id],
    )


def release(tx: Transaction, job: Job, *, after_s: float, now: datetime, detail: str = "") -> None:
    """Put back a job that no model was at work on: it does not count as a try."""
    tx.execute(
        "UPDATE explain_job SET state = 'pending', attempts = greatest(attempts - 1, 0), "
        "lease_until = ?, detail = ? WHERE id = ?",
        [now + timedelta(seconds=after_s), detail[:300], job.id],
    )


def answers(reader: Reader, request: str, prompt_version: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the answers to exactly this request, newest first, each with its model."""
    rows = reader.rows(
        "SELECT reply, model FROM explanation WHERE request = ? AND prompt_version = ? "
        "ORDER BY made_at DESC, model_digest",
        [request, prompt_version],
    )
    return [(row["reply"], json.loads(row["model"])) for row in rows]


def keep(tx: Transaction, reply: str, model: Mapping[str, Any], *, now: datetime) -> None:
    """Keep an answer that passed the checks, for the same request."""
    tx.execute(
        "INSERT INTO explanation VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            str(model["request"]), str(model["digest"]), str(model["prompt_version"]), reply,
            json.dumps(model, ensure_ascii=False), now,
        ],
    )  # fmt: skip


def show(
    tx: Transaction,
    incident_id: int,
    packet_hash: str,
    *,
    title: str,
    summary: str,
    explanation: str,
    expert: str,
    claims: Sequence[Claim],
    model: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Put a model's checked words into the incident, if its state is still the one asked about.

    The verdict, the confidence, the level and the facts are not touched.
    """
    changed = tx.rows(
        """
        UPDATE incident
        SET title = $title, summary = $summary, explanation = $explanation, expert = $expert,
            claims = $claims, written_by = $name, model = $model, updated_at = $now
        WHERE id = $id AND packet_hash = $packet_hash
        RETURNING id
        """,
        {
            "title": title, "summary": summary, "explanation": explanation, "expert": expert,
            "claims": claims_json(claims), "name": str(model["name"]),
            "model": json.dumps(model, ensure_ascii=False), "now": now, "id": incident_id,
            "packet_hash": packet_hash,
        },
    )  # fmt: skip
    return bool(changed)


def record(tx: Transaction, call: Call, *, now: datetime) -> None:
    """Write one call to a model."""
    tx.execute(
        "INSERT INTO model_call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            now, call.endpoint, call.model, call.role, call.outcome, call.seconds,
            call.tokens_in, call.tokens_out, call.claims_kept, call.claims_dropped,
            call.detail[:300],
        ],
    )  # fmt: skip


def calls_since(reader: Reader, since: datetime) -> int:
    """Return how many calls there were since then in which a model worked."""
    return int(
        reader.value(
            "SELECT count(*) FROM model_call WHERE called_at >= ? AND list_contains(?, outcome)",
            [since, list(GENERATED)],
        )
        or 0
    )


def latest_job(reader: Reader, incident_id: int) -> dict[str, Any] | None:
    """Return how the last explanation of an incident stands: state, detail, attempts."""
    return reader.one(
        "SELECT state, detail, attempts, queued_at FROM explain_job WHERE incident_id = ? "
        "ORDER BY id DESC LIMIT 1",
        [incident_id],
    )


def figures(reader: Reader, *, now: datetime) -> dict[str, Any]:
    """Return what the health page shows of the models: queue, last answer, speed, share kept."""
    day = now - timedelta(hours=24)
    queue = reader.one(
        "SELECT count(*) FILTER (state = 'pending') AS waiting, "
        "count(*) FILTER (state = 'processing') AS processing, "
        "count(*) FILTER (state = 'failed') AS failed, "
        "min(queued_at) FILTER (state IN ('pending', 'processing')) AS oldest FROM explain_job"
    ) or {"waiting": 0, "processing": 0, "failed": 0, "oldest": None}
    calls = reader.one(
        "SELECT count(*) AS calls, count(*) FILTER (whole) AS answered, "
        "max(called_at) FILTER (whole) AS last_answer, "
        "sum(tokens_out) FILTER (whole) / nullif(sum(seconds) FILTER (whole), 0) "
        "AS tokens_per_s, sum(claims_kept)::BIGINT AS kept, sum(claims_dropped)::BIGINT AS dropped "
        "FROM (SELECT *, outcome IN ('ok', 'rejected') AS whole FROM model_call) "
        "WHERE called_at >= ?",
        [day],
    )
    age = None if queue["oldest"] is None else (now - queue["oldest"]).total_seconds()
    return {
        **(calls or {}),
        "waiting": queue["waiting"],
        "processing": queue["processing"],
        "failed": queue["failed"],
        "queue_age_s": age,
    }
