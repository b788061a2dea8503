"""One normal form for addresses, and which of them belong to the home.

The normal form is the shortest usual one: IPv4 as four plain numbers, IPv6
compressed and in lower case (RFC 5952), IPv4-mapped IPv6 unwrapped, no zone.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOME_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598, between a home and its provider; tailnets
        "169.254.0.0/16",  # RFC 3927, link-local
        "127.0.0.0/8",  # this machine itself
        "::1/128",
        "fc00::/7",  # RFC 4193, unique local
        "fe80::/10",  # RFC 4291, link-local
    )
)
"""Addresses that a home uses itself, whatever its provider gives it."""

_LONGEST_TEXT = 64  # an IPv6 address with a zone stays far below


@functools.lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str | None:
    """Return the normal form of an address, or None when it is none."""
    if len(text) > _LONGEST_TEXT:
        return None
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def normalise_column(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    """Normalise a column of text; what is no address becomes null.

    Only the values that occur are looked at, so a column of few hosts costs little.
    """
    chunked = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    encoded = chunked.cast(pa.string()).combine_chunks().dictionary_encode()
    whole = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    values = [None if text is None else normalise(text) for text in whole.dictionary.to_pylist()]
    return pa.chunked_array([pc.take(pa.array(values, pa.string()), whole.indices)])


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from their text, such as ``2001:db8::/48``.

    Raises:
        ValueError: one of them is no network; the message names it.
    """
    return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts)


def is_internal(ip: str, home_nets: Sequence[Network] = ()) -> bool:
    """Tell whether an address is of this home: a private range, or one of ``home_nets``."""
    return _is_internal(ip, tuple(home_nets))


@functools.lru_cache(maxsize=1 << 16)
def _is_internal(ip: str, home_nets: tuple[Network, ...]) -> bool:
    normal = normalise(ip)
    if normal is None:
        return False
    address = ipaddress.ip_address(normal)
    return any(
        address.version == network.version and address in network
        for network in (*HOME_NETWORKS, *home_nets)
    )


def is_multicast(ip: str) -> bool:
    """Tell whether an address is a group or the broadcast address, not one host."""
    normal = normalise(ip)
    if normal is None:
        return False
    return ipaddress.ip_address(normal).is_multicast or normal == "255.255.255.255"
