"""What every responder must keep: found as left, twice is once, life lines refused.

Each one is held to the same tests, over its own real system or the checked stand-in;
nftables, which blocks addresses, in a file of its own with real packets.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fakes import unbound
from fakes.adguard import Adguard
from fakes.openapi import described
from fakes.pihole import Pihole as PiholeServer
from fakes.shared import SHARED
from fakes.story import T0
from guardian.errors import GuardianError
from guardian.model.response import Target
from guardian.respond import registry
from guardian.respond.base import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.dnsmasq import Dnsmasq
    from guardian.respond.base import Responder
    from guardian.respond.settings import Settings


@dataclass
class Bench:
    """One responder's settings, and a view of everything it may touch."""

    name: str
    settings: Settings
    snapshot: Callable[[], Any]
    spoil: Callable[[], None]
    """Take the system's working away, so that nothing can be reached."""

    def make(self) -> Responder:
        return registry.make(self.name, self.settings)


@pytest.fixture
def dnsmasq_bench(resolver: Dnsmasq) -> Bench:
    resolver.hosts.write_text("# the keeper's own\n0.0.0.0 own.example")
    resolver.servers.write_text("server=/corp.example/127.0.0.9\n")
    return Bench(
        name="dnsmasq",
        settings=resolver.settings(),
        snapshot=lambda: (
            resolver.hosts.read_text().rstrip("\n"),
            resolver.servers.read_text(),
        ),
        spoil=(resolver.folder / "pid").unlink,
    )


@pytest.fixture
def pihole_bench(resolver: Dnsmasq) -> Iterator[Bench]:
    main = SHARED / "corpus" / "pihole" / "openapi" / "main.yaml"
    server = PiholeServer(
        description=described(main),
        world={"evil.example": "203.0.113.6", "good.example": "203.0.113.7"},
    )
    server.handle("POST", "/api/auth", None, {"password": "secret"})
    (sid,) = server.sessions
    for body in ({"domain": "own.example", "comment": "mine"},):
        server.handle("POST", "/api/domains/deny/exact", sid, body)
    yield Bench(
        name="pihole",
        settings=resolver.settings(
            pihole_url=server.url,
            pihole_password="secret",
            resolvers=(f"127.0.0.1#{server.dns_port}",),
        ),
        snapshot=server.snapshot,
        spoil=lambda: setattr(server, "password", "other"),
    )
    server.close()
    assert server.violations == []


@pytest.fixture
def unbound_bench(tmp_path: Path, upstream: Dnsmasq) -> Iterator[Bench]:
    server = unbound.start(tmp_path / "unbound", upstream.port)
    server.include.write_text('# keep\nlocal-zone: "corp.example" static\n')
    yield Bench(
        name="unbound",
        settings=server.settings(),
        snapshot=lambda: (server.include.read_text(), server.zones()),
        spoil=server.close,
    )
    server.close()


@pytest.fixture
def adguard_bench(resolver: Dnsmasq) -> Iterator[Bench]:
    server = Adguard(
        description=described(SHARED / "apis" / "adguardhome-openapi.yaml"),
        world={"evil.example": "203.0.113.6"},
        rules=["! mine", "||own.example^"],
    )
    yield Bench(
        name="adguard",
        settings=resolver.settings(
            adguard_url=server.url,
            adguard_user="keeper",
            adguard_password="secret",
            resolvers=(f"127.0.0.1#{server.dns_port}",),
        ),
        snapshot=lambda: list(server.rules),
        spoil=lambda: setattr(server, "password", "other"),
    )
    server.close()
    assert server.violations == []


@pytest.fixture(params=["adguard", "dnsmasq", "pihole", "unbound"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return request.getfixturevalue(f"{request.param}_bench")


def order(number: int = 7, **changes: Any) -> Order:
    target = dataclasses.replace(Target(names=("evil.example",)), **changes)
    return Order(id=number, target=target, ends_at=T0 + timedelta(hours=1))


async def test_what_it_did_is_proved_and_leaves_no_trace(bench: Bench) -> None:
    before = bench.snapshot()
    responder = bench.make()
    asked = order()
    receipt = await responder.survey(asked)
    assert bench.snapshot() == before, "looking changes nothing"
    receipt = await responder.apply(asked, receipt)
    assert bench.snapshot() != before
    assert await responder.present(asked, receipt)
    proof = await responder.prove(asked, receipt, blocked=True)
    assert proof.holds, proof.summary
    await responder.revoke(asked, receipt)
    assert not await responder.present(asked, receipt)
    assert (await responder.prove(asked, receipt, blocked=False)).holds
    await responder.aclose()
    assert bench.snapshot() == before


async def test_twice_is_once(bench: Bench) -> None:
    before = bench.snapshot()
    asked = order()
    responder = bench.make()
    receipt = await responder.apply(asked, await responder.survey(asked))
    once = bench.snapshot()
    receipt = await responder.apply(asked, receipt)
    assert bench.snapshot() == once
    await responder.revoke(asked, receipt)
    await responder.revoke(asked, receipt)
    await responder.aclose()
    assert bench.snapshot() == before


async def test_two_orders_do_not_touch_each_other(bench: Bench) -> None:
    before = bench.snapshot()
    first, second = order(7), order(8)
    responder = bench.make()
    empty = await responder.survey(first)
    held = [await responder.apply(each, empty) for each in (first, second)]
    await responder.revoke(first, held[0])
    assert await responder.present(second, held[1])
    assert (await responder.prove(second, held[1], blocked=True)).holds
    await responder.revoke(second, held[1])
    await responder.aclose()
    assert bench.snapshot() == before


async def test_no_proof_without_the_deed(bench: Bench) -> None:
    responder = bench.make()
    bench.settings = dataclasses.replace(bench.settings, verify_timeout_s=0.3)
    hasty = bench.make()
    asked = order()
    receipt = await responder.survey(asked)
    assert not (await hasty.prove(asked, receipt, blocked=True)).holds
    receipt = await responder.apply(asked, receipt)
    assert (await responder.prove(asked, receipt, blocked=True)).holds
    assert not (await hasty.prove(asked, receipt, blocked=False)).holds
    await responder.aclose()
    await hasty.aclose()


async def test_what_cannot_be_reached_is_an_error_and_no_success(bench: Bench) -> None:
    responder = bench.make()
    asked = order()
    receipt = await responder.survey(asked)
    bench.spoil()
    broken = bench.make()
    with pytest.raises(GuardianError):
        await broken.apply(asked, receipt)
    await responder.aclose()
    await broken.aclose()


def test_every_responder_is_held_to_this_contract() -> None:
    assert set(registry.RESPONDERS) == {"adguard", "dnsmasq", "pihole", "unbound", "nftables"}
    for name, kind in registry.RESPONDERS.items():
        assert kind.name == name
        assert kind.__doc__
