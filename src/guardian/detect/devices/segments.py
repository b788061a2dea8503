"""Find the home's networks in its traffic: addresses, ARP, DHCP, router advertisements, VLAN tags.

Traffic seldom shows a netmask. An IPv4 address is taken to lie in a /24 until devices
are seen to ask each other by ARP, or to be given a router, across two of them: then
both are one wider network. IPv6 is in steps of /64, as its addressing wants it.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardian.detect.devices.settings import Settings
    from guardian.store import Transaction

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WIDEST_V4 = 20
"""The shortest IPv4 prefix that is believed: 4,000 hosts on one wire are no home."""

WIDEST_V6 = 48
"""The shortest advertised IPv6 prefix that is believed: a whole site."""

_ADVERTISED = "because a router advertises it"

_GADGETS = frozenset({"camera", "doorbell", "plug", "hub", "speaker", "tv", "appliance", "printer"})
_PEOPLES = frozenset({"phone", "laptop", "tablet", "console"})
_SERVING = frozenset({"server", "vm", "network"})
SUGGEST_LEAST = 3
SUGGEST_SHARE = 0.7
"""From so many devices of known type on, and if so large a share of them is of one sort, a role
is suggested. It is only shown; a person gives roles."""


def update(tx: Transaction, settings: Settings, low: int, high: int) -> None:
    """Bring the segments up to the rows with ``low < id <= high`` and the configuration."""
    span = {"low": low, "high": high}
    known: dict[Network, dict[str, Any]] = {
        ipaddress.ip_network(row["cidr"]): row for row in tx.rows("SELECT * FROM segment")
    }
    placed = {row["ip"]: row["cidr"] for row in tx.rows("SELECT ip, cidr FROM address_segment")}
    configured = _configured(settings)
    fixed = {*configured, *(net for net, row in known.items() if row["said_by"])}
    nets = {*known, *configured}
    wide = _wider(tx, span)
    advertised = _advertised(tx, span) | {
        net for net, row in known.items() if row["because"] == _ADVERTISED
    }
    nets |= {net for net in advertised if not any(_inside(net, each) for each in fixed)}
    nets |= {net for net in wide if not any(_inside(net, each) for each in fixed)}
    rows = tx.rows(
        "SELECT ip, min(valid_from) AS first, max(seen_at) AS last FROM device_address GROUP BY ip"
    )
    home: dict[str, str] = {}
    net: Network
    first: dict[Network, Any] = {}
    last: dict[Network, Any] = {}
    by_size = sorted(nets, key=lambda net: -net.prefixlen)
    for row in rows:
        found = _home_of(row["ip"], by_size, fixed, wide)
        if found is None:
            continue
        net = found
        if net not in nets:
            nets.add(net)
            by_size = sorted(nets, key=lambda each: -each.prefixlen)
        home[row["ip"]] = str(net)
        first[net] = min(first.get(net, row["first"]), row["first"])
        last[net] = max(last.get(net, row["last"]), row["last"])
    used = {net for net in nets if net in first or net in fixed}
    tx.many(
        "INSERT INTO segment (cidr, because, first_seen, last_seen) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (cidr) DO UPDATE SET because = excluded.because, "
        "first_seen = least(first_seen, excluded.first_seen), "
        "last_seen = greatest(last_seen, excluded.last_seen)",
        [
            (str(net), _because(net, wide, advertised, configured), first[net], last[net])
            for net in sorted(used, key=str)
            if net in first
        ],
    )
    gone = [str(net) for net in known if net not in first and not known[net]["said_by"]]
    tx.execute("DELETE FROM segment WHERE list_contains(?, cidr)", [gone])
    moved = [(ip, cidr) for ip, cidr in home.items() if placed.get(ip) != cidr]
    tx.many("INSERT OR REPLACE INTO address_segment VALUES (?, ?)", moved)
    _tags(tx, span)
    _roles(tx, configured, settings)
    _parents(tx)


def _configured(settings: Settings) -> dict[Network, str]:
    """Return the networks that the configuration names, with their roles; VLANs are not nets."""
    return {
        ipaddress.ip_network(text, strict=False): role
        for text, role in settings.segments.items()
        if not text.lower().startswith("vlan")
    }


def _home_of(
    text: str, nets: list[Network], fixed: set[Network], wide: set[Network]
) -> Network | None:
    """Return the network of an address: the narrowest that somebody named, else the widest found.

    Link-local addresses are of every wire, so of none.
    """
    address = ipaddress.ip_address(text)
    if address.is_link_local or address.is_loopback:
        return None
    within = [net for net in nets if net.version == address.version and address in net]
    named = [net for net in within if net in fixed]
    if named:
        return named[0]
    if any(net in wide for net in within):
        return next(net for net in within if net in wide)
    if within:
        return within[-1]
    return ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False)


def _wider(tx: Transaction, span: dict[str, int]) -> set[Network]:
    """Return networks wider than a /24 that ARP and DHCP show, with those known already."""
    pairs = tx.rows(
        """
        SELECT DISTINCT src_ip AS a, dest_ip AS b FROM raw_event
        WHERE id > $low AND id <= $high AND event_type = 'arp' AND src_ip IS NOT NULL
          AND regexp_replace(src_ip, '[.][0-9]+$', '') <> regexp_replace(dest_ip, '[.][0-9]+$', '')
        UNION
        SELECT DISTINCT assigned_ip, router FROM (
            SELECT assigned_ip, unnest(routers) AS router FROM dhcp
            WHERE id > $low AND id <= $high AND dhcp_type = 'ack')
        WHERE regexp_replace(assigned_ip, '[.][0-9]+$', '')
              <> regexp_replace(router, '[.][0-9]+$', '')
        LIMIT 5000
        """,
        span,
    )
    seen: Counter[Network] = Counter()
    for row in pairs:
        try:
            one, two = ipaddress.IPv4Address(row["a"]), ipaddress.IPv4Address(row["b"])
        except ValueError:
            continue
        if not (one.is_private and two.is_private) or one.is_link_local or two.is_link_local:
            continue
        length = 32 - (int(one) ^ int(two)).bit_length()
        if WIDEST_V4 <= length < 24:
            seen[ipaddress.ip_network((one, length), strict=False)] += 1
    found: set[Network] = {net for net, count in seen.items() if count >= 2}
    found |= {
        ipaddress.ip_network(row["cidr"])
        for row in tx.rows("SELECT cidr FROM segment WHERE NOT contains(cidr, ':')")
        if int(row["cidr"].rpartition("/")[2]) < 24
    }
    return {net for net in found if not any(net != each and _inside(net, each) for each in found)}


def _inside(net: Network, other: Network) -> bool:
    return (
        net.version == other.version
        and net.prefixlen >= other.prefixlen
        and net.network_address in other
    )


def _advertised(tx: Transaction, span: dict[str, int]) -> set[Network]:
    """Return the IPv6 prefixes that routers at home advertise (RFC 4861)."""
    rows = tx.rows(
        "SELECT DISTINCT unnest(json_extract_string(raw, '$.ndp.prefixes[*]')) AS prefix "
        "FROM raw_event WHERE id > $low AND id <= $high AND event_type = 'ndp' "
        "AND (raw ->> '$.ndp.type') = 'ra' LIMIT 200",
        span,
    )
    found: set[Network] = set()
    for row in rows:
        try:
            net = ipaddress.IPv6Network(row["prefix"], strict=False)
        except ValueError:
            continue
        if net.prefixlen >= WIDEST_V6 and not net.is_link_local and not net.is_multicast:
            found.add(net)
    return found


def _because(
    net: Network, wide: set[Network], advertised: set[Network], configured: dict[Network, str]
) -> str:
    if net in configured:
        return "because the configuration names it"
    if net in advertised:
        return _ADVERTISED
    if net in wide:
        return "because devices ask each other by ARP, or share a router, across it"
    if net.version == 6:
        return "because of addresses in this /64"
    return "because of addresses in this /24; traffic shows no netmask"


def _tags(tx: Transaction, span: dict[str, int]) -> None:
    """Note the VLAN tag that most frames of a segment's own devices carry."""
    tx.execute(
        """
        UPDATE segment SET vlan = t.vlan FROM (
            SELECT a.cidr, mode(f.vlan[1]) AS vlan FROM flow f
            JOIN address_segment a ON a.ip = f.src_ip
            WHERE f.id > $low AND f.id <= $high AND len(f.vlan) > 0 GROUP BY a.cidr
        ) t WHERE t.cidr = segment.cidr
        """,
        span,
    )


