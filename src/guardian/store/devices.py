"""Read the devices, and keep what a person says of them: names, kinds, merges.

A column that a person has set is locked: no later evidence changes it. A merge only
points one device at another, so it can be undone and no history is lost.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.model.device import Device
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store.connection import Reader, Store, Transaction

SETTABLE = ("name", "kind", "owner", "room", "segment", "model", "vendor")
"""What a person may say of a device."""

_NO_EVIDENCE = ("owner", "room")

BASELINE_MARK = "devices.usual"
"""The watermark of the baselines; without it they are worked out anew."""

TEXT_LIMIT = 80
"""Characters of anything a person sets."""


def devices(reader: Reader, *, merged: bool = False) -> list[Device]:
    """Return the devices, the last seen first; those merged into others only on request."""
    return [_device(row) for row in reader.rows(_DEVICES, {"merged": merged, "id": None})]


def device(reader: Reader, device_id: str) -> Device | None:
    """Return one device, merged or not."""
    row = reader.one(_DEVICES, {"merged": True, "id": device_id})
    return None if row is None else _device(row)


def as_json(reader: Reader, *, merged: bool = False) -> list[dict[str, Any]]:
    """Return the devices as the command line and the API print them; times are RFC 3339."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "kind": each.kind,
            "vendor": each.vendor,
            "model": each.model,
            "mac": each.mac,
            "addresses": list(each.addresses),
            "first_seen": _rfc3339(each.first_seen),
            "last_seen": _rfc3339(each.last_seen),
            "owner": each.owner,
            "room": each.room,
            "segment": each.segment,
            "reasons": dict(each.reasons),
            "locked": list(each.locked),
        }
        for each in devices(reader, merged=merged)
    ]


def find(reader: Reader, text: str) -> str:
    """Return the id of the device that ``text`` means: an id, a name, a MAC or an address.

    Raises:
        InputError: none, or more than one, is meant.
    """
    rows = reader.rows(
        """
        SELECT DISTINCT d.device_id, d.name
        FROM device d LEFT JOIN device_address a USING (device_id)
        WHERE d.device_id = $text OR (d.merged_into IS NULL AND (
            lower(d.name) = lower($text) OR lower(d.mac) = lower($text)
            OR (a.ip = lower($text) AND a.valid_to IS NULL)))
        ORDER BY d.device_id LIMIT 5
        """,
        {"text": text.strip()},
    )
    if len(rows) == 1:
        return str(rows[0]["device_id"])
    what = "no device is" if not rows else "more than one device is"
    msg = f"{what} called {text[:TEXT_LIMIT]!r}; see: guardian devices"
    raise InputError(msg)


def rename(store: Store, device: str, name: str, *, actor: str = "keeper") -> dict[str, Any]:
    """Give a device a name that no evidence changes; return the device as JSON."""
    return assign(store, device, actor=actor, name=name)


def assign(
    store: Store, device: str, *, actor: str = "keeper", **values: str | None
) -> dict[str, Any]:
    """Set and lock columns of a device; None unlocks one, so that evidence rules again.

    What has no evidence of its own (owner, room) is empty after it was unlocked.

    Raises:
        InputError: no such device or column, or a text that is empty or too long.
    """
    for column, value in values.items():
        if column not in SETTABLE:
            msg = f"a device has no {column!r} to set; it has {', '.join(SETTABLE)}"
            raise InputError(msg)
        if value is not None and not (0 < len(value.strip()) <= TEXT_LIMIT and value.isprintable()):
            msg = f"{column} must be one line of 1 to {TEXT_LIMIT} characters"
            raise InputError(msg)
    with store.transaction() as tx:
        wanted = find(tx, device)
        row = tx.one("SELECT * FROM device WHERE device_id = ?", [wanted]) or {}
        locked, reasons = set(row["locked"]), json.loads(row["reasons"] or "{}")
        for column, value in values.items():
            if value is None and column not in locked:
                continue
            text = None if value is None else value.strip()
            if text is None:
                locked.discard(column)
                reasons.pop(column, None)
                note(tx, wanted, actor, "unlock", column)
            else:
                locked.add(column)
                reasons[column] = "because you said so"
                was = "" if row[column] in (None, text) else f"{row[column]} → "
                note(tx, wanted, actor, "set", f"{column}: {was}{text}")
            if text is not None or column in _NO_EVIDENCE:
                tx.execute(f"UPDATE device SET {column} = ? WHERE device_id = ?", [text, wanted])
        tx.execute(
            "UPDATE device SET locked = ?, reasons = ? WHERE device_id = ?",
            [sorted(locked), json.dumps(reasons), wanted],
        )
    with store.read() as reader:
        return next(each for each in as_json(reader, merged=True) if each["id"] == wanted)


