"""What is made ready for the page: a device's year, and the evidence of findings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.store import (
    Reader,
    Store,
    archive,
    clock,
    conversations,
    kept,
    pages_evidence,
    pages_history,
    retention,
    rollup,
    weeks,
)
from guardian.store.limits import Limits

if TYPE_CHECKING:
    import pytest

    from guardian.store import Transaction

UNTIL = datetime(2026, 7, 1, 12)  # a Wednesday
SINCE = UNTIL - timedelta(days=40)


def flows(tx: Transaction, since: datetime, number: int, step_s: int) -> None:
    first = int(tx.value("SELECT next_id FROM row_counter"))
    tx.execute(
        """
        INSERT INTO flow (id, ts, source_id, flow_id, src_ip, dest_ip, dest_port, proto, app_proto,
            bytes_toserver, bytes_toclient)
        SELECT $first + i, $since + to_seconds(i * $step), 1, $first + i, '192.168.1.' || (i % 3),
            '203.0.113.' || (i % 7), 443, 'TCP', 'tls', i, 10 * i FROM range($rows) AS t(i)
        """,
        {"first": first, "since": since, "rows": number, "step": step_s},
    )
    tx.execute("UPDATE row_counter SET next_id = ?", [first + number])


def house(tx: Transaction) -> None:
    for number in range(3):
        tx.execute(
            "INSERT INTO device (device_id, name, first_seen, last_seen, merged_into) "
            "VALUES (?, ?, ?, ?, ?)",
            [f"d{number}", f"D{number}", SINCE, UNTIL, "d0" if number == 1 else None],
        )
        tx.execute(
            "INSERT INTO device_address VALUES (?, ?, NULL, ?, NULL, ?)",
            [f"d{number}", f"192.168.1.{number}", SINCE, UNTIL],
        )


def asked(reader: Reader) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return (
        pages_history.year(reader, "d0", until=UNTIL),
        pages_history.places(reader, "d0", until=UNTIL, limit=50),
    )


def by_hour(reader: Reader) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the same from the hourly sums alone."""
    what = (
        "sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS up, sum(bytes_down)::BIGINT AS down"
    )
    own = "FROM rollup_1h WHERE device_id IN ('d0', 'd1')"
    return (
        reader.rows(f"SELECT bucket::DATE AS day, {what} {own} GROUP BY 1 ORDER BY 1"),
        reader.rows(
            f"SELECT dest, {what}, min(bucket) AS first, max(bucket) AS last {own} "
            "GROUP BY 1 ORDER BY up + down DESC, dest"
        ),
    )


def test_a_year_is_the_same_from_weeks_as_from_hours(store: Store) -> None:
    with store.transaction() as tx:
        house(tx)
        flows(tx, SINCE, 4000, 800)
    rollup.update(store)
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM device_week") > 0
        assert weeks.summed_until(reader) >= datetime(2026, 6, 22)
        assert asked(reader) == by_hour(reader)
    # Hours of weeks that are summed already, and weeks that nobody knew of.
    with store.transaction() as tx:
        flows(tx, SINCE + timedelta(days=3), 50, 60)
        flows(tx, SINCE - timedelta(days=30), 50, 60)
    rollup.update(store)
    rollup.update(store)
    with store.read() as reader:
        assert asked(reader) == by_hour(reader)
        assert len(asked(reader)[0]) == 39


def test_an_older_store_is_summed_week_by_week(store: Store) -> None:
    with store.transaction() as tx:
        house(tx)
        flows(tx, SINCE, 1000, 3400)
    rollup.update(store)
    with store.transaction() as tx:  # as it was before there were weeks
        tx.execute("DELETE FROM device_day")
        tx.execute("DELETE FROM device_week")
        tx.execute("DELETE FROM rollup_mark WHERE name = 'week'")
    with store.read() as reader:
        hours = by_hour(reader)
        assert asked(reader) == hours
    assert weeks.update(store) >= 6
    assert weeks.update(store) == 0
    with store.read() as reader:
        assert asked(reader) == hours


