"""What the command line asks and says of devices and networks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from guardian.detect.devices import person
from guardian.errors import InputError
from guardian.model import words
from guardian.ops.status import rfc3339
from guardian.store import (
    baselines,
    device_book,
    devices,
    merges,
    own,
    reconcile,
    rhythms,
    segments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from guardian.app.service import Service
    from guardian.store import Reader

ACTOR = "keeper"


def listing(service: Service, *, merged: bool = False) -> Any:
    """Return the devices, each with its coverage and whom it may be."""
    with service.store.read() as reader:
        covered = {each.device_id: _coverage(each) for each in reconcile.coverage(reader)}
        alike = _alike(reader)
        learning = {
            each.device_id: not each.learned
            for each in baselines.baselines(reader)
            if each.metric == "bytes_up"
        }
        network = {row["device_id"]: row for row in reader.rows("SELECT * FROM v_device_segment")}
        itself = own.own(reader).devices
        return [
            {
                **row,
                "network": (network.get(row["id"]) or {}).get("segment"),
                "role": (network.get(row["id"]) or {}).get("role"),
                "coverage": covered.get(row["id"]),
                "learning": learning.get(row["id"], True),
                "own": row["id"] in itself,
                "looks_like": alike.get(row["id"], []),
            }
            for row in devices.as_json(reader, merged=merged)
        ]


def show(service: Service, *, device: str) -> Any:
    """Return everything that is held of one device."""
    with service.store.read() as reader:
        key = devices.find(reader, device)
        row = next(each for each in devices.as_json(reader, merged=True) if each["id"] == key)
        covered = reconcile.coverage(reader, device_id=key)
        members = device_book.members(reader, key)
        return _plain(
            {
                **row,
                "own": key in own.own(reader).devices,
                "identity": device_book.identity(reader, members),
                "address_history": device_book.addresses(reader, members),
                "may_be": rhythms.likenesses(reader, device_id=key),
                "merged": device_book.merged(reader, key),
                "looks_like": _alike(reader).get(key, []),
                "coverage": _coverage(covered[0]) if covered else None,
                "usual": [dataclasses.asdict(each) for each in baselines.baselines(
                    reader, device_id=key)],
                "destinations": device_book.destinations(reader, key, limit=25),
                "said": device_book.events(reader, members),
            }
        )  # fmt: skip


def assign(service: Service, *, device: str, values: Mapping[str, str | None]) -> Any:
    """Set what a person says of a device; None unlocks."""
    found = person.assign(service.store, device, values, actor=ACTOR)
    service.wake()
    return found


def merge(service: Service, *, device: str, into: str, same: bool = True) -> Any:
    """Say that two devices are one, or that they are not."""
    said = person.merge if same else person.keep_apart
    return said(service.store, device, into, actor=ACTOR)


def split(service: Service, *, device: str) -> Any:
    """Part a merged device again; a device that others count as is named with which to part."""
    with service.store.read() as reader:
        key = devices.find(reader, device)
        inside = [each["device_id"] for each in device_book.merged(reader, key)]
        itself = reader.value("SELECT merged_into FROM device WHERE device_id = ?", [key])
    if itself is None and len(inside) != 1:
        named = f": {', '.join(inside)}" if inside else ""
        msg = f"{device} is not merged into another device; {len(inside)} count as it{named}"
        raise InputError(msg)
    return person.split(service.store, key if itself else inside[0], actor=ACTOR)


def networks(
    service: Service,
    *,
    segment: str | None = None,
    role: str | None = None,
    name: str | None = None,
) -> Any:
    """Return the home's networks, after a role or name was given to one."""
    if segment is not None:
        person.segment(service.store, segment, role=role, name=name)
    with service.store.read() as reader:
        return _plain(segments.segments(reader))


def _alike(reader: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return the open proposals by the newer device."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in merges.proposals(reader):
        found.setdefault(row["device_id"], []).append(
            {"id": row["into_id"], "name": row["into_name"], "reasons": row["reasons"]}
        )
    return found


def _coverage(each: reconcile.Coverage) -> dict[str, Any]:
    return {
        "share": each.share,
        "flows": each.flows,
        "explained": each.explained,
        "asked": each.asked,
        "how": each.how,
        "unexplained": [dataclasses.asdict(one) for one in each.unexplained],
    }


def _plain(value: Any) -> Any:
    """Return a value with its times as RFC 3339 and its texts without control characters."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return words.clean(value, 400)
    return rfc3339(value) if hasattr(value, "isoformat") else value


CALLS: dict[str, Callable[..., Any]] = {
    "devices": listing,
    "device": show,
    "device_set": assign,
    "device_merge": merge,
    "device_split": split,
    "segments": networks,
}
