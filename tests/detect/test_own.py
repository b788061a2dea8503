"""What Guardian itself does is tagged, and never accuses its machine."""

# ruff: noqa: E501 - a row of a scene is one line

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian import detect
from guardian.detect.engine import detectors
from guardian.store import own, pages, pages_evidence

from .cases import START, fill, filled

if TYPE_CHECKING:
    from guardian.store import Store

GUARDIAN, OTHER = "192.168.1.5", "192.168.1.66"
GPU = "192.168.1.50"
ROUTER_MAC, GUARDIAN_MAC = "02:00:00:00:00:01", "02:00:00:00:00:05"


ACCUSERS = (
    "c2.beacon", "scan.address_burst", "scan.host_scan", "scan.port_scan", "intel.name",
    "dns.foreign_resolver",
)  # fmt: skip


def _only(*names: str, own: tuple[str, ...] = (GUARDIAN,)) -> detect.Settings:
    """Return settings under which only these detectors run."""
    others = {each.name for each in detectors(detect.Settings())[0]} - set(names)
    return detect.Settings(disabled=tuple(others), own_addresses=own)


def _evening_of(ip: str) -> dict[str, list[dict[str, Any]]]:
    """What a Guardian does in an hour; of any other device most of it would be a finding."""
    out = {"src_ip": ip, "src_mac": GUARDIAN_MAC, "dest_mac": ROUTER_MAC}
    refused = {"pkts_toserver": 1, "pkts_toclient": 0, "tcp_flags_ts": 2, "tcp_flags_tc": 0}
    return {
        "flow": [
            # Lists are fetched: large answers from a few places.
            out | {"repeat": 8, "step_s": 9, "dest_ip": "185.199.108.133", "bytes_toclient": 9_000_000},
            # Proof that blocked addresses stay blocked: nobody answers.
            out | refused | {"ts": 60, "repeat": 60, "step_s": 1, "dest_ip": "198.51.100.{i}"},
            # Which ports of a device are open to the house.
            out | refused | {"ts": 200, "repeat": 40, "step_s": 0.2, "dest_ip": "192.168.1.22",
                             "dest_port": {"seq": [20, 7]}, "tcp_flags_tc": 20},
            # A heartbeat to the keeper's phone, by the clock.
            out | {"ts": 10, "repeat": 90, "step_s": 40, "dest_ip": "203.0.113.7", "bytes_toserver": 640},
            # Prompts to the model on the LAN.
            out | {"ts": 20, "repeat": 100, "step_s": 30, "dest_ip": GPU, "dest_port": 11434,
                   "app_proto": "http", "bytes_toserver": 60_000},
        ],
        "dns": [
            {"src_ip": ip, "src_mac": GUARDIAN_MAC, "rrname": "c2.evil.example", "ts": 30},
            # The same names of another resolver, to prove which one blocks.
            {"src_ip": ip, "src_mac": GUARDIAN_MAC, "dest_ip": "9.9.9.9", "rrname": "acr{i}.example",
             "ts": 300, "repeat": 30, "step_s": 2},
        ],
        "alert": [
            {"src_ip": "185.199.108.133", "dest_ip": ip, "src_port": 443, "dest_port": 50000, "ts": 5,
             "signature_id": 2019714, "signature": "ET MALWARE list of bad names", "severity": 1,
             "category": "A Network Trojan was detected"},
        ],
        "indicator": [{"kind": "domain", "value": "evil.example"}],
    }  # fmt: skip


def _found(store: Store) -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows("SELECT class, level, detector, src_ip, device_id, peers FROM finding")


def test_guardian_is_never_accused_of_what_would_accuse_another() -> None:
    store = filled(_evening_of(OTHER))
    assert detect.run(store, _only(*ACCUSERS)).errors == ()
    classes = {row["class"] for row in _found(store) if row["src_ip"] == OTHER}
    assert {"c2_beacon", "host_scan", "port_scan", "threat_intel", "dns_bypass"} <= classes
    store.close()

    store = filled(_evening_of(GUARDIAN))
    every = detect.Settings(own_addresses=(GUARDIAN,))
    assert detect.run(store, every).errors == ()
    assert _found(store) == []
    store.close()


def test_its_rows_and_its_machine_are_tagged() -> None:
    store = filled(_evening_of(GUARDIAN) | {"dns_log": [{"src_ip": OTHER, "rrname": "a.example"}]})
    detect.run(store, _only())
    with store.read() as reader:
        tagged = reader.rows(
            "SELECT split_part(ref, ':', 1) AS kind, own, count(*) AS n FROM v_own_traffic "
            "GROUP BY ALL ORDER BY kind"
        )
        assert [(row["kind"], row["own"], row["n"]) for row in tagged] == [
            ("alert", "dest", 1), ("dns", "src", 31), ("flow", "src", 298),
        ]  # fmt: skip
        mine = {row["name"]: row["kind"] for row in pages.devices(reader) if row["own"]}
        assert mine == {"Guardian": "server"}
        flow = reader.value("SELECT min(id) FROM flow")
        asked = reader.value("SELECT min(id) FROM dns_log")
        rows = pages_evidence.evidence(reader, [f"flow:{flow}", f"dns_log:{asked}"])
        assert {row["source"]: row["own"] for row in rows} == {"flow": True, "dns_log": False}
    store.close()


def test_an_address_that_went_on_accuses_as_any_other() -> None:
    """The lease moved: before, the scan was Guardian's proof; a day later it is somebody's."""
    store = filled(_evening_of(GUARDIAN))
    here = _only("scan.port_scan")
    detect.run(store, here, now=START + timedelta(hours=1))
    moved = _only("scan.port_scan", own=("192.168.1.9",))
    detect.run(store, moved, now=START + timedelta(hours=2))
    later = {
        "flow": [
            {"ts": 86_400, "repeat": 40, "step_s": 0.2, "src_ip": GUARDIAN, "dest_ip": "192.168.1.22",
             "src_mac": "02:00:00:00:00:99", "dest_port": {"seq": [20, 7]}, "tcp_flags_ts": 2,
             "tcp_flags_tc": 20}
        ]
    }  # fmt: skip
    fill(store, later)
    detect.run(store, moved, now=START + timedelta(days=1, hours=1))
    assert {(row["class"], row["src_ip"]) for row in _found(store)} == {("port_scan", GUARDIAN)}
    # A command elsewhere that knows no address of its own changes nothing.
    detect.run(store, _only("scan.port_scan", own=()), now=START + timedelta(days=2), full=True)
    assert {(row["class"], row["src_ip"]) for row in _found(store)} == {("port_scan", GUARDIAN)}
    store.close()


def test_when_an_address_was_its_own() -> None:
    store = filled({})
    assert own.note(store, ["192.168.1.5"], START)
    assert not own.note(store, ["192.168.1.5"], START + timedelta(seconds=5))
    assert not own.note(store, [], START + timedelta(hours=1))
    for minutes, ip, changed in ((119, 5, False), (120, 7, True), (179, 7, False), (180, 5, True)):
        moment = START + timedelta(minutes=minutes)
        assert own.note(store, [f"192.168.1.{ip}"], moment) is changed
    with store.read() as reader:
        held = own.own(reader)
    for minutes, ip, mine in (
        (-9999, 5, True), (118, 7, False), (118, 5, True), (150, 7, True), (150, 5, False),
        (9999, 7, False), (9999, 5, True),
    ):  # fmt: skip
        assert held.holds(f"192.168.1.{ip}", START + timedelta(minutes=minutes)) is mine
    assert not held.holds(None, START)
    store.close()
