"""What Pi-hole tells of the network: devices with their addresses, and DHCP leases."""

from __future__ import annotations

import msgspec


class DeviceAddress(msgspec.Struct, frozen=True):
    """An address that Pi-hole saw a device use; times in seconds since 1970."""

    ip: str = ""
    name: str | None = None
    last_seen: float = msgspec.field(name="lastSeen", default=0)


class NetworkDevice(msgspec.Struct, frozen=True):
    """A device of Pi-hole's network table; ``hwaddr`` is ``ip-<address>`` without a MAC."""

    hwaddr: str = ""
    interface: str | None = None
    ips: tuple[DeviceAddress, ...] = ()


class Lease(msgspec.Struct, frozen=True):
    """A DHCP lease that Pi-hole gave; ``expires`` is 0 for one without an end."""

    expires: float = 0
    name: str = ""
    hwaddr: str = ""
    ip: str = ""


class Devices(msgspec.Struct, frozen=True):
    """The answer that lists devices."""

    devices: tuple[NetworkDevice, ...] = ()


class Leases(msgspec.Struct, frozen=True):
    """The answer that lists leases."""

    leases: tuple[Lease, ...] = ()
