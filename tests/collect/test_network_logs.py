"""NetFlow and syslog by UDP: what scapy encodes is read back; hostile datagrams cost little."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.netflow import (
    NetflowFlowsetV9,
    NetflowHeader,
    NetflowHeaderV5,
    NetflowHeaderV9,
    NetflowHeaderV10,
    NetflowRecordV5,
    NetflowTemplateFieldV9,
    NetflowTemplateV9,
)

from guardian.collect import dnsmasq
from guardian.collect.datagrams import Listener
from guardian.collect.netflow_decode import Decoder, paired
from guardian.collect.netflow_templates import MAX_EXPORTERS, MAX_TEMPLATES, Templates
from guardian.collect.network_logs import NetflowCollector, SyslogCollector, unwrapped
from guardian.collect.reader import drain
from guardian.ops.health import health

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.store import Store

NOW = 1_781_517_600
FIELDS = [(8, 4), (12, 4), (4, 1), (7, 2), (11, 2), (1, 4), (2, 4), (6, 1), (22, 4), (21, 4)]


def version_5() -> bytes:
    went = {"src": "192.168.1.5", "dst": "203.0.113.9", "srcport": 50000, "dstport": 443}
    came = {"src": "203.0.113.9", "dst": "192.168.1.5", "srcport": 443, "dstport": 50000}
    one = NetflowRecordV5(
        **went, prot=6, dpkts=10, dOctets=1000, first=1000, last=3000, tcpFlags=0x1B
    )
    back = NetflowRecordV5(
        **came, prot=6, dpkts=12, dOctets=9000, first=1100, last=3500, tcpFlags=0x1B
    )
    head = NetflowHeaderV5(count=2, sysUptime=5000, unixSecs=NOW, unixNanoSeconds=0)
    return bytes(NetflowHeader(version=5) / head / one / back)


def flow(source: str, target: str, sport: int, dport: int, size: int) -> bytes:
    return struct.pack("!4s4sBHHIIBII", socket.inet_aton(source), socket.inet_aton(target), 17,
                       sport, dport, size, 3, 0, 1000, 2000)  # fmt: skip


def version_9() -> tuple[bytes, bytes]:
    fields = [NetflowTemplateFieldV9(fieldType=kind, fieldLength=size) for kind, size in FIELDS]
    template = NetflowTemplateV9(templateID=300, fieldCount=len(FIELDS), template_fields=fields)
    head = NetflowHeader(version=9) / NetflowHeaderV9(
        count=1, sysUptime=5000, unixSecs=NOW, packageSequence=1, SourceID=7
    )
    data = flow("192.168.1.5", "9.9.9.9", 40000, 53, 70) + flow(
        "9.9.9.9", "192.168.1.6", 53, 40001, 90
    )
    data += b"\x00" * (-(len(data) + 4) % 4)
    return (
        bytes(head / NetflowFlowsetV9(templates=[template])),
        bytes(head) + struct.pack("!HH", 300, len(data) + 4) + data,
    )


def ipfix() -> bytes:
    fields = [(27, 16), (28, 16), (4, 1), (7, 2), (11, 2), (1, 8), (152, 8), (153, 8)]
    template = struct.pack("!HH", 256, len(fields) + 2)
    template += b"".join(struct.pack("!HH", kind, size) for kind, size in fields)
    template += struct.pack("!HHI", 0x8001, 8, 29305)  # octets of the way back
    template += struct.pack("!HHI", 0x8000 | 96, 0xFFFF, 9)  # a text of variable length
    body = socket.inet_pton(socket.AF_INET6, "fd00::5")
    body += socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    body += struct.pack("!BHHQQQQ", 6, 50000, 443, 500, NOW * 1000 + 250, NOW * 1000 + 750, 4000)
    body += b"\x05https"
    sets = struct.pack("!HH", 2, len(template) + 4) + template
    sets += struct.pack("!HH", 256, len(body) + 4) + body
    head = NetflowHeader(version=10) / NetflowHeaderV10(
        length=16 + len(sets), ExportTime=NOW, flowSequence=1, ObservationDomainID=1
    )
    return bytes(head)[:16] + sets


def test_version_5_and_its_two_directions() -> None:
    rows, problems = Decoder().decode(version_5(), "192.168.1.1")
    assert problems == []
    assert len(rows) == 2
    (row,) = paired(rows)
    assert (row["src_ip"], row["src_port"], row["dest_ip"], row["dest_port"], row["proto"]) == (
        "192.168.1.5", 50000, "203.0.113.9", 443, "TCP"
    )  # fmt: skip
    assert (row["bytes_toserver"], row["bytes_toclient"], row["pkts_toclient"]) == (1000, 9000, 12)
    assert row["ts"].isoformat() == "2026-06-15T09:59:56"
    assert row["end_ts"].isoformat() == "2026-06-15T09:59:58.500000"
    assert (row["state"], row["tcp_flags_ts"], row["tcp_flags_tc"]) == ("closed", 0x1B, 0x1B)


UPTIME_FIELDS = [(8, 4), (12, 4), (4, 1), (22, 4), (21, 4)]


def of_uptime(first_ms: int, last_ms: int) -> bytes:
    """A record of UPTIME_FIELDS."""
    return socket.inet_aton("192.168.1.5") + socket.inet_aton("203.0.113.9") + struct.pack(
        "!BII", 17, first_ms, last_ms
    )  # fmt: skip


def a_set(number: int, body: bytes) -> bytes:
    return struct.pack("!HH", number, len(body) + 4) + body


def template_of(fields: list[tuple[int, int]], number: int = 300) -> bytes:
    body = struct.pack("!HH", number, len(fields))
    return body + b"".join(struct.pack("!HH", kind, size) for kind, size in fields)


def test_an_uptime_that_began_at_0_again_dates_no_flow_ahead() -> None:
    """After 49.7 days of 32 bits: what began before is older than the count."""
    wrap = 1 << 32
    spans = ((wrap - 60_000, wrap - 1000), (wrap - 60_000, 300), (100, 400), (520, 550))
    data = a_set(0, template_of(UPTIME_FIELDS)) + a_set(300, b"".join(of_uptime(*s) for s in spans))
    rows, problems = Decoder().decode(struct.pack("!HHIIII", 9, 5, 500, NOW, 1, 0) + data, "::1")
    assert problems == []
    sent = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
    ago_ms = [
        tuple(round((sent - row[key]) / timedelta(milliseconds=1)) for key in ("ts", "end_ts"))
        for row in rows
    ]
    assert ago_ms == [(60_500, 1500), (60_500, 200), (400, 100), (-20, -50)]
    five = bytearray(version_5())
    five[4:8] = struct.pack("!I", 2000)  # its first flow lasted from 1,000 to 3,000
    for at in (24, 72):
        five[at + 24 : at + 28] = struct.pack("!I", wrap - 1000)
    rows, _ = Decoder().decode(bytes(five), "::1")
    assert [sent - row["ts"] for row in rows] == [timedelta(seconds=3)] * 2


STARTED_MS = (NOW - 86_400) * 1000
"""A router that has been up for a day."""


def ipfix_of(*sets: bytes) -> bytes:
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), NOW, 1, 0) + body


def ago(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """How long before the export flows began and ended, in seconds."""
    sent = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
    return [((sent - x["ts"]).total_seconds(), (sent - x["end_ts"]).total_seconds()) for x in rows]


@pytest.mark.parametrize("up_days", [1, 60])
def test_ipfix_that_counts_from_its_start_says_it_in_the_record(up_days: int) -> None:
    started_ms = (NOW - up_days * 86_400) * 1000
    moments = [(up_days * 86_400_000 - each) % (1 << 32) for each in (1_800_000, 400_000)]
    record = of_uptime(*moments) + struct.pack("!Q", started_ms)
    sets = a_set(2, template_of([*UPTIME_FIELDS, (160, 8)])), a_set(300, record)
    rows, problems = Decoder().decode(ipfix_of(*sets), "::1")
    assert (ago(rows), problems) == ([(1800.0, 400.0)], [])


def test_ipfix_that_counts_from_its_start_says_it_in_options() -> None:
    options = struct.pack("!HHHHHHH", 256, 2, 1, 143, 4, 160, 8)
    said = struct.pack("!IQ", 1, STARTED_MS)
    decoder = Decoder()
    _, problems = decoder.decode(
        ipfix_of(a_set(3, options), a_set(256, said), a_set(2, template_of(UPTIME_FIELDS))), "::1"
    )
    again = Decoder()
    again.templates.restore(json.loads(json.dumps(decoder.templates.state())))
    data = ipfix_of(a_set(300, of_uptime(84_600_000, 86_000_000)))
    for each in (decoder, again):  # also after a restart
        rows, more = each.decode(data, "::1")
        assert ago(rows) == [(1800.0, 400.0)]
        assert more == problems == []
    assert decoder.decode(data, "::2")[0] == []  # another router has its own templates


@pytest.mark.parametrize("started_ms", [0, (NOW + 3600) * 1000, 2**64 - 1])
def test_a_start_that_cannot_be_is_none(started_ms: int) -> None:
    record = of_uptime(84_600_000, 86_000_000) + struct.pack("!Q", started_ms)
    sets = a_set(2, template_of([*UPTIME_FIELDS, (160, 8)])), a_set(300, record)
    assert ago(Decoder().decode(ipfix_of(*sets), "::1")[0]) == [(0.0, 0.0)]


def test_no_number_of_exporters_fills_the_memory() -> None:
    templates = Templates()
    for number in range(MAX_EXPORTERS + 50):
        templates.note_options(("::1", 10, number), {(0, 160): STARTED_MS.to_bytes(8)})
    assert len(templates.started) == MAX_EXPORTERS
    assert ("::1", 10, 49) not in templates.started


def test_a_record_with_a_bad_time_takes_no_other_with_it() -> None:
    fields = [(8, 4), (12, 4), (152, 8)]
    ends = socket.inet_aton("192.168.1.5") + socket.inet_aton("203.0.113.9")
    moments = [NOW * 1000, 2**63 - 1, NOW * 1000, 2**62, NOW * 1000]
    body = b"".join(ends + struct.pack("!Q", moment) for moment in moments)
    sets = a_set(2, template_of(fields)) + a_set(300, body) + a_set(300, body)
    head = struct.pack("!HHIII", 10, 16 + len(sets), NOW, 1, 0)
    rows, problems = Decoder().decode(head + sets, "::1")
    assert len(rows) == 6
    assert problems == ["a time that is none of an event"] * 4


def test_version_9_waits_for_its_template() -> None:
    template, data = version_9()
    decoder = Decoder()
    assert decoder.decode(data, "192.168.1.1") == ([], ["flows whose template has not come yet"])
    assert decoder.decode(template, "192.168.1.1") == ([], [])
    assert decoder.decode(data, "192.168.1.2")[1]  # another router's templates are its own
    rows, problems = decoder.decode(data, "192.168.1.1")
    assert problems == []
    asked, answered = paired(rows)
    assert (asked["src_ip"], asked["dest_port"], asked["state"]) == ("192.168.1.5", 53, "new")
    # A lone answer is turned round.
    assert (answered["src_ip"], answered["src_port"], answered["dest_port"]) == (
        "192.168.1.6", 40001, 53
    )  # fmt: skip
    assert (answered["bytes_toserver"], answered["bytes_toclient"]) == (None, 90)
    assert asked["ts"].isoformat() == "2026-06-15T09:59:56"


def test_ipfix_with_a_way_back_and_a_variable_field() -> None:
    rows, problems = Decoder().decode(ipfix(), "192.168.1.1")
    assert problems == []
    (row,) = paired(rows)
    assert (row["src_ip"], row["dest_ip"], row["proto"]) == ("fd00::5", "2001:db8::9", "TCP")
    assert (row["bytes_toserver"], row["bytes_toclient"]) == (500, 4000)
    assert row["ts"].isoformat() == "2026-06-15T10:00:00.250000"


def test_templates_are_bounded_and_empty_ones_harmless() -> None:
    decoder = Decoder()
    head = struct.pack("!HHIIII", 9, 1, 1, 1, 1, 1)
    for number in range(256, 256 + MAX_TEMPLATES + 50):
        body = struct.pack("!HHHH", number, 1, 8, 4)
        decoder.decode(head + struct.pack("!HH", 0, len(body) + 4) + body, "192.168.1.1")
    assert len(decoder.templates.known) == MAX_TEMPLATES
    for fields in (b"", struct.pack("!HH", 8, 0)):  # no fields; one that takes no bytes
        body = struct.pack("!HH", 256, len(fields) // 4) + fields
        sets = struct.pack("!HH", 0, len(body) + 4) + body
        sets += struct.pack("!HH", 256, 12) + b"\xff" * 8
        Decoder().decode(head + sets, "192.168.1.1")


@settings(max_examples=300, deadline=None)
@given(
    whole=st.sampled_from([version_5(), *version_9(), ipfix()]),
    at=st.integers(0, 200),
    change=st.binary(max_size=6),
    cut=st.integers(0, 300),
)
def test_no_datagram_crashes_the_decoder(whole: bytes, at: int, change: bytes, cut: int) -> None:
    damaged = (whole[:at] + change + whole[at + len(change) :])[:cut]
    decoder = Decoder()
    for template in version_9():
        decoder.decode(template, "192.168.1.1")
    rows, _ = decoder.decode(damaged, "192.168.1.1")
    paired(rows)


@pytest.fixture
def netflow() -> Iterator[NetflowCollector]:
    made = NetflowCollector("127.0.0.1", 0)
    yield made
    made.close()


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", port))


def read_until(store: Store, collector: Any, table: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while True:
        drain(store, collector)
        with store.read() as reader:
            rows = reader.rows(f"SELECT * FROM {table} ORDER BY id")
        if len(rows) >= count or time.monotonic() > deadline:
            return rows
        time.sleep(0.05)


def test_a_router_sends_flows(netflow: NetflowCollector, memory_store: Store) -> None:
    drain(memory_store, netflow)
    send(netflow.listener.port, version_5(), b"\x00\x63nonsense", *version_9(), ipfix())
    rows = read_until(memory_store, netflow, "flow", 4)
    assert len(rows) == 4
    with memory_store.read() as reader:
        reasons = [row["reason"] for row in reader.rows("SELECT reason FROM reject_count")]
    assert reasons == ["version 99 is not NetFlow v5, v9 or IPFIX"]


def test_a_router_whose_clock_was_never_set_sends_flows_of_today(
    netflow: NetflowCollector, memory_store: Store
) -> None:
    begun = datetime.now(UTC).replace(tzinfo=None)
    drain(memory_store, netflow)
    sent = struct.pack("!I", 7)
    five, (template, data) = version_5(), version_9()
    send(
        netflow.listener.port,
        five[:8] + sent + five[12:],
        template,
        data[:8] + sent + data[12:],
        ipfix()[:4] + sent + ipfix()[8:],  # its records have times of their own, which are right
    )
    rows = read_until(memory_store, netflow, "flow", 4)
    assert len(rows) == 4
    own = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
    recent = [row["end_ts"] for row in rows if abs(row["end_ts"] - own) > timedelta(hours=1)]
    assert len(recent) == 3
    for end in recent:  # some seconds before it was sent, as the router has it
        assert timedelta(0) < end - begun + timedelta(seconds=8) < timedelta(minutes=10)
    assert all(row["ts"] <= row["end_ts"] for row in rows)


def options_9(rate: int) -> bytes:
    """An options template and its record: one packet of so many is looked at."""
    template = struct.pack("!HHHHHHH", 400, 4, 8, 1, 4, 34, 4) + struct.pack("!HH", 35, 1)
    record = struct.pack("!IIB", 0, rate, 1) + b"\x00" * 3
    head = struct.pack("!HHIIII", 9, 2, 60_000, NOW, 1, 1)
    return (
        head
        + struct.pack("!HH", 1, len(template) + 4)
        + template
        + struct.pack("!HH", 400, len(record) + 4)
        + record
    )


def options_10(rate: int) -> bytes:
    template = struct.pack("!HHHHHHHHH", 401, 3, 1, 302, 4, 305, 4, 306, 4)
    record = struct.pack("!III", 0, 2, 2 * rate - 2)
    sets = struct.pack("!HH", 3, len(template) + 4) + template
    sets += struct.pack("!HH", 401, len(record) + 4) + record
    return struct.pack("!HHIII", 10, 16 + len(sets), NOW, 1, 1) + sets


def test_the_flows_of_a_sampling_router_count_for_all_its_packets() -> None:
    decoder = Decoder()
    template, data = version_9()
    domain = struct.unpack_from("!I", template, 16)[0]
    options = options_9(100)[:16] + struct.pack("!I", domain) + options_9(100)[20:]
    for part in (template, options):
        assert decoder.decode(part, "192.168.1.1") == ([], [])
    rows, _ = decoder.decode(data, "192.168.1.1")
    assert [row["bytes_toserver"] for row in rows] == [7000, 9000]
    assert decoder.decode(template, "192.168.1.2") == ([], [])
    rows, _ = decoder.decode(data, "192.168.1.2")  # another router samples as it likes
    assert [row["bytes_toserver"] for row in rows] == [70, 90]
    assert decoder.decode(options_10(50), "192.168.1.1") == ([], [])
    rows, _ = decoder.decode(ipfix(), "192.168.1.1")
    assert (rows[0]["bytes_toserver"], rows[0]["bytes_toclient"]) == (25_000, 200_000)
    five = bytearray(version_5())
    five[22:24] = struct.pack("!H", 0x4000 | 10)
    rows, _ = decoder.decode(bytes(five), "192.168.1.1")
    assert rows[0]["bytes_toserver"] in (10_000, 90_000)


@pytest.mark.parametrize("rate", [0, 2**32 - 1])
def test_a_rate_that_cannot_be_is_none(rate: int) -> None:
    decoder = Decoder()
    decoder.decode(options_9(rate), "192.168.1.1")
    assert decoder.templates.sampling == {}


def test_templates_and_sampling_survive_a_restart(memory_store: Store) -> None:
    template, data = version_9()
    domain = struct.unpack_from("!I", template, 16)[0]
    options = options_9(100)[:16] + struct.pack("!I", domain) + options_9(100)[20:]
    first = NetflowCollector("127.0.0.1", 0)
    drain(memory_store, first)
    port = first.listener.port
    send(port, template, options)
    deadline = time.monotonic() + 60
    while first.listener.held < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    drain(memory_store, first)
    first.close()
    again = NetflowCollector("127.0.0.1", 0)
    again._where = first._where  # a port of one's own choosing stays the same
    drain(memory_store, again)
    send(again.listener.port, data)
    rows = read_until(memory_store, again, "flow", 2)
    again.close()
    assert [row["bytes_toserver"] or row["bytes_toclient"] for row in rows] == [7000, 9000]


def test_a_damaged_bookmark_costs_the_templates_only() -> None:
    for state in (None, {"templates": [["x"]]}, {"templates": "no"}, {"sampling": [[1]]}, "?"):
        decoder = Decoder()
        decoder.templates.restore(state)
        assert decoder.templates.known == {}


def test_a_full_queue_drops_and_health_says_so(memory_store: Store) -> None:
    collector = NetflowCollector("127.0.0.1", 0)
    collector.listener._limit = 3
    drain(memory_store, collector)
    send(collector.listener.port, *[version_5()] * 10)
    deadline = time.monotonic() + 60
    while collector.listener._dropped < 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    collector.close()
    assert drain(memory_store, collector).events > 0
    said = health(memory_store, running=True)
    assert [(one.state, "7 events were lost lately" in one.text) for one in said.reasons] == [
        ("amber", True)
    ]


def test_the_queue_is_limited_in_bytes_too() -> None:
    listener = Listener("127.0.0.1", 0, queue_bytes=1000)
    for _ in range(5):
        listener._take_in("192.168.1.1", b"x" * 300)
    assert (listener.held, listener.lost()) == (3, (2, 0))
    listener._take_in("192.168.1.1", b"x" * 100)  # a small one has room still
    assert [len(data) for _, _, data in listener.take()] == [300, 300, 300, 100]
    for _ in range(5):  # what was taken makes room
        listener._take_in("192.168.1.1", b"x" * 300)
    assert (listener.held, listener.lost()) == (3, (2, 0))


def test_what_the_kernel_drops_is_counted_too() -> None:
    """A reader that gets no time: the kernel's buffer fills, and its count is taken over."""
    listener = Listener("127.0.0.1", 0)
    held = threading.Event()
    entered = threading.Event()

    def slow(_address: str) -> bool:
        entered.set()
        held.wait(60)
        return True

    listener._allowed = slow
    listener.start()
    big = b"x" * 60_000
    send(listener.port, big)
    entered.wait(60)
    send(listener.port, *[big] * 400)  # 24 MB into a buffer of a few
    held.set()
    send(listener.port, b"end")
    deadline = time.monotonic() + 60
    while listener.held + listener._dropped < 402 and time.monotonic() < deadline:
        time.sleep(0.01)
        send(listener.port, b"more")
    dropped, refused = listener.lost()
    assert dropped > 0
    assert refused == 0
    listener.close()


