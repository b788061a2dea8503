"""What is proposed for what, in which words, and when it is taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fakes.story import T0, Story
from guardian import respond
from guardian.errors import ConfigError
from guardian.model.finding import ATTACK_CLASSES, FindingClass
from guardian.respond.settings import Settings

DNSMASQ = Settings(dnsmasq_hosts_file="/x/hosts", resolvers=("127.0.0.1#5",))
DEEP = Settings(
    dnsmasq_hosts_file="/x/hosts", dnsmasq_servers_file="/x/servers", resolvers=("127.0.0.1#5",)
)
PIHOLE = Settings(pihole_url="http://127.0.0.1:8", resolvers=("127.0.0.1#5",))


def proposals(story: Story) -> list[dict[str, object]]:
    return story.rows("SELECT * FROM proposal ORDER BY id")


def test_a_beacon_is_blocked_for_its_device_where_the_resolver_can(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example", "203.0.113.6")
    assert respond.propose(story.store, PIHOLE, now=T0) == 1
    (row,) = proposals(story)
    assert row["title"] == "Block evil.example for Anna's laptop, 24 h"
    assert row["responder"] == "pihole"
    assert row["duration_s"] == 24 * 3600
    assert row["target"] == {
        "names": ["evil.example"], "addresses": [], "subdomains": True,
        "device_id": "dlaptop", "device_ips": ["192.168.1.20"],
    }  # fmt: skip
    assert "ends by itself after 24 h" in str(row["consequence"])


def test_where_it_cannot_the_button_says_the_whole_house(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DEEP, now=T0)
    (row,) = proposals(story)
    assert row["title"] == "Block evil.example for the whole house, 24 h"
    assert str(row["consequence"]).startswith("Every device in the house")


def test_asking_again_changes_nothing(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DEEP, now=T0)
    first = proposals(story)
    assert respond.propose(story.store, DEEP, now=T0 + timedelta(minutes=1)) == 0
    assert proposals(story) == first


def test_it_is_withdrawn_when_the_incident_is_over_and_comes_back_with_it(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DEEP, now=T0)
    story.incident(1, "c2_beacon", "benign", "evil.example", at=T0 + timedelta(minutes=1))
    respond.propose(story.store, DEEP, now=T0 + timedelta(minutes=2))
    assert [row["status"] for row in proposals(story)] == ["withdrawn"]
    story.incident(1, "c2_beacon", "malicious", "evil.example", at=T0 + timedelta(minutes=3))
    respond.propose(story.store, DEEP, now=T0 + timedelta(minutes=4))
    assert [row["status"] for row in proposals(story)] == ["proposed"]


def test_what_was_rejected_is_not_proposed_again(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DEEP, now=T0)
    respond.answer(story.store, 1, "reject", actor="a", channel="cli", now=T0)
    later = T0 + timedelta(hours=1)
    story.incident(1, "c2_beacon", "malicious", "evil.example", "worse.example", at=later)
    respond.propose(story.store, DEEP, now=later)
    assert [row["status"] for row in proposals(story)] == ["rejected"]


def test_new_names_after_a_yes_are_proposed_anew(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DEEP, now=T0)
    respond.answer(story.store, 1, "approve", actor="a", channel="cli", now=T0)
    later = T0 + timedelta(hours=1)
    story.incident(
        1, "c2_beacon", "malicious", "evil.example", "x.evil.example", "new.example", at=later
    )
    respond.propose(story.store, DEEP, now=later)
    rows = proposals(story)
    assert [(row["status"], row["target"]["names"]) for row in rows] == [  # type: ignore[index]
        ("approved", ["evil.example"]),
        ("proposed", ["new.example"]),
    ]


@pytest.mark.parametrize(
    ("finding_class", "breakage", "grade", "count"),
    [
        ("acr", "none", "validated", 1),
        ("data_broker", "none", "list", 1),
        ("ad_tracking", "none", "list", 1),
        ("acr", "feature", "validated", 0),
        ("acr", "unknown", "validated", 0),
        ("acr", "none", "suspected", 0),
        ("os_telemetry", "none", "validated", 0),
        ("llm_api", "none", "validated", 0),
    ],
)
def test_surveillance_is_blocked_only_where_nothing_breaks(
    story: Story, finding_class: str, breakage: str, grade: str, count: int
) -> None:
    story.hit("tv.example", breakage=breakage, grade=grade)
    story.incident(1, finding_class, "surveillance", "tv.example", "unknown.example")
    assert respond.propose(story.store, DEEP, now=T0) == count
    for row in proposals(story):
        assert row["target"]["names"] == ["tv.example"]  # type: ignore[index]
        assert row["title"] == "Block tv.example for the whole house, 7 days"
        assert "Nothing is known to break" in str(row["consequence"])


@pytest.mark.parametrize("finding_class", ["voice_assistant", "camera_cloud"])
def test_voice_and_cameras_are_only_tried_on_one_device(story: Story, finding_class: str) -> None:
    story.hit("talk.example", breakage="device")
    story.incident(1, finding_class, "surveillance", "talk.example")
    assert respond.propose(story.store, DEEP, now=T0) == 0, "dnsmasq can't hold it to one device"
    assert respond.propose(story.store, PIHOLE, now=T0) == 1
    (row,) = proposals(story)
    assert row["action"] == "dns_trial"
    assert row["title"] == "Try blocking talk.example for Anna's laptop, 1 h"
    assert "may stop working" in str(row["consequence"])


@pytest.mark.parametrize("finding_class", ["host_scan", "port_scan", "arp_spoof", "brute_force"])
def test_what_names_cannot_stop_is_not_promised(story: Story, finding_class: str) -> None:
    story.incident(1, finding_class, "malicious", "192.168.1.40", "printer.lan")
    assert respond.propose(story.store, PIHOLE, now=T0) == 0


@pytest.mark.parametrize("verdict", ["benign", "undetermined"])
@pytest.mark.parametrize("finding_class", sorted(ATTACK_CLASSES))
def test_nothing_is_proposed_without_a_verdict(
    story: Story, finding_class: FindingClass, verdict: str
) -> None:
    story.incident(1, finding_class, verdict, "evil.example")
    assert respond.propose(story.store, PIHOLE, now=T0) == 0


@pytest.mark.parametrize("status", ["noted", "closed"])
def test_what_needs_no_answer_gets_no_proposal(story: Story, status: str) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example", status=status)
    assert respond.propose(story.store, PIHOLE, now=T0) == 0


def test_life_lines_and_broad_names_are_left_out(story: Story) -> None:
    story.incident(
        1, "c2_beacon", "malicious",
        "evil.example", "controlplane.tailscale.com", "amazonaws.com", "nas.lan", "192.168.1.1",
    )  # fmt: skip
    respond.propose(story.store, DEEP, now=T0)
    assert proposals(story)[0]["target"]["names"] == ["evil.example"]  # type: ignore[index]


def test_a_tunnel_is_blocked_by_its_whole_domain_or_not_at_all(story: Story) -> None:
    story.incident(1, "dns_tunnel", "malicious", "a1b2.t.evil.example")
    assert respond.propose(story.store, DNSMASQ, now=T0) == 0, "a hosts file covers exact names"
    assert respond.propose(story.store, DEEP, now=T0) == 1
    assert proposals(story)[0]["target"]["names"] == ["evil.example"]  # type: ignore[index]


def test_exact_names_are_all_that_were_seen(story: Story) -> None:
    story.questions("192.168.1.20", "cdn.evil.example", 3)
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DNSMASQ, now=T0)
    target = proposals(story)[0]["target"]
    assert target["names"] == ["cdn.evil.example", "evil.example"]  # type: ignore[index]
    assert not target["subdomains"]  # type: ignore[index]


def test_the_forecast_counts_what_the_week_before_would_have_lost(story: Story) -> None:
    story.device("dtv", "Living-room TV", "192.168.1.30")
    story.questions("192.168.1.20", "evil.example", 4)
    story.questions("192.168.1.30", "x.evil.example", 2)
    story.questions("192.168.1.30", "good.example", 9)
    story.questions("192.168.1.30", "evil.example", 5, at=T0 - timedelta(days=8))
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, DEEP, now=T0)
    (row,) = proposals(story)
    assert row["forecast"] == {
        "days": 7,
        "queries": 6,
        "device_count": 2,
        "devices": [
            {"device_id": "dlaptop", "name": "Anna's laptop", "queries": 4},
            {"device_id": "dtv", "name": "Living-room TV", "queries": 2},
        ],
    }
    assert "6 questions from 2 devices" in str(row["consequence"])


def test_hidden_resolvers_are_hidden_with_honest_words(story: Story) -> None:
    story.incident(1, "doh_bypass", "suspicious", "dns.example")
    respond.propose(story.store, DEEP, now=T0)
    (row,) = proposals(story)
    assert row["target"]["names"] == ["dns.example", "use-application-dns.net"]  # type: ignore[index]
    assert "knows its address by heart" in str(row["consequence"])


def test_a_stranger_cannot_write_on_the_button(story: Story) -> None:
    story.device("dmean", "Printer\u202e\n<b>x</b>" + "y" * 500, "192.168.1.40")
    story.incident(1, "c2_beacon", "malicious", "evil.example", device="dmean")
    respond.propose(story.store, PIHOLE, now=T0)
    title = str(proposals(story)[0]["title"])
    assert len(title) < 120
    assert "\u202e" not in title
    assert "\n" not in title


def test_an_unknown_responder_is_a_configuration_error(story: Story) -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        respond.propose(story.store, Settings(dns_responder="nosuch"), now=T0)


def test_what_is_blocked_for_the_whole_house_is_not_proposed_for_another_device(
    story: Story,
) -> None:
    story.device("dtv", "Living-room TV", "192.168.1.30")
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    story.incident(2, "c2_beacon", "malicious", "evil.example", device="dtv")
    respond.propose(story.store, DEEP, now=T0)
    assert [row["status"] for row in proposals(story)] == ["proposed", "proposed"]
    respond.answer(story.store, 1, "approve", actor="a", channel="cli", now=T0)
    respond.propose(story.store, DEEP, now=T0)
    assert [row["status"] for row in proposals(story)] == ["approved", "withdrawn"]
    with story.store.transaction() as tx:
        tx.execute("UPDATE proposal SET status = 'rejected' WHERE id = 1")
    respond.propose(story.store, DEEP, now=T0)
    assert [row["status"] for row in proposals(story)] == ["rejected", "proposed"]


def test_one_story_of_two_classes_is_one_proposal_for_all_its_names(story: Story) -> None:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    story.incident(2, "dns_tunnel", "malicious", "a1.tunnel.example")
    with story.store.transaction() as tx:
        tx.execute("UPDATE finding SET incident_id = 1")
        tx.execute("UPDATE incident SET classes = ['c2_beacon', 'dns_tunnel'] WHERE id = 1")
        tx.execute("DELETE FROM incident WHERE id = 2")
    respond.propose(story.store, DEEP, now=T0)
    (row,) = proposals(story)
    assert row["target"]["names"] == ["evil.example", "tunnel.example"]  # type: ignore[index]
