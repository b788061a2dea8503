"""Where nothing names the server: an address with its port, or the client's fingerprint."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian import detect
from guardian.detect import surveillance
from guardian.detect.engine import detectors
from guardian.intel import catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

JA4 = "t13d1516h2_8daaf6152771_02713d6af862"
WHEN = datetime(2026, 11, 20, 12)
CATALOGUE = f"""
category = "x"
title = "x"
[[entry]]
id = "x.one"
company = "Maker"
service = "screen"
class = "acr"
purposes = ["viewing_profile"]
names.exact = ["a.maker.example"]
addresses = ["203.0.113.8"]
ports = [8853]
ja4 = ["{JA4}"]
sends = "x"
breakage = "none"
safe_action = "block"
grade = "behaviour"
sources = ["watchers"]
"""


@pytest.fixture
def house(tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose catalogue knows one service, by port and by client."""
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "x.toml").write_text(CATALOGUE)
    (folder / "sources.toml").write_text('[watchers]\ntitle = "x"\nproof = "behaviour"\n')
    known = catalogue.read(folder)
    monkeypatch.setattr(surveillance.catalogue, "load", lambda: known)
    return memory_store


def fill(store: Store, *, ports: list[int], ja4: str | None = None, sni: str | None = None) -> None:
    with store.transaction() as tx:
        for index, port in enumerate(ports):
            ts = WHEN + timedelta(seconds=60 * index)
            tx.execute(
                "INSERT INTO flow (id, ts, end_ts, source_id, flow_id, src_ip, dest_ip, src_port, "
                "dest_port, proto, bytes_toserver, bytes_toclient, pkts_toserver, pkts_toclient) "
                "VALUES (?, ?, ?, 1, ?, '192.168.1.20', '203.0.113.8', 40000, ?, 'TCP', 900, 400, "
                "5, 4)",
                [2 * index + 1, ts, ts, index + 1, port],
            )
            if ja4 or sni:
                tx.execute(
                    "INSERT INTO tls (id, ts, source_id, flow_id, src_ip, dest_ip, ja4, sni) "
                    "VALUES (?, ?, 1, ?, '192.168.1.20', '203.0.113.8', ?, ?)",
                    [2 * index + 2, ts, index + 1, ja4, sni],
                )
        tx.execute("UPDATE row_counter SET next_id = ?", [2 * len(ports) + 10])


def found(store: Store) -> list[dict[str, Any]]:
    every = {each.name for each in detectors(detect.Settings())[0]}
    report = detect.run(
        store,
        detect.Settings(disabled=tuple(every - {"surveillance.catalogue"})),
        now=WHEN + timedelta(hours=1),
    )
    assert [error for error in report.errors if "surveillance" in error] == []
    with store.read() as reader:
        rows = reader.rows("SELECT level, peers, facts, count FROM finding WHERE class = 'acr'")
    return [{**row, "facts": json.loads(row["facts"])} for row in rows]


def test_an_address_at_its_port_is_possible_at_most(house: Store) -> None:
    fill(house, ports=[8853] * 8 + [443] * 3)
    (finding,) = found(house)
    assert (finding["level"], finding["count"]) == ("informational", 8)
    assert finding["facts"]["certainty"] == "possible"
    assert finding["facts"]["seen_by"] == ["address and port"]
    assert finding["peers"] == ["203.0.113.8"]


def test_another_port_of_the_address_says_nothing(house: Store) -> None:
    fill(house, ports=[443] * 8)
    assert found(house) == []


def test_a_client_fingerprint_is_possible_at_most(house: Store) -> None:
    fill(house, ports=[443] * 4, ja4=JA4)
    (finding,) = found(house)
    assert finding["facts"]["certainty"] == "possible"
    assert finding["facts"]["seen_by"] == ["client fingerprint"]


def test_a_name_says_more_than_a_hint(house: Store) -> None:
    fill(house, ports=[8853] * 4, ja4=JA4, sni="www.example.net")
    assert found(house) == []


def test_an_answer_says_more_than_a_client_fingerprint(house: Store) -> None:
    """The address is of no catalogued name: another one's, by what DNS answered."""
    fill(house, ports=[443] * 4, ja4=JA4)
    with house.transaction() as tx:
        tx.execute("UPDATE flow SET dest_ip = '203.0.113.9'")
        tx.execute("UPDATE tls SET dest_ip = '203.0.113.9'")
    assert [each["facts"]["seen_by"] for each in found(house)] == [["client fingerprint"]]
    with house.transaction() as tx:
        tx.execute("DELETE FROM finding")
        tx.execute("UPDATE row_counter SET next_id = 30")
        tx.execute(
            "INSERT INTO dns (id, ts, source_id, src_ip, dest_ip, src_port, dest_port, type, "
            "rrname, rrtype, answers) VALUES (25, ?, 1, '192.168.1.1', '192.168.1.20', 53, 40000, "
            "'answer', 'www.example.net', 'A', ['203.0.113.9'])",
            [WHEN],
        )
    assert found(house) == []


def test_the_name_itself_is_more_than_possible(house: Store) -> None:
    fill(house, ports=[8853] * 4, ja4=JA4, sni="a.maker.example")
    (finding,) = found(house)
    assert finding["facts"]["certainty"] == "likely"
    assert finding["level"] == "medium"
