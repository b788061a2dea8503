"""Write small scenes with known truth: as a sensor's rows, or as the acts that make them.

A scene is said in a home's words (a connection, a question, a broadcast). ``commit``
writes the rows that Suricata's log of it would become, so hours of a home cost
milliseconds; ``acts`` is the same story for ``scene_wire``, which puts it on a wire.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device is there, and may say its name."""

    ip: str
    mac: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A device asks the home's resolver for a name; no ``ip``: there is no such name."""

    src: str
    name: str
    ip: str | None
    second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A conversation. With a name, or ``hidden``, it is TLS; ``resumed``: no certificate."""

    src: str
    ip: str
    second: float
    up: int
    down: int
    name: str | None = None
    lasts_s: float = 1.0
    port: int = 443
    proto: str = "TCP"
    hidden: bool = False
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A page fetched in clear HTTP, from wherever ``src`` is."""

    src: str
    ip: str
    second: float
    host: str
    path: str
    agent: str
    size: int = 2000


@dataclass(slots=True)
class Scene:
    """A story in the making; ``start`` is second 0 of every time given."""

    start: datetime = START
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    acts: list[Device | Ask | Connect | Fetch] = field(default_factory=list)
    _flow: int = 0

    def moment(self, second: float) -> datetime:
        """Return the time of a second of the scene."""
        return self.start + timedelta(seconds=second)

    def _row(self, table: str, **values: Any) -> None:
        self.tables.setdefault(table, []).append(values)

    def device(self, ip: str, mac: str, *, name: str | None = None) -> None:
        """Let a device be seen by its addresses, and announce its name."""
        self.acts.append(Device(ip=ip, mac=mac, name=name))
        self._row("sighting", ts=self.moment(0), method="arp", ip=ip, mac=mac)
        if name:
            self._row("sighting", ts=self.moment(1), method="mdns", ip=ip, mac=mac, name=name)

    def ask(self, src: str, name: str, ip: str | None, second: float) -> None:
        """Ask the home's resolver for a name, and be answered."""
        self.acts.append(Ask(src=src, name=name, ip=ip, second=second))
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
        hidden: bool = False,
        resumed: bool = False,
    ) -> None:
        """Open a connection; with a name, the TLS (or QUIC) hello shows it.

        ``hidden``: TLS whose hello shows no name. ``resumed``: without a certificate.
        """
        self.acts.append(
            Connect(
                src=src, ip=ip, second=second, up=up, down=down, name=name, lasts_s=lasts_s,
                port=port, proto=proto, hidden=hidden, resumed=resumed,
            )
        )  # fmt: skip
        self._flow += 1
        common: dict[str, Any] = {
            "flow_id": self._flow, "src_ip": src, "src_port": 40000 + self._flow % 20000,
            "dest_ip": ip, "dest_port": port, "proto": proto, "src_mac": mac,
        }  # fmt: skip
        if name or hidden:
            # A TLS conversation costs its hellos, and its certificate unless it is resumed.
            up, down = up + 700, down + (400 if resumed else 3300)
        if name:
            table = "tls" if proto == "TCP" else "quic"
            self._row(table, ts=self.moment(second + 0.05), sni=name, **common)
        self._row(
            "flow", ts=self.moment(second), end_ts=self.moment(second + lasts_s),
            app_proto="tls" if name or hidden else "failed", bytes_toserver=up, bytes_toclient=down,
            pkts_toserver=packets, pkts_toclient=packets if down else 0, state="closed",
            tcp_flags_ts=27 if proto == "TCP" else None,
            tcp_flags_tc=27 if proto == "TCP" and down else None, **common,
        )  # fmt: skip

    def fetch(self, src: str, ip: str, second: float, *, host: str, path: str, agent: str) -> None:
        """Fetch a page in clear HTTP; ``src`` may be a stranger and ``ip`` the home's server."""
        act = Fetch(src=src, ip=ip, second=second, host=host, path=path, agent=agent)
        self.acts.append(act)
        self._row(
            "http", ts=self.moment(second), src_ip=src, dest_ip=ip, dest_port=80, proto="TCP",
            hostname=host, url=path, http_user_agent=agent, http_method="GET", status=200,
            length=act.size,
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
