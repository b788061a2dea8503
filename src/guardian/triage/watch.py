"""Look at the models at home now and then, and write down how each one is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from guardian.model import words
from guardian.store import explanations, model_endpoints
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store
    from guardian.triage.pool import Pool
    from guardian.triage.settings import Settings


async def watch(
    store: Store, settings: Settings, pool: Pool, *, now: datetime | None = None
) -> None:
    """Look at every endpoint and write what was seen. One that is quiet is left alone.

    Raises:
        StoreError: the store cannot be written.
        ConfigError: the time zone of the settings does not exist.
    """
    moment = now or utc_now()
    local = words.local(moment, words.zone(settings.timezone))
    await pool.look_at_all(local)
    await asyncio.to_thread(_write, store, _seen(pool, local), moment)


def _seen(pool: Pool, local: datetime) -> list[model_endpoints.Seen]:
    states = pool.states(local)
    return [
        model_endpoints.Seen(
            name=each.name,
            kind=each.endpoint.kind,
            role=each.endpoint.role,
            model=each.endpoint.model,
            url=each.endpoint.url,
            state=states[each.name],
            digest=each.health.digest if each.health else "",
            gpu_share=each.health.gpu_share if each.health else None,
            running=each.running,
            waiting=each.waiting,
            failures=each.failures,
            detail=(each.health.detail if each.health else "") or each.last_error,
        )
        for each in pool.members
    ]


def _write(store: Store, seen: list[model_endpoints.Seen], now: datetime) -> None:
    with store.transaction() as tx:
        model_endpoints.note(tx, seen, now=now)
        explanations.tidy(tx, now=now)
