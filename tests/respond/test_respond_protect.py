"""Nothing that keeps the house running can ever be a target."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.errors import ProtectedTargetError
from guardian.model.response import Target
from guardian.respond import protect
from guardian.respond.protect import BROAD_NAMES, LIFE_LINE_NAMES
from guardian.respond.settings import Settings

LINES = protect.life_lines(
    Settings(
        gateways=("192.168.1.1",),
        resolvers=("192.168.1.2#5353",),
        keeper_devices=("192.168.1.50", "dkeeper"),
        protected_addresses=("198.51.100.0/24", "2001:db8:5::/64"),
        protected_names=("Home.Example.",),
    )
)
LABEL = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)


def refused(**target: object) -> bool:
    return protect.refusal(Target(**target), LINES) is not None  # type: ignore[arg-type]


@given(st.sampled_from(sorted(LIFE_LINE_NAMES | {"home.example"})), st.lists(LABEL, max_size=3))
def test_a_life_line_and_all_below_it_is_refused(line: str, labels: list[str]) -> None:
    assert refused(names=(".".join([*labels, line]),))


@given(st.sampled_from(sorted(LIFE_LINE_NAMES)))
def test_whatever_lies_above_a_life_line_is_refused(line: str) -> None:
    labels = line.split(".")
    for cut in range(1, len(labels)):
        assert refused(names=(".".join(labels[cut:]),), subdomains=True)


@given(st.integers(1, 99), st.sampled_from(["", "b", "c"]))
def test_relays_of_the_tailnet_are_refused(number: int, letter: str) -> None:
    assert refused(names=(f"derp{number}{letter}.tailscale.com",))


@pytest.mark.parametrize("name", [*sorted(BROAD_NAMES), "com", "co.uk", "github.io", "de"])
def test_what_half_the_world_lives_under_is_refused(name: str) -> None:
    assert refused(names=(name,))


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "localhost", "nas.lan", "x.local", "1.0.0.127.in-addr.arpa", "192.168.1.1",
        "printer", "evil.example.", "EVIL.example", "a b.example", "x\n0.0.0.0 y.example",
        "a/b.example", "*.example.org", "#.example", "x" * 64 + ".example", "a..b.example",
    ],
)  # fmt: skip
def test_what_is_no_plain_name_of_the_internet_is_refused(name: str) -> None:
    assert refused(names=(name,))


@given(st.text(max_size=60))
def test_no_text_passes_that_could_break_out_of_a_line(text: str) -> None:
    if not refused(names=(text,)):
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
        assert "." in text


@given(st.ip_addresses())
def test_only_addresses_of_the_world_pass(address: object) -> None:
    text = str(address)
    passed = not refused(addresses=(text,))
    if passed:
        found = ipaddress.ip_address(text)
        assert found.is_global
        assert not found.is_multicast


@pytest.mark.parametrize(
    "address",
    [
        "192.168.1.1", "10.0.0.1", "100.100.100.100", "fd00::1", "fe80::1", "127.0.0.1", "::1",
        "0.0.0.0", "::", "224.0.0.251", "255.255.255.255", "198.51.100.7", "2001:db8:5::1",
        "0.0.0.0/0", "::/0", "8.0.0.0/8", "::ffff:8.8.8.8", "evil.example", "",
    ],
)  # fmt: skip
def test_life_lines_and_wide_networks_are_refused(address: str) -> None:
    assert refused(addresses=(address,))


@pytest.mark.parametrize("ip", ["192.168.1.1", "192.168.1.2", "192.168.1.50", "127.0.0.1", "x"])
def test_a_block_is_never_held_to_a_life_line(ip: str) -> None:
    assert refused(names=("evil.example",), device_ips=(ip,))
    assert not refused(names=("evil.example",), device_ips=("192.168.1.77",))


def test_the_keepers_device_is_known_by_its_id_too() -> None:
    assert refused(names=("evil.example",), device_id="dkeeper")


def test_this_host_and_its_way_out_are_found() -> None:
    own = protect.life_lines(Settings())
    assert own.networks, "at least one address of this host"
    for network in own.networks:
        with pytest.raises(ProtectedTargetError):
            protect.check(
                Target(names=("evil.example",), device_ips=(str(network.network_address),)), own
            )


def test_an_empty_target_is_refused() -> None:
    assert refused()


def test_ordinary_targets_pass() -> None:
    assert not refused(names=("acr.tracker.example", "x.s3.amazonaws.com"))
    assert not refused(addresses=("8.8.8.8", "2606:4700::1111"))
