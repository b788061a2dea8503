"""What is due at night: the digest, made once and sent once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from guardian.notify import digest as digests
from guardian.notify.send import send
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.config import Config
    from guardian.store import Store


def run_due(store: Store, config: Config, *, now: datetime | None = None) -> bool:
    """Make and send the digest when its hour has come and today's was not made.

    The digest's row is written before it is sent: after a crash between the two it is
    not sent twice, and the page still shows it.
    """
    now = now or utc_now()
    if not config.notify.digest_at:
        return False
    due = latest_due(config.notify.digest_at, config.notify.timezone, now)
    with store.read() as reader:
        last = reader.one("SELECT max(until) AS until FROM digest")
        begun = reader.value("SELECT min(last_read) FROM source")
    until = last["until"] if last else None
    if begun is None or (until is not None and until >= due) or (until is None and begun > due):
        return False
    letter = digests.build(
        store, since=due - timedelta(days=1), until=due, now=now, settings=config.notify
    )
    with store.transaction() as tx:
        number = int(tx.value("SELECT coalesce(max(id), 0) + 1 FROM digest"))
        tx.execute(
            "INSERT INTO digest (id, since, until, text, html, made_at) VALUES (?, ?, ?, ?, ?, ?)",
            [number, due - timedelta(days=1), due, letter.text, letter.html, now],
        )
    sent = send(letter, config.notify)
    with store.transaction() as tx:
        tx.execute("UPDATE digest SET sent = ? WHERE id = ?", [json.dumps(sent), number])
    return True


def latest_due(clock_time: str, zone_name: str, now: datetime) -> datetime:
    """Return the last moment, in UTC, at which the house's clock showed ``HH:MM``."""
    zone = ZoneInfo(zone_name) if zone_name else datetime.now().astimezone().tzinfo
    local = now.replace(tzinfo=UTC).astimezone(zone)
    hours, minutes = (int(part) for part in clock_time.split(":"))
    due = local.replace(hour=hours, minute=minutes, second=0, microsecond=0)
    if due > local:
        due -= timedelta(days=1)
    return due.astimezone(UTC).replace(tzinfo=None)
