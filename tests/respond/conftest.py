"""A house with one laptop, and resolvers to act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes import dnsmasq
from fakes.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardian.store import Store

WORLD = {
    "tracker.example": "203.0.113.5",
    "evil.example": "203.0.113.6",
    "good.example": "203.0.113.7",
}


@pytest.fixture
def story(store: Store) -> Story:
    """A store with a laptop in it."""
    told = Story(store)
    told.device("dlaptop", "Anna's laptop", "192.168.1.20")
    return told


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[dnsmasq.Dnsmasq]:
    """The internet's DNS."""
    running = dnsmasq.start(tmp_path / "world", world=WORLD)
    yield running
    running.close()


@pytest.fixture
def resolver(tmp_path: Path, upstream: dnsmasq.Dnsmasq) -> Iterator[dnsmasq.Dnsmasq]:
    """The home's resolver."""
    running = dnsmasq.start(tmp_path / "home", upstream=f"127.0.0.1#{upstream.port}")
    yield running
    running.close()