def test_a_query_waits_for_its_answer_over_a_restart(
    memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "HOLD_S", 3600.0)
    monkeypatch.setattr(dnsmasq, "_MORE_LINES", timedelta(seconds=3599))
    then = time.strftime("%b %d %H:%M:%S", time.gmtime())
    first = SyslogCollector("127.0.0.1", 0, timezone="UTC")
    drain(memory_store, first)
    send(
        first.listener.port,
        f"<30>{then} gw dnsmasq[7]: 1 192.168.1.5/1 query[A] ads.example from 192.168.1.5".encode(),
    )
    deadline = time.monotonic() + 60
    while not first.listener.held and time.monotonic() < deadline:
        time.sleep(0.01)
    drain(memory_store, first)
    first.close()
    again = SyslogCollector("127.0.0.1", 0, timezone="UTC")
    again._where = first._where
    drain(memory_store, again)
    send(
        again.listener.port,
        f"<30>{then} gw dnsmasq[7]: 1 192.168.1.5/1 gravity blocked ads.example is ::".encode(),
    )
    (query,) = read_until(memory_store, again, "dns_log", 1)
    again.close()
    assert (query["rrname"], query["blocked"]) == ("ads.example", True)


def test_a_taken_port_is_said(netflow: NetflowCollector, memory_store: Store) -> None:
    drain(memory_store, netflow)
    other = NetflowCollector("127.0.0.1", netflow.listener.port)
    assert "cannot listen" in (drain(memory_store, other).error or "")


