"""Leases files: half-written ones, ones that only grow, ones that are rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guardian.collect import snapshot, text_log
from guardian.collect.reader import drain

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

KEA = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n"


def lease(number: int, ip: str | None = None) -> str:
    return f"1781520000 02:00:00:00:00:{number:02x} {ip or f'192.168.1.{number}'} n{number} *\n"


def kea(number: int) -> str:
    return f"192.168.1.9,02:00:00:00:00:09,,3600,{1_781_521_200 + number},1,0,0,h{number},0\n"


def names(store: Store) -> list[str]:
    with store.read() as reader:
        return [row["name"] for row in reader.rows("SELECT name FROM sighting ORDER BY id")]


@pytest.fixture
def leases(tmp_path: Path) -> Path:
    return tmp_path / "dnsmasq.leases"


def test_a_half_written_line_waits_for_its_other_half(leases: Path, memory_store: Store) -> None:
    collector = text_log.kinds()["dnsmasq-leases"](leases)
    whole = lease(1) + lease(2, "192.168.1.53")
    for so_far in (whole[:-10], whole[:-7], whole):  # 192.168.1.5 for a moment, and then .53
        leases.write_text(so_far)
        got = drain(memory_store, collector)
        assert got.rejected == 0
    with memory_store.read() as reader:
        found = reader.rows("SELECT ip FROM sighting ORDER BY id")
    assert [row["ip"] for row in found] == ["192.168.1.1", "192.168.1.53"]
    assert drain(memory_store, collector).events == 0


def test_a_last_line_that_stays_without_its_end_is_read_once(
    leases: Path, memory_store: Store
) -> None:
    collector = text_log.kinds()["dnsmasq-leases"](leases)
    leases.write_text(lease(1) + lease(2).rstrip("\n"))
    assert drain(memory_store, collector).events == 1
    assert drain(memory_store, collector).events == 1  # it stood still
    assert drain(memory_store, collector).events == 0
    leases.write_text(lease(1) + lease(2) + lease(3).rstrip("\n"))
    assert drain(memory_store, collector).events == 0
    assert drain(memory_store, collector, final=True).events == 1
    assert names(memory_store) == ["n1", "n2", "n3"]


def test_a_file_of_one_line_without_its_end_is_read_when_it_is_the_end(
    leases: Path, memory_store: Store
) -> None:
    leases.write_text(lease(1).rstrip("\n"))
    collector = text_log.kinds()["dnsmasq-leases"](leases)
    assert drain(memory_store, collector, final=True).events == 1
    assert drain(memory_store, collector).events == 0


def test_what_comes_after_many_lines_is_read(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MAX_LINES", 10)
    file = tmp_path / "kea-leases4.csv"
    collector = text_log.kinds()["kea-leases"](file)
    file.write_text(KEA + "".join(kea(n) for n in range(15)))
    assert drain(memory_store, collector).events == 15
    assert drain(memory_store, collector).events == 0
    with file.open("a") as out:
        out.write("".join(kea(n) for n in range(15, 20)))
    got = drain(memory_store, collector)
    assert (got.events, got.rejected) == (5, 0)
    file.write_text(KEA + "".join(kea(n) for n in (12, 17, 18, 19, 20)))  # it was cleaned up
    got = drain(memory_store, collector)
    assert got.events == 1
    assert names(memory_store) == [f"h{n}" for n in (*range(20), 20)]


def test_more_new_lines_than_are_kept_apart_are_said(
    tmp_path: Path, memory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MAX_LINES", 10)
    file = tmp_path / "kea-leases4.csv"
    collector = text_log.kinds()["kea-leases"](file)
    file.write_text(KEA + kea(0))
    drain(memory_store, collector)
    file.write_text(KEA + "".join(kea(n) for n in range(15)))
    got = drain(memory_store, collector)
    assert (got.events, got.rejected) == (10, 1)
    assert names(memory_store) == ["h0", *(f"h{n}" for n in range(5, 15))]
    assert drain(memory_store, collector).rejected == 0
