"""Write small scenes with known truth straight into a store, as a sensor's rows.

A scene is said in a home's words (a connection, a question, a broadcast) and
becomes the rows that Suricata's log of it would become, so hours of a home cost
milliseconds and need no capture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from guardian.model.batch import Batch, SourceInfo
from guardian.store import ingest

if TYPE_CHECKING:
    from guardian.store import Store

START = datetime(2026, 11, 2, 18, 0)  # noqa: DTZ001 - the store keeps UTC without an offset
"""When scenes begin: an evening, in UTC."""

RESOLVER = "192.168.7.2"


@dataclass(slots=True)
class Scene:
    """Rows in the making; ``start`` is second 0 of every time given."""

    start: datetime = START
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _flow: int = 0

    def moment(self, second: float) -> datetime:
        """Return the time of a second of the scene."""
        return self.start + timedelta(seconds=second)

    def _row(self, table: str, **values: Any) -> None:
        self.tables.setdefault(table, []).append(values)

    def device(self, ip: str, mac: str, *, name: str | None = None) -> None:
        """Let a device be seen by its addresses, and announce its name."""
        self._row("sighting", ts=self.moment(0), method="arp", ip=ip, mac=mac)
        if name:
            self._row("sighting", ts=self.moment(1), method="mdns", ip=ip, mac=mac, name=name)

    def ask(self, src: str, name: str, ip: str | None, second: float) -> None:
        """Ask the home's resolver for a name, and be answered."""
        common: dict[str, Any] = {
            "src_ip": src, "src_port": 5353, "dest_ip": RESOLVER, "dest_port": 53,
            "proto": "UDP", "rrname": name, "rrtype": "A",
        }  # fmt: skip
        self._row("dns", ts=self.moment(second), type="query", **common)
        answers = [ip] if ip else []
        self._row(
            "dns", ts=self.moment(second + 0.02), type="answer", answers=answers,
            answer_types=["A"] * len(answers), rcode="NOERROR" if ip else "NXDOMAIN", **common,
        )  # fmt: skip

    def connect(
        self,
        src: str,
        ip: str,
        second: float,
        *,
        up: int,
        down: int,
        name: str | None = None,
        lasts_s: float = 1.0,
        port: int = 443,
        proto: str = "TCP",
        mac: str | None = None,
        packets: int = 10,
    ) -> None:
        """Open a connection; with a name, the TLS (or QUIC) hello shows it."""
        self._flow += 1
        common: dict[str, Any] = {
            "flow_id": self._flow, "src_ip": src, "src_port": 40000 + self._flow % 20000,
            "dest_ip": ip, "dest_port": port, "proto": proto, "src_mac": mac,
        }  # fmt: skip
        if name:
            table = "tls" if proto == "TCP" else "quic"
            self._row(table, ts=self.moment(second + 0.05), sni=name, **common)
        self._row(
            "flow", ts=self.moment(second), end_ts=self.moment(second + lasts_s),
            app_proto="tls" if name else "failed", bytes_toserver=up, bytes_toclient=down,
            pkts_toserver=packets, pkts_toclient=packets if down else 0, state="closed",
            tcp_flags_ts=27 if proto == "TCP" else None,
            tcp_flags_tc=27 if proto == "TCP" and down else None, **common,
        )  # fmt: skip

    def commit(self, store: Store, name: str = "scene") -> None:
        """Write everything to the store, in the order of time."""
        source = ingest.register(store, SourceInfo(name=name, kind="scene", path=name))
        tables = {
            table: pa.Table.from_pylist(
                sorted(rows, key=lambda row: row["ts"]), schema=_schema(rows)
            )
            for table, rows in self.tables.items()
        }
        events = sum(map(len, self.tables.values()))
        ingest.commit(store, source, Batch(tables=tables, bookmark={}, events=events))


def _schema(rows: list[dict[str, Any]]) -> pa.Schema:
    kinds: dict[type, pa.DataType] = {
        datetime: pa.timestamp("us"), int: pa.int64(), str: pa.string(),
        list: pa.list_(pa.string()),
    }  # fmt: skip
    found: dict[str, pa.DataType] = {}
    for row in rows:
        for column, value in row.items():
            if value is not None:
                found.setdefault(column, kinds[type(value)])
    return pa.schema(found)
