# ruff: noqa: E501 - an event reads best on one line
from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.collect.eve import EveCollector
from guardian.collect.eve_check import check
from guardian.collect.kinds import detect_kind
from guardian.collect.reader import drain
from guardian.collect.settings import Settings
from guardian.errors import GuardianError
from guardian.ops.status import status
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ENDS = {
    "flow_id": 7,
    "src_ip": "192.168.1.5",
    "src_port": 40000,
    "dest_ip": "192.168.1.1",
    "dest_port": 53,
    "proto": "UDP",
}
TS = "2026-01-02T03:04:05.000006+0000"
TABLES = ["flow", "dns", "tls", "http", "quic", "fileinfo", "alert", "anomaly", "dhcp", "raw_event"]


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"timestamp": TS, "event_type": kind, **ENDS, **fields}).encode()


def ingest(store: Store, folder: Path, lines: Sequence[bytes], **more: Any) -> Any:
    path = folder / "eve.json"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return drain(store, EveCollector(path=path, **more), final=True)


def one(store: Store, table: str) -> dict[str, Any]:
    with store.read() as reader:
        rows = reader.rows(f"SELECT * FROM {table}")
    assert len(rows) == 1
    return rows[0]


def counts(store: Store) -> dict[str, int]:
    with store.read() as reader:
        return {table: int(reader.value(f"SELECT count(*) FROM {table}")) for table in TABLES}


