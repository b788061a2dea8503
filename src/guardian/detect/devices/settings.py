"""How devices are told apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Keys of the table ``[detect.devices]``."""

    home_networks: tuple[str, ...] = ()
    """CIDRs that are home besides the private ranges: a public prefix of one's own."""

    router_min_addresses: int = 5
    """Distinct outside addresses behind one hardware address, from which on it is a router.
    A host has none; a short capture of a router may show few."""

    shared_mac_min_addresses: int = 9
    """IPv4 addresses behind one hardware address, from which on each is a device of its own:
    a repeater or a bridge that hides its clients, not a host with a few aliases."""

    slot_s: int = 300
    """Seconds in which an address is taken to have one holder. Leases last minutes at least;
    shorter slots cost time and rows, longer ones blur the handing over."""

    max_devices: int = 5_000
    """Devices kept in all. A flood of made-up addresses stops here, and is counted."""

    max_intervals_per_address: int = 200
    """Changes of holder kept for one address; the oldest go first."""

    max_hints_per_device: int = 60
    """Names, user agents and fingerprints kept for one device and source."""
