"""Bring addresses to one normal form, and tell the home's own from the world's."""

from __future__ import annotations

import ipaddress

_INTERNAL = tuple(
    ipaddress.ip_network(net)
    for net in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "169.254.0.0/16", "fe80::/10",  # link-local
        "fc00::/7",  # unique local, RFC 4193
        "127.0.0.0/8", "::1/128",
    )
)  # fmt: skip


def normalise(text: str) -> str | None:
    """Return the normal form: IPv6 compressed, IPv4-mapped unwrapped; None when it is none."""
    try:
        address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_internal(text: str) -> bool:
    """Tell whether an address belongs to the home rather than to the world."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in net for net in _INTERNAL if net.version == address.version)
