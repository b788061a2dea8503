"""Say of each address which side of the router it is on, once, for rules to join with."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.store import Store, Transaction

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CGNAT = ipaddress.ip_network("100.64.0.0/10")
"""Shared address space between a provider and its customers (RFC 6598)."""

PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
"""RFC 1918 and RFC 4193. Not Python's ``is_private``, which holds documentation ranges too."""

HOME_SCOPES = ("private", "link_local")
"""What is at home wherever it is seen."""

_TABLES = ("flow", "dns", "alert", "tls", "http", "quic", "fileinfo", "raw_event")

_DOMINANT = 0.5
"""Share of all connections from which on a public initiator is taken to be this side, where the
sensor sees no private address at all: a mirrored port shows mostly what its own hosts open."""


def scope(text: str) -> str:
    """Return what kind of address this is; ``public`` also for what is no address."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return "public"
    if text == "255.255.255.255":
        return "broadcast"
    for kind in ("unspecified", "loopback", "multicast", "link_local"):
        if getattr(ip, f"is_{kind}"):
            return kind
    if any(ip in network for network in (*PRIVATE, CGNAT) if network.version == ip.version):
        # Without the netmask, .255 is the likeliest directed broadcast of a home's /24.
        return "broadcast" if ip.version == 4 and text.endswith(".255") else "private"
    return "public"


def annotate(tx: Transaction, *, after: int, home_networks: Sequence[str]) -> None:
    """Add every address of the rows after id ``after`` that is not known yet."""
    networks = [ipaddress.ip_network(text, strict=False) for text in home_networks]
    union = " UNION ".join(
        f"SELECT {column} AS ip FROM {table} WHERE id > $after"
        for table in _TABLES
        for column in ("src_ip", "dest_ip")
    )
    union += " UNION SELECT src_ip FROM dns_log WHERE id > $after"
    fresh = tx.rows(
        f"SELECT DISTINCT ip FROM ({union}) WHERE ip IS NOT NULL "
        "AND ip NOT IN (SELECT ip FROM address_info)",
        {"after": after},
    )
    if fresh:
        rows = [_row(row["ip"], networks) for row in fresh]
        frame = pl.DataFrame(rows, schema=["ip", "scope", "home"], orient="row")
        with tx.registered("fresh_address", frame):
            tx.execute("INSERT INTO address_info (ip, scope, home) SELECT * FROM fresh_address")
    _infer(tx)


def adopt(store: Store) -> int:
    """Take public addresses that lie on this wire as home; return how many are new.

    Those are the ones that said themselves, by ARP or neighbour discovery, that they are
    here, and further IPv6 addresses of devices out of the same /64.
    """
    with store.read() as reader:
        found = {row["ip"] for row in reader.rows(_ON_LINK)}
        here = {_net64(row["ip"]) for row in reader.rows(_ON_LINK_V6)} - {None}
        if here:
            found |= {row["ip"] for row in reader.rows(_HELD_V6) if _net64(row["ip"]) in here}
    if found:
        with store.transaction() as tx:
            tx.execute(
                "UPDATE address_info SET home = true, inferred = false "
                "WHERE ip IN (SELECT unnest($found))",
                {"found": sorted(found)},
            )
    return len(found)


_ON_LINK = """
SELECT ip FROM address_info WHERE scope = 'public' AND (NOT home OR inferred) AND ip IN (
    SELECT ip FROM sighting WHERE method IN ('arp', 'ndp', 'dhcpv6') AND mac IS NOT NULL)
"""
_ON_LINK_V6 = """
SELECT DISTINCT ip FROM sighting
WHERE method IN ('ndp', 'dhcpv6') AND mac IS NOT NULL AND regexp_matches(ip, '^[23][0-9a-f]{3}:')
"""
_HELD_V6 = """
SELECT ip FROM address_info WHERE scope = 'public' AND (NOT home OR inferred) AND contains(ip, ':')
  AND ip IN (SELECT ip FROM device_address)
"""


def _net64(text: str) -> bytes | None:
    try:
        return ipaddress.IPv6Address(text).packed[:8]
    except ValueError:
        return None


def _row(text: str, networks: Sequence[Network]) -> tuple[str, str, bool]:
    kind = scope(text)
    if kind == "public" and networks:
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            return text, kind, False
        if any(ip.version == network.version and ip in network for network in networks):
            return text, kind, True
    return text, kind, kind in HOME_SCOPES


def _infer(tx: Transaction) -> None:
    """Where no private address is seen, take the one that opens most connections as home."""
    if tx.value("SELECT count(*) FROM address_info WHERE scope = 'private'"):
        tx.execute("UPDATE address_info SET home = false, inferred = false WHERE inferred")
        return
    if tx.value("SELECT count(*) FROM address_info WHERE home AND scope = 'public'"):
        return
    tx.execute(
        """
        UPDATE address_info SET home = true, inferred = true WHERE scope = 'public' AND ip IN (
            SELECT src_ip FROM (
                SELECT src_ip, count(*) AS n FROM flow GROUP BY src_ip
                UNION ALL SELECT src_ip, count(*) FROM dns GROUP BY src_ip)
            GROUP BY src_ip HAVING sum(n) >= $share * (
                SELECT (SELECT count(*) FROM flow) + (SELECT count(*) FROM dns)))
        """,
        {"share": _DOMINANT},
    )
