"""Real packets through a real router: stopped, for whom it was asked, and let through again."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from guardian.errors import ConfigError, ResponderError
from guardian.model.response import Target
from guardian.respond import registry
from guardian.respond.base import Order
from guardian.respond.settings import Settings
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PATIENCE_S = 60.0

FAR, OTHER = "8.8.8.8", "9.9.9.9"
PHONE, LAPTOP = "192.168.78.20", "192.168.78.21"

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[2], 9), float(sys.argv[3]), source_address=(sys.argv[1], 0))
except ConnectionRefusedError:
    print("reached")
except OSError:
    pass
"""


class Net:
    """Home, router and world, each a namespace; both home addresses are on one port."""

    def __init__(self) -> None:
        self.tag = "n" + secrets.token_hex(3)

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def ns(self, name: str) -> str:
        return f"{self.tag}{name}"

    def build(self) -> None:
        for name in "hrw":
            self.run("ip", "netns", "add", self.ns(name))
            self.run("ip", "-n", self.ns(name), "link", "set", "lo", "up")
        self._link("h", "r", (f"{PHONE}/24", f"{LAPTOP}/24"), "192.168.78.1/24")
        self._link("w", "r", ("100.64.7.2/24", f"{FAR}/32", f"{OTHER}/32"), "100.64.7.1/24")
        self.run("ip", "-n", self.ns("h"), "route", "add", "default", "via", "192.168.78.1")
        self.run("ip", "-n", self.ns("w"), "route", "add", "default", "via", "100.64.7.1")
        self.run("ip", "-n", self.ns("r"), "route", "add", "default", "via", "100.64.7.2")
        self.run("ip", "netns", "exec", self.ns("r"), "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def _link(self, end: str, router: str, near: tuple[str, ...], far: str) -> None:
        self.run(
            "ip", "link", "add", "up0", "netns", self.ns(end),
            "type", "veth", "peer", "name", f"to{end}", "netns", self.ns(router),
        )  # fmt: skip
        for address in near:
            self.run("ip", "-n", self.ns(end), "addr", "add", address, "dev", "up0")
        self.run("ip", "-n", self.ns(router), "addr", "add", far, "dev", f"to{end}")
        self.run("ip", "-n", self.ns(end), "link", "set", "up0", "up")
        self.run("ip", "-n", self.ns(router), "link", "set", f"to{end}", "up")

    def reaches(self, source: str, address: str, *, wait_s: float = 10.0) -> bool:
        """Whether anybody there answers, if only that the port is closed."""
        return "reached" in self.run(
            "ip", "netns", "exec", self.ns("h"), sys.executable, "-c", CONNECT, source, address,
            str(wait_s),
        )  # fmt: skip

    def is_cut_off(self, source: str, address: str) -> bool:
        """Whether nobody answers for a while."""
        return not self.reaches(source, address, wait_s=0.5)

    def seconds_left(self) -> list[int]:
        """How long the kernel still keeps each blocked address."""
        said = self.run("ip", "netns", "exec", self.ns("r"), "nft", "-j", "list", "ruleset")
        sets = [each["set"] for each in json.loads(said)["nftables"] if "set" in each]
        return [element["elem"]["expires"] for each in sets for element in each.get("elem", ())]

    def rules(self) -> str:
        return self.run("ip", "netns", "exec", self.ns("r"), "nft", "list", "ruleset")

    def settings(self) -> Settings:
        return Settings(nft_routes=True, nft_command=("ip", "netns", "exec", self.ns("r"), "nft"))

    def close(self) -> None:
        for name in "hrw":
            self.run("ip", "netns", "del", self.ns(name), check=False)


@pytest.fixture
def net() -> Iterator[Net]:
    for program in ("nft", "ip", "sysctl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    built = Net()
    try:
        built.build()
        built.run("ip", "netns", "exec", built.ns("r"), "nft", "add", "table", "inet", "keepers")
        yield built
    finally:
        built.close()


def order(number: int = 5, *ips: str, seconds: float = 60) -> Order:
    target = Target(addresses=(FAR,), subdomains=False, device_ips=ips)
    return Order(id=number, target=target, ends_at=utc_now() + timedelta(seconds=seconds))


async def test_the_address_is_cut_off_and_comes_back(net: Net) -> None:
    before = net.rules()
    assert net.reaches(PHONE, FAR)
    responder = registry.make("nftables", net.settings())
    asked = order()
    receipt = await responder.apply(asked, await responder.survey(asked))
    once = net.rules()
    await responder.apply(asked, receipt)
    assert once.count("table inet") == net.rules().count("table inet")
    assert net.is_cut_off(PHONE, FAR)
    assert net.reaches(PHONE, OTHER)
    proof = await responder.prove(asked, receipt, blocked=True)
    assert proof.holds
    assert proof.details["dropped"] >= 1
    await responder.revoke(asked, receipt)
    await responder.revoke(asked, receipt)
    assert (await responder.prove(asked, receipt, blocked=False)).holds
    assert net.reaches(PHONE, FAR)
    assert net.rules() == before


async def test_only_the_device_that_was_meant_is_cut_off(net: Net) -> None:
    responder = registry.make("nftables", net.settings())
    asked = order(5, PHONE)
    await responder.apply(asked, await responder.survey(asked))
    assert net.is_cut_off(PHONE, FAR)
    assert net.reaches(LAPTOP, FAR)


async def test_two_orders_hold_until_both_are_gone(net: Net) -> None:
    responder = registry.make("nftables", net.settings())
    first, second = order(5), order(6)
    for each in (first, second):
        await responder.apply(each, await responder.survey(each))
    await responder.revoke(first, {})
    assert net.is_cut_off(PHONE, FAR)
    await responder.revoke(second, {})
    assert net.reaches(PHONE, FAR)


async def test_the_kernel_ends_it_when_guardian_does_not(net: Net) -> None:
    responder = registry.make("nftables", net.settings())
    asked = order(seconds=3600)
    await responder.apply(asked, await responder.survey(asked))
    assert net.is_cut_off(PHONE, FAR)
    assert len(net.seconds_left()) == 1
    assert 0 < net.seconds_left()[0] <= 3600
    short = order(seconds=1)
    await responder.apply(short, await responder.survey(short))
    until = time.monotonic() + PATIENCE_S
    while await responder.present(short, {}):
        assert time.monotonic() < until, net.rules()
        await asyncio.sleep(0.1)
    assert net.reaches(PHONE, FAR)


async def test_what_is_no_address_never_reaches_nft(net: Net) -> None:
    responder = registry.make("nftables", net.settings())
    target = Target(addresses=("1.2.3.999; flush ruleset",), subdomains=False)
    with pytest.raises(ResponderError, match="not an address"):
        await responder.apply(Order(id=1, target=target, ends_at=utc_now()), {})


def test_a_host_on_a_mirrored_port_cannot_do_it() -> None:
    with pytest.raises(ConfigError, match="does not route"):
        registry.make("nftables", Settings())
