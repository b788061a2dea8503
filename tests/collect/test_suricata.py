from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

import pytest

from guardian.collect import link_types
from guardian.collect.capture import read_capture
from guardian.collect.settings import Settings
from guardian.collect.suricata import make_eve

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