def reasons(store: Store) -> dict[str, int]:
    with store.read() as reader:
        return {
            row["reason"]: row["count"]
            for row in reader.rows("SELECT reason, count FROM reject_count")
        }


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-01-02T03:04:05.000006+0000", datetime(2026, 1, 2, 3, 4, 5, 6)),
        ("2026-01-02T03:04:05.000006", datetime(2026, 1, 2, 3, 4, 5, 6)),
        ("2026-01-02T03:04:05.000006+0200", datetime(2026, 1, 2, 1, 4, 5, 6)),
        ("2026-01-02T03:04:05.000006-0630", datetime(2026, 1, 2, 9, 34, 5, 6)),
        ("2026-01-02T03:04:05.000006+02:00", datetime(2026, 1, 2, 1, 4, 5, 6)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T03:04:05+0200", datetime(2026, 1, 2, 1, 4, 5)),
    ],
)
def test_times_are_utc_whatever_their_offset(
    memory_store: Store, tmp_path: Path, text: str, stored: datetime
) -> None:
    progress = ingest(memory_store, tmp_path, [event("http", timestamp=text, http={"url": "/"})])
    assert progress.rejected == 0
    assert one(memory_store, "http")["ts"] == stored


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2a00:0d40:0001:0003:7aac:c0ff:fea7:0d4c", "2a00:d40:1:3:7aac:c0ff:fea7:d4c"),
        ("0000:0000:0000:0000:0000:0000:0000:0001", "::1"),
        ("0000:0000:0000:0000:0000:0000:0000:0000", "::"),
        ("fe80:0000:0000:0000:0000:0000:0000:0000", "fe80::"),
        ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
        ("2001:0000:0000:0001:0000:0000:0000:0001", "2001:0:0:1::1"),
        ("2001:0db8:0000:0001:0001:0001:0001:0001", "2001:db8:0:1:1:1:1:1"),
        ("0000:0000:0000:0000:0000:ffff:c0a8:0105", "192.168.1.5"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("FE80::1", "fe80::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_addresses_get_one_normal_form(
    memory_store: Store, tmp_path: Path, text: str, normal: str
) -> None:
    answers = [{"rrname": "a.example", "rrtype": "AAAA", "ttl": 9, "rdata": text}]
    line = event(
        "dns", src_ip=text, dns={"type": "answer", "rrname": "a.example", "answers": answers}
    )
    ingest(memory_store, tmp_path, [line])
    assert one(memory_store, "dns")["src_ip"] == normal
    if len(text) == 39:
        assert one(memory_store, "dns")["answers"] == [normal]


def test_dns_of_every_version_has_the_client_as_source(memory_store: Store, tmp_path: Path) -> None:
    swapped = {
        "src_ip": ENDS["dest_ip"],
        "src_port": ENDS["dest_port"],
        "dest_ip": ENDS["src_ip"],
        "dest_port": ENDS["src_port"],
        "ether": {"src_mac": "02:00:00:00:00:01", "dest_mac": "02:00:00:00:00:05"},
    }
    straight = {"ether": {"src_mac": "02:00:00:00:00:05", "dest_mac": "02:00:00:00:00:01"}}
    name = {"rrname": "a.example", "rrtype": "A"}
    answer = {**name, "ttl": 60, "rdata": "192.0.2.1"}
    ingest(
        memory_store,
        tmp_path,
        [
            event("dns", **straight, dns={"type": "answer", "id": 1, **name, "rdata": "192.0.2.1", "ttl": 60}),
            event("dns", **swapped, dns={"type": "answer", "id": 0, **name, "rdata": "192.0.2.1", "ttl": 60}),
            event("dns", **straight, dns={"type": "answer", "version": 2, "id": 2, **name, "answers": [answer]}),
            event("dns", **swapped, dns={"type": "response", "version": 3, "id": 3, "queries": [name], "answers": [answer]}),
            event("dns", **straight, dns={"type": "request", "version": 3, "id": 4, "queries": [name]}),
        ],
    )  # fmt: skip
    with memory_store.read() as reader:
        rows = reader.rows(
            "SELECT src_ip, src_port, dest_ip, dest_port, src_mac, rrname, rrtype, type, answers, "
            "answer_types, ttl FROM dns ORDER BY tx_id"
        )
    both = {
        "src_ip": "192.168.1.5", "src_port": 40000, "dest_ip": "192.168.1.1", "dest_port": 53,
        "src_mac": "02:00:00:00:00:05", "rrname": "a.example", "rrtype": "A",
    }  # fmt: skip
    answered = {"type": "answer", "answers": ["192.0.2.1"], "answer_types": ["A"], "ttl": 60}
    asked = {"type": "query", "answers": None, "answer_types": None, "ttl": None}
    assert rows == [both | answered] * 4 + [both | asked]


def test_answers_that_are_only_grouped_by_type(memory_store: Store, tmp_path: Path) -> None:
    wide = "2001:0db8:0000:0000:0000:0000:0000:0009"
    grouped = {"AAAA": [wide], "CNAME": ["cdn.example"], "SRV": [{"port": 1}], "A": ["192.0.2.1"]}
    line = event("dns", dns={"type": "answer", "version": 2, "rrname": "a.example",
                             "rrtype": "AAAA", "rcode": "NOERROR", "grouped": grouped})  # fmt: skip
    ingest(memory_store, tmp_path, [line])
    row = one(memory_store, "dns")
    assert row["answers"] == ["cdn.example", "192.0.2.1", "2001:db8::9"]
    assert row["answer_types"] == ["CNAME", "A", "AAAA"]


UNTYPED = (
    "arp", "bittorrent_dht", "dcerpc", "dnp3", "drop", "engine", "enip", "frame", "ftp", "ftp_data",
    "http2", "ike", "ikev2", "krb5", "ldap", "mdns", "metadata", "modbus", "mqtt", "netflow", "nfs",
    "packetinfo", "pgsql", "pop3", "rdp", "rfb", "sdp", "sip", "smb", "smtp", "snmp", "ssh",
    "stats", "template", "tftp", "verdict", "websocket", "of_a_version_to_come",
)  # fmt: skip


def test_every_event_type_is_kept_and_counted_by_its_name(
    memory_store: Store, tmp_path: Path
) -> None:
    ingest(memory_store, tmp_path, [event(kind, **{kind: {"x": 1}}) for kind in UNTYPED])
    counted = status(memory_store, running=False)["events"]
    assert counted == dict.fromkeys(UNTYPED, 1)


def test_an_alert_keeps_who_began_the_flow(memory_store: Store, tmp_path: Path) -> None:
    line = event(
        "alert",
        src_ip="198.51.100.9",
        direction="to_client",
        alert={"signature_id": 2000001, "signature": "x", "severity": 1, "metadata": {"tag": ["y"]}},
        flow={"src_ip": "192.168.1.5", "dest_ip": "198.51.100.9"},
        http={"hostname": "h.example", "url": "/u"},
        tx_id=0,
    )  # fmt: skip
    ingest(memory_store, tmp_path, [line])
    row = one(memory_store, "alert")
    assert (row["client_ip"], row["server_ip"]) == ("192.168.1.5", "198.51.100.9")
    assert row["hostname"] == "h.example"
    assert json.loads(row["metadata"]) == {"tag": ["y"]}


def test_what_has_no_table_is_kept_whole(memory_store: Store, tmp_path: Path) -> None:
    line = event("ssh", ssh={"client": {"software_version": "x"}})
    unknown = event("brand_new", brand_new={"a": 1})
    ingest(memory_store, tmp_path, [line, unknown])
    with memory_store.read() as reader:
        rows = reader.rows("SELECT event_type, raw FROM raw_event ORDER BY event_type DESC")
    assert [row["event_type"] for row in rows] == ["ssh", "brand_new"]
    assert json.loads(rows[0]["raw"]) == json.loads(line)


GOOD = event("http", http={"url": "/good"})
HOSTILE = {
    "deep": b'{"timestamp":"%s","event_type":"x","a":%s}' % (TS.encode(), b"[" * 10_000 + b"]" * 10_000),
    "deep object": b'{"timestamp":"%s","event_type":"x","a":%s1%s}' % (TS.encode(), b'{"a":' * 10_000, b"}" * 10_000),
    "NUL": b'{"timestamp":"a\x00b","event_type":"http"}',
    "only NUL": b"\x00" * 100,
    "half": GOOD[:-9],
    "torn UTF-8": GOOD.replace(b"/good", b"/g\xc3"),
    "huge number": GOOD.replace(b'"flow_id": 7', b'"flow_id": 1e400'),
    "huge integer": GOOD.replace(b'"flow_id": 7', b'"flow_id": ' + b"9" * 6000),
    "big integer": GOOD.replace(b'"flow_id": 7', b'"flow_id": 99999999999999999999'),
    "negative": GOOD.replace(b'"flow_id": 7', b'"flow_id": -7'),
    "NaN": GOOD.replace(b'"flow_id": 7', b'"flow_id": NaN'),
    "port": GOOD.replace(b"40000", b"400000"),
    "year 9999": GOOD.replace(b"2026-", b"9999-"),
    "year 0001": GOOD.replace(b"2026-", b"0001-"),
    "no such day": GOOD.replace(b"01-02T", b"02-31T"),
    "no address": GOOD.replace(b"192.168.1.5", b"192.168.1.555"),
    "duplicate": GOOD.replace(b'{"timestamp"', b'{"event_type":"dns","flow_id":"x","timestamp"'),
    "second event type": GOOD.replace(b'{"timestamp"', b'{"event_type":"dns","timestamp"'),
    "lone surrogate": GOOD.replace(b"/good", b"\\ud800"),
    "no event type": b'{"timestamp":"%s"}' % TS.encode(),
    "array": b"[1,2]",
    "null": b"null",
    "text": b'"text"',
    "empty": b"",
    "control": GOOD.replace(b"/good", b"/g\x01"),
    "flow without counters": event("flow", flow={"start": "9999-01-01T00:00:00.000000+0000"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_is_quarantined_and_its_neighbours_stored(
    memory_store: Store, tmp_path: Path, name: str
) -> None:
    progress = ingest(memory_store, tmp_path, [GOOD, HOSTILE[name], GOOD])
    assert (progress.events, progress.rejected, progress.error) == (2, 1, None)
    assert counts(memory_store)["http"] == 2
    with memory_store.read() as reader:
        held = reader.one("SELECT place, sample, reason FROM quarantine")
    assert held is not None
    assert held["place"] == f"eve.json byte {len(GOOD) + 1}"
    assert held["sample"] == HOSTILE[name][:2000]


def test_an_over_long_line_is_counted_and_left_out(memory_store: Store, tmp_path: Path) -> None:
    few = Settings(max_line_bytes=2000, batch_bytes=5000)
    long = event("http", http={"url": "/" + "x" * 3000})
    longer = event("http", http={"url": "/" + "x" * 300_000})
    progress = ingest(memory_store, tmp_path, [GOOD, long, GOOD, longer, GOOD], settings=few)
    assert (progress.events, progress.rejected) == (3, 2)
    assert reasons(memory_store) == {"line too long": 2}


def test_every_refused_line_is_counted_though_few_are_kept(
    memory_store: Store, tmp_path: Path
) -> None:
    progress = ingest(memory_store, tmp_path, [b"rubbish", GOOD] * 1000)
    assert (progress.events, progress.rejected) == (1000, 1000)
    assert reasons(memory_store) == {"not JSON": 1000}


JUNK = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda cut, put: GOOD[:cut] + put + GOOD[cut:], st.integers(0, len(GOOD)), st.binary(max_size=4)),
    st.builds(lambda cut, end: GOOD[:cut] + GOOD[end:], st.integers(0, len(GOOD)), st.integers(0, len(GOOD))),
)  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.lists(JUNK.filter(lambda line: b"\n" not in line), max_size=12))
def test_no_bytes_break_the_collector(
    memory_store: Store, tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]
) -> None:
    lines = [GOOD, *junk, GOOD]
    progress = ingest(memory_store, tmp_path_factory.mktemp("junk"), lines)
    assert progress.error is None
    assert progress.events + progress.rejected == len(lines)
    assert progress.events >= 2