def _roles(tx: Transaction, configured: dict[Network, str], settings: Settings) -> None:
    """Give the roles of the configuration; what a person said on the page stays."""
    for net, role in configured.items():
        tx.execute(
            "UPDATE segment SET role = ?, said_by = 'config' "
            "WHERE cidr = ? AND said_by IS DISTINCT FROM 'person'",
            [role, str(net)],
        )
    for text, role in settings.segments.items():
        if text.lower().startswith("vlan"):
            tx.execute(
                "UPDATE segment SET role = ?, said_by = 'config' "
                "WHERE vlan = ? AND said_by IS DISTINCT FROM 'person'",
                [role, int(text[4:])],
            )


def _parents(tx: Transaction) -> None:
    """Lay each IPv6 prefix on the IPv4 network that most of its devices are in."""
    tx.execute(
        """
        UPDATE segment SET parent = p.parent FROM (
            SELECT six.cidr, mode(four.cidr) AS parent
            FROM address_segment six
            JOIN device_address h6 ON h6.ip = six.ip AND h6.valid_to IS NULL
            JOIN device_address h4 ON h4.device_id = h6.device_id AND h4.valid_to IS NULL
            JOIN address_segment four ON four.ip = h4.ip AND NOT contains(four.cidr, ':')
            WHERE contains(six.cidr, ':') GROUP BY six.cidr
        ) p WHERE p.cidr = segment.cidr AND segment.said_by IS NULL
        """
    )


def suggest(tx: Transaction) -> None:
    """Suggest a role where most known devices of a segment are of one sort."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for row in tx.rows(
        "SELECT v.segment, d.kind FROM v_device_segment v JOIN device d USING (device_id) "
        "WHERE v.segment IS NOT NULL AND d.kind <> 'unknown'"
    ):
        kinds[row["segment"]][row["kind"]] += 1
    for cidr, counted in kinds.items():
        # The router serves every network, so it says nothing of what this one is for.
        others = Counter({kind: n for kind, n in counted.items() if kind != "network"})
        total = sum(others.values())
        for role, sort in (("iot", _GADGETS), ("trusted", _PEOPLES), ("infrastructure", _SERVING)):
            fits = sum(n for kind, n in others.items() if kind in sort)
            if total >= SUGGEST_LEAST and fits >= SUGGEST_SHARE * total:
                tx.execute(
                    "UPDATE segment SET suggested = ?, suggested_because = ? WHERE cidr = ?",
                    [role, f"because {fits} of its {total} known devices are such", cidr],
                )
                break
        else:
            tx.execute("UPDATE segment SET suggested = NULL WHERE cidr = ?", [cidr])
