"""Every scene with known truth gives exactly its classes, and each double gives none."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from guardian import config, detect, resources
from guardian.app.replay import replay
from guardian.detect.rules import load_rules
from guardian.intel import fingerprints
from guardian.lab import frames, surveillance
from guardian.lab.scene_rows import Scene
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

DOC = Path(__file__).parents[2] / "docs" / "surveillance.md"


def test_scenes_as_rows() -> None:
    result = surveillance.run(seeds=[11])
    assert result["wrong"] == []
    assert result["errors"] == 0


@pytest.mark.skipif(shutil.which("suricata") is None, reason="needs Suricata")
def test_scenes_as_captures(tmp_path: Path) -> None:
    """The scenes as one capture, through Suricata and Guardian, give the documented table."""
    settings = config.Config(data=tmp_path, detect=surveillance.only_surveillance())

    def play(path: Path, store: Store) -> None:
        assert [each.error for each in replay(store, settings, [path]).inputs] == [None]

    result = surveillance.captures(play, seeds=[0])
    assert result["wrong"] == []
    assert result["errors"] == 0
    line = r"^\| `?([\w. ]+?)`? \| (\d+ \| \d+ \| \d+ \| \d+) \|$"
    told = dict(re.findall(line, DOC.read_text(), re.MULTILINE))
    for name, row in result["table"].items():
        three_seeds = " | ".join(
            str(3 * row[key]) for key in ("shown", "detected", "not_shown", "falsely")
        )
        assert told.get(name) == three_seeds, name


def test_the_same_seed_gives_the_same_capture(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "x.pcap", tmp_path / "b" / "x.pcap"
    few = surveillance.SCENES[9:12]
    for path in (one, other):
        surveillance.write(path, 5, scenes=few)
    assert one.read_bytes() == other.read_bytes()


ADDRESS = st.tuples(*[st.integers(1, 254)] * 4).map(lambda four: ".".join(map(str, four)))


@given(
    src=ADDRESS, dest=ADDRESS, sport=st.integers(1, 65535), dport=st.integers(1, 65535),
    flags=st.sampled_from(["S", "SA", "A", "PA", "FA", "R"]), seq=st.integers(0, 2**32 - 1),
    data=st.binary(max_size=80), ident=st.integers(0, 65535),
)  # fmt: skip
def test_frames_are_those_of_scapy(
    src: str, dest: str, sport: int, dport: int, flags: str, seq: int, data: bytes, ident: int
) -> None:
    macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
    ends = frames.Ends(
        src_mac=macs[0], dest_mac=macs[1], src=src, dest=dest, sport=sport, dport=dport
    )
    head = Ether(src=macs[0], dst=macs[1]) / IP(src=src, dst=dest, id=ident, flags="DF", ttl=64)
    options: Sequence[Any] = (
        [("MSS", 1460), ("NOP", None), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]
        if "S" in flags
        else []
    )
    ack = 7 if "A" in flags else 0
    segment = TCP(
        sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=64240, options=options
    )
    mine = frames.tcp(ends, flags, seq=seq, ack=ack, data=data, ident=ident)
    theirs = bytes(head / segment / Raw(data))
    assert Ether(mine)[IP].chksum == Ether(theirs)[IP].chksum
    assert Ether(mine)[TCP].payload == Ether(theirs)[TCP].payload
    checked = Ether(mine)
    was = checked[TCP].chksum
    del checked[TCP].chksum
    assert Ether(bytes(checked))[TCP].chksum == was
    datagram = bytes(head / UDP(sport=sport, dport=dport) / Raw(data))
    assert frames.udp(ends, data, ident=ident) == datagram


ONE = surveillance.only_surveillance()


def findings(scene: Scene, *, times: int = 1) -> list[dict[str, object]]:
    store = Store.memory()
    scene.commit(store)
    for _ in range(times):
        detect.run(store, ONE)
    detect.run(store, ONE, full=True)
    with store.read() as reader:
        rows = reader.rows(
            "SELECT class, level, count, facts ->> '$.certainty' AS certainty, "
            "(facts ->> '$.sessions')::INT AS sessions "
            "FROM finding WHERE detector LIKE 'surveillance.%' ORDER BY key"
        )
    store.close()
    return rows


TV = "192.168.7.20"


def tv(every_s: float, count: int) -> Scene:
    scene = Scene()
    scene.device(TV, "8c:ea:48:10:20:30", name="Samsung TV")
    for index in range(count):
        scene.connect(TV, "198.51.100.10", 10 + index * every_s, up=2600, down=900,
                      name="acr-us-prd.samsungcloud.tv")  # fmt: skip
    return scene


@pytest.mark.parametrize(
    ("every_s", "count", "certainty"),
    [(60, 40, "validated"), (15, 40, "validated"), (250, 20, "likely"), (60, 3, "likely")],
)
def test_certainty_of_recognition(every_s: float, count: int, certainty: str) -> None:
    (found,) = findings(tv(every_s, count))
    assert (found["class"], found["certainty"]) == ("acr", certainty)
    assert (found["level"], found["count"]) == ("medium", count)


def test_looking_twice_changes_nothing() -> None:
    assert findings(tv(60, 40), times=3) == findings(tv(60, 40))


def test_sittings_are_told_apart() -> None:
    scene = Scene()
    scene.device("192.168.7.24", "f0:18:98:10:20:30", name="Annas-MacBook")
    for sitting in range(3):
        for index in range(5):
            scene.connect("192.168.7.24", "198.51.100.60", sitting * 7200 + index * 40, up=9000,
                          down=900, name="api.openai.com")  # fmt: skip
    (found,) = findings(scene)
    assert (found["class"], found["level"], found["sessions"]) == ("llm_api", "informational", 3)


def test_a_new_catalogue_looks_at_old_names_again() -> None:
    store = Store.memory()
    tv(60, 3).commit(store)
    detect.run(store, detect.Settings())
    with store.transaction() as tx:
        tx.execute("DELETE FROM name_hit")
        tx.execute("UPDATE setting SET value = '\"old\"' WHERE key = 'catalogue.digest'")
    detect.run(store, detect.Settings())
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM name_hit WHERE NOT contains(name, '|')") == 1
        assert reader.value("SELECT count(*) FROM periodic_fingerprint") > 300
    store.close()


def test_measured_rhythms_explain() -> None:
    assert {row.device for row in fingerprints.explain("m2.tuyaus.com", 60.4)} >= {"gosund-bulb1"}
    assert fingerprints.explain("m2.tuyaus.com", 75) == ()
    assert fingerprints.explain("x.example", 60) == ()


def test_the_crawler_rule_knows_the_whole_list() -> None:
    listed = tomllib.loads(resources.path("blocklists/crawlers.toml").read_text())["crawler"]
    rules = load_rules([resources.path("rules/detect")]).rules
    rule = next(rule for rule in rules if rule.name == "surveillance.ai_crawler")
    assert rule.parameters["tokens"].default == [row["token"] for row in listed]
