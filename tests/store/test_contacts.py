from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from guardian.store import archive, clock, contacts, deletion, ingest
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from guardian.store import Store

NOW = datetime(2026, 11, 20, 12)
DAYS = 20


def ask(store: Store, first: int, moments: str, **bound: datetime) -> None:
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO dns_log (id, ts, source_id, src_ip, rrname) "
            f"SELECT {first} + row_number() OVER (), ts, 1, '192.168.1.5', 'ads.example' "
            f"FROM ({moments})",
            bound,
        )
        tx.execute("UPDATE row_counter SET next_id = (SELECT max(id) + 1 FROM dns_log)")


@pytest.fixture
def counted(store: Store) -> Store:
    """A store with an hour's contact in each of twenty days, counted."""
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO address_info (ip, scope, home) VALUES ('192.168.1.5', 'private', true)"
        )
        tx.execute(
            "INSERT INTO name_hit (name, entry_id, class, company, service, purposes, grade, "
            "breakage, pattern) VALUES ('ads.example', 'e', ?, 'c', 's', [], 'A', 'none', 'p')",
            [contacts.CLASSES[0]],
        )
    ask(store, 0, f"SELECT $now - to_days(d::INTEGER) AS ts FROM range({DAYS}) r(d)", now=NOW)
    contacts.update(store)
    clock.backdate(store)
    return store


def sums(store: Store) -> tuple[int, int, int]:
    with store.read() as reader:
        row = reader.one("SELECT count(*) AS n, sum(contacts)::BIGINT AS c FROM contact_hour")
        active = reader.value("SELECT count(*) FROM active_hour")
    assert row is not None
    return row["n"], row["c"], active


def recount(store: Store) -> tuple[int, int, int]:
    with store.transaction() as tx:
        contacts.rebuild(tx)
    contacts.update(store)
    return sums(store)


def test_a_late_row_takes_no_hours_whose_rows_are_gone(counted: Store) -> None:
    store = counted
    assert sums(store) == (DAYS, DAYS, DAYS)
    archive.archive(store, Limits(hot_days=7), now=NOW)
    late = NOW - timedelta(days=15)
    ask(store, 1000, "SELECT $late AS ts", late=late)
    ask(store, 2000, "SELECT $now AS ts", now=NOW + timedelta(hours=1))
    contacts.update(store)
    with store.read() as reader:  # two rows for the late hour: one for each count
        said = reader.value("SELECT sum(contacts) FROM contact_hour WHERE bucket = ?", [late])
    assert said == 2
    assert sums(store)[1] == DAYS + 2
    assert recount(store)[1] == DAYS + 2
    assert recount(store)[1] == DAYS + 2
    ask(store, 3000, "SELECT $late AS ts", late=late)  # what comes late from now on counts
    ask(store, 4000, "SELECT $now AS ts", now=NOW + timedelta(hours=2))
    contacts.update(store)
    assert sums(store)[1] == DAYS + 4


def test_days_deleted_for_room_stay_counted(counted: Store) -> None:
    store = counted
    reason = "all rows took more than 1 bytes"
    deletion._drop(store, "dns_log", datetime(2026, 11, 10), NOW, reason)
    ask(store, 1000, "SELECT $late AS ts", late=datetime(2026, 11, 3))
    ask(store, 2000, "SELECT $now AS ts", now=NOW + timedelta(hours=1))
    contacts.update(store)
    before = sums(store)
    assert before[1] == DAYS + 2
    assert recount(store) == before


def test_where_nothing_is_gone_all_is_counted_anew(counted: Store) -> None:
    with counted.transaction() as tx:
        tx.execute("DELETE FROM name_hit")
    assert recount(counted) == (0, None, DAYS)


def test_a_source_read_anew_is_counted_once(counted: Store) -> None:
    ingest.forget(counted, 1)
    contacts.update(counted)
    assert sums(counted) == (0, None, 0)
    ask(counted, 1000, f"SELECT $now - to_days(d::INTEGER) AS ts FROM range({DAYS}) r(d)", now=NOW)
    contacts.update(counted)
    assert sums(counted) == (DAYS, DAYS, DAYS)
