"""A question is counted once, whoever showed it: the wire, the resolver's log, or both."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.detect import Settings
from guardian.detect.base import SqlDetector, Window
from guardian.detect.engine import detectors

from .cases import START, filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.store import Store

DEVICE, OTHER, RESOLVER = "192.168.1.20", "192.168.1.21", "192.168.1.2"


def _wire(ts: float, name: str, **more: Any) -> dict[str, Any]:
    return {"ts": ts, "src_ip": DEVICE, "dest_ip": RESOLVER, "dest_port": 53, "type": "query",
            "rrname": name, "rrtype": "A", **more}  # fmt: skip


def _logged(ts: float, name: str, **more: Any) -> dict[str, Any]:
    return {"ts": ts, "src_ip": DEVICE, "rrname": name, "rrtype": "A", **more}


def _asked(rows: dict[str, list[dict[str, Any]]], until_s: float = 3600) -> list[tuple[str, str]]:
    span = {"since": START, "until": START + timedelta(seconds=until_s)}
    with filled(rows).read() as reader:
        found = reader.rows("SELECT ref, name FROM dns_question($since, $until)", span)
    return sorted((str(row["ref"]).split(":")[0], str(row["name"])) for row in found)


def test_a_logged_question_that_the_wire_showed_counts_once() -> None:
    # START is at the beginning of five minutes.
    rows = {
        "dns": [_wire(10, "a.example"), _wire(10, "b.example"), _wire(10, "c.example")],
        "dns_log": [
            _logged(12, "A.example"),
            _logged(400, "a.example"),
            _logged(12, "b.example", src_ip=OTHER),
            _logged(12, "c.example", rrtype="AAAA"),
            _logged(12, "d.example"),
            _logged(12, "d.example"),
        ],
    }
    assert _asked(rows) == [
        ("dns", "a.example"),
        ("dns", "b.example"),
        ("dns", "c.example"),
        ("dns_log", "a.example"),
        ("dns_log", "b.example"),
        ("dns_log", "c.example"),
        ("dns_log", "d.example"),
        ("dns_log", "d.example"),
    ]


def test_what_the_log_does_not_say_is_like_nothing() -> None:
    rows = {
        "dns": [_wire(10, "a.example", rrtype=None), _wire(20, "b.example", type="answer")],
        "dns_log": [
            _logged(12, "a.example", rrtype=None),
            _logged(22, "b.example"),
            _logged(22, "b.example", src_ip=None),
        ],
    }
    assert _asked(rows) == [
        ("dns", "a.example"),
        ("dns_log", "a.example"),
        ("dns_log", "b.example"),
        ("dns_log", "b.example"),
    ]


def test_answers_stand_for_questions_where_there_are_only_those() -> None:
    assert _asked({"dns": [_wire(10, "a.example", type="answer")]}) == [("dns", "a.example")]


def test_only_the_span_is_looked_at() -> None:
    rows = {
        "dns": [_wire(10, "a.example"), _wire(90, "b.example")],
        "dns_log": [_logged(50, "b.example"), _logged(90, "c.example")],
    }
    assert _asked(rows, until_s=60) == [("dns", "a.example"), ("dns_log", "b.example")]


def test_where_many_names_are_known_the_few_of_pools_are_held_not_all_that_was_asked(
    memory_store: Store,
) -> None:
    """A join holds its second side: of a day's questions that is hundreds of megabytes."""
    with memory_store.transaction() as tx:
        tx.execute(
            "INSERT INTO name_info SELECT 'host-' || i || '.example.org', 'example.org', "
            "5, 1, 5, 1.0, 0.1, false, 0.1 FROM range(300_000) a(i)"
        )
        tx.execute(
            "INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, rrtype) "
            "SELECT i, $start + to_seconds(i), 1, '192.168.1.20', 'host-' || i, 'A' "
            "FROM range(60_000) a(i)",
            {"start": START},
        )
    (mining,) = (each for each in detectors(Settings())[0] if each.name == "c2.mining")
    assert isinstance(mining, SqlDetector)
    window = Window(since=START, until=START + timedelta(days=1))
    with memory_store.read() as reader:
        (row,) = reader.rows(
            f"EXPLAIN (FORMAT json) {mining.rule.sql}", mining.bound(window, Settings())
        )
    joins = [
        [str(side) for side in node["children"]]
        for node in _nodes(json.loads(row["explain_value"]))
        if node["name"] == "HASH_JOIN" and "dns_log" in str(node) and "name_info" in str(node)
    ]
    held = [second for _, second in joins if "name_info" in second]
    assert held, joins
    assert not any("dns_log" in second for second in held)


def _nodes(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in plan:
        yield node
        yield from _nodes(node["children"])
