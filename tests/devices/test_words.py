from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.detect.devices.kinds import KINDS, kind_of
from guardian.detect.devices.naming import NAME_LIMIT, identify, plain_name
from guardian.intel.vendors import is_randomised, normal_mac, short_vendor, vendor, virtual_platform


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("living-room-tv.lan", "Living room TV"),
        ("Annas-iPhone", "Anna's iPhone"),
        ("Anna’s iPhone", "Anna’s iPhone"),
        ("bens-laptop", "Ben's laptop"),
        ("office_printer.local.", "Office printer"),
        ("Kitchen Echo._amzn-alexa._tcp.local", "Kitchen Echo"),
        ("PS5-214", "PS5 214"),
        ("localhost", None),
        ("android-0123456789abcdef", None),
        ("192.168.1.20", None),
        ("20.1.168.192.in-addr.arpa", None),
        ("*", None),
        ("", None),
    ],
)
def test_host_names_are_said_plainly(text: str, name: str | None) -> None:
    assert plain_name(text) == name


@given(st.text(max_size=300))
def test_any_name_is_bounded(text: str) -> None:
    name = plain_name(text)
    assert name is None or 0 < len(name) <= NAME_LIMIT


@pytest.mark.parametrize(
    ("hints", "kind"),
    [
        ([("dhcp_name", "LGwebOSTV")], "tv"),
        ([("vendor", "Reolink Innovation Limited")], "camera"),
        ([("vendor", "Samsung Electronics Co.,Ltd"), ("dhcp_name", "Galaxy-S24")], "phone"),
        ([("vendor", "Samsung Electronics Co.,Ltd"), ("vendor_class", "android-dhcp-14"),
          ("dhcp_name", "mias-tablet")], "tablet"),
        ([("vendor_class", "MSFT 5.0"), ("dhcp_name", "DESKTOP-AB12CD")], "laptop"),
        ([("virtual", "QEMU/KVM"), ("dhcp_name", "homeserver")], "vm"),
        ([("vendor", "Apple, Inc.")], "unknown"),
        ([("vendor", "Samsung Electronics Co.,Ltd")], "unknown"),
        ([("vendor", "LG Electronics (Mobile Communications)")], "unknown"),
        ([("vendor", "LG Electronics (Mobile Communications)"),
          ("vendor_class", "android-dhcp-9")], "phone"),
        ([("service", "_ipp._tcp.local"), ("vendor", "Hewlett Packard")], "printer"),
        ([("user_agent", "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile")], "phone"),
        ([], "unknown"),
    ],
)  # fmt: skip
def test_kinds(hints: list[tuple[str, str]], kind: str) -> None:
    found = kind_of(hints)
    assert found.kind == kind
    assert found.kind in KINDS
    assert (found.reason is None) == (kind == "unknown") == (found.certainty is None)
    assert found.reason is None or found.reason.startswith("because ")


def test_many_user_agents_weigh_no_more_than_one() -> None:
    agents = [("user_agent", f"Mozilla/5.0 (Windows NT 10.0) {n}") for n in range(50)]
    assert kind_of([*agents, ("dhcp_name", "living-room-tv")]).kind == "tv"


def test_one_look_up_names_nobody_a_tv() -> None:
    once = ("domain_once", "eu.samsungacr.com")
    assert kind_of([once]).kind == "unknown"
    assert kind_of([once, ("vendor", "Dell Inc.")]).kind == "unknown"
    said = [once, ("vendor", "Dell Inc."), ("vendor_class", "MSFT 5.0")]
    assert kind_of(said).kind == "laptop"


def test_a_cloud_that_is_called_for_long_needs_a_second_reason() -> None:
    lasting = ("domain", "eu.samsungacr.com")
    assert kind_of([lasting]).kind == "unknown"
    tv = kind_of([lasting, ("vendor", "Samsung Electronics Co.,Ltd")])
    assert (tv.kind, tv.certainty) == ("tv", "weak")
    assert tv.reason == (
        "because it calls “eu.samsungacr.com”, and its network card was made by "
        "“Samsung Electronics Co.,Ltd”"
    )


def test_more_reasons_make_it_surer_and_a_rival_less_sure() -> None:
    name, agent = ("dhcp_name", "living-room-tv"), ("user_agent", "Mozilla/5.0 (Web0S; SmartTV)")
    assert kind_of([name]).certainty == "some"
    assert kind_of([name, agent]).certainty == "strong"
    rival = ("user_agent", "Mozilla/5.0 (Windows NT 10.0)")
    doubted = kind_of([name, rival, ("vendor", "Dell Inc.")])
    assert (doubted.kind, doubted.certainty) == ("tv", "some")
    assert kind_of([name, rival, ("vendor_class", "MSFT 5.0")]).certainty == "weak"
    assert "though" in (doubted.reason or "")


def test_a_tie_says_nothing_but_why() -> None:
    found = kind_of([("dhcp_name", "tv"), ("vendor_class", "ps5")])
    assert (found.kind, found.certainty) == ("unknown", None)
    assert (found.reason or "").startswith("because the signs disagree: ")


MIXED = [
    ("dhcp_name", "tv"), ("vendor", "Dell Inc."), ("domain", "x.roku.com"),
    ("user_agent", "Windows NT"), ("domain_once", "eu.samsungacr.com"),
]  # fmt: skip


@given(st.permutations(MIXED))
def test_the_order_of_hints_changes_nothing(hints: list[tuple[str, str]]) -> None:
    assert kind_of(hints) == kind_of(sorted(hints))


@pytest.mark.parametrize(
    ("mac", "randomised"),
    [
        ("da:4e:91:c3:58:33", True),
        ("cc:2d:8c:90:3a:20", False),
        ("02:42:ac:11:00:02", False),  # Docker
        ("52:54:00:12:34:56", False),  # QEMU
        ("fe:54:00:12:34:56", False),  # libvirt
        ("bc:24:11:00:00:01", False),  # Proxmox
        ("02:60:8c:11:22:33", False),  # 3Com, registered long before the bit meant this
        ("ff:ff:ff:ff:ff:ff", False),
        ("33:33:00:00:00:01", False),
        ("not a mac", False),
    ],
)
def test_made_up_addresses_are_told_from_virtual_ones(mac: str, randomised: bool) -> None:
    assert is_randomised(mac) is randomised


def test_vendors() -> None:
    assert vendor("CC-2D-8C-90-3A-20") == "LG ELECTRONICS INC"
    assert short_vendor("LG ELECTRONICS INC") == "LG"
    assert short_vendor("Amazon Technologies Inc.") == "Amazon"
    assert vendor("da:4e:91:c3:58:33") is None
    assert virtual_platform("02:42:ac:11:00:02") == "Docker"
    assert normal_mac("01:00:5e:00:00:fb") is None


def test_a_device_that_says_nothing_is_named_by_its_maker_or_address() -> None:
    assert identify("ec:71:db:00:00:01", "192.168.1.9", []).name == "Reolink Innovation camera"
    silent = identify(None, "192.168.1.9", [])
    assert (silent.name, silent.kind) == ("Device 192.168.1.9", "unknown")
    assert set(identify("da:4e:91:c3:58:33", None, []).reasons) == {"mac", "name"}
