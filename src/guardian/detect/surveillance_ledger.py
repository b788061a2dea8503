"""The privacy ledger as people read it: with seats of companies, and who was home."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel import companies
from guardian.model.finding import FindingClass
from guardian.store import presence, privacy

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader

MODELS = (str(FindingClass.LLM_API), str(FindingClass.AI_MEDIA_API))
"""Classes that are use of a model."""
THINGS = frozenset(
    {"tv", "camera", "doorbell", "plug", "hub", "appliance", "speaker", "printer"}
)  # fmt: skip
"""Kinds of devices into which nobody types a question; as in ``surveillance/catalogue.sql``."""
_WEB = ("chat", "web", "copilot", "claude", "gemini", "kimi", "grok", "search", "sora")


def ledger(
    reader: Reader, *, since: datetime, until: datetime, offset_s: int = 0, limit: int = 500
) -> list[dict[str, Any]]:
    """Return the ledger's rows (``store.privacy.ledger``) with ``country`` and ``away_share``.

    ``country`` is the seat of the company where a bundled list knows it, else None;
    ``country_source`` is the register that says so, or that it is general knowledge.
    ``away_share`` is None where nothing is known of who was home.
    """
    weeks = until - timedelta(weeks=privacy.WEEKS)
    away = presence.away_hours(reader, since=min(since, weeks), until=until, offset_s=offset_s)
    rows = privacy.ledger(
        reader, since=since, until=until, offset_s=offset_s, away=away, limit=limit
    )
    for row in rows:
        row["country"] = companies.country(row["company"])
        row["country_source"] = companies.seat_source(row["company"])
    return rows


def model_use(
    reader: Reader, *, since: datetime, until: datetime, offset_s: int = 0
) -> list[dict[str, Any]]:
    """Return who uses language models: device, company, service, ``way``, bytes, hours, sittings.

    ``way`` is ``API`` (a program), ``web`` (a page or an app of the maker) or ``unknown``
    where the service's name stands for both. ``thing`` is whether the device is one into
    which nobody types: then it is an incident, else information. ``sessions`` is of the
    finding, None where there is none.
    """
    rows = privacy.by_service(reader, MODELS, since=since, until=until, offset_s=offset_s)
    told = {
        (row["device_id"], row["class"], row["company"], row["service"]): row["sessions"]
        for row in reader.rows(
            "SELECT device_id, class, facts ->> '$.company' AS company, "
            "facts ->> '$.service' AS service, (facts ->> '$.sessions')::INT AS sessions "
            "FROM finding WHERE detector = 'surveillance.catalogue' "
            "AND list_contains($classes, class)",
            {"classes": list(MODELS)},
        )
    }
    for row in rows:
        row["way"] = way(row["service"])
        row["thing"] = row["device_kind"] in THINGS
        key = (row["device_id"], row["class"], row["company"], row["service"])
        row["sessions"] = told.get(key)
    return rows


def way(service: str) -> str:
    """Say whether a service's name stands for programs, for people, or for both."""
    low = service.lower()
    api = "api" in low.split() or any(word in low for word in ("inference", "gateway", "hosted"))
    web = any(word in low for word in _WEB)
    if api and not (web and " and " in low):
        return "API"
    return "web" if web and not api else "unknown"


def crawlers(reader: Reader, *, since: datetime) -> list[dict[str, Any]]:
    """Return the AI companies' crawlers that read sites of this home, the busiest first."""
    return reader.rows(
        "SELECT coalesce(d.name, f.src_ip) AS device, f.facts ->> '$.crawler' AS crawler, "
        "f.count AS requests, (f.facts ->> '$.pages')::BIGINT AS pages, f.last_seen "
        "FROM finding f LEFT JOIN device d ON d.device_id = f.device_id "
        "WHERE f.detector = 'surveillance.ai_crawler' AND f.last_seen >= $since "
        "ORDER BY f.count DESC, crawler LIMIT 50",
        {"since": since},
    )


def changed_habits(reader: Reader, *, limit: int = 50) -> list[dict[str, Any]]:
    """Return the rhythms that took another period or destination, the latest first."""
    return [
        {**row, "last_seen": row["last_seen"].isoformat() + "Z"}
        for row in reader.rows(
            "SELECT device_id, coalesce(d.name, f.device_id) AS device, f.title, f.level, "
            "f.facts ->> '$.before_name' AS before_name, "
            "(f.facts ->> '$.before_period_s')::DOUBLE AS before_period_s, "
            "f.facts ->> '$.after_name' AS after_name, "
            "(f.facts ->> '$.after_period_s')::DOUBLE AS after_period_s, f.last_seen "
            "FROM finding f LEFT JOIN device d USING (device_id) "
            "WHERE f.detector = 'surveillance.habit' ORDER BY f.last_seen DESC, f.id LIMIT $limit",
            {"limit": limit},
        )
    ]
