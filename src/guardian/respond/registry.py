"""The responders, one line each, and which of them acts in this house."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.errors import ComponentAbsentError, ConfigError
from guardian.respond.adguard import AdguardHome
from guardian.respond.dnsmasq_hosts import DnsmasqHosts
from guardian.respond.nftables import Nftables
from guardian.respond.pihole import Pihole
from guardian.respond.unbound import Unbound

if TYPE_CHECKING:
    from guardian.respond.base import Responder, ResponderKind
    from guardian.respond.settings import Settings

NONE = "none"
"""The responder of proposals that nobody can carry out yet."""

RESPONDERS: dict[str, ResponderKind] = {
    Pihole.name: Pihole,
    AdguardHome.name: AdguardHome,
    DnsmasqHosts.name: DnsmasqHosts,
    Unbound.name: Unbound,
    Nftables.name: Nftables,
}
"""In the order in which ``auto`` looks for one that is set up."""


def chosen(settings: Settings, blocks: str) -> str:
    """Return who blocks ``names`` or ``addresses`` in this house, or ``none``.

    Raises:
        ConfigError: the settings name a responder that does not exist or cannot do it.
    """
    wanted = settings.dns_responder if blocks == "names" else settings.address_responder
    if wanted == NONE:
        return NONE
    if wanted == "auto":
        for name, kind in RESPONDERS.items():
            if kind.blocks == blocks and kind.is_set_up(settings):
                return name
        return NONE
    kind_or_none = RESPONDERS.get(wanted)
    if kind_or_none is None or kind_or_none.blocks != blocks:
        known = ", ".join(name for name, kind in RESPONDERS.items() if kind.blocks == blocks)
        msg = f"respond: no responder {wanted!r} blocks {blocks}; there are: {known}"
        raise ConfigError(msg)
    return wanted


def make(name: str, settings: Settings) -> Responder:
    """Return a responder, ready for one pass of work.

    Raises:
        ComponentAbsentError: nobody is set up to do it.
        ConfigError: its settings are wrong.
    """
    kind = RESPONDERS.get(name)
    if kind is None:
        msg = (
            "no enforcer is set up: name your resolver in the [respond] table of the "
            "configuration (pihole_url, or dnsmasq_hosts_file and resolvers)"
        )
        raise ComponentAbsentError(msg)
    return kind(settings)
