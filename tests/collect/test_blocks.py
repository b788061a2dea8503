"""Refused lines of a log: each is counted, the first are placed, and many cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.collect import parser_spec, text_log
from guardian.collect.blocks import SAMPLES, Block, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Lines(list[bytes]):
    """Lines that count how many of them were looked at one after the other."""

    seen = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in super().__iter__():
            self.seen += 1
            yield line

    def __getitem__(self, at: object) -> object:  # type: ignore[override]  # a slice is a walk too
        found = super().__getitem__(at)  # type: ignore[index]
        self.seen += len(found) if isinstance(at, slice) else 0
        return found


def test_where_the_lines_of_a_block_begin_is_reckoned_once() -> None:
    lines = Lines([b"x" * (number % 7) for number in range(3000)])
    block = Block(lines=lines, start=100, end=100 + sum(len(line) + 1 for line in [*lines]))
    places = [block.place(index) for index in range(3000)]
    assert lines.seen <= 2 * 3000
    assert places[:4] == ["byte 100", "byte 101", "byte 103", "byte 106"]
    whole = b"\n".join(lines)
    assert all(
        whole[int(place.removeprefix("byte ")) - 100 :].startswith(line)
        for place, line in zip(places, lines, strict=True)
    )


def test_of_many_refused_lines_the_first_of_each_reason_are_kept() -> None:
    block = Block(lines=[b"a", b"bb"] * 500, start=0, end=2500)
    refused = Refused()
    for index in range(1000):
        refused.add("odd" if index % 2 else "even", block, index)
    found = refused.found()
    assert len(found) == 2 * SAMPLES
    for reason, sample in (("odd", b"bb"), ("even", b"a")):
        of_it = [one for one in found if one.reason == reason]
        assert sum(one.count for one in of_it) == 500
        assert {one.count for one in of_it[:-1]} == {1}
        assert {one.sample for one in of_it} == {sample}
    assert [one.place for one in found[:2]] == ["byte 0", "byte 5"]
    assert Refused().found() == ()


def test_a_log_of_bad_lines_is_counted_whole(tmp_path: Path) -> None:
    log = tmp_path / "querylog.json"
    log.write_bytes(b"not json at all\n" * 2000)
    reader = text_log.collector(log, parser_spec.shipped("adguard"))
    (batch,) = reader.batches(None, final=True)
    assert batch.rejected == 2000
    assert len(batch.rejects) == SAMPLES
    assert [one.place for one in batch.rejects[:2]] == ["byte 0", "byte 16"]
