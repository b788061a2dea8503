"""What left the house for a model elsewhere: every request, byte for byte, before it goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guardian.store.incidents import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardian.store.connection import Reader, Store


def begin(
    store: Store,
    *,
    incident_id: int,
    packet_hash: str,
    url: str,
    model: str,
    body: bytes,
    pseudonyms: Mapping[str, str],
    budget: int,
    since: datetime,
    now: datetime,
) -> int | None:
    """Keep what is about to be sent and return its number; None when it may not be sent.

    It may not when ``budget`` requests began since ``since``, or when the same state of
    the incident was sent before.
    """
    with store.transaction() as tx:
        sent = tx.value("SELECT count(*) FROM overflow_sent WHERE sent_at >= ?", [since])
        again = tx.value(
            "SELECT 1 FROM overflow_sent WHERE incident_id = ? AND packet_hash = ? LIMIT 1",
            [incident_id, packet_hash],
        )
        if int(sent or 0) >= budget or again:
            return None
        return int(
            tx.value(
                "INSERT INTO overflow_sent (incident_id, packet_hash, sent_at, url, model, body, "
                "pseudonyms, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, 'sending') RETURNING id",
                [incident_id, packet_hash, now, url, model, body, json.dumps(dict(pseudonyms))],
            )
        )


def finish(
    store: Store,
    number: int,
    outcome: str,
    *,
    reply: str | None = None,
    tokens_in: int = 0,
    tokens_out: int = 0,
    seconds: float = 0.0,
) -> None:
    """Write what came back."""
    with store.transaction() as tx:
        tx.execute(
            "UPDATE overflow_sent SET outcome = ?, reply = ?, tokens_in = ?, tokens_out = ?, "
            "seconds = ? WHERE id = ?",
            [outcome, reply, tokens_in, tokens_out, seconds, number],
        )


def listing(reader: Reader, *, limit: int = 200) -> list[dict[str, Any]]:
    """Return what was sent, the newest first, without the bytes."""
    rows = reader.rows(
        "SELECT id, sent_at, incident_id, url, model, octet_length(body) AS bytes, outcome, "
        "tokens_in, tokens_out, seconds FROM overflow_sent ORDER BY id DESC LIMIT ?",
        [limit],
    )
    return [{**row, "sent_at": rfc3339(row["sent_at"])} for row in rows]


def one(reader: Reader, number: int) -> dict[str, Any] | None:
    """Return one request with its exact bytes as text, and what stood for what."""
    row = reader.one("SELECT * FROM overflow_sent WHERE id = ?", [number])
    if row is None:
        return None
    return {
        **row,
        "sent_at": rfc3339(row["sent_at"]),
        "body": bytes(row["body"]).decode(),
        "pseudonyms": json.loads(row["pseudonyms"]),
    }
