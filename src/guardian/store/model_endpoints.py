"""Models at home in the store: how each was last seen, what it did today, and what changed.

The daemon writes what it sees; the page and the command line read it here, so that
neither ever waits for a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.store.connection import Reader, Transaction

FRESH_S = 120.0
"""What was seen longer ago says nothing of now; the daemon looks every half minute."""

CHANGE_DAYS = 14
"""For so long a changed model is told of."""

ABLE = ("loaded", "ready", "slow")
"""States in which an endpoint can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One endpoint as it was seen; ``state`` is one word, see the table ``model_endpoint``."""

    name: str
    kind: str
    role: str
    model: str
    url: str
    state: str
    digest: str = ""
    gpu_share: float | None = None
    running: int = 0
    waiting: int = 0
    failures: int = 0
    detail: str = ""


def note(tx: Transaction, seen: Sequence[Seen], *, now: datetime) -> None:
    """Write how the endpoints are, forget those that are no more, and keep changed digests."""
    known = {row["name"]: row for row in tx.rows("SELECT name, model, digest FROM model_endpoint")}
    for name in known.keys() - {each.name for each in seen}:
        tx.execute("DELETE FROM model_endpoint WHERE name = ?", [name])
    for each in seen:
        old = known.get(each.name)
        # One that is away tells no digest: the last known one stands.
        same_model = old is not None and old["model"] == each.model
        digest = each.digest or (old["digest"] if old is not None and same_model else "")
        if old is not None and same_model and old["digest"] and digest != old["digest"]:
            tx.execute(
                "INSERT INTO model_change VALUES (?, ?, ?, ?, ?)",
                [each.name, each.model, old["digest"], digest, now],
            )
        tx.execute(
            "INSERT OR REPLACE INTO model_endpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                each.name, each.kind, each.role, each.model, each.url, each.state, digest,
                each.gpu_share, each.running, each.waiting, each.failures, each.detail[:300], now,
            ],
        )  # fmt: skip


def digests(reader: Reader) -> dict[str, str]:
    """Return the digest that each endpoint's model was last seen with."""
    rows = reader.rows("SELECT name, digest FROM model_endpoint WHERE digest <> ''")
    return {row["name"]: row["digest"] for row in rows}


def able(reader: Reader, *, now: datetime) -> bool:
    """Say whether an endpoint that can answer was seen lately."""
    return bool(
        reader.value(
            "SELECT 1 FROM model_endpoint WHERE looked_at >= ? AND list_contains(?, state) "
            "AND role <> 'embed' LIMIT 1",
            [now - timedelta(seconds=FRESH_S), list(ABLE)],
        )
    )


def endpoints(reader: Reader, *, now: datetime) -> list[dict[str, Any]]:
    """Return each endpoint with its last day: calls, answers, speed, when it last answered.

    The last row is the template, which is always there.
    """
    rows = reader.rows(
        """
        SELECT e.name, e.kind, e.role, e.model,
               CASE WHEN e.looked_at < $fresh THEN 'unknown' ELSE e.state END AS state,
               e.digest, e.gpu_share, e.running, e.waiting, e.detail, e.looked_at,
               coalesce(c.calls, 0) AS calls, coalesce(c.answers, 0) AS answers,
               c.tokens_per_s, c.last_answer, h.changed_at AS digest_changed
        FROM model_endpoint AS e
        LEFT JOIN (
            SELECT endpoint, count(*) AS calls,
                   count(*) FILTER (outcome IN ('ok', 'rejected', 'vectors')) AS answers,
                   sum(tokens_out) FILTER (outcome IN ('ok', 'rejected'))
                       / nullif(sum(seconds) FILTER (outcome IN ('ok', 'rejected')), 0)
                       AS tokens_per_s,
                   max(called_at) FILTER (outcome IN ('ok', 'rejected', 'vectors'))
                       AS last_answer
            FROM model_call WHERE called_at >= $day GROUP BY endpoint
        ) AS c ON c.endpoint = e.name
        LEFT JOIN (
            SELECT endpoint, max(changed_at) AS changed_at FROM model_change
            WHERE changed_at >= $change GROUP BY endpoint
        ) AS h ON h.endpoint = e.name
        ORDER BY list_position(['deep', 'fast', 'embed'], e.role), e.name
        """,
        {
            "fresh": now - timedelta(seconds=FRESH_S),
            "day": now - timedelta(hours=24),
            "change": now - timedelta(days=CHANGE_DAYS),
        },
    )
    told = reader.one(
        "SELECT count(*) FILTER (written_by = 'template') AS answers, "
        "max(updated_at) FILTER (written_by = 'template') AS last_answer "
        "FROM incident WHERE merged_into IS NULL"
    )
    template = {
        "name": "template", "kind": "template", "role": "always", "model": "", "state": "ready",
        "digest": "", "gpu_share": None, "running": 0, "waiting": 0,
        "detail": "words by rules, without a model", "looked_at": None,
        "calls": 0, "answers": told["answers"] if told else 0, "tokens_per_s": None,
        "last_answer": told["last_answer"] if told else None, "digest_changed": None,
    }  # fmt: skip
    return [*rows, template]


def change_of(reader: Reader, endpoint: str, digest: str) -> str | None:
    """Return the digest that an endpoint's model has now, if it is another than this one."""
    current = digests(reader).get(endpoint)
    return current if current and digest and current != digest else None
