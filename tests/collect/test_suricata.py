from __future__ import annotations

import gzip
import shutil
import struct
from typing import TYPE_CHECKING

import pytest

from guardian.collect import link_types
from guardian.collect.capture import read_capture
from guardian.collect.kinds import detect_kind
from guardian.collect.settings import Settings
from guardian.collect.suricata import make_eve
from guardian.errors import UnknownFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

pytestmark = pytest.mark.skipif(shutil.which("suricata") is None, reason="Suricata is not here")


def count(store: Store, table: str) -> int:
    with store.read() as reader:
        return int(reader.value(f"SELECT count(*) FROM {table}"))


def test_a_capture_without_a_packet_is_no_error(memory_store: Store, corpus: Path) -> None:
    progress = read_capture(memory_store, corpus / "pcap/format/empty.pcap", Settings())
    assert progress.error is None
    assert count(memory_store, "flow") == 0


@pytest.mark.parametrize("name", ["nflog-http.pcap", "multi-interface-merged.pcapng"])
def test_link_types_that_suricata_refuses_are_rewritten(
    memory_store: Store, corpus: Path, name: str
) -> None:
    capture = corpus / "pcap/format" / name
    assert link_types.needs_rewriting(capture)
    progress = read_capture(memory_store, capture, Settings())
    assert progress.error is None
    with memory_store.read() as reader:
        assert reader.rows("SELECT hostname, ts::DATE::VARCHAR AS day FROM http") == [
            {"hostname": "www.example.net", "day": "2016-08-07"}
        ]


@pytest.mark.parametrize(("order", "kept"), [("<", 40), (">", 40), ("<", 60)])
def test_packets_cut_too_short_are_told_in_one_line(
    memory_store: Store, tmp_path: Path, order: str, kept: int
) -> None:
    ether = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00"
    segment = struct.pack(">HHIIBBHHH", 40000, 80, 1, 0, 0x50, 2, 1024, 0, 0) + bytes(60)
    packet = ether + _ipv4(segment)
    path = tmp_path / "cut.pcap"
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, kept, 1)
    record = struct.pack(f"{order}IIII", 1_700_000_000, 0, kept, len(packet)) + packet[:kept]
    path.write_bytes(head + record * 5)
    said = read_capture(memory_store, path, Settings()).error
    if kept == 40:
        assert said is not None
        assert "cut to 40 bytes" in said
        assert "\n" not in said
    else:
        assert said is None


def test_short_packets_that_are_whole_were_not_cut(memory_store: Store, tmp_path: Path) -> None:
    arp = (
        b"\xff" * 6
        + b"\x02\x00\x00\x00\x00\x01\x08\x06"
        + bytes.fromhex("0001080006040001020000000001c0a80114000000000000c0a80101")
    )
    assert (
        read_capture(memory_store, _capture(tmp_path / "a.pcap", 1, [arp] * 3), Settings()).error
        is None
    )


def _ipv4(segment: bytes) -> bytes:
    length = 20 + len(segment)
    source, target = bytes((192, 168, 1, 20)), bytes((198, 51, 100, 9))
    return struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0, 64, 6, 0) + source + target + segment


def _capture(path: Path, link_type: int, frames: list[bytes]) -> Path:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    packets = [
        struct.pack("<IIII", 1_700_000_000 + at, 0, len(each), len(each)) + each
        for at, each in enumerate(frames)
    ]
    path.write_bytes(head + b"".join(packets))
    return path


def _wifi(packet: bytes, *, flags: int = 1, kind: int = 0x08) -> bytes:
    """A data frame of station ...05 to machine ...09 over access point ...01, by its DS flags."""
    station, point, other = (bytes((2, 0, 0, 0, 0, n)) for n in (5, 1, 9))
    order = {
        0: (other, station, point),
        1: (point, station, other),
        2: (other, point, station),
        3: (point, point, other),
    }
    head = bytes((kind, flags, 0, 0)) + b"".join(order[flags & 3]) + bytes(2)
    return (
        head
        + (station if flags & 3 == 3 else b"")
        + (bytes(2) if kind & 0x80 else b"")
        + b"\xaa\xaa\x03\x00\x00\x00\x08\x00"
        + packet
    )


IP_PACKET = (
    b"\x45\x00\x00\x1c"
    + bytes(5)
    + b"\x11"
    + bytes(2)
    + bytes((192, 168, 1, 5, 192, 168, 1, 9))
    + b"\x10\x00\x20\x00\x00\x08\x00\x00"
)
ETHERNET_FRAME = bytes((2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 5, 8, 0)) + IP_PACKET


@pytest.mark.parametrize(
    ("link_type", "frame", "wanted"),
    [
        *((105, _wifi(IP_PACKET, flags=flags), ETHERNET_FRAME) for flags in range(4)),
        (105, _wifi(IP_PACKET, kind=0x88), ETHERNET_FRAME),
        (127, b"\x00\x00\x08\x00" + bytes(4) + _wifi(IP_PACKET), ETHERNET_FRAME),
        (51, b"\x11\x00\x00\x05\x00\x1e\x00\x21" + IP_PACKET, bytes(12) + b"\x08\x00" + IP_PACKET),
        (108, b"\x00\x00\x00\x02" + IP_PACKET, bytes(12) + b"\x08\x00" + IP_PACKET),
        (105, _wifi(IP_PACKET, flags=0x41), None),  # encrypted
        (105, _wifi(IP_PACKET, kind=0x80), None),  # a beacon of the access point
        (105, b"\x08\x01", None),
    ],
)
def test_ip_is_found_behind_other_headers(
    tmp_path: Path, link_type: int, frame: bytes, wanted: bytes | None
) -> None:
    capture = _capture(tmp_path / "a.pcap", link_type, [frame])
    target = tmp_path / "b.pcap"
    assert link_types.needs_rewriting(capture)
    assert link_types.rewrite(capture, target) == (wanted is not None)
    assert target.read_bytes()[40:] == (wanted or b"")


def test_a_capture_without_ip_says_so(memory_store: Store, tmp_path: Path) -> None:
    capture = _capture(tmp_path / "a.pcap", 201, [bytes(20)])
    progress = read_capture(memory_store, capture, Settings())
    assert progress.error is not None
    assert "link type 201, and no packet of it shows IP" in progress.error


@pytest.mark.parametrize(
    ("head", "remedy"),
    [(b"PK\x03\x04", "unpack it"), (b"BZh91AY", "bunzip2"), (b"snoop\0\0\0", "editcap")],
)
def test_what_is_not_read_is_told_with_a_remedy(tmp_path: Path, head: bytes, remedy: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(head + bytes(50))
    with pytest.raises(UnknownFormatError, match=remedy):
        detect_kind(path)


def test_a_cut_capture_gives_what_is_readable_and_says_so(
    memory_store: Store, corpus: Path
) -> None:
    capture = corpus / "pcap/corrupt/cut-mid-packet-netflix.pcap"
    progress = read_capture(memory_store, capture, Settings())
    assert progress.error is not None
    assert "truncated" in progress.error
    assert progress.events > 10


def test_a_packed_capture_is_the_same_capture(corpus: Path, tmp_path: Path) -> None:
    capture = corpus / "pcap/format/twovlan.pcap"
    packed = tmp_path / "twovlan.pcap.gz"
    packed.write_bytes(gzip.compress(capture.read_bytes()))
    eves = [
        make_eve(path, tmp_path / str(at), Settings()) for at, path in enumerate((capture, packed))
    ]
    flows = [eve.read_bytes().count(b'"event_type":"flow"') for eve in eves]
    assert flows[0] == flows[1] > 0
