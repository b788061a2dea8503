"""AdGuard Home's own ways: rules replaced whole, by several writers, in force a little later."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fakes.adguard import Adguard
from fakes.openapi import described
from fakes.shared import SHARED
from fakes.story import T0
from guardian.errors import ClientAuthError, ResponderError
from guardian.model.response import Target
from guardian.respond import registry
from guardian.respond.base import Order
from guardian.respond.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = ["! mine", "@@||good.example^", "", "||ads.example^"]
DEVICE, OTHER = "192.168.1.20", "192.168.1.21"


@pytest.fixture
def server() -> Iterator[Adguard]:
    running = Adguard(
        description=described(SHARED / "apis" / "adguardhome-openapi.yaml"),
        world={"evil.example": "203.0.113.6"},
        rules=list(OWN),
    )
    yield running
    running.close()
    assert running.violations == []


@pytest.fixture
def settings(server: Adguard) -> Settings:
    return Settings(
        adguard_url=server.url,
        adguard_user="keeper",
        adguard_password="secret",
        resolvers=(f"127.0.0.1#{server.dns_port}",),
        verify_timeout_s=60.0,
        verify_pause_s=0.02,
    )


def order(*ips: str, number: int = 4) -> Order:
    target = Target(names=("evil.example",), device_ips=ips)
    return Order(id=number, target=target, ends_at=T0 + timedelta(hours=1))


async def test_the_keepers_rules_keep_their_order_and_comments(
    server: Adguard, settings: Settings
) -> None:
    responder = registry.make("adguard", settings)
    asked = order()
    receipt = await responder.apply(asked, await responder.survey(asked))
    block = ["! guardian:4 begin", "||evil.example^", "! guardian:4 end"]
    assert server.rules == [*OWN, *block]
    assert (await responder.prove(asked, receipt, blocked=True)).holds
    server.set([*server.rules, "||later.example^"])
    await responder.revoke(asked, receipt)
    assert server.rules == [*OWN, "||later.example^"]
    await responder.aclose()


async def test_one_device_is_proved_by_the_servers_own_filter(
    server: Adguard, settings: Settings
) -> None:
    responder = registry.make("adguard", settings)
    asked = order(DEVICE)
    receipt = await responder.apply(asked, await responder.survey(asked))
    proof = await responder.prove(asked, receipt, blocked=True)
    assert proof.holds
    assert "FilteredBlackList" in proof.summary
    assert server.handle(
        "GET", f"/control/filtering/check_host?name=evil.example&client={OTHER}", None, None
    )[1]["reason"].startswith("NotFiltered")
    await responder.revoke(asked, receipt)
    assert (await responder.prove(asked, receipt, blocked=False)).holds
    await responder.aclose()


async def test_somebody_who_writes_at_the_same_moment_loses_nothing(
    server: Adguard, settings: Settings
) -> None:
    server.meddler = ["||theirs.example^"]
    responder = registry.make("adguard", settings)
    await responder.apply(order(), {})
    assert "||theirs.example^" in server.rules
    assert server.rules.count("||evil.example^") == 1
    server.meddler = [f"||theirs{n}.example^" for n in range(9)]
    with pytest.raises(ResponderError, match="under our hands"):
        await responder.apply(order(number=5), {})
    server.meddler.clear()
    for number in (4, 5):
        await responder.revoke(order(number=number), {})
    assert not [rule for rule in server.rules if "guardian" in rule or "evil" in rule]
    await responder.aclose()


async def test_an_allow_rule_and_switched_off_filtering_are_found(
    server: Adguard, settings: Settings
) -> None:
    responder = registry.make("adguard", dataclasses.replace(settings, verify_timeout_s=0.3))
    asked = order()
    receipt = await responder.apply(asked, await responder.survey(asked))
    await responder.prove(asked, receipt, blocked=True)
    server.lag_s = 0
    server.enabled = False
    proof = await responder.prove(asked, receipt, blocked=True)
    assert not proof.holds
    assert "switched off" in proof.summary
    server.enabled = True
    server.set([*server.rules, "@@||evil.example^"])
    proof = await responder.prove(asked, receipt, blocked=True)
    assert not proof.holds
    await responder.aclose()


async def test_a_wrong_password_is_tried_once(server: Adguard, settings: Settings) -> None:
    responder = registry.make("adguard", dataclasses.replace(settings, adguard_password="x"))
    with pytest.raises(ClientAuthError):
        await responder.apply(order(), {})
    assert server.rules == OWN
    await responder.aclose()
