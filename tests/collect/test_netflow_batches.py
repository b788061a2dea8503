"""Many flows of one poll: several batches, and what was not given stays for the next poll."""

from __future__ import annotations

import struct

import pytest

from guardian.collect import network_logs
from guardian.collect.network_logs import NetflowCollector

NOW = 1_781_517_600


def datagram(number: int, sequence: int = 0) -> bytes:
    """NetFlow v5 with two flows that are told by their bytes."""
    head = struct.pack("!HHIIIIBBH", 5, 2, 5000, NOW, 0, sequence, 0, 0, 0)
    flows = [
        struct.pack(
            "!4s4s4sHHIIIIHHBBBBHHBBH", bytes((192, 168, 1, 5)), bytes((203, 0, 113, 9)), bytes(4),
            0, 0, 1, 2 * number + each, 1000, 2000, 40000 + 2 * number + each, 443,
            0, 0, 17, 0, 0, 0, 0, 0, 0,
        )
        for each in range(2)
    ]  # fmt: skip
    return head + b"".join(flows)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> NetflowCollector:
    monkeypatch.setattr(network_logs, "BATCH_FLOWS", 6)
    made = NetflowCollector("127.0.0.1", 0)
    made.close()  # the datagrams are handed to it
    for number in range(10):
        made.listener._take_in("192.168.1.1", datagram(number))
    made.listener._take_in("192.168.1.1", b"\x00\x63nonsense")
    return made


def test_a_poll_of_many_flows_is_several_batches(collector: NetflowCollector) -> None:
    batches = list(collector.batches(None))
    assert [batch.events for batch in batches] == [6, 6, 6, 2]
    sizes = [
        size
        for batch in batches
        for size in batch.tables["flow"].column("bytes_toserver").to_pylist()
    ]
    assert sorted(sizes) == [*range(20)]
    assert [batch.rejected for batch in batches] == [0, 0, 0, 1]
    assert not collector.holds()


def test_a_poll_that_is_cut_short_goes_on_in_the_next(collector: NetflowCollector) -> None:
    begun = collector.batches(None)
    assert next(begun).events == 6
    begun.close()  # type: ignore[attr-defined]  # it is a generator
    assert collector.holds()
    assert sum(batch.events for batch in collector.batches(None)) == 14
    assert not collector.holds()
