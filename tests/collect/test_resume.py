"""Every bookmark is a place to go on from: a kill between two commits changes no row."""

from __future__ import annotations

import collections
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.l2 import ARP, Ether
from scapy.utils import wrpcap

from guardian.collect import parser_spec, pihole_db, text_log, wire
from guardian.collect.text_log import TextLogCollector
from guardian.collect.wire import PcapSightings
from guardian.collect.zeek import ZeekCollector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guardian.collect.base import Collector
    from guardian.model.batch import Batch


def pihole_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Collector:
    monkeypatch.setattr(text_log, "BATCH_LINES", 7)
    lines = []
    for n in range(40):  # the answers come three queries later
        lines.append(f"Jun 15 10:00:{n:02d} dnsmasq[1]: query[A] n{n}.example from 10.0.0.1")
        lines.append(f"Jun 15 10:00:{n:02d} dnsmasq[1]: forwarded n{n}.example to 9.9.9.9")
        if n >= 3:
            lines.append(f"Jun 15 10:00:{n:02d} dnsmasq[1]: reply n{n - 3}.example is 192.0.2.{n}")
        if n % 10 == 0:
            lines.append("rubbish")
    (folder / "pihole.log").write_text("\n".join(lines) + "\n")
    spec = parser_spec.shipped("pihole-log")
    return TextLogCollector(path=folder / "pihole.log", spec=spec, timezone="UTC")


def zeek_folder(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Collector:
    for name, count in (("conn", 60), ("dns", 40)):
        fields = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name"
        rows = "".join(
            f"17000000{n:02d}.5\tC{name}{n}\t10.0.0.1\t{n}\t10.0.0.2\t53\tudp\tn{n}.example\tA\n"
            for n in range(count)
        )
        text = f"#separator \\x09\n#path\t{name}\n#fields\t{fields}\n{rows}broken\n"
        (folder / f"{name}.log").write_text(text)
    return ZeekCollector(path=folder, block_bytes=700)


def database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Collector:
    monkeypatch.setattr(pihole_db, "CHUNK_ROWS", 9)
    with closing(sqlite3.connect(folder / "pihole-FTL.db")) as db:
        db.execute(
            "CREATE TABLE queries (id INTEGER PRIMARY KEY, timestamp INTEGER, type INTEGER, "
            "status INTEGER, domain TEXT, client TEXT, forward TEXT)"
        )
        rows = [
            (n, 1_700_000_000 + 100 * n, 1, 2, f"n{n}.example", "10.0.0.1", "") for n in range(50)
        ]
        db.executemany("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        db.commit()
    return pihole_db.PiholeDbCollector(path=folder / "pihole-FTL.db")


def capture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Collector:
    monkeypatch.setattr(wire, "BATCH_FRAMES", 8)
    packets = [
        Ether() / ARP(psrc=f"10.0.0.{n}", hwsrc=f"02:00:00:00:00:{n:02x}") for n in range(1, 60)
    ]
    wrpcap(str(folder / "x.pcap"), packets)
    return PcapSightings(folder / "x.pcap")


def content(batches: list[Batch]) -> tuple[collections.Counter[str], int]:
    """Return the rows, whatever their order, and how many pieces were refused."""
    rows: collections.Counter[str] = collections.Counter()
    for batch in batches:
        for table, columns in batch.tables.items():
            for row in columns.to_pylist():
                held: dict[str, Any] = {
                    key: row[key] for key in sorted(row) if row[key] is not None
                }
                rows[f"{table} {held}"] += 1
    return rows, sum(batch.rejected for batch in batches)


@pytest.mark.parametrize("make", [pihole_log, zeek_folder, database, capture])
def test_any_bookmark_is_a_place_to_go_on(
    make: Callable[[Path, pytest.MonkeyPatch], Collector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collector = make(tmp_path, monkeypatch)
    undisturbed = list(collector.batches(None, final=True))
    assert len(undisturbed) >= 4
    expected = content(undisturbed)
    assert sum(expected[0].values()) >= 40
    for kept in range(len(undisturbed) + 1):
        before = undisturbed[:kept]
        bookmark = json.loads(json.dumps(before[-1].bookmark)) if before else None
        rows, rejected = content([*before, *collector.batches(bookmark, final=True)])
        if make is database:  # the last minute is read again, and the store knows what it has
            rows = collections.Counter(set(rows))
        assert (rows, rejected) == expected, f"killed after {kept} batches"
