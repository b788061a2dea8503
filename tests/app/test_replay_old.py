"""Captures of long ago, and of different years, are told as stories too."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from guardian.app.replay import replay
from guardian.collect.settings import Settings as CollectSettings
from guardian.config import Config
from guardian.store import Store, pages
from guardian.store.ingest import utc_now
from guardian.web import story

if TYPE_CHECKING:
    from pathlib import Path


def _log(path: Path, begin: datetime, device: str) -> Path:
    """Write an EVE log of one device that scans, and Suricata's statistics of today."""
    lines = []
    for port in range(1, 200):
        at = begin + timedelta(milliseconds=20 * port)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
        lines.append(
            {
                "timestamp": stamp, "flow_id": port, "event_type": "flow",
                "src_ip": device, "src_port": 40000, "dest_ip": "192.168.1.9", "dest_port": port,
                "proto": "TCP",
                "flow": {
                    "pkts_toserver": 1, "pkts_toclient": 1, "bytes_toserver": 60,
                    "bytes_toclient": 54, "start": stamp, "end": stamp, "state": "closed",
                    "reason": "timeout", "age": 0, "alerted": False,
                },
                "tcp": {"tcp_flags_ts": "02", "tcp_flags_tc": "14", "syn": True, "rst": True},
            }
        )  # fmt: skip
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
    lines.append({"timestamp": now, "event_type": "stats", "stats": {"uptime": 3}})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_old_captures_of_two_years_become_incidents(tmp_path: Path) -> None:
    first = _log(tmp_path / "2017.json", datetime(2017, 5, 18, 8, tzinfo=UTC), "192.168.1.7")
    second = _log(tmp_path / "2021.json", datetime(2021, 3, 2, 20, tzinfo=UTC), "192.168.1.8")
    config = Config(data=tmp_path / "data")
    store = Store.open(config.data)
    report = replay(store, config, [first, second])
    with store.read() as reader:
        seen = reader.rows("SELECT src_ip, first_seen FROM finding WHERE class = 'port_scan'")
        told = reader.value("SELECT count(DISTINCT incident_id) FROM finding")
        window = pages.window(reader, utc_now())
        shown = story.tonight(reader, window=window, now=utc_now(), zone=UTC)
    store.close()
    assert {row["src_ip"] for row in seen} == {"192.168.1.7", "192.168.1.8"}
    assert report.incidents == told == 2
    assert window.replayed
    assert window.newest is not None
    assert window.newest.year == 2021
    assert {line.moment.year for line in shown.happened} == {2017, 2021}


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    (folder / "more").mkdir(parents=True)
    _log(folder / "a.json", datetime(2021, 3, 2, 20, tzinfo=UTC), "192.168.1.7")
    _log(folder / "more" / "b.json", datetime(2021, 3, 2, 21, tzinfo=UTC), "192.168.1.8")
    (folder / "README.md").write_text("What these are.")
    config = Config(data=tmp_path / "data")
    store = Store.open(config.data)
    report = replay(store, config, [folder])
    store.close()
    assert [each.kind for each in report.inputs] == [None, "eve", "eve"]
    assert report.incidents == 2
    assert report.exit_code == 0
    assert "left out" in (report.inputs[0].error or "")


@pytest.mark.parametrize("year", [2010, 2030])
def test_a_capture_of_any_year(tmp_path: Path, year: int) -> None:
    log = _log(tmp_path / "eve.json", datetime(year, 6, 1, 12, tzinfo=UTC), "192.168.1.7")
    config = Config(data=tmp_path / "data")
    store = Store.open(config.data)
    assert replay(store, config, [log]).incidents == 1
    store.close()


def test_a_folder_of_several_kinds_is_read_file_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "sensor"
    (folder / "zeek").mkdir(parents=True)
    _log(folder / "eve.json", datetime(2021, 3, 2, 20, tzinfo=UTC), "192.168.1.7")
    (folder / "suricata.log").write_text("notice: all started\n")
    (folder / "zeek" / "conn.log").write_text(
        "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n"
        "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\n"
        "1614715200.0\tC1\t192.168.1.9\t40000\t198.51.100.7\t443\ttcp\n"
    )
    (folder / "loop").symlink_to(folder)
    config = Config(data=tmp_path / "data")
    with contextlib.closing(Store.open(config.data)) as store:
        report = replay(store, config, [folder])
    read = [(each.kind, each.path) for each in report.inputs if each.kind]
    assert read == [("eve", str(folder / "eve.json")), ("zeek", str(folder / "zeek"))]
    assert report.inputs[-1].events == 1


def test_a_log_without_a_zone_is_in_the_one_that_was_said(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("Nov 20 21:00:01 dnsmasq[1]: query[A] a.example from 192.168.1.5\n")
    config = Config(data=tmp_path / "data", collect=CollectSettings(log_timezone="+05:00"))
    with contextlib.closing(Store.open(config.data)) as store:
        replay(store, config, [log])
        with store.read() as reader:
            assert reader.value("SELECT ts FROM dns_log").hour == 16
