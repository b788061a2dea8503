"""Ask the new rows who was where: addresses with their holder, and what devices said.

All counting is done in SQL, so that a day of five million flows leaves a few
thousand rows here: one for each stay of a device at an address, one for each
distinct thing it said.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.detect.devices.home import GLOBAL_V6, is_home
from guardian.detect.devices.said import Hint, collect
from guardian.intel.vendors import eui64_mac, normal_mac

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from guardian.detect.devices.settings import Settings
    from guardian.store import Reader


@dataclass(frozen=True, slots=True)
class Stay:
    """One holder at one address, as seen from ``first`` to ``last``; ``mac`` is None if unseen."""

    ip: str
    mac: str | None
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Observations:
    """What the rows of one span of ids say."""

    stays: tuple[Stay, ...]
    hints: tuple[Hint, ...]
    routers: frozenset[str]


def observe(reader: Reader, settings: Settings, low: int, high: int) -> Observations:
    """Return what the rows with ``low < id <= high`` say of devices."""
    span = {"low": low, "high": high}
    with reader.registered("home_address", _configured_homes(reader, settings, span)):
        home = bool(settings.home_networks)
        _seen(reader, settings, span, configured=home)
        routers = _routers(reader, settings, span, configured=home)
        _drop_what_routers_carry(reader, settings, routers, span)
        stays = tuple(_stays(reader.rows(_STAYS)))
        hints = tuple(collect(reader, span))
        reader.execute("DROP TABLE seen_address")
    return Observations(stays, hints, frozenset(routers))


def _stays(rows: list[dict[str, Any]]) -> Iterator[Stay]:
    """Yield the stays; of public IPv6 addresses only those of a device's own prefix.

    A device has one public /64 at a time. An address of another one under its hardware
    address is somebody outside, in a flow whose direction was mistaken.
    """
    prefixes: dict[str, Counter[bytes]] = defaultdict(Counter)
    placed: list[tuple[Stay, bytes | None]] = []
    for row in rows:
        mac, made_of = normal_mac(row["mac"]), eui64_mac(row["ip"])
        stay = Stay(row["ip"], mac or made_of, row["first"], row["last"])
        prefix = None
        if mac and re.match(GLOBAL_V6, row["ip"]):
            prefix = ipaddress.IPv6Address(row["ip"]).packed[:8]
            prefixes[mac][prefix] += int(row["weight"]) + (1_000_000 if made_of == mac else 0)
        placed.append((stay, prefix))
    for stay, prefix in placed:
        if prefix is None or prefixes[stay.mac or ""].most_common(1)[0][0] == prefix:
            yield stay


def _configured_homes(reader: Reader, settings: Settings, span: dict[str, int]) -> pl.DataFrame:
    networks = [ipaddress.ip_network(text, strict=False) for text in settings.home_networks]
    found: list[str] = []
    if networks:
        rows = reader.rows(
            "SELECT src_ip AS ip FROM flow WHERE id > $low AND id <= $high UNION "
            "SELECT dest_ip FROM flow WHERE id > $low AND id <= $high UNION "
            "SELECT src_ip FROM dns WHERE id > $low AND id <= $high UNION "
            "SELECT src_ip FROM dns_log WHERE id > $low AND id <= $high",
            span,
        )
        for row in rows:
            try:
                address = ipaddress.ip_address(row["ip"] or "")
            except ValueError:
                continue
            if any(address in network for network in networks):
                found.append(row["ip"])
    return pl.DataFrame({"ip": found}, schema={"ip": pl.String})


# Whose DHCPv6 identifier it is, where one device alone has it.
_DUIDS = """
SELECT value AS duid, min(lower(mac)) AS mac FROM device_hint JOIN device USING (device_id)
WHERE source = 'duid' AND mac IS NOT NULL GROUP BY value HAVING count(DISTINCT mac) = 1
"""


def _seen(reader: Reader, settings: Settings, span: dict[str, int], *, configured: bool) -> None:
    src, dest = is_home("src_ip", configured=configured), is_home("dest_ip", configured=configured)
    slot = f"time_bucket(INTERVAL '{int(settings.slot_s)} seconds', ts)"
    new = "id > $low AND id <= $high"
    # A public IPv6 address is a device's own when its hardware address says so (routers are
    # taken out below); a public IPv4 address behind a hardware address is a router's traffic.
    own_v6 = f"(src_mac IS NOT NULL AND regexp_matches(src_ip, '{GLOBAL_V6}'))"
    reader.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE seen_address AS
        SELECT ip, mac, slot, min(ts) AS first, max(ts) AS last, sum(weight) AS weight
        FROM (
            SELECT src_ip AS ip, lower(src_mac) AS mac, {slot} AS slot, ts, 1 AS weight
            FROM flow WHERE {new} AND ({src} OR {own_v6})
            UNION ALL BY NAME
            SELECT dest_ip AS ip, lower(dest_mac) AS mac, {slot} AS slot, ts, 1 AS weight
            FROM flow
            WHERE {new} AND {dest} AND pkts_toclient > 0 AND NOT ends_with(dest_ip, '.255')
            UNION ALL BY NAME
            SELECT src_ip AS ip, lower(src_mac) AS mac, {slot} AS slot, ts, 1 AS weight
            FROM dns WHERE {new} AND type = 'query' AND ({src} OR {own_v6})
            UNION ALL BY NAME
            SELECT src_ip AS ip, NULL AS mac, {slot} AS slot, ts, 1 AS weight
            FROM dns WHERE {new} AND type = 'answer' AND {src} AND {dest}
            UNION ALL BY NAME
            SELECT assigned_ip AS ip, lower(client_mac) AS mac, {slot} AS slot, ts, 50 AS weight
            FROM dhcp WHERE {new} AND dhcp_type = 'ack' AND {is_home("assigned_ip")}
            UNION ALL BY NAME
            SELECT ip, mac, {slot} AS slot, ts, 2 AS weight
            FROM (
                SELECT ip, coalesce(lower(s.mac), k.mac) AS mac, ts, method FROM sighting s
                LEFT JOIN ({_DUIDS}) k ON s.mac IS NULL AND s.method = 'dhcpv6'
                     AND k.duid = (s.detail ->> '$.client_duid')
                WHERE {new})
            WHERE {is_home("ip")} OR (method IN ('ndp', 'dhcpv6') AND mac IS NOT NULL
                                      AND regexp_matches(ip, '{GLOBAL_V6}'))
            UNION ALL BY NAME
            SELECT src_ip AS ip, NULL AS mac, {slot} AS slot, ts, 1 AS weight
            FROM dns_log WHERE {new} AND ({src} OR regexp_matches(src_ip, '{GLOBAL_V6}'))
        )
        WHERE ip NOT IN ('0.0.0.0', '::')
        GROUP BY ALL
        """,
        span,
    )
    # Group addresses (the multicast bit) and placeholders hold nothing.
    reader.execute(
        "UPDATE seen_address SET mac = NULL WHERE mac IN ('', '00:00:00:00:00:00') "
        "OR mac[2:2] IN ('1', '3', '5', '7', '9', 'b', 'd', 'f')"
    )


