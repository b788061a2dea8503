"""Gaps in routers' numbers: each loss is counted once, and nothing else is taken for one."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.collect.test_netflow_batches import datagram
from tests.collect.test_network_logs import ipfix, version_9

from guardian.collect.netflow_decode import Decoder
from guardian.collect.netflow_gaps import Gaps
from guardian.collect.network_logs import NetflowCollector
from guardian.collect.reader import drain
from guardian.ops.health import health

if TYPE_CHECKING:
    from guardian.store.store import Store

ROUTER = ("192.168.1.1", 9, 0)
SIZES = [3, 7, 1, 24, 24, 5]
WAYS = ["datagrams", "records before", "records with its own"]


def sent(way: str, sizes: list[int], begin: int = 0) -> list[tuple[int, int]]:
    """Return number and records of the datagrams of a router that counts in this way."""
    if way == "datagrams":
        numbers = list(range(len(sizes)))
    else:
        numbers = list(itertools.accumulate(sizes, initial=0))
        numbers = numbers[:-1] if way == "records before" else numbers[1:]
    return [((begin + number) % 2**32, size) for number, size in zip(numbers, sizes, strict=True)]


def missed(datagrams: list[tuple[int, int]]) -> int:
    gaps = Gaps()
    for number, records in datagrams:
        gaps.saw(ROUTER, number, records)
    return gaps.take()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("begin", [0, 1, 2**32 - 60])
def test_what_did_not_arrive_is_counted(way: str, begin: int) -> None:
    stream = sent(way, SIZES * 6, begin)
    assert missed(stream) == 0
    lost = [15, 16, 17, 18]
    arrived = [one for at, one in enumerate(stream) if at not in lost]
    whole = len(lost) if way == "datagrams" else sum((SIZES * 6)[at] for at in lost)
    assert missed(arrived) == whole


@given(
    way=st.sampled_from(WAYS),
    sizes=st.lists(st.integers(0, 30), min_size=2, max_size=60),
    begin=st.integers(0, 2**32 - 1),
    lost=st.sets(st.integers(1, 58)),
)
def test_never_more_than_the_lost_datagrams_can_hold(
    way: str, sizes: list[int], begin: int, lost: set[int]
) -> None:
    stream = sent(way, sizes, begin)
    gone = [at for at in lost if at < len(stream)]
    arrived = [one for at, one in enumerate(stream) if at not in lost]
    most = len(gone) if way == "datagrams" else sum(sizes[at] for at in gone)
    if not gone:
        assert missed(arrived) == 0
    else:
        assert missed(arrived) <= max(most, 31 * len(gone))


def test_a_datagram_that_was_overtaken_is_none_that_is_missing() -> None:
    stream = sent("records before", SIZES * 3)
    stream[9], stream[10] = stream[10], stream[9]
    assert missed(stream) == 0


def test_a_router_that_does_not_count_misses_nothing() -> None:
    assert missed([(0, size) for size in SIZES * 3]) == 0


def test_a_router_that_began_anew_misses_nothing() -> None:
    whole = sent("datagrams", SIZES * 3, 5_000_000)
    assert missed([*whole, *sent("datagrams", SIZES * 3), *whole]) == 0


def test_two_routers_of_one_address_are_no_lasting_loss() -> None:
    one, other = sent("datagrams", SIZES * 50), sent("datagrams", SIZES * 50, 9_000)
    mixed = [each for pair in zip(one, other, strict=True) for each in pair]
    assert missed(mixed) == 0
    mixed = [each for at in range(0, 300, 3) for each in (*one[at : at + 3], *other[at : at + 3])]
    assert missed(mixed) < 3 * 9_000  # then it is known


def test_records_that_nobody_can_count_are_no_loss() -> None:
    gaps = Gaps()
    for number, records in ((0, None), (5, None), (9, 7), (16, None), (90, None)):
        gaps.saw(ROUTER, number, records)
    assert gaps.take() == 0


def numbered(data: bytes, at: int, number: int) -> bytes:
    return data[:at] + struct.pack("!I", number) + data[at + 4 :]


def test_versions_9_and_10_say_it_by_their_own_numbers() -> None:
    decoder = Decoder()
    template, flows = version_9()
    for number, data in ((7, template), (8, flows), (9, flows), (12, flows), (13, flows)):
        decoder.decode(numbered(data, 12, number), "192.168.1.1")
    assert decoder.gaps.take() == 2
    template = ipfix()[:16] + ipfix()[16 : 16 + struct.unpack_from("!H", ipfix(), 18)[0]]
    template = template[:2] + struct.pack("!H", len(template)) + template[4:]
    for number, data in ((0, template), (0, ipfix()), (1, ipfix()), (2, ipfix()), (3, template)):
        decoder.decode(numbered(data, 8, number), "192.168.1.1")
    assert decoder.gaps.take() == 0


def test_health_says_what_a_router_sent_and_nobody_got(memory_store: Store) -> None:
    collector = NetflowCollector("127.0.0.1", 0)
    for number in (0, 2, 4, 10, 12):
        collector.listener._take_in("192.168.1.1", datagram(number // 2, sequence=number))
    drain(memory_store, collector)
    collector.close()
    (reason,) = health(memory_store, running=True).reasons
    assert "4 events were lost lately on the way here, or" in reason.text


def test_what_was_dropped_here_is_counted_once(memory_store: Store) -> None:
    collector = NetflowCollector("127.0.0.1", 0)
    collector.listener._limit = 3
    for number in range(10):
        if number == 9:
            drain(memory_store, collector)
        collector.listener._take_in("192.168.1.1", datagram(number, sequence=2 * number))
    collector.listener._take_in("192.168.1.1", datagram(10, sequence=20))
    drain(memory_store, collector)
    collector.close()
    with memory_store.read() as reader:
        assert reader.value("SELECT dropped FROM source") == 6
