"""What ``guardian status`` says: what is stored, from where, and how Guardian is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.ops.health import health
from guardian.ops.storage import events, storage
from guardian.store import explanations, model_endpoints
from guardian.store.ingest import utc_now
from guardian.store.sensors import states

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader, Store


def status(store: Store, *, running: bool, now: datetime | None = None) -> dict[str, Any]:
    """Return the JSON form that DESIGN.md promises: running, events, sources, health."""
    now = now or utc_now()
    with store.read() as reader:
        return {
            "running": running,
            "events": events(reader),
            "sources": sources(reader, now=now),
            "sensors": sensors(reader),
            "findings": reader.value("SELECT count(*) FROM finding"),
            "incidents": reader.value("SELECT count(*) FROM incident"),
            "explanations": waiting(reader, now=now),
            "models": models(reader, now=now),
            "storage": storage(store, reader),
            "health": health(store, running=running, now=now).as_dict(),
        }


def sources(reader: Reader, *, now: datetime) -> list[dict[str, Any]]:
    """Return each source with what it gave and how far behind it is, in seconds.

    ``lag_seconds`` is the time since the source was last read to its end.
    """
    found = []
    for row in reader.rows(
        "SELECT s.*, p.* EXCLUDE (source_id) "
        "FROM source s LEFT JOIN source_pace p USING (source_id) ORDER BY name"
    ):
        whole = row["caught_up"] or row["last_read"]
        lag = (now - whole).total_seconds() if whole else None
        found.append(
            {
                "name": row["name"],
                "kind": row["kind"],
                "path": row["path"],
                "events": row["events"],
                "rejected": row["rejected"],
                "dropped": row["dropped"],
                "lag_seconds": None if lag is None else round(max(lag, 0.0), 1),
                "last_event": rfc3339(row["last_event"]),
                "state": row["state"],
                "detail": row["detail"],
            }
        )
    return found


def waiting(reader: Reader, *, now: datetime) -> dict[str, Any]:
    """Return the queue of explanations, and what models answered in the last day."""
    found = explanations.figures(reader, now=now)
    return {
        "waiting": found["waiting"],
        "processing": found["processing"],
        "failed": found["failed"],
        "queue_age_s": _rounded(found["queue_age_s"]),
        "calls_24h": found["calls"],
        "answers_24h": found["answered"],
        "last_answer": rfc3339(found["last_answer"]),
        "tokens_per_s": _rounded(found["tokens_per_s"]),
        "sentences_kept": found["kept"],
        "sentences_dropped": found["dropped"],
    }


def models(reader: Reader, *, now: datetime) -> list[dict[str, Any]]:
    """Return each model at home, and the template, which is always there, last."""
    return [
        {
            "name": row["name"],
            "kind": row["kind"],
            "role": row["role"],
            "model": row["model"],
            "state": row["state"],
            "gpu_share": _rounded(row["gpu_share"], 2),
            "waiting": row["running"] + row["waiting"],
            "answers_24h": row["answers"],
            "tokens_per_s": _rounded(row["tokens_per_s"]),
            "last_answer": rfc3339(row["last_answer"]),
            "digest": row["digest"][:12],
            "digest_changed": rfc3339(row["digest_changed"]),
            "detail": row["detail"],
        }
        for row in model_endpoints.endpoints(reader, now=now)
    ]


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def sensors(reader: Reader) -> list[dict[str, Any]]:
    """Return each Suricata that Guardian runs: what it saw, what it missed, what it needs."""
    return [
        {
            **{key: value for key, value in row.items() if not key.endswith("_at")},
            "noted_at": rfc3339(row["noted_at"]),
            "started_at": rfc3339(row["started_at"]),
        }
        for row in states(reader)
    ]


def rfc3339(moment: datetime | None) -> str | None:
    """Return a stored UTC time as RFC 3339 text."""
    return None if moment is None else moment.isoformat() + "Z"