def _routers(
    reader: Reader, settings: Settings, span: dict[str, int], *, configured: bool
) -> set[str]:
    home = is_home("dest_ip", configured=configured)
    rows = reader.rows(
        f"""
        SELECT lower(dest_mac) AS mac
        FROM flow
        WHERE id > $low AND id <= $high AND dest_mac IS NOT NULL AND NOT {home}
          AND NOT regexp_matches(dest_ip, '^(22[4-9]|23\\d|255)\\.|^ff')
          AND dest_mac[2:2] IN ('0', '2', '4', '6', '8', 'a', 'c', 'e', 'A', 'C', 'E')
        GROUP BY 1 HAVING count(DISTINCT dest_ip) >= $least
        """,
        {**span, "least": settings.router_min_addresses},
    )
    known = reader.rows(
        "SELECT mac FROM device JOIN device_hint USING (device_id) "
        "WHERE source = 'router' AND mac IS NOT NULL"
    )
    return {row["mac"] for row in (*rows, *known)}


def _drop_what_routers_carry(
    reader: Reader, settings: Settings, routers: set[str], span: dict[str, int]
) -> None:
    """Leave a router its own addresses; what it forwards is not a device of this hardware."""
    frame = pl.DataFrame({"mac": sorted(routers)}, schema={"mac": pl.String})
    with reader.registered("router", frame):
        own = """
            SELECT lower(mac) AS mac, ip FROM sighting
            WHERE id > $low AND id <= $high AND method IN ('arp', 'ndp')
            UNION
            SELECT lower(src_mac), unnest(routers) FROM dhcp
            WHERE id > $low AND id <= $high AND src_mac IS NOT NULL
            UNION
            SELECT device_address.mac, ip FROM device_address JOIN router USING (mac)
        """
        # Where no frame says which address is the router's own, it is one among its
        # neighbours: in the same /24 or /64 as hosts that are seen directly.
        near = r"regexp_replace(ip, '\.\d+$|^((?:[0-9a-f]+:){4}).*$', '\1')"
        reader.execute(
            f"""
            DELETE FROM seen_address
            WHERE mac IN (SELECT mac FROM router)
              AND (mac, ip) NOT IN (
                  SELECT mac, ip FROM ({own}) WHERE mac IS NOT NULL AND ip IS NOT NULL)
              AND (mac IN (SELECT mac FROM ({own}) WHERE ip IS NOT NULL)
                   OR {near} NOT IN (
                       SELECT {near} FROM seen_address
                       WHERE mac IS NOT NULL AND mac NOT IN (SELECT mac FROM router)))
            """,
            span,
        )
    # A repeater hides many hosts behind one hardware address: each address stands for itself.
    reader.execute(
        r"""
        UPDATE seen_address SET mac = NULL WHERE mac IN (
            SELECT mac FROM seen_address
            WHERE mac IS NOT NULL AND contains(ip, '.') GROUP BY mac
            HAVING count(DISTINCT ip) >= $most)
        """,
        {"most": settings.shared_mac_min_addresses},
    )


