"""Sightings: frames that scapy writes are read back, from files and from an interface."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DUID_EN,
    DUID_LL,
    DHCP6_Advertise,
    DHCP6_Reply,
    DHCP6_Solicit,
    DHCP6OptClientFQDN,
    DHCP6OptClientId,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
)
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRSRV
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.netbios import NBNSHeader, NBNSRegistrationRequest
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgWriter, wrpcap

from guardian.collect import wire, wire_frames
from guardian.collect.captures import Frame
from guardian.collect.reader import drain
from guardian.collect.wire import PcapSightings, WireCollector
from guardian.errors import CollectorError
from guardian.ops.health import health

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.store import Store

MAC, OTHER = "02:00:00:aa:bb:cc", "02:00:00:00:00:01"
WIDE = "ff:ff:ff:ff:ff:ff"


def ether(payload: Packet, *, vlan: int | None = None) -> Packet:
    top = Ether(src=MAC, dst=WIDE)
    return top / Dot1Q(vlan=vlan) / payload if vlan else top / payload


def udp(sport: int, dport: int, payload: Packet | bytes) -> Packet:
    body = Raw(payload) if isinstance(payload, bytes) else payload
    return IP(src="192.168.1.5", dst="224.0.0.251") / UDP(sport=sport, dport=dport) / body


def mdns() -> Packet:
    txt = DNSRR(rrname="TV._googlecast._tcp.local", type="TXT", rclass=0x8001,
                rdata=[b"md=Best TV 9", b"fn=Living room"])  # fmt: skip
    srv = DNSRRSRV(rrname="TV._googlecast._tcp.local", target="best-tv.local", port=8009)
    host = DNSRR(rrname="best-tv.local", type="A", rclass=0x8001, rdata="192.168.1.5")
    return udp(5353, 5353, DNS(qr=1, aa=1, qd=[], an=[txt, srv, host]))


def dhcp() -> Packet:
    options = [("message-type", "request"), ("hostname", b"printer"), ("vendor_class_id", b"HP"),
               ("requested_addr", "192.168.1.77"), "end"]  # fmt: skip
    bootp = BOOTP(chaddr=bytes.fromhex(MAC.replace(":", "")), ciaddr="192.168.1.76")
    top = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    return top / bootp / DHCP(options=options)


SSDP = (b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nSERVER: Linux UPnP/1.0 Sonos/1\r\n"
        b"NT: upnp:rootdevice\r\nLOCATION: http://192.168.1.5:1400/x.xml\r\n\r\n")  # fmt: skip
RA = (IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=1800)
      / ICMPv6NDOptPrefixInfo(prefix="2001:db8::", prefixlen=64))  # fmt: skip
NA = (IPv6(src="fe80::5", dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt="fd00::5", R=0, S=0, O=1)
      / ICMPv6NDOptDstLLAddr(lladdr=OTHER))  # fmt: skip
_REGISTER = NBNSRegistrationRequest(
    QUESTION_NAME=b"DESKTOP", SUFFIX=0x4141, NB_ADDRESS="192.168.1.5"
)
NBNS = udp(137, 137, NBNSHeader(OPCODE=5, QDCOUNT=1, ARCOUNT=1) / _REGISTER)
DHCP6 = (IPv6(src="fe80::5", dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit()
         / DHCP6OptClientFQDN(fqdn="laptop"))  # fmt: skip
WHO_HAS = ARP(op=1, hwsrc=MAC, psrc="192.168.1.5", pdst="192.168.1.9")
QUIET = [ether(IP(dst="203.0.113.9") / TCP(dport=443)), ether(udp(5353, 5353, DNS(qd=DNSQR()))),
         ether(udp(40000, 53, DNS(qd=DNSQR())))]  # fmt: skip


def read(path: Path, store: Store) -> Any:
    return drain(store, PcapSightings(path))


def rows(store: Store, sql: str) -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows(sql)


@pytest.mark.parametrize("vlan", [None, 7])
@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (WHO_HAS, ("arp", MAC, "192.168.1.5", None, None, {})),
        (NA, ("ndp", OTHER, "fd00::5", None, None, {})),
        (RA, ("ndp", MAC, "fe80::1", None, None, {"router": True})),
        (mdns(), ("mdns", MAC, "192.168.1.5", "best-tv", "Best TV 9",
                  {"services": ["_googlecast._tcp.local"], "friendly_name": "Living room"})),
        (udp(1900, 1900, SSDP), ("ssdp", MAC, "192.168.1.5", None, None,
                  {"server": "Linux UPnP/1.0 Sonos/1", "location": "http://192.168.1.5:1400/x.xml"})),
        (dhcp(), ("dhcp", MAC, "192.168.1.76", "printer", None, {"vendor_class": "HP"})),
        (NBNS, ("nbns", MAC, "192.168.1.5", "DESKTOP", None, {})),
        (DHCP6, ("dhcpv6", MAC, "fe80::5", "laptop", None, {"type": "solicit"})),
    ],
    ids=["arp", "na", "ra", "mdns", "ssdp", "dhcp", "nbns", "dhcpv6"],
)  # fmt: skip
def test_a_frame_becomes_a_sighting(
    packet: Packet, expected: tuple[Any, ...], vlan: int | None, tmp_path: Path, memory_store: Store
) -> None:
    wrpcap(str(tmp_path / "x.pcap"), [ether(packet, vlan=vlan), *QUIET])
    assert read(tmp_path / "x.pcap", memory_store).error is None
    (row,) = rows(memory_store, "SELECT * FROM sighting")
    detail = json.loads(row["detail"]) if row["detail"] else {}
    found = (row["method"], row["mac"], row["ip"], row["name"], row["model"], detail)
    assert found == expected


def lease(message: type[Packet], duid: Packet, *given: tuple[str, int]) -> Packet:
    addresses = [DHCP6OptIAAddress(addr=ip, preflft=valid, validlft=valid) for ip, valid in given]
    top = IPv6(src="fe80::1", dst="fe80::5") / UDP(sport=547, dport=546)
    return top / message() / DHCP6OptClientId(duid=duid) / DHCP6OptIA_NA(ianaopts=addresses)


@pytest.mark.parametrize(
    ("card", "message", "given", "seen"),
    [
        (OTHER, DHCP6_Reply, [("2001:db8::17", 600)], {("2001:db8::17", OTHER)}),
        (OTHER, DHCP6_Reply, [("2001:db8::17", 600), ("fd00::17", 600)],
         {("2001:db8::17", OTHER), ("fd00::17", OTHER)}),
        (WIDE, DHCP6_Reply, [("2001:db8::17", 600)], {("2001:db8::17", MAC)}),
        (OTHER, DHCP6_Reply, [("2001:db8::17", 0)], set()),
        (OTHER, DHCP6_Advertise, [("2001:db8::17", 600)], set()),
        (OTHER, DHCP6_Reply, [], set()),
    ],
    ids=["one", "two", "by its identifier", "taken back", "only offered", "none"],
)  # fmt: skip
def test_an_address_that_dhcpv6_assigns(
    card: str,
    message: type[Packet],
    given: list[tuple[str, int]],
    seen: set[tuple[str, str]],
    tmp_path: Path,
    memory_store: Store,
) -> None:
    frame = Ether(src=MAC, dst=card) / lease(message, DUID_LL(lladdr=MAC), *given)
    wrpcap(str(tmp_path / "x.pcap"), [frame])
    assert read(tmp_path / "x.pcap", memory_store).error is None
    found = rows(memory_store, "SELECT ip, mac, detail FROM sighting WHERE method = 'dhcpv6'")
    assert {(row["ip"], row["mac"]) for row in found} == seen
    for row in found:
        detail = json.loads(row["detail"])
        assert detail["client_duid"] == "00030001" + MAC.replace(":", "")
        assert detail["valid_s"] == 600
    (kept,) = rows(memory_store, "SELECT raw FROM raw_event WHERE event_type = 'dhcpv6'")
    assert len(json.loads(kept["raw"])["dhcpv6"].get("assigned", [])) == len(seen)


def test_an_identifier_that_is_no_card_names_none(tmp_path: Path, memory_store: Store) -> None:
    frame = Ether(src=MAC, dst=WIDE) / lease(
        DHCP6_Reply, DUID_EN(enterprisenum=9, id=b"12345678"), ("fd00::17", 600)
    )
    wrpcap(str(tmp_path / "x.pcap"), [frame])
    read(tmp_path / "x.pcap", memory_store)
    assert rows(memory_store, "SELECT ip, mac FROM sighting") == [{"ip": "fd00::17", "mac": None}]


def test_arp_and_router_advertisements_are_kept_as_they_are(
    tmp_path: Path, memory_store: Store
) -> None:
    gratuitous = ARP(op=2, hwsrc=OTHER, psrc="192.168.1.1", hwdst=WIDE, pdst="192.168.1.1")
    wrpcap(str(tmp_path / "x.pcap"), [ether(WHO_HAS), ether(gratuitous), ether(RA)])
    read(tmp_path / "x.pcap", memory_store)
    found = rows(memory_store, "SELECT event_type, src_ip, dest_ip, raw FROM raw_event ORDER BY id")
    ask, claim, router = (json.loads(row["raw"])[row["event_type"]] for row in found)
    assert [row["event_type"] for row in found] == ["arp", "arp", "ndp"]
    assert (ask["opcode"], ask["dest_ip"], ask["gratuitous"]) == ("request", "192.168.1.9", False)
    assert ask["dest_mac"] is None
    assert (claim["opcode"], claim["src_mac"], claim["eth_src"], claim["gratuitous"]) == (
        "reply", OTHER, MAC, True
    )  # fmt: skip
    assert router["router_lifetime_s"] == 1800
    assert router["prefixes"] == ["2001:db8::/64"]


def test_every_container_gives_the_same(tmp_path: Path, memory_store: Store) -> None:
    packets = [ether(WHO_HAS), *QUIET, ether(mdns()), ether(NA)]
    for number, packet in enumerate(packets):
        packet.time = 1_700_000_000.25 + 100 * number
    wrpcap(str(tmp_path / "a.pcap"), packets)
    (tmp_path / "b.pcap.gz").write_bytes(gzip.compress((tmp_path / "a.pcap").read_bytes()))
    with PcapNgWriter(str(tmp_path / "c.pcapng")) as writer:
        for packet in packets:
            writer.write(packet)
    wrpcap(str(tmp_path / "d.pcap"), packets, nano=True, endianness=">")
    for name in ("a.pcap", "b.pcap.gz", "c.pcapng", "d.pcap"):
        assert read(tmp_path / name, memory_store).error is None
    sql = "SELECT * EXCLUDE (id, source_id) FROM sighting WHERE source_id = {} ORDER BY ts"
    first = rows(memory_store, sql.format(1))
    assert [row["method"] for row in first] == ["arp", "mdns", "ndp"]
    assert first[0]["ts"].isoformat() == "2023-11-14T22:13:20.250000"
    assert all(rows(memory_store, sql.format(number)) == first for number in (2, 3, 4))
    assert read(tmp_path / "a.pcap", memory_store).events == 0


def test_frames_beyond_the_limit_are_counted(tmp_path: Path, memory_store: Store) -> None:
    packets = [ether(ARP(psrc=f"10.0.0.{n}", hwsrc=MAC)) for n in range(1, 21)]
    wrpcap(str(tmp_path / "x.pcap"), packets)
    progress = drain(memory_store, PcapSightings(tmp_path / "x.pcap", max_frames=5))
    assert (progress.events, progress.rejected) == (10, 15)


def test_a_cut_capture_gives_what_is_whole_and_says_where(
    tmp_path: Path, memory_store: Store
) -> None:
    wrpcap(str(tmp_path / "x.pcap"), [ether(WHO_HAS), ether(mdns())])
    whole = (tmp_path / "x.pcap").read_bytes()
    (tmp_path / "x.pcap").write_bytes(whole[:-7])
    progress = read(tmp_path / "x.pcap", memory_store)
    assert progress.events == 2  # the sighting and the ARP frame itself
    assert "byte" in (progress.error or "")
    (tmp_path / "x.pcap").write_bytes(b"not a capture at all, but long enough to be one")
    with pytest.raises(CollectorError, match="neither"):
        list(PcapSightings(tmp_path / "x.pcap").batches(None))


def test_captures_of_the_corpus_are_read(corpus: Path) -> None:
    total = 0
    for path in sorted((corpus / "pcap").rglob("*.pcap*")):
        try:
            total += sum(batch.events for batch in PcapSightings(path).batches(None))
        except CollectorError as error:
            assert "byte" in str(error), path  # noqa: PT017
    assert total > 1000


LEASE6 = lease(DHCP6_Reply, DUID_LL(lladdr=MAC), ("2001:db8::17", 600), ("fd00::17", 600))
KINDS = (WHO_HAS, NA, RA, mdns(), dhcp(), NBNS, DHCP6, LEASE6, udp(1900, 1900, SSDP))
SOME = [bytes(ether(packet)) for packet in KINDS]


@settings(max_examples=400, deadline=None)
@example(  # an ICMPv6 type that is none of neighbour discovery's
    frame=bytes.fromhex("ffffffffffff020000aabbcc86dd60000000000100ff") + bytes(33),
    cut=55,
    at=20,
    change=b":",
)
@given(
    frame=st.sampled_from(SOME),
    cut=st.integers(0, 400),
    at=st.integers(0, 399),
    change=st.binary(max_size=8),
)
def test_no_frame_crashes_the_reader(frame: bytes, cut: int, at: int, change: bytes) -> None:
    damaged = (frame[:at] + change + frame[at + len(change) :])[:cut]
    for link in (1, 113, 276, 101, 228, 147):
        wire_frames.wanted(link, damaged, 0, len(damaged))
        wire_frames.read(link, damaged)


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=300), ng=st.booleans())
def test_no_bytes_crash_the_walk(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, ng: bool
) -> None:
    path = tmp_path_factory.mktemp("walk") / "x.pcap"
    head = (
        b"\x0a\x0d\x0d\x0a"
        if ng
        else bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    )
    path.write_bytes(head + junk)
    try:
        list(PcapSightings(path).batches(None))
    except CollectorError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    """Two ends of a virtual cable, without addresses."""
    ends = (f"gw{os.getpid()}a"[-15:], f"gw{os.getpid()}b"[-15:])
    add = ["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]]
    if subprocess.run(add, check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no virtual cable")
    for end in ends:
        subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1"], check=False)
        subprocess.run(["ip", "link", "set", end, "up"], check=True)
    yield ends
    subprocess.run(["ip", "link", "del", ends[0]], check=False)


@pytest.mark.root
def test_a_live_interface(cable: tuple[str, str], memory_store: Store) -> None:
    here, there = cable
    collector = WireCollector(here, queue_frames=4)
    try:
        drain(memory_store, collector)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((there, 0))
            for packet in (*QUIET, ether(WHO_HAS), ether(mdns())):
                sender.send(bytes(packet))
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and len(rows(memory_store, "FROM sighting")) < 2:
                time.sleep(0.1)
                drain(memory_store, collector)
            methods = [row["method"] for row in rows(memory_store, "FROM sighting ORDER BY id")]
            assert methods == ["arp", "mdns"]
            before = collector._dropped
            for _ in range(10):
                sender.send(bytes(ether(WHO_HAS)))
            deadline = time.monotonic() + 60
            while collector._dropped - before < 6 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert drain(memory_store, collector).rejected == 0
            with memory_store.read() as reader:
                lost = reader.value("SELECT dropped FROM source")
            assert lost >= 6  # the kernel may have had frames of its own on a busy machine
            said = health(memory_store, running=True)
            assert said.state == "amber"
            assert f"wire:{here}: {lost} events were lost lately" in said.reasons[0].text
    finally:
        collector.close()


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> WireCollector:
    """A collector that hears only what a test puts into its queue."""
    monkeypatch.setattr(WireCollector, "start", lambda _: None)
    return WireCollector("none0")


def hear(collector: WireCollector, seconds: float, packet: Packet) -> None:
    collector._queue.append(Frame(1_795_000_000.0 + seconds, wire_frames.ETHERNET, bytes(packet)))


def test_a_live_device_that_says_the_same_is_one_sighting_a_minute(deaf: WireCollector) -> None:
    seen: list[tuple[int, str]] = []
    raws = 0
    for second in range(150):  # each second a poll
        hear(deaf, second, ether(WHO_HAS))
        hear(deaf, second, ether(mdns()))
        for batch in deaf.batches(None):
            raws += batch.tables["raw_event"].num_rows
            if "sighting" in batch.tables:
                seen += [(second, how) for how in batch.tables["sighting"]["method"].to_pylist()]
    assert seen == [(at, how) for at in (0, 60, 120) for how in ("arp", "mdns")]
    assert raws == 150  # for spoofing, as they are
    assert len(deaf._said) == 2


def test_what_was_said_is_forgotten_within_bounds(
    deaf: WireCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_SAID", 5)
    for number in range(20):
        hear(deaf, 0.0, ether(ARP(hwsrc=f"02:00:00:00:01:{number:02x}", psrc=f"10.0.0.{number}")))
    list(deaf.batches(None))
    assert len(deaf._said) == 5
    hear(deaf, 100.0, ether(WHO_HAS))
    list(deaf.batches(None))
    assert len(deaf._said) == 1
    hear(deaf, -1000.0, ether(WHO_HAS))  # a clock that was put back
    (batch,) = deaf.batches(None)
    assert batch.tables["sighting"].num_rows == 1


def test_what_could_not_be_stored_is_news_again(deaf: WireCollector) -> None:
    for _ in range(2):
        hear(deaf, 0.0, ether(WHO_HAS))
        (batch,) = deaf.batches(None)
        assert batch.tables["sighting"].num_rows == 1
        deaf.not_stored(batch.events)
    hear(deaf, 1.0, ether(mdns()))
    list(deaf.batches(None))
    hear(deaf, 2.0, ether(mdns()))
    assert list(deaf.batches(None)) == []  # nothing new: nothing to commit


@pytest.mark.root
def test_an_absent_interface(memory_store: Store) -> None:
    error = drain(memory_store, WireCollector("nosuch0")).error
    assert "nosuch0" in (error or "")