@given(line=st.one_of(st.binary(max_size=300), JUNK))
def test_a_checked_line_is_mended_or_refused(line: bytes) -> None:
    seen = check(line)
    assert isinstance(seen, str) or json.loads(seen)["event_type"]


def test_every_eve_file_of_the_corpus_is_read(memory_store: Store, corpus: Path) -> None:
    files = [*sorted((corpus / "eve").iterdir()), *(corpus / "slips").glob("*.suricata.json")]
    whole = 0
    for file in files:
        assert detect_kind(file) == "eve"
        progress = drain(memory_store, EveCollector(path=file), final=True)
        lines = len(file.read_bytes().splitlines())
        assert progress.error is None
        assert progress.events + progress.rejected == lines
        if "doc-examples" not in file.name:  # fragments of documentation among whole events
            assert progress.rejected == 0
        whole += progress.events
    assert sum(counts(memory_store).values()) == whole


def test_a_packed_log_is_the_same_log(memory_store: Store, tmp_path: Path) -> None:
    packed = tmp_path / "eve.json.gz"
    packed.write_bytes(gzip.compress(b"\n".join([GOOD] * 10) + b"\n"))
    assert detect_kind(packed) == "eve"
    assert drain(memory_store, EveCollector(path=packed), final=True).events == 10
    assert drain(memory_store, EveCollector(path=packed), final=True).events == 0


