"""The proposals that two devices are one, and a person's answers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.store import devices
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.store.connection import Reader, Store


def proposals(reader: Reader, *, status: str = "open") -> list[dict[str, Any]]:
    """Return proposals with the names of both devices, the best founded first."""
    return reader.rows(
        "SELECT m.device_id, n.name, m.into_id, o.name AS into_name, m.score, m.reasons, m.status, "
        "m.created_at FROM merge_proposal m JOIN device n ON n.device_id = m.device_id "
        "JOIN device o ON o.device_id = m.into_id WHERE m.status = ? "
        "ORDER BY m.score DESC, m.created_at, m.device_id LIMIT 200",
        [status],
    )


def answer(store: Store, device: str, into: str, *, accept: bool, actor: str = "keeper") -> None:
    """Merge the two, or never propose it again. An accepted merge is undone with ``undo``.

    Raises:
        InputError: there is no such open proposal.
    """
    with store.read() as reader:
        open_ones = {(row["device_id"], row["into_id"]) for row in proposals(reader)}
    if (device, into) not in open_ones:
        msg = f"there is no open proposal that {device} is {into}"
        raise InputError(msg)
    if accept:
        devices.merge(store, device, into, actor=actor)
    _note(store, device, into, "accepted" if accept else "rejected", actor)


def undo(store: Store, device: str, into: str, *, actor: str = "keeper") -> None:
    """Take an accepted merge back; the pair is not proposed again.

    Raises:
        InputError: the device is not merged.
    """
    devices.unmerge(store, device)
    _note(store, device, into, "rejected", actor)


def _note(store: Store, device: str, into: str, status: str, actor: str) -> None:
    with store.transaction() as tx:
        tx.execute(
            "UPDATE merge_proposal SET status = ?, answered_at = ?, actor = ? "
            "WHERE device_id = ? AND into_id = ?",
            [status, utc_now(), actor, device, into],
        )
