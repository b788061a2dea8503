"""Addresses that are published as fixed, so that programs reach them without asking DNS.

A flow to one of them without a DNS answer before is no surprise: public resolvers are
used by address, Telegram's programs carry the addresses of its data centres, Tor those
of its directory authorities. Sources: each resolver's own page,
core.telegram.org/resources/cidr.txt, and Tor's source (auth_dirs.inc).
"""

from __future__ import annotations

import functools
import ipaddress

_FIXED: dict[str, str] = {
    **dict.fromkeys(
        ("1.1.1.0/30", "1.0.0.0/30", "2606:4700:4700::/48"), "Cloudflare's public resolver"
    ),
    **dict.fromkeys(("8.8.8.8", "8.8.4.4", "2001:4860:4860::/48"), "Google's public resolver"),
    **dict.fromkeys(
        ("9.9.9.9", "9.9.9.10", "9.9.9.11", "149.112.112.112", "2620:fe::/48"),
        "Quad9's public resolver",
    ),
    **dict.fromkeys(("208.67.222.222", "208.67.220.220"), "OpenDNS's public resolver"),
    **dict.fromkeys(("94.140.14.14", "94.140.15.15"), "AdGuard's public resolver"),
    **dict.fromkeys(("45.90.28.0/24", "45.90.30.0/24"), "NextDNS's public resolver"),
    **dict.fromkeys(("76.76.2.0/24", "76.76.10.0/24"), "Control D's public resolver"),
    **dict.fromkeys(("223.5.5.5", "223.6.6.6"), "Alibaba's public resolver"),
    **dict.fromkeys(
        (
            "149.154.160.0/20", "91.108.4.0/22", "91.108.8.0/22", "91.108.12.0/22",
            "91.108.16.0/22", "91.108.20.0/22", "91.108.56.0/22", "185.76.151.0/24",
            "2001:b28:f23d::/48", "2001:b28:f23f::/48", "2001:67c:4e8::/48",
        ),
        "Telegram",
    ),
    **dict.fromkeys(
        (
            "128.31.0.39", "86.59.21.38", "45.66.35.11", "131.188.40.189", "193.23.244.244",
            "171.25.193.9", "199.58.81.140", "204.13.164.118", "66.111.2.131", "216.218.219.41",
        ),
        "a Tor directory authority",
    ),
}  # fmt: skip

_STARTS = frozenset(text.partition("." if "." in text else ":")[0] for text in _FIXED)

_NETWORKS = tuple((ipaddress.ip_network(text), what) for text, what in _FIXED.items())


@functools.lru_cache(maxsize=1 << 14)
def fixed(ip: str) -> str | None:
    """Return whose fixed address this is, or None."""
    if ip.partition("." if "." in ip else ":")[0] not in _STARTS:
        return None
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    return next(
        (what for net, what in _NETWORKS if net.version == address.version and address in net), None
    )
