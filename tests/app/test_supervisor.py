from __future__ import annotations

import asyncio
import contextlib

from guardian.app.supervisor import keep
from guardian.errors import CollectorError


async def test_a_failing_loop_is_reported_and_started_again() -> None:
    told: list[tuple[str, str, str]] = []
    rounds = 0
    healed = asyncio.Event()

    async def report(name: str, state: str, detail: str) -> None:
        told.append((name, state, detail))

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise CollectorError("eve.json is gone")
        if rounds == 2:
            raise ZeroDivisionError("unforeseen")
        if rounds == 4:
            healed.set()
        await asyncio.sleep(0)

    task = asyncio.create_task(keep("eve", work, report, first_backoff_s=0.001))
    await asyncio.wait_for(healed.wait(), 60)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert told == [
        ("eve", "amber", "eve.json is gone"),
        ("eve", "amber", "ZeroDivisionError: unforeseen"),
        ("eve", "green", "works again"),
    ]
