"""Questions of people that a model reads: they wait in the store, the page asks for the answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.store.connection import Reader, Store, Transaction

SAME_FOR_S = 600.0
"""The same words within so long are the same question: a page that is loaded again."""

STALE_S = 120.0
"""A question that has waited for so long is not answered any more: nobody waits for it."""

WAITING = 8
"""So many questions may wait; with more, words alone must do."""


def add(store: Store, text: str, *, now: datetime) -> int | None:
    """Keep a question and return its number; None when too many wait."""
    with store.transaction() as tx:
        tx.execute("DELETE FROM question WHERE asked_at < ?", [now - timedelta(days=1)])
        same = tx.value(
            "SELECT max(id) FROM question WHERE text = ? AND asked_at >= ?",
            [text, now - timedelta(seconds=SAME_FOR_S)],
        )
        if same is not None:
            return int(same)
        waiting = tx.value(
            "SELECT count(*) FROM question WHERE state = 'pending' AND asked_at >= ?",
            [now - timedelta(seconds=STALE_S)],
        )
        if int(waiting or 0) >= WAITING:
            return None
        return int(
            tx.value(
                "INSERT INTO question (text, asked_at, state) VALUES (?, ?, 'pending') "
                "RETURNING id",
                [text, now],
            )
        )


def following(reader: Reader, *, now: datetime) -> dict[str, Any] | None:
    """Return the question that has waited longest, or None."""
    return reader.one(
        "SELECT id, text FROM question WHERE state = 'pending' AND asked_at >= ? "
        "ORDER BY id LIMIT 1",
        [now - timedelta(seconds=STALE_S)],
    )


def finish(
    tx: Transaction,
    number: int,
    *,
    meant: Mapping[str, Any] | None,
    by: str,
    detail: str,
    now: datetime,
) -> None:
    """Write what a question was understood to mean; without ``meant`` it was not."""
    tx.execute(
        "UPDATE question SET state = ?, meant = ?, understood_by = ?, detail = ?, "
        "finished_at = ? WHERE id = ?",
        [
            "failed" if meant is None else "done",
            None if meant is None else json.dumps(dict(meant)),
            by, detail[:300], now, number,
        ],
    )  # fmt: skip


def one(reader: Reader, number: int, *, now: datetime) -> dict[str, Any] | None:
    """Return a question; one that waited too long counts as failed."""
    row = reader.one("SELECT * FROM question WHERE id = ?", [number])
    if row is None:
        return None
    meant = json.loads(row["meant"]) if row["meant"] else None
    stale = now - row["asked_at"] > timedelta(seconds=STALE_S)
    state = "failed" if row["state"] == "pending" and stale else row["state"]
    return {**row, "meant": meant, "state": state}
