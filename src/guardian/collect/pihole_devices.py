"""Turn what Pi-hole's API tells of devices and DHCP leases into sightings.

A device counts again when Pi-hole saw it again, a lease when anything about it changed.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import columns
from guardian.collect.text_values import LAST_S
from guardian.errors import ClientResponseError

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

    from guardian.clients.pihole import PiholeClient
    from guardian.clients.pihole_network import Lease, NetworkDevice

MAX_LEASES = 5_000
"""More leases than this are not read: a home has a few hundred at most."""

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "seconds": pl.Float64, "method": pl.String, "mac": pl.String, "ip": pl.String,
    "name": pl.String, "detail": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one asking gave; what the server does not offer is empty."""

    devices: tuple[NetworkDevice, ...] = ()
    leases: tuple[Lease, ...] = ()


async def ask(client: PiholeClient) -> Found:
    """Ask for devices and leases.

    Raises:
        ClientError: the server is away, or refuses us altogether.
    """
    devices: tuple[NetworkDevice, ...] = ()
    leases: tuple[Lease, ...] = ()
    try:
        devices = await client.devices()
        leases = await client.leases()
    except ClientResponseError as error:
        if error.status not in (400, 403, 404):  # a server that has no such page still has queries
            raise
    return Found(devices=devices, leases=leases[:MAX_LEASES])


def digests(found: Found) -> tuple[str, ...]:
    """Return a digest of each lease, in a stable order."""
    return tuple(sorted({_digest(lease) for lease in found.leases}))


def sightings(found: Found, *, since_s: float, known: Collection[str]) -> tuple[pa.Table, float]:
    """Return what is new as rows of ``sighting``, and when the latest device was seen.

    ``since_s`` is the time of the last asking's latest device, ``known`` its leases.
    """
    now = time.time()
    latest = since_s
    rows: list[tuple[object, ...]] = []
    for device in found.devices:
        detail = json.dumps({"interface": (device.interface or "")[:64]})
        for one in device.ips:
            if since_s < one.last_seen < LAST_S:
                latest = max(latest, min(one.last_seen, now))
                name = (one.name or "")[:255] or None
                rows.append((one.last_seen, "neighbour", device.hwaddr, one.ip, name, detail))
    held = frozenset(known)
    for lease in found.leases:
        if _digest(lease) not in held:
            name = lease.name[:255] if lease.name not in ("", "*") else None
            rows.append((now, "lease", lease.hwaddr, lease.ip, name, None))
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return columns.to_arrow(
        frame.with_columns(
            columns.seconds(pl.col("seconds")).alias("ts"),
            columns.mac_column(frame["mac"]),
            columns.address_column(frame["ip"]),
        )
        .drop_nulls(["ts", "ip"])
        .drop("seconds")
        .sort("ts", maintain_order=True)
    ), latest


def _digest(lease: Lease) -> str:
    """Return a digest of a lease without its end, which moves with every renewal."""
    text = "\x1f".join((lease.hwaddr, lease.ip, lease.name))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()
