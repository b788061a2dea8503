"""A short soak, and the soak's own arithmetic: the long one is ``scripts/soak``."""

from __future__ import annotations

import random
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from guardian.collect.netflow_decode import Decoder
from guardian.collect.network_logs import SyslogCollector
from guardian.lab import soak, soak_memory
from guardian.lab.soak_sockets import Gap, Netflow, Sent, Syslog, account
from guardian.store import Store

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, 12)


def test_every_event_is_stored_once_whatever_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    # However long a busy machine lets a datagram wait: the kills excuse what was last.
    figures = soak.run(
        tmp_path, minutes=0.25, speed=1, kills=2, seed=3, grace_s=60, say=said.append
    )
    assert figures["wrong"] == []
    assert figures["kills"] == 2
    assert figures["events"] > 15_000
    assert figures["exit_code"] == 0
    assert figures["flat"] is None
    assert {*figures["sockets"]} == {"netflow", "syslog", "eve-stream"}
    for each in figures["sockets"].values():
        assert 0 < each["stored"] <= each["sent"]
        assert each["twice"] == each["unknown"] == each["unaccounted"] == 0
    assert soak.passed(figures)
    assert "each exactly once" in soak.verdict(figures)
    assert "sent over sockets" in soak.verdict(figures)
    assert "too short to say whether it grows" in soak.verdict(figures)
    assert said[-1].startswith("comparing")
    grown = {**figures, "flat": False, "memory_slope_mb_per_min": 40.9}
    assert not soak.passed(grown)
    assert "+40.9 MB a minute" in soak.verdict(grown)


def put(data: Path, source: tuple[str, str], numbers: list[int], *, dropped: int = 0) -> None:
    """Let a store hold these flows of a source and no others."""
    store = Store.open(data)
    try:
        with store.transaction() as tx:
            tx.execute("DELETE FROM flow")
            tx.execute("DELETE FROM source")
            tx.execute(
                "INSERT INTO source (name, kind, path, dropped) VALUES ('it', ?, ?, ?)",
                [*source, dropped],
            )
            tx.execute(
                "INSERT INTO flow (id, source_id, ts, bytes_toserver) "
                "SELECT unnest(range(len($1))), source_id, $2, unnest($1::BIGINT[]) FROM source",
                [numbers, NOW],
            )
    finally:
        store.close()


@pytest.mark.parametrize(
    ("numbers", "right"),
    [
        ([1, 2, 3, 4, 5], True),
        ([1, 2, 3, 4], False),
        ([1, 2, 3, 4, 5, 3], False),
        ([1, 2, 3, 4, 4], False),
        ([], False),
    ],
)
def test_a_row_too_many_or_too_few_is_seen(
    tmp_path: Path, numbers: list[int], *, right: bool
) -> None:
    zeek = soak.Zeek(tmp_path)
    zeek.grow(5, NOW)
    put(tmp_path / "data", ("zeek", zeek.option[1]), numbers)
    wrong = soak.compare(tmp_path / "data", [zeek])
    assert (wrong == []) is right
    if not right:
        assert "instead of (5, 15)" in wrong[0]


def test_what_came_over_a_socket_is_compared_with_the_store(tmp_path: Path) -> None:
    syslog = Syslog(tmp_path)
    syslog.look()
    assert syslog.gaps[-1].heard is None  # nobody listens yet
    syslog.gaps[-1].heard = 0.0
    syslog.grow(5, NOW)
    source = ("syslog", syslog.path)
    put(tmp_path / "data", source, [1, 2, 3, 4, 5])
    found = soak.heard(tmp_path / "data", [syslog])["syslog"]
    assert (found.stored, found.wrong("syslog")) == (5, [])
    put(tmp_path / "data", source, [1, 2, 2, 5, 9], dropped=1)
    found = soak.heard(tmp_path / "data", [syslog])["syslog"]
    assert found.wrong("syslog") == [
        "syslog: 1 stored twice",
        "syslog: 1 stored but never sent",
        "syslog: 1 neither stored nor counted as dropped",
    ]
    syslog.end(NOW)


def sent() -> Sent:
    """Twenty datagrams of two events each, one a second from 100 on."""
    found = Sent()
    for second in range(100, 120):
        found.note(2, float(second))
    return found


START = Gap(killed=0.0, heard=99.0)
KILLED = Gap(killed=109.5, heard=112.5)
"""Dead from the tenth datagram (events 19 and 20) to the thirteenth (25 and 26)."""


