from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian.detect.devices import update
from guardian.store import devices as book
from guardian.store import reconcile

if TYPE_CHECKING:
    from .conftest import House

T0 = datetime(2026, 11, 20, 18, 0)
DAY = 24 * 60
LATER = DAY + 60
"""A minute at which nobody can say any more that an answer came before Guardian did."""
PHONE, TV, RESOLVER = "a4:4c:c8:00:00:04", "a8:23:fe:00:00:01", "dc:a6:32:00:00:01"
IP, TV_IP, HOME = "192.168.1.50", "192.168.1.51", "192.168.1.2"


def judge(house: House, now: datetime = T0 + timedelta(days=30)) -> None:
    house.annotate()
    update(house.store, now=now)


def ask(house: House, minute: float, name: str, *answers: str, **more: Any) -> None:
    row = {
        "src_ip": IP, "dest_ip": HOME, "src_mac": PHONE, "dest_port": 53, "type": "answer",
        "rrname": name, "rrtype": "A", "answers": list(answers), "ttl": 300, "minute": minute,
    }  # fmt: skip
    house.put("dns", [{**row, **more}])


def go(house: House, minute: float, dest: str, **more: Any) -> None:
    house.flow(IP, dest, PHONE, None, minute=minute, tcp_flags_ts=2, bytes_toserver=500, **more)


def how(house: House) -> dict[str, int]:
    return {
        row["how"]: row["flows"]
        for row in house.rows("SELECT how, sum(flows)::BIGINT AS flows FROM v_coverage GROUP BY 1")
    }


def kinds(house: House) -> dict[str, str]:
    return {row["dest_ip"]: row["how"] for row in house.rows("SELECT * FROM v_unexplained_flow")}


@pytest.fixture
def watched(house: House) -> House:
    """A house whose resolver has been watched since minute 0."""
    ask(house, 0, "first.example", "203.0.113.250")
    return house


def test_an_answer_explains_a_flow_for_as_long_as_it_lives(watched: House) -> None:
    ask(watched, LATER, "a.example", "203.0.113.7")
    go(watched, LATER + 1, "203.0.113.7")
    go(watched, LATER + 30, "203.0.113.7")
    judge(watched)
    assert how(watched) == {"answer": 1, "cached": 1}
    assert kinds(watched) == {}


def test_an_answer_after_the_flow_explains_nothing(watched: House) -> None:
    go(watched, LATER, "203.0.113.7")
    ask(watched, LATER + 5, "a.example", "203.0.113.7")
    judge(watched)
    assert kinds(watched) == {"203.0.113.7": "unknown"}
    (row,) = watched.rows("SELECT * FROM v_unexplained_flow")
    assert (row["asked"], row["flows"], row["bytes_up"]) == (True, 1, 500)
    assert row["evidence"][0].startswith("flow:")


def test_clocks_may_differ_by_two_seconds(watched: House) -> None:
    go(watched, LATER, "203.0.113.7")
    ask(watched, LATER + 1 / 60, "a.example", "203.0.113.7")
    judge(watched)
    assert how(watched) == {"answer": 1}


def test_on_the_first_day_nothing_is_held_against_anybody(watched: House) -> None:
    go(watched, 5, "203.0.113.7")
    go(watched, LATER, "203.0.113.7")
    judge(watched)
    assert how(watched) == {"early": 1, "unknown": 1}
    assert len(watched.rows("SELECT * FROM v_unexplained_flow")) == 1


def test_a_connection_from_before_is_early(watched: House) -> None:
    watched.flow(IP, "203.0.113.7", PHONE, None, minute=LATER, tcp_flags_ts=16)
    judge(watched)
    assert how(watched) == {"early": 1}


def test_a_new_device_has_a_first_day_too(watched: House) -> None:
    watched.flow(TV_IP, "203.0.113.7", TV, None, minute=LATER, tcp_flags_ts=2)
    judge(watched)
    assert how(watched) == {"early": 1}


def test_a_published_address_is_a_literal(watched: House) -> None:
    go(watched, LATER, "149.154.167.50")
    go(watched, LATER, "2001:4860:4860::8888")
    judge(watched)
    rows = watched.rows("SELECT how, detail FROM v_unexplained_flow ORDER BY detail")
    assert rows == [
        {"how": "literal", "detail": "Google's public resolver"},
        {"how": "literal", "detail": "Telegram"},
    ]


def test_an_outside_resolvers_answer_is_named(watched: House) -> None:
    ask(watched, LATER, "a.example", "203.0.113.7", dest_ip="8.8.4.4")
    go(watched, LATER + 1, "203.0.113.7")
    judge(watched)
    assert kinds(watched) == {"203.0.113.7": "outside"}


def test_encrypted_dns_is_named(watched: House) -> None:
    go(watched, LATER, "9.9.9.9", dest_port=853)
    go(watched, LATER + 30, "203.0.113.7")
    go(watched, LATER + 300, "203.0.113.8")
    judge(watched)
    assert kinds(watched)["203.0.113.7"] == "encrypted"
    assert kinds(watched)["203.0.113.8"] == "unknown"


def test_a_name_in_the_flow_that_was_asked_for_explains_it(house: House) -> None:
    """A log without answers (Pi-hole's database) still says what was asked for."""
    house.put("dns_log", [{"src_ip": IP, "rrname": "www.a.example.com", "rrtype": "A"}])
    go(house, LATER, "203.0.113.7", flow_id=77)
    house.put("tls", [{"flow_id": 77, "src_ip": IP, "dest_ip": "203.0.113.7",
                       "sni": "cdn.example.com", "minute": LATER}])  # fmt: skip
    judge(house)
    assert how(house) == {"name": 1}


