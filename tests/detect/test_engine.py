"""The engine: only new rows, one story grows, a broken rule silences nobody."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian import detect
from guardian.detect import engine, indicators, names
from guardian.detect.addresses import scope
from guardian.detect.lint import lint
from guardian.detect.rules import load_rules
from guardian.detect.wordlike import randomness
from guardian.errors import StoreError, StoreRetryError
from guardian.store import findings

from .cases import START, fill, filled

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.detect.base import Window
    from guardian.model.finding import Finding
    from guardian.store import Reader, Store

HEAD = """-- id: 7d0b3f2e-1f0a-4c39-9a52-0d2f4b8c1e01
-- title: t
-- status: test
-- class: port_scan
-- level: medium
-- tags: []
-- description: d
-- falsepositives: [f]
-- reads: [flow]
-- window_s: 0
"""


def _scan(ports: int) -> dict[str, list[dict[str, Any]]]:
    return {
        "flow": [
            {
                "repeat": ports, "step_s": 0.1, "src_ip": "192.168.1.66",
                "dest_ip": "192.168.1.10", "dest_port": {"seq": [20, 3]},
                "tcp_flags_ts": 2, "tcp_flags_tc": 20,
            }
        ]
    }  # fmt: skip


def test_no_new_rows_is_no_work() -> None:
    store = filled(_scan(12))
    assert detect.run(store, detect.Settings()).findings > 0
    assert detect.run(store, detect.Settings()).findings == 0
    store.close()


def test_detectors_keep_to_their_memory_and_give_it_back(store: Store) -> None:
    with store.read() as reader:
        before = reader.value("SELECT current_setting('memory_limit')")
    seen: list[str] = []

    class Looks:
        name, reads, window_s = "test.looks", ("flow",), 0

        def find(self, reader: Reader, window: Window, settings: detect.Settings) -> list[Finding]:
            del window, settings
            seen.append(str(reader.value("SELECT current_setting('memory_limit')")))
            return []

    fill(store, _scan(12))
    engine.run(store, detect.Settings(memory_mb=300, many_rows=2), more=(Looks(),))
    with store.read() as reader:
        assert reader.value("SELECT current_setting('memory_limit')") == before
    assert seen == ["300.0 MiB"], "many rows: more than from day to day"
    engine.run(store, detect.Settings(memory_mb=300), more=(Looks(),), full=True)
    assert seen[1] == before, "few rows: no more than from day to day"
    engine.run(store, detect.Settings(memory_mb=1, many_rows=2), more=(Looks(),), full=True)
    assert seen[2] == before, "never less than from day to day"
    fill(store, {"flow": [_scan(12)["flow"][0] | {"repeat": 1}]})
    engine.run(store, detect.Settings(memory_mb=300, many_rows=5), more=(Looks(),))
    assert seen[3] == before, "rows of tables that a detector does not read are not its rows"


def test_a_detector_that_needs_more_memory_gets_it_once(store: Store) -> None:
    seen: list[str] = []

    class Hungry:
        name, reads, window_s = "test.hungry", ("flow",), 0

        def find(self, reader: Reader, window: Window, settings: detect.Settings) -> list[Finding]:
            del window, settings
            seen.append(str(reader.value("SELECT current_setting('memory_limit')")))
            if len(seen) != 2:
                msg = "Out of Memory Error: failed to allocate"
                raise StoreRetryError(msg)
            return []

    fill(store, _scan(12))
    assert not engine.run(store, detect.Settings(memory_mb=900), more=(Hungry(),)).errors
    assert seen[1] == "300.0 MiB"
    errors = engine.run(store, detect.Settings(memory_mb=900), more=(Hungry(),), full=True).errors
    assert seen[3:] == ["300.0 MiB", "900.0 MiB"], "a little first, then all, no oftener"
    assert errors[0].startswith("test.hungry: Out of Memory")


def test_more_memory_is_for_the_detector_that_needs_it(store: Store) -> None:
    with store.read() as reader:
        before = reader.value("SELECT current_setting('memory_limit')")
    seen: list[tuple[str, str]] = []

    class Looks:
        reads, window_s = ("flow",), 0

        def __init__(self, name: str, *, hungry: bool) -> None:
            self.name = name
            self._hungry = hungry

        def find(self, reader: Reader, window: Window, settings: detect.Settings) -> list[Finding]:
            del window, settings
            seen.append((self.name, str(reader.value("SELECT current_setting('memory_limit')"))))
            if self._hungry and seen[-1][1] == before:
                raise StoreRetryError("Out of Memory Error: failed to allocate")
            return []

    fill(store, _scan(12))
    more = (Looks("test.hungry", hungry=True), Looks("test.modest", hungry=False))
    assert not engine.run(store, detect.Settings(memory_mb=900), more=more).errors
    assert seen == [
        ("test.hungry", before),
        ("test.hungry", "300.0 MiB"),
        ("test.modest", before),
    ]
    seen.clear()
    fill(store, {"flow": [_scan(12)["flow"][0] | {"repeat": 1}]})
    (late, other) = (Looks("test.late", hungry=False), more[1])  # one has all rows before it
    assert not engine.run(
        store, detect.Settings(memory_mb=900, many_rows=5), more=(late, other)
    ).errors
    assert seen == [("test.late", "900.0 MiB"), ("test.modest", before)]


def test_one_that_fails_rests_too(store: Store) -> None:
    class Fails:
        name, reads, window_s = "test.fails", ("flow",), 0
        tries = 0

        def find(self, reader: Reader, window: Window, settings: detect.Settings) -> list[Finding]:
            del reader, window, settings
            self.tries += 1
            time.sleep(0.01)
            raise StoreError("no such column")

    fill(store, _scan(12))
    fails = Fails()
    now = datetime(2026, 11, 20)
    for after_s, tries in ((0, 1), (0.1, 1), (600, 2)):
        engine.run(
            store,
            detect.Settings(),
            now=now + timedelta(seconds=after_s),
            paced=True,
            more=(fails,),
        )
        assert fails.tries == tries


def test_a_step_before_the_detectors_gets_more_memory_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def hungry(store: Store, *_: object) -> None:
        with store.read() as reader:
            seen.append(str(reader.value("SELECT current_setting('memory_limit')")))
        if len(seen) == 1:
            raise StoreRetryError("Out of Memory Error: failed to allocate")

    monkeypatch.setitem(engine.PREPARE, "hungry", hungry)
    fill(store, _scan(12))
    assert not engine.run(store, detect.Settings(memory_mb=900)).errors
    assert seen[1] == "300.0 MiB"


def test_a_threshold_in_the_configuration_wins() -> None:
    store = filled(_scan(12))
    settings = detect.Settings(parameters={"scan.port_scan": {"min_ports": 40}})
    detect.run(store, settings)
    with store.read() as reader:
        assert reader.rows("SELECT 1 FROM finding WHERE detector = 'scan.port_scan'") == []
    store.close()


def test_a_beacon_says_what_can_be_drawn_of_it() -> None:
    store = filled(
        {
            "flow": [
                {
                    "repeat": 60, "step_s": 60, "jitter_s": 6, "src_ip": "192.168.1.66",
                    "dest_ip": "198.51.100.6", "bytes_toserver": 640,
                }
            ]
        }
    )  # fmt: skip
    detect.run(store, detect.Settings())
    with store.read() as reader:
        (row,) = findings.as_json(reader, finding_class="c2_beacon")
    facts = row["facts"]
    assert len(facts["interval_histogram"]) == 20
    assert sum(facts["interval_histogram"]) == 59
    assert facts["interval_bin_s"] == pytest.approx(2 * facts["interval_s"] / 20, rel=0.01)
    middle = facts["interval_histogram"][8:12]
    assert sum(middle) > 50, "the intervals lie around the usual one"
    assert sum(facts["calls_by_hour"]) == 60
    assert all(0.7 <= score <= 1 for score in facts["scores"].values())
    store.close()


def test_seldom_calls_are_kept_for_weeks_and_no_longer(memory_store: Store) -> None:
    call = {"src_ip": "192.168.1.66", "dest_ip": "198.51.100.6"}
    day = 86400
    fill(memory_store, {"flow": [call | {"repeat": 40, "step_s": day}]})
    now = START + timedelta(days=40)
    detect.run(memory_store, detect.Settings(), now=now)
    hours = "SELECT count(*), min(hour) FROM rare_call"
    with memory_store.read() as reader:
        kept = reader.one(hours)
    assert kept is not None
    assert kept["count_star()"] == 22  # three weeks and today
    fill(memory_store, {"flow": [call | {"ts": 4000 * day}]})  # a clock that runs ahead
    detect.run(memory_store, detect.Settings(), now=now)
    with memory_store.read() as reader:
        assert reader.value("SELECT count(*) FROM rare_call") == 22  # the oldest day went, one came


@pytest.mark.parametrize("year", [1999, 2010, 2030, 2099])
def test_any_year_will_do(year: int) -> None:
    shifted = _scan(12)
    shifted["flow"][0]["ts"] = (datetime(year, 6, 1) - datetime(2026, 1, 10, 12)).total_seconds()
    store = filled(shifted)
    assert detect.run(store, detect.Settings()).errors == ()
    with store.read() as reader:
        (row,) = findings.as_json(reader, finding_class="port_scan")
    assert row["first_seen"].startswith(f"{year}-06-01")
    store.close()


def test_what_guardian_does_itself_is_never_a_finding() -> None:
    store = filled(_scan(12))
    detect.run(store, detect.Settings(own_addresses=("192.168.1.66",)))
    with store.read() as reader:
        assert reader.rows("SELECT 1 FROM finding WHERE src_ip = '192.168.1.66'") == []
    store.close()


def test_a_broken_rule_silences_nobody(tmp_path: Path) -> None:
    (tmp_path / "bad.sql").write_text("-- id: x\nSELECT 1")
    (tmp_path / "worse.sql").write_text(HEAD + "SELECT nothing FROM nowhere")
    store = filled(_scan(12))
    report = detect.run(store, detect.Settings(rule_folders=(tmp_path,)))
    assert any("bad.sql" in error for error in report.errors)
    assert any(error.startswith("worse:") for error in report.errors)
    with store.read() as reader:
        assert reader.rows("SELECT 1 FROM finding WHERE detector = 'scan.port_scan'")
        assert reader.value("SELECT error FROM detector_mark WHERE detector = 'worse'")
    store.close()


def test_a_rule_says_where_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(HEAD + "SELECT $unknown")
    (tmp_path / "b.sql").write_text("-- : :\n--  - x: [\nSELECT 1")
    loaded = load_rules([tmp_path])
    assert not loaded.rules
    assert "uses $unknown" in str(loaded.errors[0])
    assert "b.sql:" in str(loaded.errors[1])


def test_the_linter_asks_for_proof(tmp_path: Path) -> None:
    rules, cases = tmp_path / "rules", tmp_path / "cases"
    rules.mkdir()
    cases.mkdir()
    (rules / "a.sql").write_text(HEAD + "SELECT 1")
    assert any("has no cases" in str(error) for error in lint(rules, cases))
    (cases / "a.yaml").write_text("cases: [{kind: hit}]")
    assert any("empty, near_miss" in str(error) for error in lint(rules, cases))
    (cases / "a.yaml").write_text(
        "cases: [{kind: hit}, {kind: near_miss}, {kind: empty, expect: [1]}]"
    )
    hollow = [str(error) for error in lint(rules, cases) if "a.yaml" in str(error)]
    assert len(hollow) == 3, "none of them shows anything"
    (cases / "a.yaml").write_text(
        "cases: [{kind: hit, rows: {flow: [{}]}, expect: [{}]}, "
        "{kind: near_miss, rows: {flow: [{}]}}, {kind: empty}]"
    )
    assert not [error for error in lint(rules, cases) if "a." in str(error)]


def test_the_linter_asks_classes_for_proof_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [error for error in lint() if "class " in str(error)]

    class Unproved:
        name, reads, window_s = "test.unproved", ("flow",), 0

    monkeypatch.setattr("guardian.detect.lint.DETECTORS", (Unproved(),))
    assert any("class Unproved: has no cases" in str(error) for error in lint())


def test_the_linter_refuses_a_threshold_without_a_name(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.sql").write_text(
        HEAD
        + "SELECT 1 WHERE 12 < y AND y < 13.5 AND x > 1 AND status = 404 AND note <> '> 99' -- < 77"
    )
    errors = [str(error) for error in lint(rules, tmp_path) if "a.sql" in str(error)]
    assert any("against 13.5" in error for error in errors)
    assert any("against 12;" in error for error in errors)
    assert not any(number in error for error in errors for number in ("404", "99", "77"))


def test_the_linter_asks_for_unit_and_reason(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    head = HEAD + '-- parameters:\n--   most: {default: 3, unit: "", reason: because}\n'
    (rules / "a.sql").write_text(head + "SELECT $most")
    assert any("no unit, or no reason" in str(error) for error in lint(rules, tmp_path))


def test_a_new_list_is_matched_with_what_was_seen_before(tmp_path: Path) -> None:
    store = filled({"dns": [{"src_ip": "192.168.1.20", "rrname": "www.evil.example"}]})
    detect.run(store, detect.Settings())
    (tmp_path / "list.txt").write_text("# bad names\nevil.example # why\nnot an indicator at all\n")
    loaded = indicators.load(store, tmp_path / "list.txt", "test")
    assert (loaded.indicators, loaded.refused) == (1, 1)
    assert detect.run(store, detect.Settings()).findings == 1
    store.close()


def test_a_list_keeps_its_licence_its_age_and_its_digest(
    tmp_path: Path, memory_store: Store
) -> None:
    file = tmp_path / "list.txt"
    file.write_text(
        "# A list of bad names\n# Last updated: 2026-01-10 04:00:00 UTC\n# License: CC0-1.0\n"
        "evil.example\n"
    )
    loaded = indicators.load(memory_store, file, "bad")
    assert (loaded.licence, loaded.made_at) == ("CC0-1.0", datetime(2026, 1, 10, 4))
    with memory_store.read() as reader:
        (row,) = indicators.lists(reader, now=datetime(2026, 1, 20, 5))
    assert row["age_days"] == 10
    assert row["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (row["entries"], row["refused"], row["origin"]) == (1, 0, str(file))
    file.write_text("other.example\n")
    assert indicators.load(memory_store, file, "bad", licence="mine").licence == "mine"
    with memory_store.read() as reader:
        assert len(indicators.lists(reader)) == 1


def test_a_day_of_rows_meets_big_lists_in_seconds(memory_store: Store) -> None:
    with memory_store.transaction() as tx:
        tx.execute(
            "INSERT INTO indicator SELECT 'domain', 'd' || i || '.bad.example', 'big', NULL, "
            "TIMESTAMP '2026-01-10' FROM range(100000) t(i)"
        )
        tx.execute(
            "INSERT INTO indicator SELECT 'ip', '203.' || (i // 65536) || '.' || "
            "(i // 256 % 256) || '.' || (i % 256), 'big', NULL, TIMESTAMP '2026-01-10' "
            "FROM range(100000) t(i)"
        )
    fill(memory_store, {
        "dns": [{"repeat": 500, "src_ip": "192.168.1.20", "rrname": "a.d{i}.bad.example"}],
        "flow": [{"repeat": 500, "src_ip": "192.168.1.20", "dest_ip": "203.0.{i}.9"}],
    })  # fmt: skip
    keep = {"intel.name", "intel.address", "intel.network", "intel.fingerprint", "intel.url"}
    every = {each.name for each in engine.detectors(detect.Settings())[0]}
    report = detect.run(memory_store, detect.Settings(disabled=tuple(every - keep)))
    assert report.errors == ()
    with memory_store.read() as reader:
        found = reader.rows(
            "SELECT detector, count(*) AS n, any_value(facts ->> '$.lists[0]') AS list "
            "FROM finding GROUP BY detector ORDER BY detector"
        )
    assert [(row["detector"], row["n"], row["list"]) for row in found] == [
        ("intel.address", 256, "big"),
        ("intel.name", 500, "big"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EVIL.example.", ("domain", "evil.example")),
        ("0.0.0.0 ads.example", ("domain", "ads.example")),
        ("*.evil.example", ("domain", "evil.example")),
        ("198.51.100.7", ("ip", "198.51.100.7")),
        ("DEAD::BEEF", ("ip", "dead::beef")),
        ("198.51.100.0/24", ("cidr", "198.51.100.0/24")),
        ("198.51.100.7:8443", ("ip_port", "198.51.100.7|8443")),
        ("[2001:db8::1]:443", ("ip_port", "2001:db8::1|443")),
        ("https://evil.example/a/b/", ("url", "evil.example/a/b")),
        ("0123456789abcdef0123456789ABCDEF", ("ja3", "0123456789abcdef0123456789abcdef")),
        ("t13d1516h2_8daaf6152771_b186095e22b6", ("ja4", "t13d1516h2_8daaf6152771_b186095e22b6")),
        ("two words", None),
        ("localhost", None),
    ],
)
def test_an_indicator_is_told_by_its_form(text: str, expected: tuple[str, str] | None) -> None:
    assert indicators.parse(text) == expected


@given(st.text(max_size=300))
def test_any_name_has_features(text: str) -> None:
    row = names.features(text.lower())
    assert row[0] == text.lower()
    assert 0 <= row[8] <= 1
    indicators.parse(text)
    scope(text)


def test_made_up_labels_read_unlike_words() -> None:
    chosen = [
        "google",
        "wikipedia",
        "scorecardresearch",
        "weather",
        "homeassistant",
        "openstreetmap",
    ]
    made_up = ["xkqwzlvbnmfghjd", "qzjxvkpwtghb", "vbxzkqjhwtr"]
    assert max(map(randomness, chosen)) < 0.3 < 0.6 < min(map(randomness, made_up))


def test_suppressed_findings_are_hidden_when_read() -> None:
    store: Store = filled(_scan(12))
    detect.run(store, detect.Settings())
    with store.transaction() as tx:
        shown = findings.as_json(tx, finding_class="port_scan")
        assert shown
        assert shown[0]["first_seen"].endswith("Z")
        tx.execute(
            "INSERT INTO suppression (class, address, author, reason, created_at) "
            "VALUES ('port_scan', '192.168.1.10', 'keeper', 'my own', TIMESTAMP '2026-01-10')"
        )
        assert findings.as_json(tx, finding_class="port_scan") == []
        assert findings.as_json(tx, finding_class="port_scan", suppressed=True) == shown
    store.close()