def test_a_sender_from_outside_is_not_read(memory_store: Store) -> None:
    collector = NetflowCollector("127.0.0.1", 0)
    collector.listener._allowed = lambda _address: False
    drain(memory_store, collector)
    send(collector.listener.port, version_5())
    deadline = time.monotonic() + 60
    while not collector.listener._refused and time.monotonic() < deadline:
        time.sleep(0.01)
    progress = drain(memory_store, collector)
    assert (progress.events, progress.rejected) == (0, 1)
    collector.close()


FILTERLOG = ("67,,,0,igb1,match,block,in,4,0x0,,64,12345,0,DF,6,tcp,60,192.168.1.5,203.0.113.9,"
             "50000,23,0,S,1234567,,64240,,mss")  # fmt: skip


@pytest.mark.parametrize(
    ("datagram", "line"),
    [
        (b"<134>Jun 15 10:00:00 fw filterlog[5]: a,b", "Jun 15 10:00:00 fw filterlog[5]: a,b"),
        (b'<134>1 2026-06-15T10:00:00Z fw filterlog 5 - [meta x="]\\""] a,b\n',
         "2026-06-15T10:00:00Z fw filterlog[5]: a,b"),
        (b"<4>1 2026-06-15T10:00:00Z gw kernel - - - IN= OUT=",
         "2026-06-15T10:00:00Z gw kernel: IN= OUT="),
        (b"\xff\x00", "\ufffd"),
    ],
)  # fmt: skip
def test_syslog_wrappings(datagram: bytes, line: str) -> None:
    assert unwrapped(datagram) == line


def test_a_firewall_and_a_resolver_send_lines(memory_store: Store) -> None:
    collector = SyslogCollector("127.0.0.1", 0, timezone="UTC")
    drain(memory_store, collector)
    then = time.strftime("%b %d %H:%M:%S", time.gmtime(time.time() - 3))
    send(
        collector.listener.port,
        f"<134>1 2026-06-15T10:00:00Z fw filterlog 5 - - {FILTERLOG}".encode(),
        f"<30>{then} gw dnsmasq[7]: query[A] ads.example from 192.168.1.5".encode(),
        f"<30>{then} gw dnsmasq[7]: gravity blocked ads.example is 0.0.0.0".encode(),
        b"<13>Jun 15 10:00:00 gw cron[9]: nothing to see",
    )
    (query,) = read_until(memory_store, collector, "dns_log", 1)
    assert (query["rrname"], query["blocked"]) == ("ads.example", True)
    (flow_row,) = read_until(memory_store, collector, "flow", 1)
    assert (flow_row["dest_port"], flow_row["reason"]) == (23, "firewall:block")
    with memory_store.read() as reader:
        assert reader.value("SELECT sum(count) FROM reject_count") is None
    collector.close()