# In each slot the holder is whoever was seen most; a stay lasts until the holder changes. A slot
# that shows no hardware address (a resolver's log) is of the one before, else of the next.
_STAYS = """
WITH held AS (
    SELECT ip, slot, mac, min(first) AS first, max(last) AS last, sum(weight) AS weight
    FROM seen_address GROUP BY ip, slot, mac
),
slots AS (
    SELECT ip, slot, arg_max(mac, (weight, mac)) FILTER (mac IS NOT NULL) AS mac,
           min(first) AS first, max(last) AS last, sum(weight) AS weight
    FROM held GROUP BY ip, slot
),
winner AS (
    SELECT ip, slot, first, last, weight,
           coalesce(last_value(mac IGNORE NULLS) OVER before, first_value(mac IGNORE NULLS)
               OVER after)
               AS mac
    FROM slots
    WINDOW before AS (PARTITION BY ip ORDER BY slot ROWS UNBOUNDED PRECEDING),
           after AS (PARTITION BY ip ORDER BY slot
                     ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
),
changed AS (
    SELECT *, CASE WHEN mac IS NOT DISTINCT FROM lag(mac) OVER stay THEN 0 ELSE 1 END AS change
    FROM winner WINDOW stay AS (PARTITION BY ip ORDER BY slot)
),
numbered AS (
    SELECT *, sum(change) OVER (PARTITION BY ip ORDER BY slot) AS stay FROM changed
)
SELECT ip, mac, min(first) AS first, max(last) AS last, sum(weight) AS weight
FROM numbered GROUP BY ip, mac, stay ORDER BY ip, first, mac
"""
