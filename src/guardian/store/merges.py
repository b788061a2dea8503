"""The proposals that two devices are one, and a person's answers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.store import devices
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from guardian.store.connection import Reader, Store


def proposals(
    reader: Reader, *, status: str = "open", device_id: str | None = None
) -> list[dict[str, Any]]:
    """Return proposals with the names of both devices, the best founded first.

    ``device_id`` keeps those that are about it, on either side. An open one whose devices were
    merged in the meantime is left out.
    """
    return reader.rows(
        "SELECT m.device_id, n.name, m.into_id, o.name AS into_name, m.score, m.reasons, m.status, "
        "m.created_at, n.first_seen, o.last_seen AS into_last_seen FROM merge_proposal m "
        "JOIN device n ON n.device_id = m.device_id JOIN device o ON o.device_id = m.into_id "
        "WHERE m.status = $status "
        "AND ($device IS NULL OR m.device_id = $device OR m.into_id = $device) "
        "AND (m.status <> 'open' OR (n.merged_into IS NULL AND o.merged_into IS NULL)) "
        "ORDER BY m.score DESC, m.created_at, m.device_id LIMIT 200",
        {"status": status, "device": device_id},
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
    if not accept:
        with store.transaction() as tx:
            devices.note(tx, device, actor, "keep apart", f"is not {into}")


def undo(
    store: Store, device: str, into: str | None = None, *, actor: str = "keeper"
) -> dict[str, str]:
    """Take a merge back; the pair is not proposed again. Return both ids.

    Raises:
        InputError: the device is not merged.
    """
    with store.read() as reader:
        wanted = devices.find(reader, device)
    was = devices.unmerge(store, wanted, actor=actor)
    _note(store, wanted, into or was, "rejected", actor)
    return {"device": wanted, "from": was}


def _note(store: Store, device: str, into: str, status: str, actor: str) -> None:
    with store.transaction() as tx:
        tx.execute(
            "UPDATE merge_proposal SET status = ?, answered_at = ?, actor = ? "
            "WHERE device_id = ? AND into_id = ?",
            [status, utc_now(), actor, device, into],
        )
