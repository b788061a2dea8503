"""Pi-hole's own ways: one device only, the keeper's rules, switched-off blocking."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fakes.openapi import described
from fakes.pihole import Pihole as PiholeServer
from fakes.shared import SHARED
from fakes.story import T0, Story
from guardian import respond
from guardian.respond.settings import Settings
from guardian.respond.verify import Resolver, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE, OTHER = "127.0.0.9", "127.0.0.8"


@pytest.fixture
def server() -> Iterator[PiholeServer]:
    main = SHARED / "corpus" / "pihole" / "openapi" / "main.yaml"
    running = PiholeServer(
        description=described(main),
        world={"evil.example": "203.0.113.6", "x.evil.example": "203.0.113.6"},
    )
    yield running
    running.close()
    assert running.violations == []
    assert running.sessions == set(), "every seat was given back"


@pytest.fixture
def settings(server: PiholeServer) -> Settings:
    return Settings(
        pihole_url=server.url,
        pihole_password="secret",
        resolvers=(f"127.0.0.1#{server.dns_port}",),
        verify_timeout_s=0.5,
        verify_pause_s=0.02,
        query_timeout_s=10.0,
        apply_attempts=1,
    )


@pytest.fixture
def for_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback addresses stand for devices here; the loopback rule itself is tested elsewhere."""
    monkeypatch.setattr("guardian.respond.protect._check_device", lambda *_: None)


async def asked(server: PiholeServer, name: str, source: str) -> tuple[str, ...]:
    where = Resolver(address="127.0.0.1", port=server.dns_port)
    return (await ask(where, name, "A", timeout_s=30, source=source)).values


async def approved(story: Story, settings: Settings, *ips: str) -> dict[str, Any]:
    if ips:
        story.device("dpad", "Ben's tablet", *ips)
    story.incident(
        1, "c2_beacon", "malicious", "evil.example",
        device="dpad" if ips else None, src_ip=ips[0] if ips else None,
    )  # fmt: skip
    respond.propose(story.store, settings, now=T0)
    respond.answer(story.store, 1, "approve", actor="a", channel="cli", now=T0)
    await respond.step(story.store, settings, now=T0)
    return story.rows("SELECT * FROM enforcement")[0]


async def undone(story: Story, settings: Settings) -> dict[str, Any]:
    respond.answer(story.store, 1, "revert", actor="a", channel="cli", now=T0)
    await respond.step(story.store, settings, now=T0)
    return story.rows("SELECT * FROM enforcement")[0]


async def test_one_device_is_cut_off_and_nobody_else(
    story: Story, server: PiholeServer, settings: Settings, for_device: None
) -> None:
    before = server.snapshot()
    row = await approved(story, settings, DEVICE)
    assert row["state"] == "verified", row["error"]
    assert "cannot be asked from here" in row["proof"]["summary"]
    assert await asked(server, "evil.example", DEVICE) == ("0.0.0.0",)
    assert await asked(server, "x.evil.example", DEVICE) == ("0.0.0.0",)
    assert await asked(server, "evil.example", OTHER) == ("203.0.113.6",)
    assert (await undone(story, settings))["state"] == "reverted"
    assert await asked(server, "evil.example", DEVICE) == ("203.0.113.6",)
    assert server.snapshot() == before


async def test_a_client_that_the_keeper_listed_keeps_its_groups_and_words(
    story: Story, server: PiholeServer, settings: Settings, for_device: None
) -> None:
    server.handle("POST", "/api/auth", None, {"password": "secret"})
    (sid,) = server.sessions
    server.handle("POST", "/api/groups", sid, {"name": "kids", "comment": "k", "enabled": True})
    body = {"client": DEVICE, "comment": "Ben", "groups": [1]}
    server.handle("POST", "/api/clients", sid, body)
    server.sessions.clear()
    before = server.snapshot()
    row = await approved(story, settings, DEVICE)
    assert row["state"] == "verified", row["error"]
    assert server.clients[0]["comment"] == "Ben"
    assert 1 in server.clients[0]["groups"]
    await undone(story, settings)
    assert server.snapshot() == before


async def test_the_same_rule_of_the_keeper_stays(
    story: Story, server: PiholeServer, settings: Settings
) -> None:
    server.handle("POST", "/api/auth", None, {"password": "secret"})
    (sid,) = server.sessions
    rule = {"domain": "(\\.|^)evil\\.example$", "comment": "mine", "enabled": False}
    server.handle("POST", "/api/domains/deny/regex", sid, rule)
    server.sessions.clear()
    before = server.snapshot()
    row = await approved(story, settings)
    assert row["state"] == "verified", row["error"]
    assert [d["comment"] for d in server.domains] == ["mine", "guardian:1"]
    await undone(story, settings)
    assert server.snapshot() == before


async def test_accepted_is_not_in_force(
    story: Story, server: PiholeServer, settings: Settings
) -> None:
    server.accept_only = True
    before = server.snapshot()
    row = await approved(story, settings)
    assert row["state"] == "failed"
    assert "still answers evil.example A 203.0.113.6" in row["error"]
    assert server.snapshot() == before, "what could not be proved was taken back"


async def test_switched_off_blocking_is_named(
    story: Story, server: PiholeServer, settings: Settings
) -> None:
    server.blocking = False
    row = await approved(story, settings)
    assert row["state"] == "failed"
    assert "blocking is switched off in Pi-hole" in row["error"]


async def test_an_allow_rule_that_wins_is_found_by_the_proof(
    story: Story, server: PiholeServer, settings: Settings
) -> None:
    server.handle("POST", "/api/auth", None, {"password": "secret"})
    (sid,) = server.sessions
    server.handle("POST", "/api/domains/allow/exact", sid, {"domain": "evil.example"})
    server.sessions.clear()
    assert (await approved(story, settings))["state"] == "failed"


async def test_an_allow_rule_that_wins_for_the_device_is_found_too(
    story: Story, server: PiholeServer, settings: Settings, for_device: None
) -> None:
    server.handle("POST", "/api/auth", None, {"password": "secret"})
    (sid,) = server.sessions
    server.handle("POST", "/api/domains/allow/regex", sid, {"domain": "^evil"})
    server.sessions.clear()
    row = await approved(story, settings, DEVICE)
    assert row["state"] == "failed"
    assert "an allow rule in Pi-hole wins: ^evil" in row["error"]


async def test_a_rule_that_somebody_switched_off_is_made_anew(
    story: Story, server: PiholeServer, settings: Settings
) -> None:
    assert (await approved(story, settings))["state"] == "verified"
    server.domains[0]["enabled"] = False
    later = T0 + timedelta(seconds=settings.check_interval_s)
    await respond.step(story.store, settings, now=later)
    assert [d["enabled"] for d in server.domains] == [True]
    assert story.rows("SELECT state FROM enforcement")[0]["state"] == "verified"


async def test_a_swap_of_the_lists_is_waited_for(
    story: Story, server: PiholeServer, settings: Settings
) -> None:
    server.swapping = 1
    assert (await approved(story, settings))["state"] == "verified"
