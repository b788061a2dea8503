"""Syslog lines over days, of several senders, and with clocks that differ from ours."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian.collect import dnsmasq, network_logs, parser_spec, text_log
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
        self.refused: list[tuple[str, int]] = []
        for batch in self.collector.batches(self.bookmark, final=final):
            self.bookmark = dict(batch.bookmark)
            self.refused += [(reject.place, reject.count) for reject in batch.rejects]
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


ASKED = (
    ("192.168.1.2", "query[A] www.bank.example from 192.168.1.10"),
    ("192.168.1.2", "forwarded www.bank.example to 9.9.9.9"),
    ("192.168.1.3", "query[A] evil.example from 192.168.1.66"),
    ("192.168.1.3", "forwarded evil.example to 9.9.9.9"),
)
ANSWERED = (
    ("192.168.1.2", "reply www.bank.example is <CNAME>"),
    ("192.168.1.3", "reply evil.example is 203.0.113.66"),
    ("192.168.1.2", "reply cdn.bank.example is 198.51.100.7"),
)
NUMBERED = (
    ("192.168.1.2", "12 192.168.1.10/5000 query[A] www.bank.example from 192.168.1.10"),
    ("192.168.1.3", "12 192.168.1.66/5000 query[A] evil.example from 192.168.1.66"),
    ("192.168.1.2", "12 192.168.1.10/5000 reply www.bank.example is 198.51.100.7"),
    ("192.168.1.3", "12 192.168.1.66/5000 reply evil.example is 203.0.113.66"),
)


def said(rows: list[dict[str, Any]]) -> list[tuple[str, str, list[str] | None]]:
    return sorted((row["src_ip"], row["rrname"], row["answers"]) for row in rows)


BOTH = [
    ("192.168.1.10", "www.bank.example", ["198.51.100.7"]),
    ("192.168.1.66", "evil.example", ["203.0.113.66"]),
]


@pytest.mark.parametrize("lines", [ASKED + ANSWERED, NUMBERED])
def test_two_resolvers_answers_do_not_mix(desk: Desk, lines: tuple[tuple[str, str], ...]) -> None:
    for sender, text in lines:
        desk.send(text, sender=sender)
    assert said(desk.read(final=True)) == BOTH


def test_what_waits_of_each_resolver_is_taken_up_again(desk: Desk) -> None:
    for sender, text in ASKED:
        desk.send(text, sender=sender)
    assert desk.read() == []
    desk.collector = desk.made()
    for sender, text in ANSWERED:
        desk.send(text, sender=sender)
    assert said(desk.read(final=True)) == BOTH
    assert desk.bookmark == {"open": {}}


def test_an_old_bookmark_is_taken_over_by_the_first_that_sends(desk: Desk) -> None:
    for sender, text in ASKED[:2]:
        desk.send(text, sender=sender)
    desk.read()
    assert desk.bookmark is not None
    held: Any = desk.bookmark["open"]
    desk.bookmark = {"open": {"dnsmasq": held["192.168.1.2"]["dnsmasq"]}}
    desk.collector = desk.made()
    assert desk.read() == []
    desk.send(ANSWERED[0][1])
    desk.send(ANSWERED[2][1])
    assert said(desk.read(final=True)) == BOTH[:1]
    assert desk.bookmark == {"open": {}}


@pytest.mark.parametrize("held", [5, {"dnsmasq": 5}, {"a": {"b": [1]}}, {"a": {"dnsmasq": {}}}])
def test_a_damaged_bookmark_costs_what_waited_only(desk: Desk, held: object) -> None:
    desk.bookmark = {"open": held}
    for sender, text in NUMBERED:
        desk.send(text, sender=sender)
    assert said(desk.read(final=True)) == BOTH


def test_the_sender_that_was_silent_longest_goes_out_first(desk: Desk) -> None:
    count = network_logs.MAX_SENDERS
    for number in range(count):
        name = f"n{number:03}.example"
        desk.send(f"query[A] {name} from 192.168.1.5", sender=f"10.0.0.{number}")
    assert desk.read() == []
    desk.send("query[A] again.example from 192.168.1.5", sender="10.0.0.0")
    desk.send("query[A] more.example from 192.168.1.5", sender="10.0.1.1")
    assert [row["rrname"] for row in desk.read()] == ["n001.example"]
    assert desk.bookmark is not None
    held: Any = desk.bookmark["open"]
    assert len(held) == count
    assert "10.0.0.1" not in held
    assert len(desk.read(final=True)) == count + 1


def test_many_senders_hold_no_more_queries_than_one_may(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "MAX_OPEN", 10)
    for number in range(8):
        for sender in ("10.0.0.1", "10.0.0.2"):
            desk.send(f"query[A] n{number}.example from 192.168.1.5", sender=sender)
    assert len(desk.read()) == 8
    assert len(desk.read(final=True)) == 8


@pytest.mark.parametrize("slow_s", [0.0, 15.0, 7200.0])
def test_a_slow_clock_of_the_resolver_costs_no_answer(desk: Desk, slow_s: float) -> None:
    desk.send("query[A] a.example from 192.168.1.5", slow_s=slow_s)
    desk.send("forwarded a.example to 9.9.9.9", slow_s=slow_s)
    assert desk.read() == []
    desk.now += timedelta(seconds=5)
    desk.collector = desk.made()  # it is known over a restart when the query was read
    desk.send("reply a.example is 203.0.113.9", slow_s=slow_s)
    desk.send("query[A] lost.example from 192.168.1.5", slow_s=slow_s)
    (row,) = desk.read()
    assert (row["rrname"], row["answers"]) == ("a.example", ["203.0.113.9"])
    assert row["ts"] == START - timedelta(seconds=slow_s)
    desk.now += timedelta(seconds=dnsmasq.HOLD_S)
    assert desk.read() == []
    desk.now += timedelta(seconds=1)
    assert [row["rrname"] for row in desk.read()] == ["lost.example"]


def test_the_last_answer_waits_a_second_for_more_of_it(desk: Desk) -> None:
    desk.send("query[A] a.example from 192.168.1.5", slow_s=60)
    desk.send("reply a.example is 203.0.113.9", slow_s=60)
    assert desk.read() == []
    desk.send("reply a.example is 203.0.113.10", slow_s=60)
    assert desk.read() == []
    desk.now += timedelta(seconds=2)
    assert [row["answers"] for row in desk.read()] == [["203.0.113.9", "203.0.113.10"]]


def test_a_clock_of_ours_that_is_set_back_holds_nothing_for_long(desk: Desk) -> None:
    desk.send("query[A] a.example from 192.168.1.5")
    assert desk.read() == []
    desk.now -= timedelta(hours=1)
    assert len(desk.read()) == 1


def test_queries_of_a_state_that_says_not_when_they_were_read_wait_from_now() -> None:
    first = dnsmasq.Assembler()
    first.feed("query[A] a.example from 192.168.1.5", START - timedelta(hours=1), START)
    (old,) = first.state()
    del old["arrived"]
    taken_up = dnsmasq.Assembler([old], arrived=START)
    assert taken_up.take(dnsmasq.hold_limit(START + timedelta(seconds=5))) == []
    assert len(taken_up.take(dnsmasq.hold_limit(START + timedelta(seconds=11)))) == 1


def test_a_log_whose_clock_is_slow_keeps_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = START
    monkeypatch.setattr(text_log, "_now", lambda: now)
    log = tmp_path / "pihole.log"
    collector = TextLogCollector(path=log, spec=parser_spec.shipped("pihole-log"), timezone="UTC")
    begin = f"{START - timedelta(seconds=15):%b %d %H:%M:%S} dnsmasq[1]:"
    log.write_text(f"{begin} query[A] a.example from 192.168.1.5\n")
    (batch,) = collector.batches(None)
    assert batch.tables == {}
    with log.open("a") as file:
        file.write(f"{begin} reply a.example is 203.0.113.9\n")
    (batch,) = collector.batches(batch.bookmark)
    assert batch.tables == {}
    now += timedelta(seconds=2)
    (batch,) = collector.batches(batch.bookmark)
    assert batch.tables["dns_log"].column("answers").to_pylist() == [["203.0.113.9"]]


OTHER = b"<13>Nov 20 12:00:00 gw cron[9]: nothing to see"


def test_a_router_that_forwards_all_it_logs_is_refused_nothing(desk: Desk) -> None:
    for _ in range(network_logs.STRANGE_LINES - 1):
        desk.collector.listener._take_in("192.168.1.2", OTHER)
    assert desk.read() == []
    assert desk.refused == []
    desk.send("query[A] a.example from 192.168.1.5")
    for _ in range(2 * network_logs.STRANGE_LINES):
        desk.collector.listener._take_in("192.168.1.2", OTHER)
    desk.send("a word from the future")  # of a known format, but none that it knows
    assert len(desk.read(final=True)) == 1
    assert [count for _, count in desk.refused] == [1]


def test_a_sender_of_whom_nothing_is_understood_is_told(desk: Desk) -> None:
    desk.send("query[A] a.example from 192.168.1.5")
    told = []
    for _ in range(network_logs.STRANGE_LINES + 2):
        desk.collector.listener._take_in("192.168.1.3", OTHER)
        desk.read()
        told += desk.refused
    assert told == [("192.168.1.3", network_logs.STRANGE_LINES), *[("192.168.1.3", 1)] * 2]
