"""What is fuzzed: every reader of foreign bytes, with what it must never do.

Each target takes any bytes. An exception that leaves it is a bug; so is a line that is
neither an event nor a refusal. Seeds are the bundled samples, so nothing is kept twice.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import tempfile
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from guardian import resources
from guardian.clients.adguard import QueryLog
from guardian.clients.http import Answer
from guardian.clients.pihole import _Queries
from guardian.collect import (
    adguard_api,
    captures,
    compressed,
    eve,
    eve_check,
    kinds,
    network_logs,
    parser_spec,
    pihole_api,
    text_log,
    text_values,
    wire_frames,
)
from guardian.collect.blocks import Block
from guardian.collect.captures import DamagedError
from guardian.collect.netflow_decode import Decoder, paired
from guardian.collect.tail_mark import Chunk, Mark
from guardian.collect.tailer import Tailer
from guardian.collect.wire import PcapSightings
from guardian.collect.zeek import ZeekCollector
from guardian.errors import ClientError, CollectorError, GuardianError
from guardian.model import secrets

from . import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NOW = datetime(2026, 11, 20, 20, 0, 0)
# Memory where there is some; removed when the process ends.
_HOLDER = tempfile.TemporaryDirectory(
    prefix="guardian-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
)
_FOLDER = Path(_HOLDER.name)


@dataclass(frozen=True, slots=True)
class Target:
    """One reader: what it does with bytes, and what good bytes look like.

    A ``slow`` one (tens of milliseconds an input) is searched only when it is named.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    slow: bool = False


def _file(data: bytes, name: str) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


# EVE


def _eve(data: bytes) -> None:
    mark = Mark(head="", inode=0, offset=0)
    with eve.decoding(1 << 20) as decoder:
        batch = decoder.batch(Chunk(file="eve.json", start=0, data=data, mark=mark))
    lines = data.count(b"\n") + bool(data and not data.endswith(b"\n"))
    assert batch.events + batch.rejected == lines, "a line is neither an event nor refused"
    assert sum(table.num_rows for table in batch.tables.values()) >= batch.events


def _eve_line(data: bytes) -> None:
    seen = eve_check.check(data)
    if isinstance(seen, bytes):
        assert isinstance(eve_check.check(seen), bytes), "mended, and refused the second time"


def _events() -> list[bytes]:
    common = {
        "timestamp": "2026-11-20T20:00:00.000000+0000", "flow_id": 1, "src_ip": "192.168.1.30",
        "src_port": 40000, "dest_ip": "2001:0db8:0000:0000:0000:0000:0000:0009", "dest_port": 443,
        "proto": "TCP", "vlan": [1, 10], "ether": {"src_mac": "02:00:00:00:00:01"},
    }  # fmt: skip
    bodies = [
        {"event_type": "flow", "flow": {"start": "2026-11-20T20:00:00.000000+0200",
         "end": "2026-11-20T20:00:01.000000+0000", "bytes_toserver": 1, "bytes_toclient": 2,
         "pkts_toserver": 1, "pkts_toclient": 1, "state": "closed", "reason": "timeout"}},
        {"event_type": "dns", "dns": {"version": 3, "type": "response", "queries": [
            {"rrname": "a.example", "rrtype": "AAAA"}], "answers": [
            {"rrname": "a.example", "rrtype": "AAAA", "ttl": 5, "rdata": "2001:db8::9"}],
            "rcode": "NOERROR", "id": 7}},
        {"event_type": "dns", "dns": {"type": "answer", "version": 2, "rrname": "b.example",
            "rrtype": "A", "grouped": {"A": ["192.0.2.1"]}, "rcode": "NOERROR", "id": 8}},
        {"event_type": "tls", "tls": {"sni": "c.example", "version": "TLS 1.3",
            "ja3": {"hash": "x", "string": "y"}}},
        {"event_type": "alert", "alert": {"signature_id": 1, "signature": "s", "severity": 1,
            "action": "allowed", "metadata": {"tag": ["a"]}}, "payload_printable": "PASS x"},
        {"event_type": "fileinfo", "fileinfo": {"filename": "/f", "size": 3, "gaps": False,
            "state": "CLOSED"}, "http": {"hostname": "d.example"}},
        {"event_type": "dhcp", "dhcp": {"type": "reply", "id": 1, "client_mac": "02:00:00:00:00:01",
            "assigned_ip": "192.168.1.7", "dhcp_type": "ack"}},
        {"event_type": "stats", "stats": {"uptime": 1}},
    ]  # fmt: skip
    return [json.dumps(common | body, separators=(",", ":")).encode() for body in bodies]


def _event_files() -> list[bytes]:
    lines = _events()
    return [b"\n".join(lines) + b"\n", b"\n".join(lines).replace(b":", b" : ")]


# Text formats