READER = """
import sys, time
from pathlib import Path
from guardian.collect.eve import EveCollector
from guardian.collect.reader import drain
from guardian.collect.settings import Settings
from guardian.store import Store
store = Store.open(Path(sys.argv[1]))
few = Settings(batch_bytes=200_000, max_line_bytes=100_000)
while True:
    drain(store, EveCollector(path=Path(sys.argv[2]), settings=few))
    print("round", flush=True)
"""


def test_kill_while_ingesting_a_growing_log_loses_and_repeats_nothing(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.touch()
    total = 0

    def grow(count: int) -> None:
        nonlocal total
        with log.open("ab") as file:
            for _ in range(count):
                kind = TABLES[total % 4]
                extra: dict[str, Any] = {kind: {"rrname": "a", "url": "/", "start": TS}}
                if kind == "flow":
                    extra["flow"] |= dict.fromkeys(
                        ("bytes_toserver", "bytes_toclient", "pkts_toserver", "pkts_toclient"), 1
                    )
                file.write(event(kind, flow_id=total, **extra) + b"\n")
                total += 1

    grow(10)  # without a bookmark, what was rotated before the first start is not ours
    store = Store.open(tmp_path / "data")
    drain(store, EveCollector(path=log))
    store.close()
    for round_number in range(4):
        grow(4000)
        if round_number == 2:
            log.rename(tmp_path / "eve.json.1")
            log.touch()
            grow(2000)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path / "data"), str(log)],
            stdout=subprocess.PIPE,
        )
        try:
            time.sleep(0.4 + 0.3 * round_number)
            grow(1000)
            time.sleep(0.2)
        finally:
            os.kill(reader.pid, signal.SIGKILL)
            reader.wait()
    store = Store.open(tmp_path / "data")
    try:
        progress = drain(store, EveCollector(path=log), final=True)
        assert progress.rejected == 0
        with store.read() as rows:
            stored = rows.rows(
                "SELECT count(*) AS n, count(DISTINCT flow_id) AS kinds, count(DISTINCT id) AS ids "
                "FROM (SELECT id, flow_id FROM flow UNION ALL SELECT id, flow_id FROM dns "
                "UNION ALL SELECT id, flow_id FROM tls UNION ALL SELECT id, flow_id FROM http)"
            )[0]
            noted = rows.value("SELECT events FROM source")
        assert stored == {"n": total, "kinds": total, "ids": total}
        assert noted == total
    finally:
        store.close()


def test_an_absent_log_is_an_error_of_the_source_not_a_crash(
    memory_store: Store, tmp_path: Path
) -> None:
    progress = drain(memory_store, EveCollector(path=tmp_path / "none.json"))
    assert progress.error is not None
    assert "no such file" in progress.error
    with pytest.raises(GuardianError):
        detect_kind(tmp_path / "none.json")