@pytest.mark.parametrize(
    ("gone", "dropped", "lost_dead", "lost_grace", "unaccounted"),
    [
        ([], 0, 0, 0, 0),
        ([21, 22, 23, 24, 25, 26], 0, 6, 0, 0),  # sent to a dead daemon
        ([17, 18, 19, 20, 21, 22], 0, 2, 4, 0),  # and the last before it was killed
        ([15, 16], 0, 0, 0, 1),  # shortly before, but later ones were stored
        ([*range(7, 27)], 0, 6, 10, 2),  # two that were sent more than 5 s before
        ([*range(7, 27)], 2, 6, 10, 0),  # which the daemon counted
        ([27], 0, 0, 0, 1),  # the first after it listened again
        ([39, 40], 0, 0, 0, 1),  # the last of all
        ([1, 3, 5], 2, 0, 0, 1),  # more than it counted
    ],
)
def test_what_may_be_missing_of_a_socket(
    gone: list[int], dropped: int, lost_dead: int, lost_grace: int, unaccounted: int
) -> None:
    stored = [number for number in range(1, 41) if number not in gone]
    found = account(sent(), stored, [START, KILLED], dropped, grace_s=5.0)
    assert (found.lost_dead, found.lost_grace) == (lost_dead, lost_grace)
    assert found.unaccounted == unaccounted
    assert bool(found.wrong("it")) is bool(unaccounted)
    assert (found.twice, found.unknown, found.stored) == (0, 0, 40 - len(gone))


def test_a_daemon_that_never_listened_again_explains_what_is_missing_since() -> None:
    found = account(sent(), range(1, 21), [START, Gap(killed=109.5)], 0)
    assert (found.lost_dead, found.unaccounted, found.grace_used_s) == (20, 0, 0.0)


def test_nothing_is_stored_twice_or_unsent() -> None:
    found = account(sent(), [*range(1, 41), 7, 7, 0, 41], [START], 0)
    assert (found.twice, found.unknown) == (2, 2)
    assert found.wrong("it") == ["it: 2 stored twice", "it: 2 stored but never sent"]


def test_what_is_sent_is_read_with_its_number(tmp_path: Path) -> None:
    taken: list[bytes] = []
    netflow = Netflow(tmp_path)
    netflow._send = taken.append  # type: ignore[method-assign]
    netflow.grow(30, NOW)
    rows = [row for data in taken for row in Decoder().decode(data, "127.0.0.1")[0]]
    assert len(taken) == 2
    assert [row["bytes_toserver"] for row in rows] == [*range(1, 31)]
    assert rows[0]["ts"].year == 2026
    collector = SyslogCollector("127.0.0.1", 0)
    taken.clear()
    syslog = Syslog(tmp_path)
    syslog._send = taken.append  # type: ignore[method-assign]
    syslog.grow(3, NOW)
    for data in taken:
        collector.listener._take_in("127.0.0.1", data)
    tables = [batch.tables["flow"] for batch in collector.batches(None)]
    collector.close()
    assert tables[0].column("bytes_toserver").to_pylist() == [1, 2, 3]
    for each in (netflow, syslog):
        each.end(NOW)


def saw(growth: float, minutes: int, *, seed: int = 1) -> soak_memory.Samples:
    """A memory of 400 MB that grows by so many a minute, with peaks of 20 s that come by chance."""
    chance = random.Random(seed)
    high = {minute: chance.uniform(0, 40) for minute in range(minutes)}
    return [
        (
            float(at),
            400
            + growth * at / 60
            + (300 if high[at // 60] <= at % 60 < high[at // 60] + 20 else 0),
        )
        for at in range(minutes * 60)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("growth", "minutes", "flat"),
    [(0.0, 5, True), (0.0, 40, True), (2.0, 5, True), (2.0, 40, False), (4.0, 5, False)],
)
def test_growth_is_seen_below_the_peaks(
    growth: float, minutes: int, *, flat: bool, seed: int
) -> None:
    found = soak_memory.figures(saw(growth, minutes, seed=seed), 0.0, 0.0, 240.0)
    assert found["memory_slope_mb_per_min"] == pytest.approx(growth, abs=0.2)
    assert found["flat"] is flat
    assert found["memory_over_600_mb_share"] == pytest.approx(1 / 3, abs=0.01)
    assert [each["minute"] for each in found["memory_by_minute"]] == [*range(minutes)]
    assert found["memory_by_minute"][0]["max"] >= 700


def test_one_odd_minute_does_not_tilt_the_slope() -> None:
    samples = [(at, 900.0 if at >= 540 else used) for at, used in saw(0.0, 10)]
    assert soak_memory.figures(samples, 0.0, 0.0, 240.0)["flat"] is True


def test_too_little_is_not_judged() -> None:
    assert soak_memory.figures(saw(0.0, 3), 0.0, 0.0, 240.0)["flat"] is None
    assert soak_memory.figures([], 0.0, 0.0, 240.0)["flat"] is None
    assert soak_memory.figures(saw(0.0, 10), 0.0, 9999.0, 240.0)["memory_judged_s"] == 0
