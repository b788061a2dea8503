"""Whether an address leads to a machine at home: models elsewhere are not asked."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from guardian.intel import addresses

LOOKUP_S = 3.0
"""Longest wait for the name of a machine at home."""


async def outside(url: str) -> str:
    """Return why this address is not at home; empty when it is, or cannot be looked up.

    A name is at home when every address that it leads to is. A name that leads nowhere
    just now cannot be asked anyhow.
    """
    host = urlsplit(url).hostname
    if not host:
        return ""
    plain = addresses.normalise(host)
    if plain is not None:
        return "" if addresses.is_internal(plain) else f"{host} is not an address at home"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (TimeoutError, OSError, UnicodeError):
        return ""
    ips = {addresses.normalise(str(each[4][0])) for each in found}
    strange = sorted(ip for ip in ips if ip is not None and not addresses.is_internal(ip))
    return f"{host} leads to {strange[0]}, which is not at home" if strange else ""
