"""Everything that is held of one device, with all that was merged into it.

A device's *members* are itself and the devices that count as it. What was stored stays
with the member it was seen of, so parting them again loses nothing.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.store.connection import Reader

Row = dict[str, Any]

TEMPORARY_DAYS = 2
"""Days after which an IPv6 address is no longer taken for a temporary one: programs of RFC 8981
make a new one each day and give the old one up within a week, but use it only for a day or two."""


def members(reader: Reader, device_id: str) -> list[str]:
    """Return the device and all that count as it, itself first."""
    rows = reader.rows(
        "SELECT device_id FROM v_device_root WHERE root = $id ORDER BY device_id <> $id, device_id",
        {"id": device_id},
    )
    return [row["device_id"] for row in rows] or [device_id]


def merged(reader: Reader, device_id: str) -> list[Row]:
    """Return the devices that were merged into this one directly, the latest first."""
    return reader.rows(
        "SELECT device_id, name, mac, kind, first_seen, last_seen, "
        "reasons ->> '$.merged_into' AS because FROM device WHERE merged_into = ? "
        "ORDER BY last_seen DESC, device_id LIMIT 50",
        [device_id],
    )


def identity(reader: Reader, ids: Sequence[str]) -> dict[str, list[Row]]:
    """Return what the device said of itself and is known by, by source, the newest first."""
    found: dict[str, list[Row]] = {}
    for row in reader.rows(
        "SELECT source, value, min(first_seen) AS first_seen, max(last_seen) AS last_seen "
        "FROM device_hint WHERE list_contains(?, device_id) GROUP BY ALL "
        "ORDER BY source, max(last_seen) DESC, value",
        [list(ids)],
    ):
        where = found.setdefault(row.pop("source"), [])
        if len(where) < 20:
            where.append(row)
    return found


def addresses(reader: Reader, ids: Sequence[str], *, limit: int = 100) -> list[Row]:
    """Return every address that was held, those held now first, each with what kind it is."""
    rows = reader.rows(
        """
        SELECT h.ip, any_value(h.mac) AS mac, min(h.valid_from) AS since, max(h.seen_at) AS seen,
               bool_or(h.valid_to IS NULL) AS held, any_value(s.segment) AS segment,
               bool_or(h.ip IN (SELECT assigned_ip FROM dhcp WHERE dhcp_type = 'ack'
                                UNION ALL SELECT ip FROM sighting WHERE method = 'dhcpv6'))
                   AS leased
        FROM device_address h LEFT JOIN v_address_segment s ON s.ip = h.ip
        WHERE list_contains($ids, h.device_id) GROUP BY h.ip
        ORDER BY held DESC, contains(h.ip, ':'), seen DESC, h.ip LIMIT $limit
        """,
        {"ids": list(ids), "limit": limit},
    )
    return [{**row, "kind": address_kind(row)} for row in rows]


def address_kind(row: Row) -> str:
    """Return what kind of address it is, as far as it shows.

    ``leased`` (by DHCP or DHCPv6), ``link-local``, ``made of the card's address`` (EUI-64),
    ``assigned`` (a short number, by hand), ``temporary`` or ``stable``; empty for IPv4.
    """
    address = ipaddress.ip_address(row["ip"])
    if address.version == 4:
        return "leased" if row["leased"] else ""
    low = address.packed[8:]
    eui64 = low[3:5] == b"\xff\xfe"
    prefix = "link-local, " if address.is_link_local else ""
    if eui64:
        return f"{prefix}made of the card's address"
    if prefix:
        return "link-local"
    if row["leased"]:
        return "leased"
    if not any(low[:4]):
        return "assigned"
    old = row["seen"] - row["since"] >= timedelta(days=TEMPORARY_DAYS)
    return "stable" if old else "temporary"


def destinations(reader: Reader, device_id: str, *, limit: int = 25) -> list[Row]:
    """Return where a device went outside, by name: name, source, addresses, flows, bytes.

    Addresses of one name are one row. ``explained`` is false where some flow was not.
    """
    return reader.rows(
        """
        WITH odd AS (
            SELECT dest_ip AS ip, any_value(how) AS how, any_value(detail) AS detail
            FROM v_unexplained_flow WHERE device_id = $device GROUP BY 1
        )
        SELECT coalesce(n.name, n.ip) AS name, mode(n.source) AS source,
               list(n.ip ORDER BY n.last_seen DESC, n.ip)[:5] AS ips,
               count(*) AS addresses, sum(n.flows)::BIGINT AS flows,
               sum(n.bytes_up)::BIGINT AS bytes_up, sum(n.bytes_down)::BIGINT AS bytes_down,
               min(n.first_seen) AS first_seen, max(n.last_seen) AS last_seen,
               any_value(odd.how) AS how, any_value(odd.detail) AS detail
        FROM v_destination_name n LEFT JOIN odd ON odd.ip = n.ip
        WHERE n.device_id = $device GROUP BY 1
        ORDER BY last_seen DESC, flows DESC, name LIMIT $limit
        """,
        {"device": device_id, "limit": limit},
    )


def place_names(reader: Reader, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
    """Return what destinations are called: name and source by (address at home, destination).

    The answer that this very device got goes before what the house knows.
    """
    frame = pl.DataFrame(
        sorted(set(pairs)), schema={"src_ip": pl.String, "dest_ip": pl.String}, orient="row"
    )
    with reader.registered("pair", frame):
        rows = reader.rows(
            """
            SELECT p.src_ip, p.dest_ip, coalesce(any_value(t.name), any_value(h.name)) AS name,
                   CASE WHEN any_value(t.name) IS NOT NULL THEN 'dns'
                        ELSE any_value(h.source) END AS source
            FROM pair p
            LEFT JOIN device_address a ON a.ip = p.src_ip
            LEFT JOIN (SELECT device_id, ip, arg_max(name, (last_ts, name)) AS name
                       FROM device_told WHERE said_by = 'home'
                         AND ip IN (SELECT dest_ip FROM pair) GROUP BY ALL) t
                ON t.device_id = a.device_id AND t.ip = p.dest_ip
            LEFT JOIN (SELECT * FROM v_house_name WHERE ip IN (SELECT dest_ip FROM pair)) h
                ON h.ip = p.dest_ip
            GROUP BY ALL
            """
        )
    return {(row["src_ip"], row["dest_ip"]): row for row in rows if row["name"]}


def events(reader: Reader, ids: Sequence[str], *, limit: int = 50) -> list[Row]:
    """Return what people said of the device, the newest first."""
    return reader.rows(
        "SELECT said_at, actor, what, detail FROM device_event WHERE list_contains($ids, device_id)"
        " ORDER BY id DESC LIMIT $limit",
        {"ids": list(ids), "limit": limit},
    )