def test_an_answer_to_another_device_is_half_an_explanation(watched: House) -> None:
    ask(watched, LATER, "cast.example", "203.0.113.7", src_ip=TV_IP, src_mac=TV)
    go(watched, LATER + 1, "203.0.113.7")
    judge(watched)
    assert how(watched) == {"house": 1}
    assert kinds(watched) == {}


def test_a_house_whose_resolver_was_never_seen_is_not_judged(house: House) -> None:
    go(house, LATER, "203.0.113.7")
    judge(house)
    with house.store.read() as reader:
        assert reconcile.coverage(reader) == []


def test_coverage_of_a_device(watched: House) -> None:
    ask(watched, LATER, "a.example", "203.0.113.7")
    for minute in range(3):
        go(watched, LATER + minute, "203.0.113.7")
    go(watched, LATER + 3, "198.51.100.9")
    go(watched, 5, "198.51.100.10")
    judge(watched)
    with watched.store.read() as reader:
        (one,) = reconcile.coverage(reader)
        hours = reconcile.timeline(reader, one.device_id, since=T0, until=T0 + timedelta(days=3))
    assert (one.flows, one.explained, one.share, one.asked) == (5, 3, 0.75, True)
    assert one.how == {"answer": 3, "early": 1, "unknown": 1}
    assert [(each.ip, each.how) for each in one.unexplained] == [
        ("198.51.100.10", "early"),
        ("198.51.100.9", "unknown"),
    ]
    assert [(each["explained"], each["unexplained"], each["early"]) for each in hours] == [
        (0, 0, 1),
        (3, 1, 0),
    ]


def test_a_fresh_flow_waits_for_the_resolvers_log(watched: House) -> None:
    go(watched, LATER, "203.0.113.7")
    moment = T0 + timedelta(minutes=LATER)
    judge(watched, moment + timedelta(seconds=30))
    assert how(watched) == {}
    watched.put("dns_log", [{"src_ip": IP, "rrname": "a.example", "rrtype": "A",
                             "answers": ["203.0.113.7"], "minute": LATER - 1}])  # fmt: skip
    judge(watched, moment + timedelta(seconds=60))
    judge(watched, moment + timedelta(seconds=150))
    assert how(watched) == {"answer": 1}


def test_looking_twice_changes_nothing(watched: House) -> None:
    ask(watched, LATER, "a.example", "203.0.113.7")
    go(watched, LATER + 1, "203.0.113.7")
    judge(watched)
    before = house_state(watched)
    judge(watched)
    assert house_state(watched) == before


def house_state(house: House) -> list[list[dict[str, Any]]]:
    return [
        house.rows(f"SELECT * FROM {table} ORDER BY ALL")
        for table in ("coverage_hour", "unexplained_hour", "device_told", "device_destination")
    ]


def test_merged_devices_share_answers_and_part_again(watched: House) -> None:
    ask(watched, LATER, "a.example", "203.0.113.7", src_ip=TV_IP, src_mac=TV)
    judge(watched)
    book.merge(watched.store, TV_IP, IP)
    go(watched, LATER + 1, "203.0.113.7")
    judge(watched)
    assert how(watched) == {"answer": 1}
    owner = watched.rows("SELECT DISTINCT device_id FROM device_told WHERE ip = '203.0.113.7'")
    book.unmerge(watched.store, owner[0]["device_id"])
    assert len(watched.rows("SELECT DISTINCT device_id FROM v_destination_name")) == 1


def test_what_destinations_are_called_and_who_said_so(watched: House) -> None:
    ask(watched, LATER, "asked.example.com", "203.0.113.1", "203.0.113.2")
    for number in range(1, 7):
        go(watched, LATER + 1, f"203.0.113.{number}", flow_id=number)
    at_once = {"src_ip": IP, "minute": LATER + 1}
    for number, name in ((2, "front.example.com"), (3, "sni.example.com")):
        watched.put("tls", [{**at_once, "dest_ip": f"203.0.113.{number}", "sni": name}])
    watched.put("tls", [{**at_once, "dest_ip": "203.0.113.5",
                         "subject": "C=US, CN=cert.example.com"}])  # fmt: skip
    watched.put("http", [{**at_once, "dest_ip": "203.0.113.4", "hostname": "web.example.com"}])
    ask(watched, LATER + 2, "6.113.0.203.in-addr.arpa", "ptr.example.com", rrtype="PTR")
    judge(watched)
    assert {
        row["ip"]: (row["name"], row["source"])
        for row in watched.rows("SELECT * FROM v_destination_name")
    } == {
        "203.0.113.1": ("asked.example.com", "dns"),
        "203.0.113.2": ("asked.example.com", "dns"),
        "203.0.113.3": ("sni.example.com", "sni"),
        "203.0.113.4": ("web.example.com", "http"),
        "203.0.113.5": ("cert.example.com", "certificate"),
        "203.0.113.6": ("ptr.example.com", "reverse_dns"),
    }


def test_old_answers_are_forgotten(watched: House) -> None:
    ask(watched, LATER, "a.example", "203.0.113.7")
    go(watched, LATER + 1, "203.0.113.7")
    judge(watched)
    with watched.store.transaction() as tx:
        reconcile.tidy(tx, T0 + timedelta(days=60))
    assert watched.rows("SELECT * FROM device_told") == []
    assert watched.rows("SELECT * FROM device_destination") == []
    assert how(watched) == {"answer": 1}
