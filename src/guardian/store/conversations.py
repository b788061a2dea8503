"""The conversations behind an incident: who spoke to whom on which port, and when.

They are read from the rows that its findings name as evidence, widened to the time of each
finding, because a finding names a sample of its rows. The packets themselves are elsewhere:
in the captures that ``captures`` lists, and in the live sensors' packet buffers.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.model.conversation import Conversation
from guardian.store.archive import by_ids
from guardian.store.pages_evidence import MAX_IDS

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store.connection import Reader

AROUND = timedelta(seconds=5)
"""Cut so much before and after: the handshake, and clocks that differ a little."""
LOOKUP = timedelta(seconds=2)
"""A look-up in a resolver's log is on the wire about this near to its logged time."""
MAX_CONVERSATIONS = 2000

_PEERS = ("dns", "tls", "http", "quic", "fileinfo", "alert", "anomaly", "dhcp", "raw_event")
_SELECT = {
    "flow": "SELECT src_ip AS a, dest_ip AS b, dest_port AS port, min(ts) AS since, "
    "max(coalesce(end_ts, ts)) AS until",
    **dict.fromkeys(
        _PEERS,
        "SELECT src_ip AS a, dest_ip AS b, dest_port AS port, min(ts) AS since, max(ts) AS until",
    ),
    "sighting": "SELECT mac AS a, NULL AS b, NULL::INTEGER AS port, min(ts) AS since, "
    "max(ts) AS until",
    "dns_log": "SELECT src_ip AS a, NULL AS b, 53 AS port, ts AS since, ts AS until",
}


def conversations(reader: Reader, incident_id: int) -> list[Conversation]:
    """Return the conversations of an incident's findings, at most ``MAX_CONVERSATIONS``."""
    found: dict[tuple[object, ...], Conversation] = {}
    findings = reader.rows(
        "SELECT evidence, first_seen, last_seen FROM finding WHERE incident_id = ? "
        "ORDER BY last_seen DESC LIMIT 200",
        [incident_id],
    )
    for finding in findings:
        window = (finding["first_seen"], finding["last_seen"])
        for each in _of_finding(reader, finding["evidence"], window):
            found.setdefault((each.a, each.b, each.port, each.since, each.until), each)
            if len(found) >= MAX_CONVERSATIONS:
                return list(found.values())
    return list(found.values())


def captures(reader: Reader) -> list[tuple[Path, str]]:
    """Return the captures that were replayed into this store, each with its fingerprint."""
    rows = reader.rows("SELECT name FROM source WHERE name LIKE 'pcap:%' ORDER BY source_id DESC")
    found = []
    for row in rows:
        path, _, fingerprint = row["name"].removeprefix("pcap:").rpartition("#")
        if path:
            found.append((Path(path), fingerprint))
    return found


def _of_finding(
    reader: Reader, evidence: list[str], window: tuple[datetime, datetime]
) -> list[Conversation]:
    ids: dict[str, list[int]] = {}
    for each in (evidence or [])[:MAX_IDS]:
        table, _, number = each.partition(":")
        if table in _SELECT and number.isdecimal() and len(number) < 19:
            ids.setdefault(table, []).append(int(number))
    found = []
    for table, numbers in ids.items():
        grouped = "" if table == "dns_log" else "GROUP BY ALL"
        rows = reader.rows(
            f"{_SELECT[table]} FROM {by_ids(reader, table, numbers)} {grouped} "
            f"LIMIT {MAX_CONVERSATIONS}"
        )
        for row in rows:
            if not row["a"]:
                continue
            since, until = row["since"], row["until"]
            margin = LOOKUP if table == "dns_log" else AROUND
            if table != "dns_log":
                since, until = min(since, window[0]), max(until, window[1])
            found.append(
                Conversation(
                    a=row["a"],
                    b=row["b"],
                    port=row["port"] or None,
                    since=since - margin,
                    until=until + margin,
                )
            )
    return found
