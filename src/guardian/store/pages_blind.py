"""What Guardian could not see, in sentences: the page and the digest end with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.store import retention

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader

_RESOLVERS = ("pihole", "dnsmasq", "adguard", "unbound", "ftl")
_TUNNEL_BYTES = ("bytes_up", "bytes_down", "bytes", "bytes_total")


def blind_spots(reader: Reader, *, since: datetime, until: datetime) -> list[str]:
    """Return what was not seen in a window, the gravest first; empty when nothing is known."""
    rows = reader.rows(
        "SELECT s.* EXCLUDE (bookmark), p.* EXCLUDE (source_id) "
        "FROM source s LEFT JOIN source_pace p USING (source_id) ORDER BY name LIMIT 100"
    )
    if not rows:
        return ["Nothing is being read yet: no source is set up."]
    watched = [row for row in rows if row["caught_up"] is not None] or rows
    found = [_broken(row) for row in watched if row["state"] != "ok"]
    found += [
        words.clean(row["detail"], 200).rstrip(".") + "."
        for row in reader.rows(
            "SELECT detail FROM component_state WHERE state <> 'green' AND (starts_with(name, "
            "'suricata ') OR starts_with(name, 'packets on ')) ORDER BY name LIMIT 20"
        )
    ]
    found += _kinds(reader, rows)
    found += [
        f"{_source(row)}: {row['dropped_lately']:,} events were "
        + ("lost on the way, or " if row["kind"] == "netflow" else "")
        + "dropped because they came too fast."
        for row in rows
        if row["dropped_at"] is not None and row["dropped_at"] >= since
    ]
    found += [
        f"{_source(row)}: {row['rejected']:,} of {row['events'] + row['rejected']:,} "
        "pieces could not be read."
        for row in rows
        if row["rejected"]
    ]
    return [*found, *_hidden(reader, since=since, until=until), *_full_soon(reader)]


def _full_soon(reader: Reader) -> list[str]:
    """Say once that rows will soon have to go: what is deleted is not seen any more."""
    days = retention.forecast(reader)
    if days is None or days >= retention.FULL_SOON_DAYS:
        return []
    text = retention.full_soon(days)
    return [text[0].upper() + text[1:] + "."]


def _broken(row: dict[str, Any]) -> str:
    why = words.clean(row["detail"], 160) or row["state"]
    return f"{_source(row)} is not being read: {why}."


def _source(row: dict[str, Any]) -> str:
    return words.clean(row["name"].rsplit("/", 1)[-1], 60)


def _kinds(reader: Reader, rows: list[dict[str, Any]]) -> list[str]:
    found = []
    named = any(word in row["kind"] for row in rows for word in _RESOLVERS)
    if not named and not reader.value("SELECT 1 FROM dns_log LIMIT 1"):
        found.append("No DNS server's log is read, so what it refused is not known.")
    if not any(
        reader.value(f"SELECT 1 FROM {table} LIMIT 1") for table in ("flow", "tls", "alert")
    ):
        found.append(
            "The network itself is not mirrored: only names are seen, not who called whom."
        )
    return found


def _hidden(reader: Reader, *, since: datetime, until: datetime) -> list[str]:
    rows = reader.rows(
        """
        SELECT f.class, coalesce(d.name, f.src_ip, 'a device') AS device, list(f.facts) AS facts
        FROM finding f LEFT JOIN device d USING (device_id)
        WHERE f.class IN ('doh_bypass', 'dns_bypass', 'tor_vpn')
          AND f.last_seen >= ? AND f.first_seen < ?
        GROUP BY ALL ORDER BY f.class, device LIMIT 20
        """,
        [since, until],
    )
    found = []
    for row in rows:
        device = words.clean(row["device"], 60)
        if row["class"] == "tor_vpn":
            inside = sum(_bytes(json.loads(facts)) for facts in row["facts"])
            amount = f": {words.size(inside)} inside it" if inside else ""
            found.append(f"{device} used a hidden tunnel{amount}.")
        elif row["class"] == "doh_bypass":
            found.append(f"{device} asked for names in encrypted form; which ones is not known.")
        else:
            found.append(f"{device} asked another DNS server than the house's.")
    return found


def _bytes(facts: dict[str, Any]) -> int:
    values = [facts.get(key) for key in _TUNNEL_BYTES]
    return int(sum(value for value in values if isinstance(value, int | float)))
