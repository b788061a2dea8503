"""Reports are told by the name they were sent to, whoever else is at its addresses."""

from __future__ import annotations

import pytest

from guardian import detect
from guardian.detect import engine
from guardian.lab.scene_rows import Scene
from guardian.store import Store

TV = "192.168.7.20"
FIRST, SECOND = "198.51.100.10", "198.51.100.11"
ONLY = detect.Settings(
    disabled=tuple(
        each.name
        for each in engine.detectors(detect.Settings())[0]
        if each.name != "surveillance.acr_rhythm"
    )
)


def reports(proto: str) -> Scene:
    """A TV's reports by turns to two addresses, where a shop is called too, each by its name."""
    scene = Scene()
    scene.device(TV, "8c:ea:48:10:20:30", name="Living room TV")
    for turn in range(30):
        ip = (FIRST, SECOND)[turn % 2]
        scene.connect(TV, ip, 60 * turn, name="report.example.net", up=3000, down=1000, proto=proto)
        scene.connect(
            TV, ip, 7 + 75 * turn, name="shop.example.org", up=900, down=70_000, proto=proto
        )
    return scene


@pytest.mark.parametrize(("proto", "turned"), [("TCP", False), ("UDP", False), ("UDP", True)])
def test_reports_among_other_calls(proto: str, *, turned: bool) -> None:
    scene = reports(proto)
    if turned:  # the sensor ends a QUIC handshake at a packet of the server
        for row in scene.tables["quic"]:
            row["src_ip"], row["dest_ip"] = row["dest_ip"], row["src_ip"]
    store = Store.memory()
    try:
        scene.commit(store)
        assert not detect.run(store, ONLY).errors
        with store.read() as reader:
            (found,) = reader.rows("SELECT key, count FROM finding")
    finally:
        store.close()
    assert found["key"] == "rhythm>report.example.net"
    assert found["count"] == 30
