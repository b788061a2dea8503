"""The patterns in parsers/ on lines that are made to be hard: a datagram of 8 KB costs little."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from guardian.collect import parser_spec
from guardian.collect.network_logs import LINE_FORMATS, _format_of, unwrapped
from guardian.collect.text_rows import LineError, LineParser
from guardian.collect.text_values import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHARS = 8000
CHEAP_S = 0.02
"""Below this the growth does not matter; the shipped patterns are below a fifth of it."""

STARTS = (
    "", "Nov 21 10:00:00 x ", "[1781517600] unbound[1:0] info: ", "Nov 21 10:00:00 x kernel: ",
    "CEF:0|Ubiquiti|UniFi Network|9|201|Threat Detected|4|", "Nov 21 10:00:00 x kernel: drop ",
)  # fmt: skip
FILLS = ("", "1", "a ", " ", "] ")
WHOLE = (
    "IN= OUT= SRC=1 DST=2 ", "IN= OUT= SRC=1 DST=2 LEN=3 ", "drop IN= OUT= ", "] IN= OUT=",
    " src=1", "unbound: ", "unbound[1:", " src=1 dst=1", " dst=1 src=1 UNIFIutcTime",
    " UNIFIipsSignature=a b c", "unbound[1: info: ", "info: 1.1.1.1 a A ",
    "dnsmasq[1]: query[A] ", "DHCPACK(a", "filterlog 1 - [",
)  # fmt: skip
_SYNTAX = re.compile(r"\(\?P<\w+>|\(\?[=!:i>]*|\\[bdswSD]|\{[^}]*\}|\[[^\]]*\]|[()?*+^$|]")


def patterns(spec: parser_spec.Spec) -> Iterator[tuple[str, Callable[[str], object]]]:
    yield spec.detect, re.compile(spec.detect).search
    for pattern in spec.ignore:
        yield pattern, re.compile(pattern).search
    for pattern in (spec.prefix, *(row.match for row in spec.row)):
        if pattern:
            compiled = re.compile(pattern)
            yield pattern, compiled.match if spec.format == "regex" else compiled.search


def hard_lines(spec: parser_spec.Spec) -> list[str]:
    """Lines that repeat the words of a format's own patterns."""
    words = {
        word
        for pattern, _ in patterns(spec)
        for word in _SYNTAX.sub("\0", pattern).replace("\\", "").split("\0")
        if len(word.strip()) > 1
    }
    units = [word + fill for word in sorted(words) for fill in FILLS] + [*WHOLE]
    return [(start + unit * CHARS)[:CHARS] for unit in units for start in STARTS]


def cost_s(tried: Callable[[str], object], line: str, times: int) -> float:
    """The least of several times, of this thread alone: what else runs does not count."""
    least = float("inf")
    for _ in range(times):
        begun = time.thread_time()
        tried(line)
        least = min(least, time.thread_time() - begun)
    return least


def too_dear(tried: Callable[[str], object], line: str) -> bool:
    """Tell whether a line costs much, and twice the line more than three times as much."""
    if cost_s(tried, line, 1) < CHEAP_S or (whole := cost_s(tried, line, 5)) < CHEAP_S:
        return False
    return whole > 3 * cost_s(tried, line[: len(line) // 2], 5)


@pytest.mark.parametrize("kind", sorted(parser_spec.files()))
def test_no_line_of_eight_kilobytes_holds_a_pattern_up(kind: str) -> None:
    spec = parser_spec.shipped(kind)
    lines = hard_lines(spec)
    dear = [
        (pattern, line[:90])
        for pattern, tried in patterns(spec)
        for line in lines
        if too_dear(tried, line)
    ]
    assert dear == []


def test_a_pattern_that_looks_again_at_every_place_is_told() -> None:
    old = re.compile(r"\bIN=\S* OUT=\S* .*\bSRC=\S+ DST=\S+ .*\bPROTO=")
    assert too_dear(old.search, ("IN= OUT= SRC=1 DST=2 " * CHARS)[:2000])


@pytest.mark.parametrize("kind", LINE_FORMATS)
def test_by_syslog_every_line_that_makes_a_row_is_told_for_what_it_is(kind: str) -> None:
    spec = parser_spec.shipped(kind)
    parser = LineParser(spec, Clock("UTC", datetime(2026, 6, 15, 12)))
    told = 0
    for line in (unwrapped(line.encode()) for sample in spec.sample for line in sample.lines):
        try:
            made = parser.parse(line)
        except LineError:
            continue
        if made is not None:
            assert _format_of(line) == kind, line
            told += 1
    assert told
