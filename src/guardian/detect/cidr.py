"""Match addresses against the networks of threat lists, which plain SQL would do pair by pair."""

from __future__ import annotations

import bisect
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from guardian.model.finding import Finding, FindingClass, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from guardian.detect.base import Window
    from guardian.detect.settings import Settings
    from guardian.store import Reader

MAX_NETWORKS = 200_000
"""Networks of all lists together; about 60 MB. What is beyond is not matched."""


@dataclass(frozen=True, slots=True)
class CidrDetector:
    """Find flows with an address inside a listed network."""

    name: str = "intel.network"
    reads: tuple[str, ...] = ("flow",)
    window_s: int = 0

    def find(self, reader: Reader, window: Window, settings: Settings) -> Iterable[Finding]:
        """Yield one finding for each device and listed network.

        Raises:
            StoreError: a query failed.
        """
        del settings
        listed = reader.rows(
            "SELECT value, min(list) AS list, min(info) AS info FROM indicator "
            "WHERE kind = 'cidr' GROUP BY value LIMIT $most",
            {"most": MAX_NETWORKS},
        )
        if not listed:
            return
        matches = list(_matches(reader, [row["value"] for row in listed]))
        if not matches:
            return
        about = {row["value"]: row for row in listed}
        frame = pl.DataFrame(matches, schema={"ip": pl.String, "network": pl.String}, orient="row")
        with reader.registered("listed_ip", frame):
            rows = reader.rows(_FLOWS, {"since": window.since, "until": window.until})
        for row in rows:
            entry = about[row["network"]]
            yield Finding(
                finding_class=FindingClass.THREAT_INTEL,
                level=Level.MEDIUM if row["inbound"] else Level.HIGH,
                detector=self.name,
                title=f"Address in a network on the list {entry['list']}: {row['network']}",
                key=f"network>{row['network']}",
                src_ip=row["actor"],
                peers=tuple(row["ips"]),
                first_seen=row["first_seen"],
                last_seen=row["last_seen"],
                count=row["n"],
                facts={
                    "indicator": row["network"],
                    "lists": [entry["list"]],
                    "info": entry["info"],
                    "unanswered": row["failed"],
                },
                evidence=tuple(f"flow:{each}" for each in row["ids"]),
                tags=("attack.command-and-control", "attack.t1071"),
            )


_FLOWS = """
SELECT CASE WHEN d.ip IS NOT NULL OR NOT f.dest_home THEN f.src_ip ELSE f.dest_ip END AS actor,
       coalesce(d.network, s.network) AS network, bool_and(d.ip IS NULL) AS inbound,
       count(*) AS n, count(*) FILTER (f.failed) AS failed,
       min(f.ts) AS first_seen, max(f.ts) AS last_seen,
       list_distinct(min(coalesce(d.ip, s.ip), 20)) AS ips, min(f.id, 60) AS ids
FROM v_flow f LEFT JOIN listed_ip d ON d.ip = f.dest_ip LEFT JOIN listed_ip s ON s.ip = f.src_ip
WHERE f.ts BETWEEN $since AND $until AND (d.ip IS NOT NULL OR s.ip IS NOT NULL)
GROUP BY ALL
"""


def _matches(reader: Reader, networks: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each known address with the smallest listed network that holds it."""
    spans: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    for text in networks:
        net = ipaddress.ip_network(text)
        spans[net.version].append((int(net.network_address), int(net.broadcast_address), text))
    index = {version: _Spans(sorted(found)) for version, found in spans.items()}
    for row in reader.rows("SELECT ip FROM address_info WHERE NOT home"):
        try:
            ip = ipaddress.ip_address(row["ip"])
        except ValueError:
            continue
        network = index[ip.version].holding(int(ip))
        if network is not None:
            yield row["ip"], network


class _Spans:
    """Networks sorted by their first address; two networks nest or are apart."""

    def __init__(self, spans: list[tuple[int, int, str]]) -> None:
        self._spans = spans
        self._first = [first for first, _, _ in spans]
        # The nearest earlier span that holds this one, so that a look-up walks outwards.
        self._outer: list[int] = []
        stack: list[int] = []
        for n, (first, _, _) in enumerate(spans):
            while stack and spans[stack[-1]][1] < first:
                stack.pop()
            self._outer.append(stack[-1] if stack else -1)
            stack.append(n)

    def holding(self, value: int) -> str | None:
        """Return the network that holds an address, or None."""
        n = bisect.bisect_right(self._first, value) - 1
        while n >= 0:
            if value <= self._spans[n][1]:
                return self._spans[n][2]
            n = self._outer[n]
        return None
