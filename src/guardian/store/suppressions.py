"""What a person does not want to be told: who said so, why, and until when.

A suppression is applied when findings are read, so it also works backwards, and lifting
it brings everything back. The preview and the act count with the same view.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError, UsageError
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.store.connection import Reader, Store

PREVIEW_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is hidden: findings that agree with every field that is given.

    ``domain`` covers names below it when ``subdomains``; ``address`` is either side.
    """

    finding_class: str | None = None
    device_id: str | None = None
    domain: str | None = None
    subdomains: bool = True
    address: str | None = None
    signature_id: int | None = None


def add(
    store: Store,
    what: Filter,
    *,
    author: str,
    reason: str,
    days: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Hide what agrees with ``what`` for ``days`` (None: for good); say what that hides.

    Returns ``id`` (None for a dry run), and of the last thirty days ``findings``,
    ``incidents`` (wholly hidden) and up to five ``examples``.

    Raises:
        UsageError: nothing is named, or no reason is given.
    """
    fields = asdict(what)
    if not any(value for name, value in fields.items() if name != "subdomains"):
        msg = "name what to hide: a class, device, domain, address or signature"
        raise UsageError(msg)
    if not reason.strip():
        msg = "a reason is needed; in a year nobody will remember it"
        raise UsageError(msg)
    now = utc_now()
    with store.transaction() as tx:
        tx.execute(
            """
            INSERT INTO suppression (class, device_id, domain, subdomains, address,
                signature_id, author, reason, created_at, expires_at)
            VALUES ($finding_class, $device_id, lower($domain), $subdomains, $address,
                $signature_id, $author, $reason, $now, $until)
            """,
            {
                **fields,
                "author": author,
                "reason": reason.strip()[:500],
                "now": now,
                "until": None if days is None else now + timedelta(days=days),
            },
        )
        number = int(tx.value("SELECT max(id) FROM suppression"))
        report = {"id": None if dry_run else number, **_hides(tx, number)}
        if dry_run:
            tx.execute("DELETE FROM suppression WHERE id = ?", [number])
    return report


def listing(reader: Reader) -> list[dict[str, Any]]:
    """Return every suppression, newest first."""
    return reader.rows(
        "SELECT id, class, device_id, domain, subdomains, address, signature_id, author, reason, "
        "strftime(created_at, '%Y-%m-%dT%H:%M:%SZ') AS created_at, "
        "strftime(expires_at, '%Y-%m-%dT%H:%M:%SZ') AS expires_at "
        "FROM suppression ORDER BY id DESC"
    )


def lift(store: Store, number: int) -> None:
    """Show again what a suppression hid.

    Raises:
        InputError: there is no such suppression.
    """
    with store.transaction() as tx:
        if not tx.value("SELECT count(*) FROM suppression WHERE id = ?", [number]):
            msg = f"there is no suppression {number}; see: guardian suppressions"
            raise InputError(msg)
        tx.execute("DELETE FROM suppression WHERE id = ?", [number])


def _hides(reader: Reader, number: int) -> dict[str, Any]:
    since = utc_now() - timedelta(days=PREVIEW_DAYS)
    rows = reader.rows(
        "SELECT f.id, f.class, f.title, f.incident_id FROM finding f "
        "JOIN v_suppressed s ON s.id = f.id AND s.suppression_id = ? "
        "WHERE f.last_seen >= ? ORDER BY f.last_seen DESC, f.id",
        [number, since],
    )
    hidden = int(
        reader.value(
            """
            SELECT count(*) FROM (
                SELECT f.incident_id FROM finding f
                LEFT JOIN v_suppressed s ON s.id = f.id AND s.suppression_id = ?
                WHERE f.incident_id IS NOT NULL AND f.last_seen >= ?
                GROUP BY f.incident_id HAVING count(*) = count(s.id)
            )
            """,
            [number, since],
        )
    )
    return {
        "findings": len(rows),
        "incidents": hidden,
        "examples": [f"{row['class']}: {row['title']}" for row in rows[:5]],
    }
