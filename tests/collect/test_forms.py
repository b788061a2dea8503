"""One normal form in the store, whoever brought the row: addresses, MACs, VLAN tags, times."""

from __future__ import annotations

import ipaddress
import json
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

from fuzz import stored, targets
from guardian.clients.adguard import QueryLog
from guardian.clients.http import Answer
from guardian.clients.pihole import _Queries
from guardian.collect import adguard_api, parser_spec, pihole_api, pihole_devices, text_log
from guardian.collect.eve import EveCollector
from guardian.collect.netflow_decode import Decoder, paired
from guardian.collect.pihole_db import PiholeDbCollector
from guardian.collect.reader import drain
from guardian.collect.text_values import Clock
from guardian.collect.wire import PcapSightings
from guardian.collect.zeek import ZeekCollector
from guardian.model.batch import Batch, SourceInfo
from guardian.resources import path as resource
from guardian.store import ingest
from guardian.store.limits import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from guardian.store import Store

MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
WIDE = "2001:0DB8:0000:0000:0000:0000:0000:0009"
MAPPED = "::FFFF:192.168.1.5"


def normal(text: str) -> bool:
    """Tell an address in its normal form, as the standard library writes it."""
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return text == str(mapped or address)


def hand_over(store: Store, name: str, tables: dict[str, pa.Table]) -> None:
    source = ingest.register(store, SourceInfo(name=name, kind=name, path=name))
    ingest.commit(store, source, Batch(tables=tables, bookmark={}))


def eve(folder: Path) -> EveCollector:
    common = {
        "timestamp": "2026-11-20T21:00:00.123456+0100", "flow_id": 1, "src_ip": MAPPED,
        "src_port": 5, "dest_ip": WIDE, "dest_port": 53, "proto": "UDP", "vlan": [7, 12],
        "ether": {"src_mac": "02:00:00:AA:BB:CC", "dest_macs": ["02-00-00-AA-BB-CD"]},
    }  # fmt: skip
    log = folder / "eve.json"
    lines = [json.dumps(common | json.loads(event) | common) for event in targets._events()]
    answer = {"type": "answer", "version": 2, "rrname": "a.example", "rrtype": "AAAA",
              "answers": [{"rrtype": "AAAA", "rdata": WIDE.lower()}]}  # fmt: skip
    lines.append(json.dumps(common | {"event_type": "dns", "dns": answer}))
    log.write_text("\n".join(lines) + "\n")
    return EveCollector(path=log)


def zeek(folder: Path) -> ZeekCollector:
    folder = folder / "zeek"
    folder.mkdir()
    for number, log in enumerate(targets._zeek_logs()):
        (folder / f"log{number}.log").write_bytes(log)
    record = {"_path": "conn", "ts": 1.7e9, "uid": "C9", "id.orig_h": MAPPED, "id.orig_p": 5,
              "id.resp_h": WIDE, "id.resp_p": 443, "proto": "tcp", "vlan": 7, "inner_vlan": 12,
              "orig_l2_addr": "02:00:00:AA:BB:CC", "resp_l2_addr": "none"}  # fmt: skip
    (folder / "conn.json.log").write_text(json.dumps(record) + "\n")
    return ZeekCollector(path=folder)


def netflow() -> pa.Table:
    fields = [(27, 16), (28, 16), (4, 1), (7, 2), (11, 2), (1, 4), (56, 6), (80, 6), (243, 2),
              (245, 2)]  # fmt: skip
    template = struct.pack("!HH", 300, len(fields))
    template += b"".join(struct.pack("!HH", *field) for field in fields)
    data = ipaddress.ip_address(MAPPED).packed + ipaddress.ip_address(WIDE.lower()).packed
    data += struct.pack(
        "!BHHI6s6sHH", 17, 5, 53, 9, b"\2\0\0\xaa\xbb\xcc", b"\2\0\0\xaa\xbb\xcd", 7, 12
    )
    sets = struct.pack("!HH", 2, len(template) + 4) + template
    sets += struct.pack("!HH", 300, len(data) + 4) + data
    rows, problems = Decoder().decode(
        struct.pack("!HHIII", 10, 16 + len(sets), 1_700_000_000, 1, 1) + sets, "192.168.1.1"
    )
    assert not problems
    return text_log.table_of(paired(rows))


