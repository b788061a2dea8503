"""The home's networks: which there are, what each is for, and who said so.

A segment is a network by its CIDR. An IPv6 prefix that lies on the same wire as an IPv4
network has that as its parent and shares its name, role and VLAN (``v_address_segment``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.errors import InputError

if TYPE_CHECKING:
    from guardian.store.connection import Reader, Store

ROLES = ("infrastructure", "trusted", "iot", "guest")
"""What a segment may be for; a word of one's own will do too."""

TEXT_LIMIT = 40


def segments(reader: Reader) -> list[dict[str, Any]]:
    """Return the segments, IPv4 first, each with its IPv6 prefixes and how many devices it has."""
    rows = reader.rows(
        """
        SELECT s.*, coalesce(c.devices, 0) AS devices, coalesce(k.prefixes, []) AS prefixes
        FROM segment s
        LEFT JOIN (SELECT segment, count(*) AS devices FROM v_device_segment
                   WHERE segment IS NOT NULL GROUP BY 1) c ON c.segment = s.cidr
        LEFT JOIN (SELECT parent, list(cidr ORDER BY cidr) AS prefixes FROM segment
                   WHERE parent IS NOT NULL GROUP BY 1) k ON k.parent = s.cidr
        WHERE s.parent IS NULL
        ORDER BY contains(s.cidr, ':'), s.vlan NULLS FIRST, s.cidr LIMIT 200
        """
    )
    return [{**row, "shown": shown(row)} for row in rows]


def shown(row: dict[str, Any]) -> str:
    """Return what a segment is called: its name, or its VLAN, or its network."""
    return str(row["name"] or (f"VLAN {row['vlan']}" if row["vlan"] else row["cidr"]))


def assign(store: Store, text: str, *, role: str | None = None, name: str | None = None) -> str:
    """Say what a segment is for or called; an empty text takes it back. Return its CIDR.

    ``text`` is its CIDR, its name, or ``vlan N``. Nothing is changed by None.

    Raises:
        InputError: there is no such segment, or a text that cannot be.
    """
    for value in (role, name):
        if value is not None and not (len(value.strip()) <= TEXT_LIMIT and value.isprintable()):
            msg = f"a segment's name and role are one line of up to {TEXT_LIMIT} characters"
            raise InputError(msg)
    with store.transaction() as tx:
        rows = tx.rows(
            "SELECT cidr FROM segment WHERE parent IS NULL AND (cidr = $text "
            "OR lower(name) = lower($text) OR 'vlan ' || vlan = lower($text)) ORDER BY cidr",
            {"text": text.strip()},
        )
        if len(rows) != 1:
            msg = f"no segment is called {text[:60]!r}; see: guardian segments"
            raise InputError(msg)
        cidr = str(rows[0]["cidr"])
        if role is not None:
            tx.execute(
                "UPDATE segment SET role = $role, said_by = CASE WHEN $role IS NULL THEN NULL "
                "ELSE 'person' END WHERE cidr = $cidr",
                {"role": role.strip().lower() or None, "cidr": cidr},
            )
        if name is not None:
            tx.execute("UPDATE segment SET name = ? WHERE cidr = ?", [name.strip() or None, cidr])
    return cidr
