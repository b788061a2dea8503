"""From a yes to the proof and back, against a real dnsmasq; and what a kill leaves behind."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fakes.story import T0, Story
from guardian import respond
from guardian.errors import (
    ComponentAbsentError,
    InputError,
    ProtectedTargetError,
    RefusedError,
    UsageError,
)
from guardian.respond import registry
from guardian.respond.dnsmasq_hosts import DnsmasqHosts
from guardian.respond.verify import Answer, Resolver, ask
from guardian.store import responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.dnsmasq import Dnsmasq
    from guardian.respond.base import Order
    from guardian.respond.settings import Settings


class Killed(BaseException):
    """The process dies here."""


async def asked(resolver: Dnsmasq, name: str, kind: str = "A") -> Answer:
    where = Resolver(address="127.0.0.1", port=resolver.port)
    return await ask(where, name, kind, timeout_s=30)


def offered(story: Story, settings: Settings) -> int:
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, settings, now=T0)
    rows = story.rows("SELECT id FROM proposal")
    assert len(rows) == 1
    return int(rows[0]["id"])


def say(story: Story, proposal: int, verb: str, at: Any = T0) -> None:
    respond.answer(story.store, proposal, verb, actor="anna", channel="page", now=at)


def state(story: Story) -> str:
    return str(story.rows("SELECT state FROM enforcement ORDER BY id DESC LIMIT 1")[0]["state"])


async def test_yes_blocks_proves_and_undo_brings_the_answer_back(
    story: Story, resolver: Dnsmasq
) -> None:
    settings = resolver.settings()
    before = resolver.hosts.read_bytes()
    proposal = offered(story, settings)
    assert (await asked(resolver, "evil.example")).values == ("203.0.113.6",)

    say(story, proposal, "approve")
    assert await respond.step(story.store, settings, now=T0)
    assert (await asked(resolver, "evil.example")).values == ("0.0.0.0",)
    assert (await asked(resolver, "evil.example", "AAAA")).values == ("::",)
    assert (await asked(resolver, "sub.evil.example")).rcode == "NXDOMAIN"
    assert (await asked(resolver, "good.example")).values == ("203.0.113.7",)
    with story.store.read() as reader:
        shown = responses.as_json(reader)[0]
    assert [s["state"] for s in shown["enforcements"][0]["steps"]] == [
        "asked", "applied", "verified",
    ]  # fmt: skip
    proof = shown["enforcements"][0]["proof"]
    assert proof["holds"]
    assert {(a["kind"], tuple(a["values"])) for a in proof["answers"]} >= {("A", ("0.0.0.0",))}
    assert not await respond.step(story.store, settings, now=T0)

    say(story, proposal, "revert")
    assert await respond.step(story.store, settings, now=T0)
    assert state(story) == "reverted"
    assert (await asked(resolver, "evil.example")).values == ("203.0.113.6",)
    assert resolver.hosts.read_bytes() == before


async def test_it_ends_by_itself_and_is_offered_again_if_it_goes_on(
    story: Story, resolver: Dnsmasq
) -> None:
    settings = resolver.settings(block_hours=1)
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    await respond.step(story.store, settings, now=T0)
    await respond.step(story.store, settings, now=T0 + timedelta(minutes=59))
    assert state(story) == "verified"
    with story.store.transaction() as tx:
        tx.execute("UPDATE enforcement SET watch = NULL")
    ended = T0 + timedelta(hours=1)
    await respond.step(story.store, settings, now=ended)
    assert state(story) == "reverted"
    # Its last minutes were looked at before it was taken back.
    assert story.rows("SELECT watch FROM enforcement")[0]["watch"] is not None
    assert (await asked(resolver, "evil.example")).values == ("203.0.113.6",)
    assert story.rows("SELECT channel FROM decision ORDER BY id DESC")[0]["channel"] == "expiry"

    respond.propose(story.store, settings, now=ended)
    assert story.rows("SELECT status FROM proposal")[0]["status"] == "approved"
    story.incident(1, "c2_beacon", "malicious", "evil.example", at=ended + timedelta(minutes=5))
    respond.propose(story.store, settings, now=ended + timedelta(minutes=6))
    assert [r["status"] for r in story.rows("SELECT status FROM proposal")] == ["proposed"]


@pytest.mark.parametrize("moment", ["survey", "apply", "prove"])
async def test_a_kill_at_any_moment_ends_in_the_same_state(
    story: Story, resolver: Dnsmasq, moment: str
) -> None:
    class Mortal(DnsmasqHosts):
        async def survey(self, order: Order) -> dict[str, Any]:
            if moment == "survey":
                raise Killed
            return await super().survey(order)

        async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
            done = await super().apply(order, receipt)
            if moment == "apply":
                raise Killed
            return done

        async def prove(self, order: Order, receipt: Mapping[str, Any], **more: Any) -> Any:
            if moment == "prove":
                raise Killed
            return await super().prove(order, receipt, **more)

    settings = resolver.settings()
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    with pytest.raises(Killed):
        await respond.step(story.store, settings, now=T0, make=lambda _, s: Mortal(s))
    await respond.step(story.store, settings, now=T0)
    assert state(story) == "verified"
    assert resolver.hosts.read_text().count("0.0.0.0 evil.example") == 1
    receipt = story.rows("SELECT receipt FROM enforcement")[0]["receipt"]
    assert ["203.0.113.6"] in [a["values"] for a in receipt["before"]], "surveyed before the change"

    say(story, proposal, "revert")
    await respond.step(story.store, settings, now=T0)
    assert state(story) == "reverted"
    assert "evil" not in resolver.hosts.read_text()


async def test_a_lost_line_is_noticed_and_written_again(story: Story, resolver: Dnsmasq) -> None:
    settings = resolver.settings()
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    await respond.step(story.store, settings, now=T0)
    resolver.hosts.write_text("")
    later = T0 + timedelta(seconds=settings.check_interval_s)
    assert await respond.step(story.store, settings, now=later)
    assert (await asked(resolver, "evil.example")).values == ("0.0.0.0",)
    details = [r["detail"] or "" for r in story.rows("SELECT detail FROM enforcement_step")]
    assert any("was gone from dnsmasq; written again" in detail for detail in details)
    assert state(story) == "verified"


async def test_what_cannot_be_proved_fails_and_leaves_nothing(
    story: Story, resolver: Dnsmasq, upstream: Dnsmasq
) -> None:
    """The keeper pointed Guardian at a resolver that does not load the file."""
    settings = resolver.settings(
        resolvers=(f"127.0.0.1#{upstream.port}",), verify_timeout_s=0.2, apply_attempts=2
    )
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    now = T0
    for _ in range(4):
        await respond.step(story.store, settings, now=now)
        now += timedelta(minutes=10)
    assert state(story) == "failed"
    error = story.rows("SELECT error FROM enforcement")[0]["error"]
    assert "still answers evil.example A 203.0.113.6" in error
    assert "evil" not in resolver.hosts.read_text()
    assert story.rows("SELECT status FROM proposal")[0]["status"] == "proposed"


async def test_an_absent_resolver_is_said_and_tried_again(story: Story, resolver: Dnsmasq) -> None:
    settings = resolver.settings()
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    broken = dataclasses.replace(
        settings, resolvers=("127.0.0.1#1",), query_timeout_s=0.2, verify_timeout_s=0.2
    )
    await respond.step(story.store, broken, now=T0)
    row = story.rows("SELECT state, error, next_try_at FROM enforcement")[0]
    assert row["state"] == "asked"
    assert "did not answer" in row["error"]
    assert not await respond.step(story.store, settings, now=T0), "it waits before trying again"
    await respond.step(story.store, settings, now=row["next_try_at"])
    assert state(story) == "verified"


async def test_two_orders_on_one_name_hold_until_both_are_undone(
    story: Story, resolver: Dnsmasq
) -> None:
    settings = resolver.settings()
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    story.incident(2, "malware", "malicious", "evil.example")
    respond.propose(story.store, settings, now=T0)
    first, second = (row["id"] for row in story.rows("SELECT id FROM proposal ORDER BY id"))
    for proposal in (first, second):
        say(story, proposal, "approve")
    await respond.step(story.store, settings, now=T0)
    say(story, first, "revert")
    await respond.step(story.store, settings, now=T0)
    assert (await asked(resolver, "evil.example")).values == ("0.0.0.0",)
    states = [r["state"] for r in story.rows("SELECT state FROM enforcement ORDER BY id")]
    assert states == ["reverted", "verified"]
    say(story, second, "revert")
    await respond.step(story.store, settings, now=T0)
    assert (await asked(resolver, "evil.example")).values == ("203.0.113.6",) or (
        story.rows("SELECT state FROM enforcement WHERE id = 2")[0]["state"] == "reverted"
    )
    assert resolver.hosts.read_text() == ""


async def test_a_target_that_became_a_life_line_is_never_applied(
    story: Story, resolver: Dnsmasq
) -> None:
    settings = resolver.settings()
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    guarded = dataclasses.replace(settings, protected_names=("evil.example",))
    await respond.step(story.store, guarded, now=T0)
    assert state(story) == "failed"
    assert resolver.hosts.read_text() == ""


async def test_a_yes_that_nobody_carried_out_in_time_is_not_done_late(
    story: Story, resolver: Dnsmasq
) -> None:
    settings = resolver.settings()
    proposal = offered(story, settings)
    say(story, proposal, "approve")
    await respond.step(story.store, settings, now=T0 + timedelta(days=2))
    assert story.rows("SELECT * FROM enforcement") == []
    assert story.rows("SELECT status FROM proposal")[0]["status"] == "proposed"


def test_answers_are_checked(story: Story, resolver: Dnsmasq) -> None:
    proposal = offered(story, resolver.settings())
    with pytest.raises(InputError):
        say(story, 999, "approve")
    with pytest.raises(UsageError):
        say(story, proposal, "maybe")
    with pytest.raises(InputError, match="in force"):
        say(story, proposal, "revert")
    say(story, proposal, "approve")
    say(story, proposal, "approve")
    assert len(story.rows("SELECT * FROM decision")) == 1, "a double tap is one answer"
    with pytest.raises(RefusedError, match="revert it"):
        say(story, proposal, "reject")
    assert story.rows("SELECT status FROM incident")[0]["status"] == "handled"


def test_without_an_enforcer_a_yes_says_what_is_missing(story: Story) -> None:
    proposal = offered(story, respond.Settings())
    row = story.rows("SELECT responder, consequence FROM proposal")[0]
    assert row["responder"] == registry.NONE
    assert "can't do this yet" in row["consequence"]
    with pytest.raises(ComponentAbsentError, match="pihole_url"):
        say(story, proposal, "approve")


def test_a_protected_target_is_refused_with_exit_code_five(story: Story) -> None:
    proposal = offered(story, respond.Settings())
    target = '{"names": ["controlplane.tailscale.com"], "addresses": [], "subdomains": true, '
    target += '"device_id": null, "device_ips": []}'
    with story.store.transaction() as tx:
        tx.execute("UPDATE proposal SET target = ?", [target])
    with pytest.raises(ProtectedTargetError) as refused:
        say(story, proposal, "approve")
    assert refused.value.exit_code == 5