def answers(store: Store) -> None:
    """Take in what the APIs say, with addresses in unusual forms."""

    def decoded(body: bytes, kind: Any) -> Any:
        body = body.replace(b"192.168.1.5", MAPPED.encode())
        return Answer(method="GET", url="http://x", status=200, headers={}, body=body).decode(kind)

    queries = decoded(next(iter(targets._pihole_answers())), _Queries).queries
    batch = pihole_api._batch(list(queries), pihole_api._Mark(), lost=False)
    assert batch is not None
    hand_over(store, "pihole-api", dict(batch.tables))
    rows = [
        row
        for entry in decoded(next(iter(targets._adguard_answers())), QueryLog).data
        if (row := adguard_api._row(entry, Clock("UTC", targets.NOW)))
    ]
    hand_over(store, "adguard-api", {"dns_log": text_log.table_of(rows)})
    body = next(iter(stored.network_answers()))
    found = pihole_devices.Found(
        devices=decoded(body, stored.Devices).devices, leases=decoded(body, stored.Leases).leases
    )
    table, _ = pihole_devices.sightings(found, since_s=0, known=())
    hand_over(store, "pihole-network", {"sighting": table})


@pytest.fixture
def everything(memory_store: Store, tmp_path: Path) -> Store:
    """A store with rows of every collector."""
    collectors: list[Any] = [eve(tmp_path), zeek(tmp_path)]
    for number, data in enumerate(stored.databases()):
        path = tmp_path / f"{number}.db"
        path.write_bytes(data)
        collectors.append(PiholeDbCollector(path=path))
    collectors.append(PcapSightings(resource("pcaps/evening.pcap.gz"), max_frames=500))
    for kind in sorted(parser_spec.files()):
        spec = parser_spec.shipped(kind)
        for number, sample in enumerate(spec.sample):
            path = tmp_path / f"{kind}.{number}.txt"
            path.write_text("\n".join(sample.lines) + "\n")
            collectors.append(text_log.collector(path, spec, timezone="UTC", reference=targets.NOW))
    for collector in collectors:
        progress = drain(memory_store, collector, final=True)
        assert progress.error is None, (collector.source.name, progress)
    hand_over(memory_store, "netflow", {"flow": netflow()})
    answers(memory_store)
    return memory_store


def test_every_address_mac_and_tag_is_in_normal_form(everything: Store) -> None:
    seen: dict[str, int] = {"address": 0, "mac": 0, "vlan": 0}
    with everything.read() as reader:
        for table in TABLES:
            for row in reader.rows(f"SELECT * FROM {table}"):
                for name, value in row.items():
                    if value is None:
                        continue
                    where = f"{table}.{name} of source {row['source_id']}: {value!r}"
                    if name.endswith("_ip") or name == "ip":
                        seen["address"] += 1
                        assert normal(value), where
                    elif name.endswith("_mac") or name == "mac":
                        seen["mac"] += 1
                        assert MAC.fullmatch(value), where
                    elif name == "vlan":
                        seen["vlan"] += 1
                        assert value, where
                        assert all(0 <= tag < 4096 for tag in value), where
                    elif name == "answers":
                        assert WIDE.lower() not in value, where
        kinds = {row["kind"] for row in reader.rows("SELECT DISTINCT kind FROM source")}
        tags = reader.rows(
            "SELECT DISTINCT kind FROM flow JOIN source USING (source_id) WHERE vlan = [7, 12]"
        )
        pairs = reader.rows(
            "SELECT DISTINCT src_ip, dest_ip, src_mac FROM flow JOIN source USING (source_id) "
            "WHERE vlan IS NOT NULL"
        )
        zones = reader.rows("SELECT DISTINCT ts FROM tls JOIN source USING (source_id) "
                            "WHERE kind = 'eve'")  # fmt: skip
    assert min(seen.values()) > 5, seen
    assert kinds >= {"eve", "zeek", "netflow", "pihole-db", "wire", *parser_spec.files()} - {
        "zeek-conn-csv"
    }
    assert {row["kind"] for row in tags} == {"eve", "zeek", "netflow"}
    assert pairs == [
        {"src_ip": "192.168.1.5", "dest_ip": "2001:db8::9", "src_mac": "02:00:00:aa:bb:cc"}
    ]
    assert [str(row["ts"]) for row in zones] == ["2026-11-20 20:00:00.123456"]  # UTC, microseconds
