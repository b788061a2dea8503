"""Input that means harm, or is merely broken: refused with a reason, its neighbours read."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guardian.clients.adguard import QueryLog
from guardian.clients.http import Answer
from guardian.clients.pihole import _Queries
from guardian.collect import pihole_api, registry
from guardian.collect.eve import EveCollector
from guardian.collect.reader import drain
from guardian.collect.zeek import ZeekCollector
from guardian.errors import ClientResponseError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

DEEP = b"[" * 10_000 + b"]" * 10_000
HUGE = b"9" * 5000

EVE = (
    b'{"timestamp":"2026-11-20T20:00:00.000000+0000","flow_id":1,"event_type":"tls",'
    b'"src_ip":"192.168.1.30","src_port":40000,"dest_ip":"203.0.113.9","dest_port":443,'
    b'"proto":"TCP","tls":{"sni":"a.example"}%s}'
)
HOSTILE_EVE: dict[str, bytes] = {
    "10,000 deep": EVE % (b',"x":' + DEEP),
    "NUL": EVE.replace(b"192.168.1.30", b"192.168\x00.1.30") % b"",
    "NUL bytes alone": b"\x00" * 5000,
    "a huge number": EVE.replace(b'"flow_id":1', b'"flow_id":' + HUGE) % b"",
    "a huge float": EVE.replace(b'"tls"', b'"stats"') % b',"flow":{"age":1e999}',
    "NaN": EVE.replace(b'"tls"', b'"stats"') % b',"x": NaN',
    "Infinity": EVE.replace(b'"tls"', b'"new"') % b',"x":[-Infinity]',
    "a port that is NaN": EVE.replace(b"40000", b"NaN") % b"",
    "a time twice": EVE % b',"timestamp":"2026-11-20T21:00:00.000000+0000"',
    "a type twice": EVE % b',"event_type":"flow"',
    "year 9999": EVE.replace(b"2026-11-20", b"9999-12-31") % b"",
    "year 10000": EVE.replace(b"2026-11-20", b"10000-12-31") % b"",
    "a negative port": EVE.replace(b"40000", b"-1") % b"",
    "not UTF-8": EVE.replace(b"a.example", b"\xff\xfe") % b"",
    "a lone surrogate's half": b'{"timestamp":"\\ud800"}',
    "a bare word": b"true",
}


@pytest.mark.parametrize("what", HOSTILE_EVE)
def test_one_hostile_event_among_good_ones(memory_store: Store, tmp_path: Path, what: str) -> None:
    log = tmp_path / "eve.json"
    log.write_bytes(b"\n".join([EVE % b"", HOSTILE_EVE[what], EVE % b""]) + b"\n")
    got = drain(memory_store, EveCollector(path=log), final=True)
    assert (got.events, got.rejected, got.error) == (2, 1, None)
    with memory_store.read() as reader:
        (kept,) = reader.rows("SELECT * FROM quarantine")
        assert reader.value("SELECT count(*) FROM tls WHERE sni = 'a.example'") == 2
    assert kept["place"] == f"eve.json byte {len(EVE % b'') + 1}"
    assert len(kept["sample"]) <= 2000


TWICE: dict[str, tuple[bytes, str, str]] = {
    "src_ip": (b',"src_ip":"198.51.100.66"', "src_ip", "192.168.1.30"),
    "flow_id": (b',"flow_id":2', "flow_id", "1"),
    "dest_port": (b',"dest_port":null', "dest_port", "443"),
    "an object": (b',"tls":{"sni":"other.example","version":"TLS 1.3"}', "sni", "a.example"),
    "an object, then none": (b',"tls":7', "sni", "a.example"),
    "within an object": (b',"ether":{"src_mac":"02:00:00:00:00:01","src_mac":"x"}', "src_mac",
                         "02:00:00:00:00:01"),
    "what is not stored": (b',"x":1,"x":2', "sni", "a.example"),
}  # fmt: skip


@pytest.mark.parametrize("doubtful", [False, True], ids=["fast", "checked"])
@pytest.mark.parametrize("what", TWICE)
def test_of_a_key_twice_the_first_counts_on_both_paths(
    memory_store: Store, tmp_path: Path, what: str, *, doubtful: bool
) -> None:
    """DuckDB and Python must not take different ones of the two."""
    more, column, expected = TWICE[what]
    log = tmp_path / "eve.json"
    line = EVE % more
    if doubtful:  # a form of time that Python looks at
        line = line.replace(b"000000+0000", b"000000Z")
    log.write_bytes(line + b"\n")
    got = drain(memory_store, EveCollector(path=log), final=True)
    assert (got.events, got.rejected, got.error) == (1, 0, None)
    with memory_store.read() as reader:
        assert str(reader.value(f"SELECT {column} FROM tls")) == expected
        assert reader.value("SELECT version FROM tls") is None


@pytest.mark.parametrize("doubtful", [False, True], ids=["fast", "checked"])
def test_of_a_key_twice_in_an_event_kept_whole_the_first_counts(
    memory_store: Store, tmp_path: Path, *, doubtful: bool
) -> None:
    log = tmp_path / "eve.json"
    line = EVE.replace(b'"tls"', b'"ssh"') % b',"src_ip":"198.51.100.66"'
    log.write_bytes((line.replace(b"000000+0000", b"000000Z") if doubtful else line) + b"\n")
    assert drain(memory_store, EveCollector(path=log), final=True).events == 1
    with memory_store.read() as reader:
        row = reader.one("SELECT src_ip, raw->>'src_ip' AS within FROM raw_event")
    assert row == {"src_ip": "192.168.1.30", "within": "192.168.1.30"}


ZEEK = (
    b'{"ts":1700000000.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":5,"id.resp_h":"10.0.0.2",'
    b'"id.resp_p":53,"proto":"udp","conn_state":"SF"%s}'
)
HOSTILE_ZEEK = {
    "10,000 deep": ZEEK % (b',"x":' + DEEP),
    "year 9999": ZEEK.replace(b"1700000000.5", b"253402300799.9") % b"",
    "far beyond": ZEEK.replace(b"1700000000.5", b"1e300") % b"",
    "NaN": ZEEK.replace(b"1700000000.5", b"NaN") % b"",
    "a huge number": ZEEK.replace(b"1700000000.5", HUGE) % b"",
    "not UTF-8": ZEEK.replace(b"SF", b"\xff") % b"",
    "NUL bytes": b"\x00" * 100,
}


@pytest.mark.parametrize("what", HOSTILE_ZEEK)
def test_one_hostile_record_among_good_ones(memory_store: Store, tmp_path: Path, what: str) -> None:
    log = tmp_path / "conn.log"
    log.write_bytes(b"\n".join([ZEEK % b"", HOSTILE_ZEEK[what], ZEEK % b""]) + b"\n")
    got = drain(memory_store, ZeekCollector(path=log), final=True)
    assert got.error is None
    with memory_store.read() as reader:
        good = "SELECT count(*) FROM flow WHERE ts < '2030-01-01' AND src_ip = '10.0.0.1'"
        assert reader.value(good) in (2, 3)  # not all of these make a record unreadable
        assert reader.value("SELECT max(ts) FROM flow").year < 2100
    assert got.events + got.rejected == 3


ADGUARD = (
    b'{"T":"2026-06-15T10:00:00.123456+02:00","QH":"www.example.com","QT":"A","QC":"IN","CP":"",'
    b'"IP":"192.168.1.5","Elapsed":12500000,"Result":{}%s}'
)
UNBOUND = b"[1781517600] unbound[5:0] info: 192.168.1.5 %s A IN NOERROR 0.01 0 50"
HOSTILE_TEXT = {
    "adguard": {
        "10,000 deep": ADGUARD % (b',"x":' + DEEP),
        "year 9999": ADGUARD.replace(b"2026", b"9999") % b"",
        "a huge number": ADGUARD.replace(b"12500000", HUGE) % b"",
        "NaN": ADGUARD.replace(b"12500000", b"NaN") % b"",
        "NUL bytes": b"\x00" * 100,
        "not UTF-8": b"\xff\xfe{",
    },
    "unbound": {
        "a huge number": UNBOUND.replace(b"1781517600", HUGE) % b"b.example.",
        "far beyond": UNBOUND.replace(b"1781517600", b"999999999999999") % b"b.example.",
        "a long name": UNBOUND % (b"x" * 100_000),
        "NUL bytes": b"\x00" * 100,
    },
}
GOOD_TEXT = {"adguard": ADGUARD % b"", "unbound": UNBOUND % b"www.example.com."}


@pytest.mark.parametrize(
    ("kind", "what"), [(kind, what) for kind, found in HOSTILE_TEXT.items() for what in found]
)
def test_one_hostile_line_among_good_ones(
    memory_store: Store, tmp_path: Path, kind: str, what: str
) -> None:
    log = tmp_path / "querylog.json"
    log.write_bytes(
        b"\n".join([GOOD_TEXT[kind], HOSTILE_TEXT[kind][what], GOOD_TEXT[kind]]) + b"\n"
    )
    got = drain(memory_store, registry.KINDS[kind](log), final=True)
    assert got.error is None
    with memory_store.read() as reader:
        rows = reader.rows("SELECT * FROM dns_log WHERE rrname = 'www.example.com'")
        assert reader.value("SELECT max(ts) FROM dns_log").year < 2100
    assert len(rows) in (2, 3)
    assert got.events + got.rejected == 3


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"queries":' + DEEP + b"}",
        b'{"queries":[],"x":' + DEEP + b"}",
        b'{"data":[],"x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        b'{"queries":[{"id":' + HUGE + b',"time":1}]}',
        b'{"queries":[{"id":1,"time":NaN}]}',
        b"\x00\xff",
        b"",
    ],
)
def test_an_answer_that_means_harm_is_one_clear_error(body: bytes) -> None:
    answer = Answer(method="GET", url="http://pi.hole", status=200, headers={}, body=body)
    for kind in (_Queries, QueryLog):
        try:
            answer.decode(kind)
        except ClientResponseError as error:
            assert "unexpected answer" in str(error)  # noqa: PT017


def test_queries_of_the_year_9999_and_of_no_time_are_refused() -> None:
    times = [253_402_300_799.0, 1e300, -1e300, 1_700_000_000.5]
    queries = [{"id": at, "time": when, "domain": "a.example", "client": {"ip": "10.0.0.1"}}
               for at, when in enumerate(times)]  # fmt: skip
    body = json.dumps({"queries": queries}).encode()
    answer = Answer(method="GET", url="http://pi.hole", status=200, headers={}, body=body)
    rows = list(answer.decode(_Queries).queries)
    batch = pihole_api._batch(rows, pihole_api._Mark(), lost=False)
    assert batch is not None
    assert batch.tables["dns_log"].num_rows == 1
    assert batch.rejected == 3
    assert float(str(batch.bookmark["ts"])) < 4e9  # one wrong clock does not end the reading


GIGABYTE = """
import sys
from pathlib import Path
import zstandard
from guardian.collect import registry
from guardian.collect.eve import EveCollector
from guardian.collect.zeek import ZeekCollector
folder = Path(sys.argv[1])
make = {
    "eve": lambda path: EveCollector(path=path),
    "zeek": lambda path: ZeekCollector(path=path),
    "unbound": registry.KINDS["unbound"],
}
good = {"eve": sys.argv[2], "zeek": sys.argv[3], "unbound": sys.argv[4]}
for kind, line in good.items():
    line = line.encode() + b"\\n"
    plain, packed = folder / f"{kind}.log", folder / f"{kind}.log.zst"
    with plain.open("wb") as file:
        file.write(line)
        file.seek(1 << 30, 1)  # a line of a gigabyte, of which the disk holds nothing
        file.write(b"\\n" + line)
    if kind == "eve":
        with packed.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
            out.write(line)
            for _ in range(64):
                out.write(bytes(1 << 24))
            out.write(b"\\n" + line)
    for path in (plain, packed) if kind == "eve" else (plain,):
        collector = make[kind](path)
        batches = list(collector.batches(None, final=True))
        events = sum(batch.events for batch in batches)
        reasons = [reject.reason for batch in batches for reject in batch.rejects]
        assert (events, reasons) == (2, ["line too long"]), (path, events, reasons)
    plain.unlink()
status = Path("/proc/self/status").read_text()  # ru_maxrss begins with the parent's
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def test_a_line_of_a_gigabyte_costs_no_memory(tmp_path: Path) -> None:
    good = [(EVE % b"").decode(), (ZEEK % b"").decode(), GOOD_TEXT["unbound"].decode()]
    run = subprocess.run(
        [sys.executable, "-c", GIGABYTE, str(tmp_path), *good],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout) < 600, "MiB at most"
