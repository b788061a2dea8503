"""Say what a block would have done in the last days, and what a trial of it would watch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel import catalogue, never
from guardian.intel.names import is_below, normalise
from guardian.store import forecasts
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store import Store

_ORDER = [str(each) for each in ("none", "feature", "unknown", "device")]
WATCH = (
    "retry storms: the same name asked for much more often than before",
    "new fallback names: what the device asks for only once it is blocked",
    "a switch to bare addresses, without a DNS answer before",
    "a switch to another resolver or to encrypted DNS",
)
"""What a trial looks for; 20 % of flows appeared only after a block in *The Forest Behind the
Tree* (arXiv 2502.08535)."""
MAX_NAMES = 50


def forecast(
    store: Store,
    names: Sequence[str],
    device_id: str | None = None,
    days: int = 7,
    *,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Replay the last days against a block of these names and all below them.

    The answer holds ``queries``, ``devices`` (each with its own), the ``names`` below
    that were asked for with what the catalogue says breaks, the worst ``breakage``,
    ``refused`` (names that can never be blocked) and what a trial would ``watch``.
    """
    until = now or utc_now()
    since = until - timedelta(days=days)
    wanted = [clean for name in names if (clean := normalise(name))]
    rules = never.load()
    refused = {name: held for name in wanted if (held := rules.covered(name))}
    wanted = [name for name in wanted if name not in refused]
    with store.read() as reader:
        ips = [
            row["ip"]
            for row in reader.rows(
                "SELECT DISTINCT ip FROM v_device_address WHERE device_id = $id", {"id": device_id}
            )
        ]
        looked = forecasts.look_back(
            reader, wanted, subdomains=True, device_ips=ips, since=since, until=until
        )
        below = forecasts.names_below(reader, wanted, since=since, until=until, limit=MAX_NAMES)
    rows = [_row(name) for name in dict.fromkeys((*wanted, *below))]
    hit = [row for row in rows if row["entry"]]
    worst = max((row["breakage"] for row in hit), key=_ORDER.index, default="unknown")
    return {
        "days": days,
        "since": since.isoformat() + "Z",
        **looked,
        "names": rows,
        "breakage": worst,
        "breaks": sorted({row["breaks"] for row in hit if row["breaks"]}),
        "refused": refused,
        "watch": list(WATCH),
        "covers": [name for name in below if any(is_below(name, parent) for parent in wanted)],
    }


def _row(name: str) -> dict[str, Any]:
    entry = catalogue.load().match(name)
    if entry is None:
        return {"name": name, "entry": None, "company": None, "service": None,
                "breakage": "unknown", "breaks": None}  # fmt: skip
    return {
        "name": name,
        "entry": entry.id,
        "company": entry.company,
        "service": entry.service,
        "breakage": str(entry.breakage),
        "breaks": entry.breaks or None,
    }
