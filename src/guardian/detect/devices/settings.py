"""How devices are told apart."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the configuration reads the types at run time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Keys of the table ``[detect.devices]``."""

    home_networks: tuple[str, ...] = ()
    """CIDRs that are home besides the private ranges: a public prefix of one's own."""

    segments: Mapping[str, str] = field(default_factory=dict)
    """The home's networks and what each is for: CIDR or ``vlan N``, then role (infrastructure,
    trusted, iot, guest, or a word of your own). Others are found from traffic and have no role
    until a person gives one on the page."""

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

    merge_max_gap_days: int = 60
    """Days between an old device's last row and a new one's first, up to which the two may be one
    with a new hardware address. Phones keep a made-up address for weeks."""

    merge_max_overlap_s: int = 600
    """Seconds that both may be seen: a phone says good-bye and hello within minutes; two
    phones of one model are at home together for longer."""

    merge_min_score: int = 6
    """Points from which on two devices are proposed to be one: a given name is worth 5, the rest
    (options asked for, TLS client, programs) 1 to 3 each, so a name alone does not do."""

    settle_s: int = 120
    """Seconds after which a flow is held against the DNS answers: Pi-hole writes its database once
    a minute, so an answer may come to Guardian after the flow that it explains."""

    first_day_s: int = 86_400
    """Seconds after the home's resolver, or a device, was first seen in which an unexplained flow
    may rest on an answer from before: DNS answers are seldom good for longer than a day."""

    max_hints_per_device: int = 60
    """Names, user agents and fingerprints kept for one device and source."""