def _text(kind: str) -> Callable[[bytes], None]:
    spec = parser_spec.shipped(kind)

    def run(data: bytes) -> None:
        reading = text_log.Reading(spec, text_values.Clock("UTC", NOW), file_time=1.6e9)
        lines = data.split(b"\n")[:200]
        block = Block(lines=lines, start=0, end=len(data))
        for index, line in enumerate(lines):
            reading.take(line, block, index)
        batch = reading.batch(None, before=None)
        json.dumps(batch.bookmark)

    return run


def _samples(kind: str) -> Callable[[], list[bytes]]:
    return lambda: ["\n".join(sample.lines).encode() for sample in parser_spec.shipped(kind).sample]


# Zeek


def _zeek(data: bytes) -> None:
    collector = ZeekCollector(path=_file(data, "conn.log"), block_bytes=4096)
    with contextlib.suppress(CollectorError):
        for batch in collector.batches(None, final=True):
            json.dumps(batch.bookmark)


def _zeek_logs() -> list[bytes]:
    fields = ("ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t"
              "orig_bytes\tresp_bytes\tconn_state\thistory\tquery\tqtype_name\tanswers\tTTLs\t"
              "rcode_name\tmsg_types\tmac\tcert_chain_fuids\turi\tpassword")  # fmt: skip
    values = ("1700000000.5\tC1\t10.0.0.1\t5\t10.0.0.2\t53\tudp\tdns\t0.1\t10\t20\tSF\tDd\t"
              "a.example\tA\t192.0.2.1,\\x41\t5.0,(empty)\tNOERROR\tDISCOVER,OFFER\t"
              "02:00:00:00:00:01\tF1\t/x?password=y\t-")  # fmt: skip
    logs = [
        f"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
        f"#path\t{name}\n#fields\t{fields}\n{values}\n{values}\n#close\n".encode()
        for name in ("conn", "dns", "dhcp", "http", "ssl", "x509", "notice", "files", "ftp")
    ]
    record = {"ts": 1700000000.5, "uid": "C1", "id.orig_h": "10.0.0.1", "id.orig_p": 5,
              "id.resp_h": "10.0.0.2", "id.resp_p": 53, "proto": "udp", "query": "a.example",
              "answers": ["192.0.2.1"], "TTLs": [5.0], "_path": "dns"}  # fmt: skip
    return [*logs, json.dumps(record).encode() + b"\n"]


# The network


def _netflow(data: bytes) -> None:
    decoder = Decoder()
    for exporter in ("192.168.1.1", "192.168.1.1"):  # the second time with its templates
        rows, _ = decoder.decode(data, exporter)
        if rows:
            text_log.table_of(paired(rows))
    again = Decoder()
    again.templates.restore(json.loads(json.dumps(decoder.templates.state())))
    assert len(decoder.templates.known) <= 2000


def _datagrams() -> list[bytes]:
    record = struct.pack("!4s4s4xHHIIIIHHxBBB", b"\xc0\xa8\1\5", b"\x09\x09\x09\x09", 1, 2, 3, 400,
                         100, 200, 50000, 53, 2, 17, 0) + b"\0" * 7  # fmt: skip
    five = struct.pack("!HHIIIIBBH", 5, 1, 5000, 1_700_000_000, 0, 1, 0, 0, 0) + record[:48]
    fields = [(8, 4), (12, 4), (4, 1), (7, 2), (11, 2), (1, 4), (48, 1)]
    template = struct.pack("!HH", 300, len(fields))
    template += b"".join(struct.pack("!HH", *one) for one in fields)
    data = b"\xc0\xa8\1\5\x09\x09\x09\x09\x11\xc3\x50\0\x35\0\0\0\x40\1"
    options = struct.pack("!HHHHHHHHH", 400, 4, 8, 1, 4, 34, 4, 48, 1)
    sets = b""
    for number, body in ((0, template), (1, options), (300, data), (400, b"\0\0\0\1\0\0\0\x64\1")):
        sets += struct.pack("!HH", number, len(body) + 4) + body
    nine = struct.pack("!HHIIII", 9, 2, 5000, 1_700_000_000, 1, 1) + sets
    sets = struct.pack("!HH", 2, len(template) + 8) + template + b"\0" * 4
    sets += struct.pack("!HH", 300, len(data) + 4) + data
    ten = struct.pack("!HHIII", 10, 16 + len(sets), 1_700_000_000, 1, 1) + sets
    return [five, nine, ten]


def _syslog(data: bytes) -> None:
    line = network_logs.unwrapped(data)
    kind = network_logs._format_of(line)
    if kind is not None:
        _text(kind)(line.encode())


def _syslog_lines() -> list[bytes]:
    lines = [line for kind in network_logs.LINE_FORMATS for sample in _samples(kind)()
             for line in sample.split(b"\n")[:2]]  # fmt: skip
    wrapped = b'<134>1 2026-06-15T10:00:00Z fw filterlog 5 - [a b="c"] 67,,,0,igb1,match,block,in'
    return [b"<30>" + line for line in lines] + [wrapped]


