"""The formats in parsers/: each is tested by its own samples, all by hostile bytes."""

from __future__ import annotations

import collections
import gzip
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.collect import dnsmasq, parser_spec, text_log, text_trial
from guardian.collect.kinds import detect_kind
from guardian.collect.reader import drain
from guardian.collect.text_values import Clock
from guardian.errors import CollectorError, ConfigError, RuleError, UnknownFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store


@pytest.mark.parametrize("kind", sorted(parser_spec.files()))
def test_samples_become_the_rows_they_say(kind: str, tmp_path: Path, memory_store: Store) -> None:
    spec = parser_spec.shipped(kind)
    assert text_trial.problems(spec) == ()
    assert any(sample.rows for sample in spec.sample)
    for sample in spec.sample:  # the store takes what the format makes
        log = tmp_path / "some.log"
        log.write_text("\n".join(sample.lines))
        assert drain(memory_store, text_log.collector(log, spec), final=True).error is None


def test_a_sample_that_differs_is_told(tmp_path: Path) -> None:
    text = parser_spec.files()["unbound"].read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(
        text.replace("reply_ms = 12.5", "reply_ms = 99.0").replace("rejected = 1", "rejected = 0")
    )
    trial = text_trial.try_file(mine)
    assert trial.kind == "mine"
    assert trial.places == (
        "sample 1, row 2: reply_ms is 12.5, not 99.0",
        "sample 1: 1 lines refused, not 0",
    )
    assert text_trial.try_file(parser_spec.files()["unbound"]).rejected == {}


@pytest.mark.parametrize("kind", sorted(parser_spec.files()))
def test_a_sample_is_told_for_what_it_is(kind: str, tmp_path: Path) -> None:
    spec = parser_spec.shipped(kind)
    name = "pihole.log" if kind == "pihole-log" else "some.log"
    for sample in spec.sample[:1]:
        (tmp_path / name).write_text("\n".join(sample.lines))
        assert detect_kind(tmp_path / name) == kind


def test_a_wrong_format_names_its_file(tmp_path: Path) -> None:
    wrong = tmp_path / "x.toml"
    for text in ("title = 1", "[[row", 'title="x"\nformat="regex"\ndetect="("\nsource=""', ""):
        wrong.write_text(text)
        with pytest.raises(RuleError, match=r"x\.toml"):
            parser_spec.load(wrong)


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("Dec 31 23:59:59", "2027-01-01T00:10:00", "2026-12-31T23:59:59"),
        ("Jan  1 00:00:01", "2027-01-01T00:10:00", "2027-01-01T00:00:01"),
        ("Jan  2 00:00:01", "2027-01-01T00:10:00", "2027-01-02T00:00:01"),
        ("Jan  3 00:00:01", "2027-01-01T00:10:00", "2026-01-03T00:00:01"),
        ("Feb 29 12:00:00", "2027-01-01T00:10:00", "2024-02-29T12:00:00"),
        ("2026-06-15T12:00:00.1234567+02:00", "2027-01-01T00:00:00", "2026-06-15T10:00:00.123456"),
        ("2026-06-15T10:00:00Z", "2027-01-01T00:00:00", "2026-06-15T10:00:00"),
        ("Smarch 12 00:00:00", "2027-01-01T00:00:00", None),
        ("Jan 32 00:00:00", "2027-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-12:00", "2027-01-01T00:00:00", None),
    ],
)  # fmt: skip
def test_times_without_a_year_are_right_over_new_year(
    text: str, reference: str, expected: str | None
) -> None:
    found = Clock("UTC", datetime.fromisoformat(reference)).read(text)
    assert (found and found.isoformat()) == expected


def test_time_zones() -> None:
    reference = datetime(2026, 6, 15, 12)
    assert Clock("+02:00", reference).read("Jun 15 12:00:00") == datetime(2026, 6, 15, 10)
    assert Clock("Europe/Berlin", reference).read("Jan 15 12:00:00") == datetime(2026, 1, 15, 11)
    with pytest.raises(ConfigError, match="Mars"):
        Clock("Mars/Base", reference)


