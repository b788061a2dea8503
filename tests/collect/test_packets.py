"""Cutting conversations out of captures, keeping a rolling buffer, and showing packets decoded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import rdpcap, wrpcap

from guardian.collect import dissect, packet_buffer, packets, suricata_config
from guardian.collect.settings import Settings
from guardian.model.conversation import Conversation

T0 = 1_700_000_000.0
LAPTOP, SERVER, OTHER = "192.168.1.20", "203.0.113.9", "198.51.100.7"
MAC, ROUTER = "02:00:00:00:00:20", "02:00:00:00:00:01"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(T0 + seconds, UTC).replace(tzinfo=None)


def _conversation(
    a: str = LAPTOP,
    b: str | None = SERVER,
    port: int | None = 443,
    since: float = 0,
    until: float = 100,
) -> Conversation:
    return Conversation(a=a, b=b, port=port, since=_moment(since), until=_moment(until))


def _frame(at: float, *layers: Packet) -> Packet:
    frame = Ether(src=MAC, dst=ROUTER)
    for layer in layers:
        frame /= layer
    frame.time = T0 + at
    return frame


def _capture(path: Path, *frames: Packet) -> Path:
    wrpcap(str(path), list(frames))
    return path


def _cut(tmp_path: Path, capture: Path, *wanted: Conversation, **limits: int) -> packets.Cut:
    most = {"max_packets": 1000, "max_bytes": 1 << 20} | limits
    return packets.cut([capture], wanted, tmp_path / "cut.pcap", **most)


def _times(tmp_path: Path) -> list[float]:
    return [round(float(each.time) - T0, 3) for each in rdpcap(str(tmp_path / "cut.pcap"))]


def test_both_directions_of_one_conversation_and_nothing_else(tmp_path: Path) -> None:
    capture = _capture(
        tmp_path / "a.pcap",
        _frame(1, IP(src=LAPTOP, dst=SERVER), TCP(sport=50000, dport=443)),
        _frame(2, IP(src=SERVER, dst=LAPTOP), TCP(sport=443, dport=50000)),
        _frame(3, IP(src=LAPTOP, dst=OTHER), TCP(sport=50000, dport=443)),
        _frame(4, IP(src=LAPTOP, dst=SERVER), TCP(sport=50001, dport=80)),
        _frame(5, IP(src="192.168.1.21", dst=SERVER), TCP(sport=50000, dport=443)),
        _frame(200, IP(src=LAPTOP, dst=SERVER), TCP(sport=50000, dport=443)),
    )
    got = _cut(tmp_path, capture, _conversation())
    assert (got.packets, got.truncated, got.problems) == (2, False, ())
    assert _times(tmp_path) == [1, 2]


def test_ipv6_vlan_any_port_any_peer_and_arp(tmp_path: Path) -> None:
    six = "2001:db8::20"
    capture = _capture(
        tmp_path / "a.pcap",
        _frame(1, IPv6(src=six, dst="2001:db8::9"), UDP(sport=4000, dport=443)),
        _frame(2, Dot1Q(vlan=30), IP(src=LAPTOP, dst=SERVER), UDP(sport=9, dport=10)),
        _frame(3, IP(src=LAPTOP, dst="192.168.1.2"), UDP(sport=5353, dport=53), DNS(qd=DNSQR())),
        _frame(4, ARP(op=2, hwsrc=MAC, psrc=LAPTOP)),
        _frame(5, IP(src=LAPTOP, dst=OTHER), TCP(sport=1, dport=2)),
    )
    wanted = (
        _conversation(a=six, b="2001:db8::9"),
        _conversation(port=None),
        _conversation(b=None, port=53),
        _conversation(a=MAC, b=None, port=None),
    )
    assert _cut(tmp_path, capture, *wanted).packets == 4
    assert _times(tmp_path) == [1, 2, 3, 4]


def test_limits_end_the_cut_and_are_said(tmp_path: Path) -> None:
    frames = [
        _frame(at, IP(src=LAPTOP, dst=SERVER), TCP(sport=5, dport=443), Raw(b"x" * 900))
        for at in range(50)
    ]
    capture = _capture(tmp_path / "a.pcap", *frames)
    got = _cut(tmp_path, capture, _conversation(), max_packets=7)
    assert (got.packets, got.truncated) == (7, True)
    got = _cut(tmp_path, capture, _conversation(), max_bytes=5000)
    assert got.truncated
    assert 0 < got.bytes <= 5000


def test_a_damaged_capture_gives_what_came_before(tmp_path: Path) -> None:
    capture = _capture(
        tmp_path / "a.pcap",
        *(_frame(at, IP(src=LAPTOP, dst=SERVER), TCP(sport=5, dport=443)) for at in range(5)),
    )
    capture.write_bytes(capture.read_bytes()[:-10])
    got = _cut(tmp_path, capture, _conversation())
    assert got.packets == 4
    assert "ends within a record" in got.problems[0]


@given(data=st.binary(max_size=400), link=st.sampled_from([1, 101, 113, 276, 147]))
def test_no_frame_breaks_the_choice(data: bytes, link: int) -> None:
    choice = packets._choice([_conversation(), _conversation(a=MAC, b=None, port=None)])
    choice.wanted(link, data, 0, len(data))
    assert choice.holds(link, data, T0) in (True, False)


def test_a_scan_of_many_ports_is_cut_whole(tmp_path: Path) -> None:
    capture = _capture(
        tmp_path / "a.pcap",
        *(_frame(1, IP(src=LAPTOP, dst=SERVER), TCP(sport=5, dport=p)) for p in range(1, 60)),
    )
    wanted = [_conversation(port=port) for port in range(1, 41)]
    assert _cut(tmp_path, capture, *wanted).packets == 59


def test_suricata_keeps_packets_within_the_budget(tmp_path: Path) -> None:
    if shutil.which("suricata") is None:
        pytest.skip("needs Suricata")
    frames = [
        _frame(
            at / 10,
            IP(src=LAPTOP, dst=SERVER),
            UDP(sport=4000 + at % 50, dport=443),
            Raw(b"x" * 1400),
        )
        for at in range(2000)
    ]
    capture = _capture(tmp_path / "a.pcap", *frames)
    folder = tmp_path / "sensor"
    folder.mkdir()
    program = suricata_config.find()
    configuration = suricata_config.write(
        folder, program, Settings(), packets=packet_buffer.configuration(folder, 16)
    )
    subprocess.run(
        [program.path, "-c", configuration, "-r", capture, "-l", folder, "-k", "none"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    files = packet_buffer.between(folder, _moment(-5), _moment(500) + timedelta(days=9000))
    assert len(files) == 1
    got = packets.cut(
        files,
        [_conversation(until=500)],
        tmp_path / "cut.pcap",
        max_packets=9999,
        max_bytes=1 << 30,
    )
    assert got.packets == 2000
    assert packet_buffer.configuration(folder, 0) == ""


def test_the_oldest_files_go_and_only_those_of_the_time_are_read(tmp_path: Path) -> None:
    packet_buffer.configuration(tmp_path, 16)
    folder = tmp_path / packet_buffer.FOLDER
    for number in range(6):
        begun = int(T0) + 1000 * number
        file = folder / f"{packet_buffer.NAME}.{begun}"
        file.write_bytes(bytes(1 << 20))
        os.utime(file, (begun + 999, begun + 999))
    found = packet_buffer.between(tmp_path, _moment(1500), _moment(2500))
    assert [path.suffix for path in found] == [f".{int(T0) + 1000 * each}" for each in (1, 2)]
    assert packet_buffer.prune(tmp_path, 4) == 2 << 20
    assert packet_buffer.size_bytes(tmp_path) == 4 << 20
    assert packet_buffer.prune(tmp_path, 0) == 4 << 20
    assert not packet_buffer.between(tmp_path, _moment(0), _moment(1000))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_packets_are_shown_decoded(tmp_path: Path) -> None:
    capture = _capture(
        tmp_path / "a.pcap",
        _frame(
            1,
            IP(src=LAPTOP, dst="192.168.1.2"),
            UDP(sport=4000, dport=53),
            DNS(rd=1, qd=DNSQR(qname="evil.example")),
        ),
        _frame(2, IP(src=LAPTOP, dst=SERVER), TCP(sport=5, dport=443)),
    )
    rows = dissect.packets(capture)
    assert [row["protocol"] for row in rows] == ["DNS", "TCP"]
    assert "evil.example" in rows[0]["info"]
    layers = dissect.layers(capture, 1)
    assert [each["layer"] for each in layers] == ["eth", "ip", "udp", "dns"]
    assert any("evil.example" in line for line in layers[3]["fields"])


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
@settings(max_examples=8, deadline=None)
@given(junk=st.binary(min_size=1, max_size=300))
def test_junk_is_an_empty_list_or_a_clear_error(junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "junk.pcap"
        target.write_bytes(packets._head(1) + junk)
        assert isinstance(dissect.packets(target), list)


def test_the_worker_is_confined() -> None:
    code = (
        "import os, resource\n"
        "from guardian.collect import dissect_worker as w\n"
        "w.confine()\n"
        "assert os.geteuid() != 0\n"
        "print(resource.getrlimit(resource.RLIMIT_AS)[0] == w.MEMORY_BYTES,"
        " resource.getrlimit(resource.RLIMIT_FSIZE)[0] == w.FILE_BYTES)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