def finding(tx: Transaction, number: int, evidence: list[str]) -> None:
    tx.execute(
        """
        INSERT INTO finding (id, class, level, detector, title, key, src_ip, peers, first_seen,
            last_seen, count, facts, evidence, tags, updated_at, incident_id)
        VALUES (?, 'acr', 'low', 'd', 't', 'k', '192.168.1.1', [], ?, ?, 1, '{}', ?, [], ?, 1)
        """,
        [f"f{number}", SINCE, UNTIL, evidence, UNTIL + timedelta(seconds=number)],
    )


def test_evidence_that_nothing_names_any_more_is_let_go(store: Store) -> None:
    with store.transaction() as tx:
        flows(tx, SINCE, 20, 3400)
        finding(tx, 1, ["flow:1", "flow:2", "flow:3"])
    assert kept.update(store) == 3
    with store.transaction() as tx:
        tx.execute("UPDATE finding SET evidence = ['flow:3', 'flow:9', NULL]")
    retention.enforce(store, Limits(), now=UNTIL)
    with store.read() as reader:
        assert [row["id"] for row in reader.rows("SELECT id FROM kept_row")] == [3]


def test_evidence_is_kept_from_both_tiers_and_outlives_its_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PIECE", 3)
    with store.transaction() as tx:
        flows(tx, SINCE, 1000, 3400)
    clock.backdate(store)
    archive.archive(store, Limits(hot_days=7), now=UNTIL)
    refs = [
        *(f"flow:{number}" for number in (1, 5, 400, 990, 999, 5_000_000)),
        "x",
        "dns:no",
        "y:1",
    ]
    with store.read() as reader:
        before = pages_evidence.evidence(reader, refs)
        assert [row["id"] for row in before] == [999, 990, 400, 5, 1]
    with store.transaction() as tx:
        finding(tx, 1, refs)
    with store.read() as reader:
        talked = conversations.conversations(reader, 1)
        assert {(each.a, each.b) for each in talked} == {
            (row["src_ip"], row["dest_ip"]) for row in before
        }
    assert kept.update(store) == 5
    assert kept.update(store) == 0
    with store.transaction() as tx:
        finding(tx, 2, ["flow:999", "flow:998"])
    assert kept.update(store) == 1, "what is kept is not looked for again"
    with store.transaction() as tx:
        for table in ("flow", "cold_file", "cold_span"):
            tx.execute(f"DELETE FROM {table}")
    with store.read() as reader:
        assert pages_evidence.evidence(reader, refs) == before
        assert pages_evidence.moments(reader, refs) == sorted(row["ts"] for row in before)


def test_a_clock_that_was_ahead_hides_no_later_evidence(store: Store) -> None:
    with store.transaction() as tx:
        flows(tx, SINCE, 5, 3400)
        finding(tx, 0, ["flow:1"])
        finding(tx, 365 * 86400, ["flow:2"])
    assert kept.update(store, now=UNTIL) == 2
    assert kept.update(store, now=UNTIL) == 0
    with store.transaction() as tx:
        finding(tx, 60, ["flow:3"])
    assert kept.update(store, now=UNTIL + timedelta(seconds=90)) == 1
    with store.transaction() as tx:  # written a little later than it is dated
        finding(tx, 80, ["flow:5"])
    assert kept.update(store, now=UNTIL + timedelta(seconds=95)) == 1
    with store.transaction() as tx:  # as an earlier Guardian left it
        tx.execute(
            "UPDATE rollup_mark SET last_id = (SELECT max(epoch_us(updated_at)) FROM finding) "
            "WHERE name = 'evidence'"
        )
        finding(tx, 120, ["flow:4"])
    assert kept.update(store, now=UNTIL + timedelta(seconds=150)) == 1