def merge(store: Store, device: str, into: str, *, actor: str = "keeper") -> None:
    """Count a device as another from now on and in the past; ``unmerge`` undoes it.

    Raises:
        InputError: no such device, or the two are one already.
    """
    with store.transaction() as tx:
        source, target = find(tx, device), find(tx, into)
        if (
            source == target
            or _root(tx, target) == source
            or _root(tx, source) == _root(tx, target)
        ):
            msg = f"{device} and {into} are one device already"
            raise InputError(msg)
        target = _root(tx, target)
        _point(tx, source, target, f"because {actor} said that they are one device")
        note(tx, source, actor, "merge", f"counts as {_name(tx, target)}")
        note(tx, target, actor, "merge", f"{_name(tx, source)} counts as this")


def unmerge(store: Store, device: str, *, actor: str = "keeper") -> str:
    """Let a merged device stand for itself again; return the one it counted as.

    Raises:
        InputError: no such device, or it is not merged.
    """
    with store.transaction() as tx:
        wanted = find(tx, device)
        into = tx.value("SELECT merged_into FROM device WHERE device_id = ?", [wanted])
        if into is None:
            msg = f"{device} is not merged into another device"
            raise InputError(msg)
        _point(tx, wanted, None, None)
        note(tx, wanted, actor, "split", f"stands for itself again, not for {_name(tx, into)}")
        note(tx, into, actor, "split", f"{_name(tx, wanted)} stands for itself again")
    return str(into)


def note(tx: Transaction, device_id: str, actor: str, what: str, detail: str) -> None:
    """Write down what a person did to a device; it is never deleted."""
    tx.execute(
        "INSERT INTO device_event (device_id, said_at, actor, what, detail) VALUES (?, ?, ?, ?, ?)",
        [device_id, utc_now(), actor, what, detail[:300]],
    )


def _name(reader: Reader, device_id: str) -> str:
    return str(reader.value("SELECT name FROM device WHERE device_id = ?", [device_id]))


def _root(reader: Reader, device_id: str) -> str:
    return str(reader.value("SELECT root FROM v_device_root WHERE device_id = ?", [device_id]))


def _point(tx: Transaction, device_id: str, into: str | None, reason: str | None) -> None:
    text = tx.value("SELECT reasons FROM device WHERE device_id = ?", [device_id])
    reasons = json.loads(text or "{}")
    reasons.pop("merged_into", None)
    if reason:
        reasons["merged_into"] = reason
    tx.execute(
        "UPDATE device SET merged_into = ?, reasons = ? WHERE device_id = ?",
        [into, json.dumps(reasons), device_id],
    )
    # Two are one, or one is two: what is usual for them is another matter now.
    tx.execute("DELETE FROM detector_mark WHERE detector = ?", [BASELINE_MARK])


# Addresses of everything that was merged into a device are its own; those held now come first.
_DEVICES = """
SELECT d.*, coalesce(a.addresses, []) AS addresses,
       greatest(d.last_seen, a.last_seen) AS last, least(d.first_seen, a.first_seen) AS first
FROM device d LEFT JOIN (
    SELECT CASE WHEN $id IS NULL THEN r.root ELSE m.device_id END AS device_id,
           list(DISTINCT ip ORDER BY contains(ip, ':'), ip)
               FILTER (valid_to IS NULL AND ip IS NOT NULL) AS addresses,
           max(m.last_seen) AS last_seen, min(m.first_seen) AS first_seen
    FROM device m JOIN v_device_root r USING (device_id)
    LEFT JOIN device_address USING (device_id)
    GROUP BY 1
) a USING (device_id)
WHERE ($merged OR d.merged_into IS NULL) AND ($id IS NULL OR d.device_id = $id)
ORDER BY last DESC, d.device_id
"""


def _device(row: dict[str, Any]) -> Device:
    addresses: Sequence[str] = row["addresses"] or ()
    return Device(
        id=row["device_id"],
        name=row["name"],
        kind=row["kind"],
        vendor=row["vendor"],
        mac=row["mac"],
        addresses=tuple(sorted(addresses, key=lambda ip: (":" in ip, ip))),
        first_seen=row["first"],
        last_seen=row["last"],
        model=row["model"],
        owner=row["owner"],
        room=row["room"],
        segment=row["segment"],
        reasons=json.loads(row["reasons"] or "{}"),
        locked=tuple(row["locked"]),
    )


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds") + "Z"
