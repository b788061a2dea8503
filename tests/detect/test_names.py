"""Names are known as long as a row holds them, and never too many for one address."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from guardian.detect import names

from .cases import START, fill

if TYPE_CHECKING:
    from guardian.store import Store

NOW = START + timedelta(days=1)


def _asked(store: Store, number: int, *, first: int = 0) -> None:
    """Let so many names be asked for, each with one answer: they are of one address."""
    rows = [
        {
            "ts": n,
            "src_ip": "192.168.1.20",
            "rrname": f"N{n}.example.com",
            "rrtype": "A",
            "answers": ["203.0.113.1"],
        }
        for n in range(first, first + number)
    ]
    with store.read() as reader:
        after = int(reader.value("SELECT next_id FROM row_counter")) - 1
    fill(store, {"dns_log": rows})
    with store.transaction() as tx:
        names.annotate(tx, after=after)


def _known(store: Store) -> set[str]:
    with store.read() as reader:
        return {row["name"] for row in reader.rows("SELECT name FROM name_info")}


def _of_address(store: Store) -> list[str]:
    with store.read() as reader:
        rows = reader.rows("SELECT name FROM address_name ORDER BY last_seen")
        return [row["name"] for row in rows]


def test_an_address_with_too_many_names_keeps_the_latest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "NAMES_OF_ADDRESS", 10)
    _asked(store, 10)
    names.forget(store, NOW)
    assert len(_of_address(store)) == 10, "as many as may be"
    _asked(store, 3, first=10)
    names.forget(store, NOW + timedelta(seconds=10))
    assert len(_of_address(store)) == 13, "not looked at again so soon"
    names.forget(store, NOW + timedelta(hours=1))
    assert _of_address(store) == [f"n{n}.example.com" for n in range(8, 13)]


def test_names_that_came_at_one_moment_are_not_all_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "NAMES_OF_ADDRESS", 10)
    _asked(store, 12)
    with store.transaction() as tx:
        tx.execute("UPDATE address_name SET last_seen = ?", [START])
    names.forget(store, NOW)
    assert len(_of_address(store)) == 5


def test_all_addresses_together_keep_the_latest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "NAMES_OF_ALL", 4)
    monkeypatch.setattr(names, "CHUNK", 3)
    _asked(store, 5)
    names.forget(store, NOW)
    assert _of_address(store) == ["n3.example.com", "n4.example.com"]


def test_never_many_are_forgotten_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "NAMES_OF_ADDRESS", 2)
    monkeypatch.setattr(names, "MANY_NAMES", 2)
    monkeypatch.setattr(names, "CHUNK", 3)
    _asked(store, 8)
    with store.transaction() as tx:
        tx.execute("DELETE FROM dns_log WHERE rrname <> 'N7.example.com'")
    left = []
    for hour in range(4):
        names.forget(store, NOW + timedelta(hours=hour))
        left.append((len(_of_address(store)), len(_known(store))))
    assert left == [(5, 5), (2, 2), (2, 2), (2, 2)], "the rest goes with the next rounds"
    assert "n7.example.com" in _of_address(store)


def test_a_name_that_no_row_holds_is_forgotten_and_learned_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _asked(store, 3)
    with store.transaction() as tx:
        tx.execute("DELETE FROM dns_log WHERE rrname IN ('N0.example.com', 'N1.example.com')")
    names.forget(store, NOW)
    assert len(_known(store)) == 3, "few names are no burden"
    monkeypatch.setattr(names, "MANY_NAMES", 2)
    names.forget(store, NOW)
    assert len(_known(store)) == 3, "once a day"
    names.forget(store, NOW + timedelta(days=1))
    assert _known(store) == {"n2.example.com"}
    _asked(store, 1, first=1)
    assert _known(store) == {"n1.example.com", "n2.example.com"}


@pytest.mark.parametrize("late_days", [-400, 0, 400])
def test_old_captures_keep_their_names(store: Store, late_days: int) -> None:
    _asked(store, 3)
    names.forget(store, NOW + timedelta(days=late_days))
    assert len(_of_address(store)) == 3
