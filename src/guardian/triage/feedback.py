"""What people say of incidents: right, wrong, expected here. It is kept, shown and reversible.

Answers move the prior of one device and one class, within bounds, so that rules keep the
last word: two people who say "wrong" cannot make a known-bad address harmless. Said twice
that something is expected, a suppression is offered; a person still has to take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.errors import InputError
from guardian.store import incidents
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader, Store

ANSWERS = {"right": 0.05, "wrong": -0.15, "expected": -0.15}
"""How much one answer adds to the prior of its device and class."""

LARGEST_PRIOR = 0.3
"""A prior never moves a confidence by more than this."""

EXPECTED_TIMES = 2
"""So many "expected here" and a suppression is offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A suppression that may be made, with the reason in words."""

    finding_class: str
    device_id: str | None
    reason: str


def give(
    store: Store,
    incident_id: int,
    answer: str,
    *,
    actor: str,
    reason: str = "",
    now: datetime | None = None,
) -> int:
    """Keep a person's answer and return its id.

    Raises:
        InputError: there is no such incident or answer.
    """
    if answer not in ANSWERS:
        msg = f"no such answer: {answer}; say {', '.join(ANSWERS)}"
        raise InputError(msg)
    with store.transaction() as tx:
        found = incidents.incident(tx, incident_id)
        if found is None:
            msg = f"there is no incident {incident_id}; see: guardian incidents"
            raise InputError(msg)
        return int(
            tx.value(
                "INSERT INTO feedback (incident_id, answer, device_id, class, actor, reason, "
                "given_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
                [
                    incident_id,
                    answer,
                    found.device_id,
                    found.classes[0].value,
                    actor[:80],
                    reason[:300],
                    now or utc_now(),
                ],
            )
        )


def take_back(store: Store, feedback_id: int, *, now: datetime | None = None) -> None:
    """Take an answer back; it stays on record, with the time.

    Raises:
        InputError: there is no such answer, or it was taken back before.
    """
    with store.transaction() as tx:
        done = tx.rows(
            "UPDATE feedback SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id",
            [now or utc_now(), feedback_id],
        )
    if not done:
        msg = f"there is no answer {feedback_id} that still counts"
        raise InputError(msg)


def priors(reader: Reader) -> dict[tuple[str | None, str], float]:
    """Return what answers add to the confidence, by device and leading class."""
    rows = reader.rows(
        "SELECT device_id, class, answer, count(*) AS n FROM feedback "
        "WHERE revoked_at IS NULL GROUP BY ALL ORDER BY ALL"
    )
    found: dict[tuple[str | None, str], float] = {}
    for row in rows:
        key = (row["device_id"], row["class"])
        found[key] = found.get(key, 0.0) + ANSWERS[row["answer"]] * row["n"]
    return {
        key: round(max(-LARGEST_PRIOR, min(LARGEST_PRIOR, value)), 3)
        for key, value in found.items()
    }


def offers(reader: Reader, *, now: datetime | None = None) -> list[Offer]:
    """Return the suppressions that people's answers suggest and that do not exist yet."""
    rows = reader.rows(
        """
        SELECT class, device_id, count(*) AS n, max(reason) AS reason FROM feedback AS f
        WHERE answer = 'expected' AND revoked_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM suppression AS s
            WHERE s.class = f.class AND s.device_id IS NOT DISTINCT FROM f.device_id
              AND (s.expires_at IS NULL OR s.expires_at > $now))
        GROUP BY class, device_id HAVING count(*) >= $times ORDER BY class, device_id
        """,
        {"now": now or utc_now(), "times": EXPECTED_TIMES},
    )
    return [
        Offer(
            finding_class=row["class"],
            device_id=row["device_id"],
            reason=row["reason"] or f"said {row['n']} times to be expected here",
        )
        for row in rows
    ]