def _frame(data: bytes) -> None:
    link, data = (data[0] * 256 + data[1], data[2:]) if len(data) > 2 else (1, data)
    for one in (link, wire_frames.ETHERNET):
        if wire_frames.wanted(one, data, 0, len(data)):
            wire_frames.read(one, data)
        wire_frames.read(one, data)


def _frames() -> list[bytes]:
    capture = resources.path("pcaps/evening.pcap.gz")
    with contextlib.suppress(DamagedError, OSError):
        return [
            struct.pack("!H", frame.link) + frame.data
            for frame in islice(captures.frames(capture, wire_frames.wanted), 40)
        ]
    return [b"\0\1" + b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + b"\1" * 20]


def _capture(data: bytes) -> None:
    with contextlib.suppress(CollectorError):
        for batch in PcapSightings(_file(data, "x.pcap"), max_frames=500).batches(None):
            json.dumps(batch.bookmark)


def _captures() -> list[bytes]:
    with compressed.open_plain(resources.path("pcaps/evening.pcap.gz")) as file:
        return [file.read(8000)]


# Servers


def _answer(data: bytes, kind: type) -> object | None:
    answer = Answer(method="GET", url="http://pi.hole/api", status=200, headers={}, body=data)
    try:
        return answer.decode(kind)
    except ClientError:
        return None


def _pihole(data: bytes) -> None:
    found = _answer(data, _Queries)
    if isinstance(found, _Queries):
        batch = pihole_api._batch(list(found.queries), pihole_api._Mark(), lost=False)
        if batch is not None:
            json.dumps(batch.bookmark)


def _adguard(data: bytes) -> None:
    found = _answer(data, QueryLog)
    if isinstance(found, QueryLog):
        clock = text_values.Clock("UTC", NOW)
        rows = [row for entry in found.data or () if (row := adguard_api._row(entry, clock))]
        if rows:
            text_log.table_of(rows)


def _pihole_answers() -> list[bytes]:
    query = {"id": 9, "time": 1.7e9, "type": "A", "status": "GRAVITY", "dnssec": "UNKNOWN",
             "domain": "a.example", "upstream": None, "reply": {"type": "IP", "time": 0.1},
             "client": {"ip": "192.168.1.5", "name": None}, "list_id": 1, "cname": None,
             "ede": {"code": -1, "text": None}}  # fmt: skip
    return [json.dumps({"queries": [query, query], "cursor": 9, "took": 0.1}).encode()]


def _adguard_answers() -> list[bytes]:
    entry = {"time": "2026-06-15T10:00:00.123456789+02:00", "client": "192.168.1.5",
             "question": {"name": "a.example", "type": "A", "class": "IN"}, "reason": "Rewrite",
             "status": "NOERROR", "elapsedMs": "1.5", "answer": [{"type": "A", "value": "1.2.3.4",
             "ttl": 5}], "client_info": {"name": "x"}}  # fmt: skip
    return [json.dumps({"data": [entry], "oldest": ""}).encode()]


# Files


def _tail(data: bytes) -> None:
    path = _file(data, "eve.json.gz")
    total = 0
    with contextlib.suppress(CollectorError):
        for chunk in Tailer(path=path, max_line_bytes=4096, chunk_bytes=8192).unread(
            None, final=True
        ):
            assert len(chunk.data) <= 3 * 8192, "more in memory than the limit"
            total += 1
            if total > 200:
                break


def _kind(data: bytes) -> None:
    with contextlib.suppress(GuardianError):
        kinds.detect_kind(_file(data, "unknown"))


def _packed() -> list[bytes]:
    plain = b"\n".join(_events()) + b"\n"
    return [gzip.compress(plain), zstandard.ZstdCompressor().compress(plain), plain]


def _format(data: bytes) -> None:
    with contextlib.suppress(GuardianError):
        parser_spec.load(_file(data, "x.toml"))


def _secrets(data: bytes) -> None:
    once = secrets.hide_bytes(data)
    assert len(once) <= 12 * (len(data) + 1)


def _formats() -> list[bytes]:
    return [file.read_bytes() for file in parser_spec.files().values()]


TARGETS: dict[str, Target] = {
    "eve": Target(_eve, _event_files),
    "eve-line": Target(_eve_line, _events),
    **{
        f"text-{kind}": Target(_text(kind), _samples(kind))
        for kind in sorted(parser_spec.files())
        if not parser_spec.shipped(kind).hand_over
    },
    "zeek": Target(_zeek, _zeek_logs),
    "netflow": Target(_netflow, _datagrams),
    "syslog": Target(_syslog, _syslog_lines),
    "frame": Target(_frame, _frames),
    "capture": Target(_capture, _captures),
    "pihole": Target(_pihole, _pihole_answers),
    "adguard": Target(_adguard, _adguard_answers),
    "tail": Target(_tail, _packed),
    "kind": Target(_kind, _packed),
    "format": Target(_format, _formats),
    "secrets": Target(_secrets, _events),
    **{
        name: Target(run, seeds, slow=name in stored.SLOW)
        for name, (run, seeds) in stored.KINDS.items()
    },
}
