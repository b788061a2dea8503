"""Findings become few incidents: one device, one cause, one id for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from house import finding, furnish, hit, write

from guardian import triage
from guardian.store import incidents
from guardian.triage import feedback

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store

SETTINGS = triage.Settings(timezone="UTC")


@pytest.fixture
def home(memory_store: Store) -> Store:
    furnish(memory_store)
    return memory_store


def told(store: Store, *findings: object, **options: object) -> list[Incident]:
    write(store, *findings)  # type: ignore[arg-type]
    triage.run(store, SETTINGS)
    with store.read() as reader:
        return incidents.incidents(reader, **options)  # type: ignore[arg-type]


def test_alert_about_the_same_server_joins_the_beacon(home: Store) -> None:
    found = told(
        home,
        finding("c2_beacon", "laptop", "185.10.68.22", level="high", interval_s=60.0),
        finding("malware", "laptop", "185.10.68.22", at=30, signature_id=2016141, signature="X"),
    )
    assert len(found) == 1
    assert found[0].device_id == "laptop"
    assert len(found[0].findings) == 2


def test_beacon_and_tunnel_to_different_peers_are_two_stories(home: Store) -> None:
    found = told(
        home,
        finding("c2_beacon", "laptop", "185.10.68.22", level="high"),
        finding("dns_tunnel", "laptop", "t.example-tunnel.net", "192.168.30.1", level="high"),
    )
    assert len(found) == 2


def test_names_below_one_registered_name_are_one_cause(home: Store) -> None:
    found = told(
        home,
        finding("c2_beacon", "laptop", "a.evil-site.net", level="high"),
        finding("dns_tunnel", "laptop", "t.evil-site.net", level="high"),
    )
    assert len(found) == 1


def test_download_call_home_and_scan_are_one_story(home: Store) -> None:
    found = told(
        home,
        finding("malware", "laptop", "203.0.113.5", level="high"),
        finding("c2_beacon", "laptop", "198.51.100.7", at=60, level="high"),
        finding("host_scan", "laptop", "192.168.30.1", "192.168.30.2", at=4000),
    )
    assert len(found) == 1
    assert "port_scan" not in found[0].classes


def test_scan_long_before_the_call_home_is_another_story(home: Store) -> None:
    found = told(
        home,
        finding("host_scan", "laptop", "192.168.30.1"),
        finding("c2_beacon", "laptop", "198.51.100.7", at=4000, level="high"),
    )
    assert len(found) == 2


def test_camera_that_scans_in_many_ways_is_one_incident(home: Store) -> None:
    found = told(
        home,
        finding("port_scan", "camera", "192.168.30.1"),
        finding("host_scan", "camera", "192.168.30.2", at=5),
        finding("host_scan", "camera", "192.168.30.3", at=9, detector="arp_sweep", hosts=41),
        finding("lan_recon", "camera", "192.168.30.4", at=20, level="low"),
    )
    assert len(found) == 1
    assert found[0].title == "Front-door camera looks around the network"


def test_tv_found_by_name_and_by_rhythm_is_one_incident_and_no_malware(home: Store) -> None:
    hit(home, "acr-eu.screen-maker.example", "Samsung")
    found = told(
        home,
        finding("acr", "tv", "acr-eu.screen-maker.example", "203.0.113.9", interval_s=15.0),
        finding("c2_beacon", "tv", "acr-eu.screen-maker.example", level="high", interval_s=15.0),
    )
    assert len(found) == 1
    assert found[0].verdict == "surveillance"
    assert "Samsung" in found[0].title


def test_listening_services_of_one_company_stay_apart(home: Store) -> None:
    found = told(
        home,
        finding("voice_assistant", "speaker", "avs.big-shop.example"),
        finding("acr", "speaker", "ink.big-shop.example"),
    )
    assert len(found) == 2


def test_many_devices_with_one_dangerous_server_are_one_incident(home: Store) -> None:
    found = told(
        home,
        *(
            finding("threat_intel", device, "bad.example-evil.org", level="high", at=place)
            for place, device in enumerate(("laptop", "phone", "tablet", "tv"))
        ),
    )
    assert len(found) == 1
    assert found[0].device_id is None
    assert set(found[0].devices) == {"laptop", "phone", "tablet", "tv"}


def test_one_device_with_many_dangerous_servers_is_one_campaign(home: Store) -> None:
    found = told(
        home,
        *(
            finding("c2_beacon", "laptop", f"203.0.113.{n}", at=n * 60, level="high")
            for n in range(1, 9)
        ),
    )
    assert len(found) == 1


def test_everyday_chatter_is_no_incident_and_low_chatter_needs_no_answer(home: Store) -> None:
    found = told(
        home,
        finding("os_telemetry", "laptop", "v.data.maker.example", level="informational"),
        finding("ad_tracking", "phone", "ads.example", level="informational"),
        finding("data_broker", "phone", "broker-a.example", level="low"),
        finding("data_broker", "phone", "broker-b.example", level="low"),
    )
    assert [each.status for each in found] == ["noted"]


def test_scanners_on_the_internet_are_one_weather(home: Store) -> None:
    found = told(
        home,
        *(
            finding("port_scan", None, "192.168.30.14", src_ip=f"198.51.100.{n}", at=n)
            for n in range(40)
        ),
    )
    assert len(found) == 1
    assert found[0].device_id is None
    assert found[0].title.startswith("Somebody on the internet")


def test_noisy_signature_is_one_incident_with_a_count(home: Store) -> None:
    found = told(
        home,
        *(
            finding("policy_violation", device, f"203.0.113.{n}", level="low", count=50,
                    signature_id=2210000, signature="STREAM odd", key=f"{n}")
            for n in range(30) for device in ("laptop", "phone", "tv")
        ),
    )  # fmt: skip
    assert len(found) == 1
    assert found[0].status == "noted"
    assert "4,500 times" in found[0].title


def test_running_again_changes_nothing(home: Store) -> None:
    first = told(home, finding("c2_beacon", "laptop", "185.10.68.22", level="high"))
    report = triage.run(home, SETTINGS)
    assert report.changed == ()
    with home.read() as reader:
        assert incidents.incidents(reader) == first


def test_incident_grows_under_its_id(home: Store) -> None:
    before = told(home, finding("c2_beacon", "laptop", "185.10.68.22", level="high", count=5))[0]
    after = told(
        home,
        finding("c2_beacon", "laptop", "185.10.68.22", level="high", count=99, lasts=9000),
        finding("malware", "laptop", "185.10.68.22", at=50, level="high"),
    )
    assert [each.id for each in after] == [before.id]
    assert after[0].last_seen > before.last_seen
    assert after[0].packet_hash != before.packet_hash


def test_merging_keeps_the_older_id_and_the_other_stays_readable(home: Store) -> None:
    first, second = sorted(
        told(
            home,
            finding("c2_beacon", "laptop", "185.10.68.22", level="high"),
            finding("dns_tunnel", "laptop", "t.tunnel-site.net", at=60, level="high"),
        ),
        key=lambda each: each.id,
    )
    merged = told(
        home,
        finding("threat_intel", "laptop", "185.10.68.22", "x.tunnel-site.net", at=90, level="high"),
    )
    assert [each.id for each in merged] == [first.id]
    assert len(merged[0].findings) == 3
    with home.read() as reader:
        old = incidents.incident(reader, second.id)
    assert old is not None
    assert (old.status, old.merged_into, old.title) == ("closed", first.id, second.title)


def test_incident_goes_quiet_when_the_house_was_watched_and_reopens(home: Store) -> None:
    told(home, finding("c2_beacon", "laptop", "185.10.68.22", level="high"))
    days = 86400.0
    found = told(home, finding("host_scan", "camera", "192.168.30.2", at=4 * days))
    assert {each.device_id: each.status for each in found} == {"laptop": "quiet", "camera": "open"}
    again = finding("c2_beacon", "laptop", "185.10.68.22", level="high", lasts=4 * days)
    found = told(home, again)
    assert {each.device_id: each.status for each in found} == {"laptop": "open", "camera": "open"}


def test_a_day_of_many_small_stories_stays_readable(home: Store) -> None:
    found = told(
        home,
        *(
            finding("malware", f"d{n}", f"host-{n}.site-{n}.net", at=n, signature_id=n,
                    signature="S")
            for n in range(200)
        ),
        limit=500,
    )  # fmt: skip
    assert len(found) <= 50
    assert sum(len(each.findings) for each in found) == 200
    ids = {each.id for each in found}
    again = told(home, finding("malware", "d9", "host-9.site-9.net", at=9, count=7, signature_id=9,
                               signature="S"), limit=500)  # fmt: skip
    assert {each.id for each in again} == ids


def test_suppression_hides_when_read_and_ends(home: Store) -> None:
    found = told(home, finding("doh_bypass", "phone", "dns.example", level="medium"))
    assert len(found) == 1
    with home.transaction() as tx:
        tx.execute(
            "INSERT INTO suppression (class, device_id, author, reason, created_at, expires_at) "
            "VALUES ('doh_bypass', 'phone', 'a', 'b', '2026-11-21', '2099-01-01')"
        )
    with home.read() as reader:
        assert incidents.incidents(reader) == []
        assert len(incidents.incidents(reader, suppressed=True)) == 1
    with home.transaction() as tx:
        tx.execute("UPDATE suppression SET expires_at = '2020-01-01'")
    with home.read() as reader:
        assert len(incidents.incidents(reader)) == 1


def test_one_certificate_on_two_servers_is_one_cause(home: Store) -> None:
    found = told(
        home,
        finding("c2_beacon", "laptop", "203.0.113.5", level="high", fingerprint="aa:bb"),
        finding("malware", "laptop", "198.51.100.5", at=9e4, level="high", fingerprint="aa:bb"),
    )
    assert len(found) == 1


def test_what_was_seen_before_is_offered_as_a_fact(home: Store) -> None:
    first = told(home, finding("c2_beacon", "laptop", "203.0.113.5", level="high"))[0]
    feedback.give(home, first.id, "expected", actor="anna")
    found = told(home, finding("c2_beacon", "laptop", "198.51.100.5", level="high", at=8e5))
    second = next(each for each in found if each.id != first.id)
    before = next(fact for fact in second.facts if fact.kind == "before")
    assert "somebody said that it was expected" in before.text
    assert any(before.id in claim.facts for claim in second.claims)
