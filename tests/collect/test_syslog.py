"""Syslog lines over days, of several senders, and with clocks that differ from ours."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian.collect import dnsmasq, network_logs, parser_spec
from guardian.collect.network_logs import SyslogCollector
from guardian.collect.text_log import TextLogCollector

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 20, 12)


class Desk:
    """A collector that gets its lines by hand, at times that the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        monkeypatch.setattr(network_logs, "_now", lambda: self.now)
        self.collector = self.made()
        self.bookmark: dict[str, object] | None = None

    def made(self) -> SyslogCollector:
        """Return one that does not listen."""
        collector = SyslogCollector("127.0.0.1", 0, timezone="UTC")
        collector.close()
        return collector

    def send(self, text: str, *, sender: str = "192.168.1.2", slow_s: float = 0.0) -> None:
        """Let a resolver whose clock is slow by so much send a line."""
        at = self.now - timedelta(seconds=slow_s)
        line = f"<30>{at:%b} {at.day:>2} {at:%H:%M:%S} gw dnsmasq[7]: {text}"
        self.collector.listener._take_in(sender, line.encode())

    def read(self, *, final: bool = False) -> list[dict[str, Any]]:
        """Return the rows of a poll."""
        rows: list[dict[str, Any]] = []
        for batch in self.collector.batches(self.bookmark, final=final):
            self.bookmark = dict(batch.bookmark)
            rows += [row for table in batch.tables.values() for row in table.to_pylist()]
        return rows


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_lines_of_days_later_are_of_this_year_although_a_query_always_waits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "HOLD_S", 4000.0)  # over the hour from one query to the next
    times: list[datetime] = []
    for hour in range(60):
        desk.now = START + timedelta(hours=hour)
        desk.send(f"query[A] dead{hour}.example from 192.168.1.5")
        times += [row["ts"] for row in desk.read()]
    assert times == [START + timedelta(hours=hour) for hour in range(58)]


def test_a_file_that_is_followed_for_days_stays_in_its_year(tmp_path: Path) -> None:
    log = tmp_path / "pihole.log"
    collector = TextLogCollector(path=log, spec=parser_spec.shipped("pihole-log"), timezone="UTC")
    bookmark: dict[str, object] | None = None
    times: list[datetime] = []
    for day in range(4):
        moment = START + timedelta(days=day)
        with log.open("a") as file:
            file.write(f"{moment:%b %d %H:%M:%S} dnsmasq[1]: query[A] a.example from 192.168.1.5\n")
        written = moment.replace(tzinfo=UTC).timestamp()
        os.utime(log, (written, written))
        for batch in collector.batches(bookmark, final=True):
            bookmark = dict(batch.bookmark)
            times += batch.tables["dns_log"].column("ts").to_pylist()
    assert times == [START + timedelta(days=day) for day in range(4)]
