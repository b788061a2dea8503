"""What a person says of a device, and what evidence says again when they take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.detect.devices.kinds import KINDS
from guardian.detect.devices.update import describe
from guardian.errors import InputError
from guardian.store import devices, merges, segments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.store import Store

FIELDS = ("name", "kind", "owner", "room", "segment", "model", "vendor")
"""What can be said of a device; ``segment`` is the role of its network, for this device."""


def assign(
    store: Store,
    device: str,
    values: Mapping[str, str | None],
    *,
    actor: str,
) -> dict[str, Any]:
    """Set and lock what a person says; None unlocks, and evidence is looked at again.

    Raises:
        InputError: no such device, field or kind, or a text that cannot be.
    """
    kind = values.get("kind")
    if kind is not None and kind not in KINDS:
        msg = f"{kind[:40]!r} is no type of device; it is one of {', '.join(KINDS)}"
        raise InputError(msg)
    found = devices.assign(store, device, actor=actor, **values)
    if any(value is None for value in values.values()):
        refresh(store, found["id"])
        with store.read() as reader:
            found = next(
                each for each in devices.as_json(reader, merged=True) if each["id"] == found["id"]
            )
    return found


def merge(store: Store, device: str, into: str, *, actor: str) -> dict[str, str]:
    """Count a device as another, as an answer to a proposal or unasked; return both ids.

    Raises:
        InputError: no such device, or they are one already.
    """
    with store.read() as reader:
        new, old = devices.find(reader, device), devices.find(reader, into)
        waiting = {(row["device_id"], row["into_id"]) for row in merges.proposals(reader)}
    if (new, old) in waiting:
        merges.answer(store, new, old, accept=True, actor=actor)
    else:
        devices.merge(store, new, old, actor=actor)
    refresh(store, old)
    return {"device": new, "into": old}


def keep_apart(store: Store, device: str, into: str, *, actor: str) -> dict[str, str]:
    """Answer a proposal with no; it is not made again.

    Raises:
        InputError: there is no such open proposal.
    """
    with store.read() as reader:
        new, old = devices.find(reader, device), devices.find(reader, into)
    merges.answer(store, new, old, accept=False, actor=actor)
    return {"device": new, "into": old}


def split(store: Store, device: str, *, actor: str) -> dict[str, str]:
    """Let a merged device stand for itself again; return both ids.

    Raises:
        InputError: no such device, or it is not merged.
    """
    parted = merges.undo(store, device, actor=actor)
    for each in (parted["device"], parted["from"]):
        refresh(store, each)
    return parted


def segment(
    store: Store, text: str, *, role: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """Say what a network is for or called, and tell its devices; return the segment.

    Raises:
        InputError: there is no such segment, or a text that cannot be.
    """
    cidr = segments.assign(store, text, role=role, name=name)
    with store.transaction() as tx:
        inside = tx.rows(
            "SELECT DISTINCT device_id FROM device_address JOIN v_address_segment USING (ip) "
            "WHERE segment = ?",
            [cidr],
        )
        describe(tx, [row["device_id"] for row in inside])
        return next(each for each in segments.segments(tx) if each["cidr"] == cidr)


def refresh(store: Store, device_id: str) -> None:
    """Work out again what evidence says of a device; what is locked stays."""
    with store.transaction() as tx:
        describe(tx, [device_id])
