"""An incident's packets, from a replayed capture to the page and the command line."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from scapy.layers.inet import IP
from scapy.utils import rdpcap

from guardian import resources
from guardian.app.packets import NOTHING, PRESERVE_AGAIN, Packets
from guardian.app.replay import replay
from guardian.cli import main
from guardian.config import Config
from guardian.errors import InputError
from guardian.store import Store
from web.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("suricata") is None or shutil.which("tshark") is None,
    reason="needs Suricata and tshark",
)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Config, Path]]:
    folder = tmp_path_factory.mktemp("evening")
    capture = folder / "evening.pcap"
    capture.write_bytes(gzip.decompress(resources.path("pcaps/evening.pcap.gz").read_bytes()))
    config = Config(data=folder / "data")
    store = Store.open(config.data)
    replay(store, config, [capture])
    yield store, config, capture
    store.close()


def _beacon(store: Store) -> tuple[int, str]:
    with store.read() as reader:
        row = reader.one(
            "SELECT incident_id, src_ip FROM finding "
            "WHERE class = 'c2_beacon' AND level <> 'informational'"
        )
    assert row is not None
    return row["incident_id"], row["src_ip"]


def test_a_replayed_story_gives_its_own_packets(evening: tuple[Store, Config, Path]) -> None:
    store, config, _ = evening
    incident, device = _beacon(store)
    found = Packets(store, config).of(incident)
    frames = rdpcap(str(found.path))
    assert found.packets == len(frames) > 100
    assert all(device in (frame[IP].src, frame[IP].dst) for frame in frames if IP in frame)
    again = Packets(store, config).of(incident)
    assert again == found


def test_what_is_grave_and_fresh_is_cut_out_unasked(
    evening: tuple[Store, Config, Path], tmp_path: Path
) -> None:
    store, _, _ = evening
    config = Config(data=tmp_path / "daemon")
    with store.read() as reader:
        last = reader.value("SELECT max(last_seen) FROM incident")
    packets = Packets(store, config)
    assert packets.preserve(last + timedelta(days=2)) == 0
    assert packets.preserve(last) >= 1
    incident, _ = _beacon(store)
    assert list((config.data / "evidence").glob(f"incident-{incident}-*.pcap"))
    assert packets.preserve(last) == 0
    assert packets.preserve(last + PRESERVE_AGAIN) >= 1, "a story may go on"


def test_a_number_given_again_has_not_the_packets_of_the_story_before(
    evening: tuple[Store, Config, Path],
) -> None:
    store, config, _ = evening
    incident, _ = _beacon(store)
    before = Packets(store, config).of(incident)
    with store.read() as reader:
        key = reader.value("SELECT key FROM incident WHERE id = ?", [incident])
    with store.transaction() as tx:
        tx.execute("UPDATE incident SET key = 'another' WHERE id = ?", [incident])
    assert Packets(store, config).of(incident).path != before.path
    with store.transaction() as tx:
        tx.execute("UPDATE incident SET key = ? WHERE id = ?", [key, incident])
    assert Packets(store, config).of(incident) == before


def test_packets_that_come_after_an_empty_cut_stay(
    evening: tuple[Store, Config, Path], tmp_path: Path
) -> None:
    store, _, capture = evening
    incident, _ = _beacon(store)
    packets = Packets(store, Config(data=tmp_path / "elsewhere"))
    aside = capture.with_name("aside")
    capture.rename(aside)
    assert packets.of(incident).packets == 0
    aside.rename(capture)
    found = packets.of(incident)
    assert found.packets > 100
    assert found.path.exists()


def test_a_copy_is_written_once(evening: tuple[Store, Config, Path], tmp_path: Path) -> None:
    store, config, _ = evening
    incident, _ = _beacon(store)
    target = tmp_path / "out.pcap"
    Packets(store, config).copy(incident, target)
    assert len(rdpcap(str(target))) > 100
    with pytest.raises(InputError, match="exists"):
        Packets(store, config).copy(incident, target)
    with pytest.raises(InputError, match="no incident"):
        Packets(store, config).of(99_999)


def test_the_page_lists_decodes_and_hands_out(evening: tuple[Store, Config, Path]) -> None:
    store, config, _ = evening
    incident, _ = _beacon(store)
    with (
        serving(store, packet_source=Packets(store, config)) as running,
        httpx.Client(base_url=running.url, timeout=60) as page,
    ):
        listed = page.get(f"/incidents/{incident}/packets")
        assert listed.status_code == 200
        assert "TCP" in listed.text
        assert "Source Port" in page.get(f"/incidents/{incident}/packets/1").text
        assert page.get(f"/incidents/{incident}/packets/999999").status_code == 404
        assert page.get("/incidents/99999/packets").status_code == 404
        pcap = page.get(f"/incidents/{incident}/packets.pcap")
    assert pcap.content[:4] == b"\xd4\xc3\xb2\xa1"
    assert "attachment" in pcap.headers["content-disposition"]


def test_a_capture_that_is_not_the_same_any_more_is_not_used(
    evening: tuple[Store, Config, Path], tmp_path: Path
) -> None:
    store, _, capture = evening
    incident, _ = _beacon(store)
    other = Config(data=tmp_path / "elsewhere")
    whole = capture.read_bytes()
    capture.write_bytes(whole[:-1000])
    try:
        shown = Packets(store, other).listed(incident)
    finally:
        capture.write_bytes(whole)
    assert shown["packets"] == 0
    assert shown["note"] == NOTHING


def test_the_command_line(
    evening: tuple[Store, Config, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, config, _ = evening
    incident, _ = _beacon(store)
    store.close()
    data = ["--data", str(config.data)]
    assert main(["evidence", str(incident), "--format", "json", *data]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["rows"]) > 50
    assert main(["evidence", str(incident), "--packet", "1", *data]) == 0
    assert "eth" in capsys.readouterr().out
    target = tmp_path / "cut.pcap"
    assert main(["evidence", str(incident), "--out", str(target), *data]) == 0
    assert target.stat().st_size > 1000
    assert main(["evidence", "4242", *data]) == 3
