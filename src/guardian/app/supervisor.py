"""Keep each of the daemon's loops alive, and say when one is not.

Every loop has a name, a time of last success and a back-off. One that fails makes
health amber and is started again; it never stops the others. This is the one place
where any exception is caught.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from guardian.errors import GuardianError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
LAST_BACKOFF_S = 60.0


async def keep(
    name: str,
    work: Callable[[], Awaitable[None]],
    report: Callable[[str, str, str], Awaitable[None]],
    *,
    first_backoff_s: float = FIRST_BACKOFF_S,
    failing: str = "amber",
) -> None:
    """Run ``work`` for ever; after a failure say so and try again, later each time.

    ``work`` does one round and returns. ``report`` gets name, state and detail.
    """
    backoff = first_backoff_s
    failed = False
    while True:
        try:
            await work()
        except GuardianError as error:
            detail = str(error)
        except Exception as error:
            log.exception("%s failed", name)
            detail = f"{type(error).__name__}: {error}"
        else:
            if failed:
                backoff = first_backoff_s
                failed = not await _told(report, name, "green", "works again")
            continue
        failed = True
        log.warning("%s: %s; next try in %.0f s", name, detail, backoff)
        await _told(report, name, failing, detail)
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, LAST_BACKOFF_S)


async def _told(
    report: Callable[[str, str, str], Awaitable[None]], name: str, state: str, detail: str
) -> bool:
    """Report; a disk that cannot take the report must not end the loop that it is about."""
    try:
        await report(name, state, detail)
    except GuardianError as error:
        log.warning("%s: %s (%s)", name, detail, error)
        return False
    return True
