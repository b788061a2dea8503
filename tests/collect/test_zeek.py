"""Zeek's logs: columns, connections that go on, rotation, damage."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.collect import zeek
from guardian.collect.kinds import detect_kind
from guardian.collect.reader import Progress, drain
from guardian.collect.zeek import ZeekCollector
from guardian.collect.zeek_flow import application, flags
from guardian.errors import CollectorError
from guardian.store import Store

if TYPE_CHECKING:
    from pathlib import Path

CONN = [
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service",
    "duration", "orig_bytes", "resp_bytes", "conn_state", "history", "orig_pkts", "resp_pkts",
]  # fmt: skip


def header(path: str, fields: list[str]) -> str:
    return (
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
        f"#path\t{path}\n#open\t2026-01-01-00-00-00\n#fields\t" + "\t".join(fields) + "\n"
    )


def conn(ts: float, uid: str, **values: object) -> str:
    row: dict[str, object] = {
        "ts": f"{ts:.6f}", "uid": uid, "id.orig_h": "192.168.1.5", "id.orig_p": 40000,
        "id.resp_h": "203.0.113.9", "id.resp_p": 443, "proto": "tcp", "service": "ssl",
        "duration": "1.500000", "orig_bytes": 100, "resp_bytes": 2000, "conn_state": "SF",
        "history": "ShADadFf", "orig_pkts": 8, "resp_pkts": 9,
    } | values  # fmt: skip
    return "\t".join(str(row[name]) for name in CONN) + "\n"


def rows(store: Store, sql: str) -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows(sql)


def test_a_connection_becomes_a_flow(tmp_path: Path, memory_store: Store) -> None:
    log = tmp_path / "conn.log"
    log.write_text(
        header("conn", CONN)
        + conn(1700000000.25, "Ca")
        + conn(1700000001, "Cb", conn_state="S0", history="S", resp_pkts=0, duration="-",
               resp_bytes="-", service="-")
        + conn(1700000002, "Cc", proto="icmp", **{"id.orig_p": 8, "id.resp_p": 0},
               conn_state="OTH", history="-", service="-")
    )  # fmt: skip
    assert detect_kind(log) == "zeek"
    progress = drain(memory_store, ZeekCollector(path=log), final=True)
    assert (progress.events, progress.rejected, progress.error) == (3, 0, None)
    full, half, ping = rows(memory_store, "SELECT * FROM flow ORDER BY ts")
    assert full["state"] == "closed"
    assert full["app_proto"] == "tls"
    assert full["proto"] == "TCP"
    assert (full["end_ts"] - full["ts"]).total_seconds() == 1.5
    assert (full["bytes_toserver"], full["bytes_toclient"]) == (100, 2000)
    assert full["ts"].isoformat() == "2023-11-14T22:13:20.250000"
    assert half["state"] == "new"
    assert (half["tcp_flags_ts"], half["tcp_flags_tc"]) == (2, 0)
    assert half["end_ts"] == half["ts"]
    assert (ping["proto"], ping["icmp_type"], ping["src_port"]) == ("ICMP", 8, None)


@pytest.mark.parametrize(
    ("history", "state", "expected"),
    [
        ("S", "S0", (0x02, 0)),
        ("Sr", "REJ", (0x02, 0x14)),
        (None, "REJ", (0x02, 0x14)),
        ("ShADadFf", "SF", (0x1B, 0x1B)),
        ("^fA", "SHR", (0x10, 0x11)),
        (None, None, (None, None)),
    ],
)
def test_flags_follow_from_the_history(
    history: str | None, state: str | None, expected: tuple[int | None, int | None]
) -> None:
    assert flags(history, state) == expected


def test_application_names_are_those_of_eve() -> None:
    assert application("ssl") == "tls"
    assert application("http,ssl") == "http"
    assert application("ssl,quic") == "quic"
    assert application("spicy_ntp") == "ntp"
    assert application("") is None


def test_rotation_and_compression_read_each_record_once(
    tmp_path: Path, memory_store: Store
) -> None:
    collector = ZeekCollector(path=tmp_path)
    current = tmp_path / "conn.log"
    current.write_text(header("conn", CONN) + conn(1700000000, "Ca") + conn(1700000001, "Cb"))
    assert drain(memory_store, collector).events == 2
    with current.open("a") as log:
        log.write(conn(1700000002, "Cc") + conn(1700000003, "Cd")[:20])
    assert drain(memory_store, collector).events == 1
    with current.open("a") as log:
        log.write(conn(1700000003, "Cd")[20:] + "#close\t2026-01-01-01-00-00\n")
    rotated = tmp_path / "conn.00:00:00-01:00:00.log.gz"
    rotated.write_bytes(gzip.compress(current.read_bytes()))
    current.write_text(header("conn", CONN) + conn(1700000004, "Ce"))
    assert drain(memory_store, collector).events == 2
    assert drain(memory_store, collector).events == 0
    assert drain(memory_store, collector, final=True).events == 0
    flows = rows(memory_store, "SELECT epoch(ts)::BIGINT AS s FROM flow ORDER BY ts")
    assert [flow["s"] for flow in flows] == [1700000000 + n for n in range(5)]


def test_an_open_connection_is_replaced_as_it_grows(tmp_path: Path, memory_store: Store) -> None:
    collector = ZeekCollector(path=tmp_path)
    snapshots = tmp_path / "open_conn.log"
    snapshots.write_text(
        header("conn", CONN)
        + conn(1700000000, "Ca", orig_bytes=10)
        + conn(1700000000, "Ca", orig_bytes=20)
    )
    drain(memory_store, collector)
    assert [r["bytes_toserver"] for r in rows(memory_store, "SELECT * FROM flow")] == [20]
    (tmp_path / "conn.log").write_text(
        header("conn", CONN) + conn(1700000000, "Ca", orig_bytes=30) + conn(1700000009, "Cb")
    )
    drain(memory_store, collector)
    found = rows(memory_store, "SELECT * FROM flow ORDER BY ts")
    assert [r["bytes_toserver"] for r in found] == [30, 100]


def test_json_and_tsv_say_the_same(tmp_path: Path, memory_store: Store) -> None:
    fields = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto",
              "trans_id", "rtt", "query", "qtype_name", "rcode_name", "answers",
              "TTLs"]  # fmt: skip
    values = [1700000000.5, "Cd", "192.168.1.5", 5000, "192.168.1.1", 53, "udp", 7, 0.25,
              "a.example", "TXT", "NOERROR", ["TXT 3 abc", "192.0.2.1"], [60.0, 30.0]]  # fmt: skip
    (tmp_path / "tsv").mkdir()
    (tmp_path / "json").mkdir()
    line = "\t".join(
        ",".join(str(v) for v in value) if isinstance(value, list) else str(value)
        for value in values
    )
    (tmp_path / "tsv" / "dns.log").write_text(header("dns", fields) + line + "\n")
    record = json.dumps(dict(zip(fields, values, strict=True)))
    (tmp_path / "json" / "dns.log").write_text(record + "\n")
    for name in ("tsv", "json"):
        drain(memory_store, ZeekCollector(path=tmp_path / name), final=True)
    sql = "SELECT * EXCLUDE (id, source_id) FROM dns WHERE source_id = {} ORDER BY ts"
    tsv, js = rows(memory_store, sql.format(1)), rows(memory_store, sql.format(2))
    assert tsv == js
    assert [row["type"] for row in tsv] == ["query", "answer"]
    assert tsv[1]["answers"] == ["abc", "192.0.2.1"]
    assert tsv[1]["ttl"] == 30
    assert (tsv[1]["ts"] - tsv[0]["ts"]).total_seconds() == 0.25


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e300", "-1e300", "1e19", "9" * 30])
def test_a_number_beyond_all_bounds_stops_no_log(
    tmp_path: Path, memory_store: Store, number: str
) -> None:
    """In each column that is a number, beside a record that is in order."""
    head = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"]
    numbers = {
        "dns": ["trans_id", "rtt", "TTLs"],
        "conn": ["duration", "orig_bytes", "orig_pkts", "orig_ip_bytes", "resp_pkts", "vlan"],
        "http": ["status_code", "response_body_len"],
        "files": ["seen_bytes", "total_bytes", "missing_bytes"],
        "dhcp": ["trans_id", "lease_time"],
        "x509": ["certificate.not_valid_before", "certificate.not_valid_after"],
    }
    words = {"dns": ["query", "rcode_name"], "http": ["method"], "conn": ["conn_state"]}
    for log, names in numbers.items():
        fields = [*head, *names, *words.get(log, [])]
        text = header(log, fields)
        for value in ("7", number):
            address = ["192.0.2.1", "1", "192.0.2.2", "53", "tcp"]
            text += "\t".join(
                ["1700000000.5", f"C{log}{value}", *address, *[value] * len(names)]
                + ["SF"] * len(words.get(log, []))
            ) + "\n"  # fmt: skip
        (tmp_path / f"{log}.log").write_text(text)
    progress = drain(memory_store, ZeekCollector(path=tmp_path), final=True)
    assert progress == Progress(events=12, rejected=0, error=None)
    answers = rows(memory_store, "SELECT count(*) AS n FROM dns WHERE type = 'answer'")
    assert answers == [{"n": 2}]


def test_certificates_complete_the_handshakes(tmp_path: Path, memory_store: Store) -> None:
    (tmp_path / "ssl.log").write_text(
        '{"ts":1700000000.0,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":1,"id.resp_h":"192.0.2.1",'
        '"id.resp_p":443,"version":"TLSv12","server_name":"x.example","cert_chain_fuids":["F1"]}\n'
    )
    (tmp_path / "x509.log").write_text(
        '{"ts":1700000000.0,"id":"F1","certificate.serial":"0A","certificate.not_valid_after":'
        "1700000100.0}\n"
    )
    drain(memory_store, ZeekCollector(path=tmp_path), final=True)
    (row,) = rows(memory_store, "SELECT * FROM tls")
    assert (row["serial"], row["version"], row["sni"]) == ("0A", "TLS 1.2", "x.example")
    assert row["notafter"].isoformat() == "2023-11-14T22:15:00"


def test_bad_lines_are_counted_and_placed(tmp_path: Path, memory_store: Store) -> None:
    log = tmp_path / "conn.log"
    text = header("conn", CONN) + "short\tline\n" + conn(1700000000, "Ca")
    log.write_bytes(text.encode() + conn(float("nan"), "Cb").encode() + b"1700000001\tcut")
    progress = drain(memory_store, ZeekCollector(path=log), final=True)
    assert (progress.events, progress.rejected) == (1, 3)
    places = [row["place"] for row in rows(memory_store, "SELECT place FROM quarantine")]
    assert f"conn.log, byte {len(header('conn', CONN))}" in places


def test_a_damaged_archive_gives_what_is_readable(tmp_path: Path, memory_store: Store) -> None:
    text = header("conn", CONN) + "".join(conn(1700000000 + n, f"C{n}") for n in range(5000))
    whole = gzip.compress(text.encode())
    (tmp_path / "conn.log.gz").write_bytes(whole[: len(whole) // 2])
    progress = drain(memory_store, ZeekCollector(path=tmp_path), final=True)
    assert 100 < progress.events < 5000
    reasons = [row["reason"] for row in rows(memory_store, "SELECT reason FROM quarantine")]
    assert any("damaged" in reason for reason in reasons)


def test_a_line_without_end_is_refused_in_bounded_memory(
    tmp_path: Path, memory_store: Store
) -> None:
    log = tmp_path / "conn.log"
    with log.open("w") as file:
        file.write(header("conn", CONN) + conn(1700000000, "Ca"))
        for _ in range(40):
            file.write("x" * (1 << 18))
        file.write("\n" + conn(1700000001, "Cb"))
    collector = ZeekCollector(path=log, block_bytes=1 << 18)
    progress = drain(memory_store, collector, final=True)
    assert (progress.events, progress.rejected) == (2, 1)


def test_a_text_that_is_no_log_is_refused_in_one_line(tmp_path: Path, memory_store: Store) -> None:
    (tmp_path / "conn.log").write_text("Lorem ipsum dolor\nsit amet\n")
    progress = drain(memory_store, ZeekCollector(path=tmp_path), final=True)
    assert progress.error is not None
    assert "no Zeek log" in progress.error
    assert "\n" not in progress.error


def test_the_corpus_is_read(corpus: Path) -> None:
    inputs = [*sorted((corpus / "zeek").iterdir()), *sorted((corpus / "slips").glob("*-dir"))]
    for folder in [*inputs, corpus / "slips" / "portscan-horizontal-conn.log"]:
        opened = Store.memory()
        assert detect_kind(folder) == "zeek"
        progress = drain(opened, ZeekCollector(path=folder), final=True)
        assert progress.events or progress.error, folder
        opened.close()


def test_what_corpus_folders_hold(corpus: Path, memory_store: Store) -> None:
    drain(memory_store, ZeekCollector(path=corpus / "zeek" / "rita-proxy"), final=True)
    count = rows(memory_store, "SELECT count(*) AS n FROM flow")[0]["n"]
    lines = (corpus / "zeek/rita-proxy/conn.log").read_text().splitlines()
    assert count == sum(1 for line in lines if not line.startswith("#"))


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeek, "LOOK_EVERY_S", 0.0)


def test_a_followed_folder_is_not_listed_all_the_time(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeek, "LOOK_EVERY_S", 60.0)
    collector = ZeekCollector(path=tmp_path)
    log = tmp_path / "conn.log"
    log.write_text(header("conn", CONN) + conn(1700000000, "Ca"))
    drain(memory_store, collector)
    drain(memory_store, collector)
    with log.open("a") as file:
        file.write(conn(1700000001, "Cb"))
    assert drain(memory_store, collector).events == 0
    assert drain(memory_store, collector, final=True).events == 1


ODD = [b"-", b"(empty)", b"1e999", b"::ffff:1.2.3.4", b"\x00", b"T", b"\\xff", b"9" * 20]
LINES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from([conn(1700000000, "Ca").encode().strip(), b"#fields\tts\ta", b"#close"]),
        st.from_regex(rb'\A\{("ts"|"uid"): ?(-?[0-9eE.+]{1,12}|"[^"\\]{0,8}"|\[\]|NaN)\}\Z'),
        st.lists(st.sampled_from(ODD), min_size=15, max_size=15).map(b"\t".join),
    ),
    max_size=8,
)
TOPS = [*(header(name, CONN) for name in ("conn", "dns", "x509", "files", "dhcp")), "", '{"ts":1}']


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=LINES, top=st.sampled_from(TOPS))
def test_no_bytes_crash_the_reader(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], top: str
) -> None:
    log = tmp_path_factory.mktemp("zeek") / "conn.log"
    log.write_bytes(top.encode() + b"\n".join(lines))
    try:
        batches = list(ZeekCollector(path=log).batches(None, final=True))
    except CollectorError:
        return
    for batch in batches:
        for table in batch.tables.values():
            assert table["ts"].null_count == 0