def test_a_log_that_is_passed_on_keeps_its_own_time(tmp_path: Path, memory_store: Store) -> None:
    log = tmp_path / "pihole.log.gz"
    text = "# guardian: timezone=+03:00\n"
    text += "Dec 31 23:59:59 dnsmasq[1]: query[A] a.example from 10.0.0.1\n"
    packed = datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp()
    log.write_bytes(gzip.compress(text.encode(), mtime=packed))
    assert detect_kind(log) == "pihole-log"
    progress = drain(memory_store, text_log.kinds()["pihole-log"](log), final=True)
    assert progress.rejected == 0
    with memory_store.read() as reader:
        assert reader.value("SELECT ts FROM dns_log") == datetime(2023, 12, 31, 20, 59, 59)


QUERY = "{:%b %d %H:%M:%S} dnsmasq[1]: query[A] {} from 192.168.1.5\n"
ANSWER = "{:%b %d %H:%M:%S} dnsmasq[1]: gravity blocked {} is 0.0.0.0\n"


def names(store: Store) -> list[tuple[str, str]]:
    with store.read() as reader:
        rows = reader.rows("SELECT rrname, status FROM dns_log ORDER BY rrname")
    return [(row["rrname"], row["status"]) for row in rows]


def pihole(path: Path) -> text_log.TextLogCollector:
    spec = parser_spec.shipped("pihole-log")
    return text_log.TextLogCollector(path=path, spec=spec, timezone="UTC")


