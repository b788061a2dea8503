"""What a block does to its devices is seen and told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fakes.story import T0, Story
from guardian import respond
from guardian.respond import watch
from guardian.store.responses import enforcements

if TYPE_CHECKING:
    from fakes.dnsmasq import Dnsmasq


@pytest.fixture
async def blocked(story: Story, resolver: Dnsmasq) -> respond.Settings:
    settings = resolver.settings()
    story.questions("192.168.1.20", "evil.example", 24, at=T0 - timedelta(seconds=1))
    story.incident(1, "c2_beacon", "malicious", "evil.example")
    respond.propose(story.store, settings, now=T0)
    respond.answer(story.store, 1, "approve", actor="a", channel="cli", now=T0)
    await respond.step(story.store, settings, now=T0)
    return settings


def remarks(story: Story) -> list[str]:
    return [
        row["detail"]
        for row in story.rows("SELECT detail FROM enforcement_step WHERE state = 'verified'")
    ][1:]


async def test_a_quiet_device_is_no_news(story: Story, blocked: respond.Settings) -> None:
    later = T0 + timedelta(hours=1)
    story.questions("192.168.1.20", "evil.example", 5, at=later - timedelta(minutes=5))
    await respond.step(story.store, blocked, now=later)
    assert remarks(story) == []
    seen = story.rows("SELECT watch::VARCHAR AS seen FROM enforcement")[0]["seen"]
    assert '"questions": 5' in seen


async def test_a_retry_storm_is_told_once(story: Story, blocked: respond.Settings) -> None:
    later = T0 + timedelta(hours=1)
    story.questions("192.168.1.20", "evil.example", 45, at=later - timedelta(minutes=1))
    await respond.step(story.store, blocked, now=later)
    await respond.step(story.store, blocked, now=later + timedelta(minutes=10))
    (told,) = remarks(story)
    assert "again and again" in told


async def test_a_second_way_of_the_same_owner_is_told(
    story: Story, blocked: respond.Settings
) -> None:
    later = T0 + timedelta(hours=1)
    for name in ("plan-b.evil.example", "other.example"):
        story.questions("192.168.1.20", name, 2, at=later - timedelta(minutes=1))
    with story.store.transaction() as tx:  # blocked by its exact name only
        tx.execute(
            "UPDATE enforcement SET target = "
            "replace(replace(target, 'evil.example', 'a.evil.example'), "
            "'\"subdomains\": true', '\"subdomains\": false')"
        )
    with story.store.read() as reader:
        (row,) = enforcements(reader)
        seen = watch.look(reader, row, blocked, later)
    assert seen["new_names"] == ["plan-b.evil.example"]
    assert "plan-b.evil.example" in watch.remarks(seen)[0]
