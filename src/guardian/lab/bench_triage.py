"""Measure triage: how many incidents 100,000 findings become, how fast, in how much memory.

The findings are made here, by a fixed seed, after a bad day of a home: a few real
stories, a scanned front door, and tens of thousands of alerts of noisy signatures.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian import triage
from guardian.store import Store, explanations, incidents
from guardian.store.ingest import utc_now
from guardian.triage import causes
from guardian.triage.llm.embedded import model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY = datetime(2026, 10, 21)  # noqa: DTZ001 - the store's times are UTC without an offset
_DEVICES = 20
_SIGNATURES = 400
_STORIES = 12
DEADLINE_S = 120.0
"""Longest wait for one answer: a busy processor is slow."""


def run(
    *,
    size: int = 100_000,
    seed: int = 1,
    server: str = "",
    model: str = "",
    kind: str = "ollama",
    ask: int = 3,
) -> dict[str, Any]:
    """Group ``size`` made-up findings, have a model tell the ``ask`` worst, return the figures.

    ``server`` and ``model`` name a model at home; without them the embedded one is asked
    where it is installed. ``peak_mb`` is how much the process grew while grouping;
    ``again_s`` is a second run over the same findings, which must change nothing.
    """
    findings = size
    endpoint = _endpoint(server, model, kind) if ask else None
    store = Store.memory()
    try:
        _fill(store, findings, random.Random(seed))  # noqa: S311 - no secret is made here
        before = _peak_mb()
        began = time.process_time()
        first = triage.run(store, triage.Settings())
        cpu_s = time.process_time() - began
        peak = _peak_mb()
        again = triage.run(store, triage.Settings())
        told = _told(store, endpoint, ask)
    finally:
        store.close()
    return {
        "findings": findings,
        "incidents": first.incidents,
        "incidents_per_100k": round(first.incidents * 100_000 / findings, 1),
        "seconds": round(first.seconds, 2),
        "cpu_s": round(cpu_s, 2),
        "again_s": round(again.seconds, 2),
        "changed_again": len(again.changed),
        "peak_mb": round(peak - before, 1),
        "process_mb": round(peak, 1),
        **told,
    }


def _endpoint(server: str, model: str, kind: str) -> triage.Endpoint | None:
    if server:
        return triage.Endpoint(url=server, model=model, kind=kind, role="deep", name="bench")
    return None if model_path() is None else triage.Endpoint(url="", kind="embedded", name="own")


def _told(store: Store, endpoint: triage.Endpoint | None, ask: int) -> dict[str, Any]:
    """Ask the model, and count what was shown: every claim must rest on facts of its packet."""
    if endpoint is not None:
        settings = triage.Settings(endpoints=(endpoint,), deadline_s=DEADLINE_S)
        asyncio.run(triage.explain_pending(store, settings, limit=ask))
    with store.read() as reader:
        found = incidents.incidents(reader, limit=1000)
        figures = explanations.figures(reader, now=utc_now())
        calls = reader.one(
            "SELECT count(*) AS calls, coalesce(sum(tokens_in), 0) AS tokens_in, "
            "coalesce(sum(tokens_out), 0) AS tokens_out, coalesce(sum(seconds), 0) AS seconds, "
            "count(*) FILTER (list_contains(?, outcome)) AS worked FROM model_call",
            [list(explanations.GENERATED)],
        ) or {"calls": 0, "tokens_in": 0, "tokens_out": 0, "seconds": 0.0, "worked": 0}
        outcomes = reader.rows(
            "SELECT outcome, count(*) AS number FROM model_call GROUP BY outcome ORDER BY outcome"
        )
        states = int(reader.value("SELECT count(*) FROM explain_job WHERE attempts > 0") or 0)
    claims = [(claim, {fact.id for fact in each.facts}) for each in found for claim in each.claims]
    claims += [
        (claim, {fact.id for fact in each.facts})
        for each in found
        for claim in causes.told(each)[0]
    ]
    grounded = sum(1 for claim, known in claims if claim.facts and set(claim.facts) <= known)
    seconds = float(calls["seconds"])
    return {
        "model": "" if endpoint is None else endpoint.model or endpoint.kind,
        "claims_shown": len(claims),
        "claims_grounded_share": grounded / len(claims) if claims else None,
        "written_by_model": sum(each.written_by != "template" for each in found),
        "states_asked_about": states,
        "model_calls": calls["calls"],
        "calls_per_state": calls["worked"] / states if states else None,
        "outcomes": {row["outcome"]: row["number"] for row in outcomes},
        "model_seconds": round(seconds, 2),
        "tokens_in": int(calls["tokens_in"]),
        "tokens_out": int(calls["tokens_out"]),
        "tokens_per_s": round(calls["tokens_out"] / seconds, 1) if seconds else None,
        "claims_of_model_kept": int(figures["kept"] or 0),
        "claims_of_model_dropped": int(figures["dropped"] or 0),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _fill(store: Store, findings: int, chance: random.Random) -> None:
    with store.transaction() as tx:
        for number in range(_DEVICES):
            tx.execute(
                "INSERT INTO device (device_id, name, kind, first_seen, last_seen) "
                "VALUES (?, ?, 'unknown', ?, ?)",
                [f"d{number}", f"Device {number}", _DAY - timedelta(days=90), _DAY],
            )
        rows = list(_rows(findings, chance))
        frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        with tx.registered("made", frame):
            tx.execute(
                "INSERT INTO finding (id, class, level, detector, title, key, device_id, src_ip, "
                "peers, first_seen, last_seen, count, facts, evidence, tags, updated_at) "
                "SELECT id, class, level, detector, class, id, device_id, src_ip, peers, "
                "first_seen, last_seen, count, facts, [], [], last_seen FROM made"
            )


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String, "class": pl.String, "level": pl.String, "detector": pl.String,
    "device_id": pl.String, "src_ip": pl.String, "peers": pl.List(pl.String),
    "first_seen": pl.Datetime, "last_seen": pl.Datetime, "count": pl.Int64, "facts": pl.String,
}  # fmt: skip


def _rows(findings: int, chance: random.Random) -> Iterator[tuple[Any, ...]]:
    for number in range(findings):
        begins = _DAY + timedelta(seconds=chance.random() * 80_000)
        ends = begins + timedelta(seconds=chance.random() * 3_000)
        kind, level, device, src, peer, facts = _one(chance, number)
        yield (
            f"f{number}", kind, level, kind, device, src, [peer], begins, ends,
            chance.randint(1, 500), facts,
        )  # fmt: skip


def _one(chance: random.Random, number: int) -> tuple[str, str, str | None, str, str, str]:
    device = chance.randrange(_DEVICES)
    inside = f"192.168.1.{device + 10}"
    story = chance.random()
    if story < 0.02:
        place = chance.randrange(_STORIES)
        kind = ("c2_beacon", "malware", "threat_intel", "dns_tunnel")[place % 4]
        owner = place % _DEVICES
        peer = f"host{number % 5}.story-{place}.net"
        return kind, "high", f"d{owner}", f"192.168.1.{owner + 10}", peer, '{"interval_s":60.0}'
    if story < 0.5:
        outside = f"198.{chance.randrange(18, 20)}.{chance.randrange(256)}.{chance.randrange(256)}"
        return "port_scan", "low", None, outside, inside, '{"ports":5}'
    signature = min(chance.randrange(_SIGNATURES), chance.randrange(_SIGNATURES))
    level = "informational" if signature % 3 else "low" if signature % 12 else "medium"
    kind = "policy_violation" if signature % 12 else "exploit"
    facts = f'{{"signature_id":{2_000_000 + signature},"signature":"Noise {signature}"}}'
    peer = f"203.0.{chance.randrange(256)}.{chance.randrange(256)}"
    return kind, level, f"d{device}", inside, peer, facts