def test_a_query_waits_for_its_answer_over_a_restart(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "HOLD_S", 3600.0)
    log = tmp_path / "pihole.log"
    now = datetime.now(UTC)
    log.write_text(QUERY.format(now, "a.example") + QUERY.format(now, "b.example"))
    drain(memory_store, pihole(log))
    assert names(memory_store) == []
    with log.open("a") as file:
        file.write(ANSWER.format(now, "b.example") + QUERY.format(now, "c.example")[:30])
    drain(memory_store, pihole(log), final=False)
    drain(memory_store, pihole(log), final=True)
    assert names(memory_store) == [("a.example", "unknown"), ("b.example", "blocked")]


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let so much time pass for what waits in a log."""
    now = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=seconds)
    monkeypatch.setattr(text_log, "_now", lambda: now)


def test_an_answered_query_waits_a_second_for_more(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "pihole.log"
    then = datetime.now(UTC)
    log.write_text(QUERY.format(then, "a.example") + ANSWER.format(then, "a.example"))
    later(monkeypatch, 0)
    drain(memory_store, pihole(log))
    assert names(memory_store) == []
    later(monkeypatch, 3)
    drain(memory_store, pihole(log))
    assert names(memory_store) == [("a.example", "blocked")]


@pytest.mark.parametrize("how", ["rename", "copytruncate"])
def test_rotation_loses_and_doubles_nothing(
    how: str, tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "pihole.log"
    then = datetime.now(UTC) - timedelta(minutes=5)
    log.write_text("".join(QUERY.format(then, f"a{n}.example") for n in range(3)))
    drain(memory_store, pihole(log))
    with log.open("a") as file:
        file.write(QUERY.format(then, "a3.example"))
    if how == "rename":
        log.rename(tmp_path / "pihole.log.1")
    else:
        (tmp_path / "pihole.log.1").write_bytes(log.read_bytes())
    log.write_text(QUERY.format(then, "b0.example"))
    drain(memory_store, pihole(log))
    later(monkeypatch, 11)
    drain(memory_store, pihole(log))
    found = [name for name, _ in names(memory_store)]
    assert found == ["a0.example", "a1.example", "a2.example", "a3.example", "b0.example"]


def test_leases_count_again_only_when_they_change(tmp_path: Path, memory_store: Store) -> None:
    leases = tmp_path / "dnsmasq.leases"
    one, two = "1781520000 02:00:00:00:00:01 192.168.1.50 a *\n", (
        "1781520000 02:00:00:00:00:02 192.168.1.51 b *\n"
    )  # fmt: skip
    for text in (one, one + two, one.replace("17815", "17816") + two):
        leases.write_text(text)
        collector = text_log.kinds()["dnsmasq-leases"](leases)
        drain(memory_store, collector)
        drain(memory_store, collector)
    with memory_store.read() as reader:
        found = reader.rows("SELECT name, count(*) AS n FROM sighting GROUP BY ALL ORDER BY name")
    assert found == [{"name": "a", "n": 2}, {"name": "b", "n": 1}]


def test_the_pihole_log_says_what_its_database_says(corpus: Path, memory_store: Store) -> None:
    folder = corpus / "pihole-live"
    progress = drain(memory_store, pihole(folder / "pihole.log"), final=True)
    assert progress.rejected == 0
    with memory_store.read() as reader:
        logged = collections.Counter(
            (row["rrtype"], row["status_detail"], row["rrname"], row["src_ip"])
            for row in reader.rows("SELECT * FROM dns_log")
        )
    types = {1: "A", 2: "AAAA", 6: "PTR", 7: "TXT", 9: "MX", 16: "HTTPS"}
    status = {1: "GRAVITY", 2: "FORWARDED", 3: "CACHE", 4: "REGEX", 5: "DENYLIST",
              11: "DENYLIST_CNAME", 17: "CACHE_STALE"}  # fmt: skip
    with sqlite3.connect(f"file:{folder / 'pihole-FTL.db'}?immutable=1", uri=True) as db:
        held = collections.Counter(
            (types[kind], status[state], domain, client)
            for kind, state, domain, client in db.execute(
                "SELECT type, status, domain, client FROM queries"
            )
        )
    assert sum(held.values()) == 2643
    assert not held - logged


def test_labelled_csv_is_read_whole(corpus: Path, memory_store: Store) -> None:
    for file in sorted((corpus / "iot23").glob("*.csv")):
        assert detect_kind(file) == "zeek-conn-csv"
        progress = drain(memory_store, text_log.kinds()["zeek-conn-csv"](file), final=True)
        with file.open() as lines:
            assert progress.events == sum(1 for _ in lines) - 1
        assert progress.rejected == 0
    for file in sorted((corpus / "slips").glob("*.binetflow")):
        assert detect_kind(file) == "argus-binetflow"
        progress = drain(memory_store, text_log.kinds()["argus-binetflow"](file), final=True)
        assert progress.events > 100


def test_try_file_says_what_came_of_it(tmp_path: Path) -> None:
    log = tmp_path / "leases"
    log.write_text("1781520000 02:00:00:00:00:01 192.168.1.50 a *\nrubbish\n")
    trial = text_trial.try_file(log)
    assert (trial.kind, trial.rows, trial.rejected) == (
        "dnsmasq-leases", {"sighting": 1}, {"no row of the format fits": 1}
    )  # fmt: skip
    assert trial.examples[0]["ip"] == "192.168.1.50"
    log.write_text("what is this?\n")
    with pytest.raises(UnknownFormatError):
        text_trial.try_file(log)


PIECES = [line for spec in parser_spec.load_all().values() for s in spec.sample for line in s.lines]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    line = draw(st.sampled_from(PIECES)).encode()
    start, length = draw(st.integers(0, len(line))), draw(st.integers(0, 12))
    return line[:start] + draw(st.binary(max_size=6)) + line[start + length :]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=st.lists(st.one_of(damaged(), st.binary(max_size=80)), max_size=6))
def test_no_bytes_crash_a_format(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    log = tmp_path_factory.mktemp("text") / "some.log"
    log.write_bytes(b"\n".join(lines))
    for spec in parser_spec.load_all().values():
        try:
            for batch in text_log.collector(log, spec).batches(None, final=True):
                for table in batch.tables.values():
                    assert table["ts"].null_count == 0
        except CollectorError:
            assert spec.hand_over


@pytest.mark.parametrize("line", [
    b"[" * 10_000, b'{"a":' * 10_000, b'{"T":1e999,"QH":"\\u0000"}', b'{"QH":NaN}', b"\x00" * 100,
    b'{"T":"9999-12-31T23:59:59Z","IP":"1.2.3.4","QH":"a","QT":"A","QT":"B"}',
    b'{"T":"2026-01-01T00:00:00Z","IP":"1.2.3.4","QH":"a","Answer":"AAAA","Elapsed":1e308}',
    b"Jun 15 10:00:00 gw kernel: " + b"IN= OUT= SRC=" * 20_000,
])  # fmt: skip
def test_hostile_lines_are_bounded(line: bytes, tmp_path: Path, memory_store: Store) -> None:
    log = tmp_path / "some.log"
    log.write_bytes((line + b"\n") * 2)  # the first may be taken for a header
    for kind, make in text_log.kinds().items():
        progress = drain(memory_store, make(log), final=True)
        assert progress.rejected or progress.events or progress.error, kind
