"""A question is counted once, whoever showed it: the wire, the resolver's log, or both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .cases import START, filled

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
