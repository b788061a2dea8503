"""What unbound forgets at a reload is in its file, and the keeper's zone comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fakes import unbound
from fakes.story import T0
from guardian.model.response import Target
from guardian.respond import registry
from guardian.respond.base import Order

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.dnsmasq import Dnsmasq


def order(*names: str) -> Order:
    return Order(id=3, target=Target(names=names), ends_at=T0 + timedelta(hours=1))


async def test_a_block_outlives_a_reload(tmp_path: Path, upstream: Dnsmasq) -> None:
    server = unbound.start(tmp_path / "unbound", upstream.port)
    try:
        responder = registry.make("unbound", server.settings())
        asked = order("evil.example")
        receipt = await responder.apply(asked, await responder.survey(asked))
        server.run("reload")
        assert await responder.present(asked, receipt)
        assert (await responder.prove(asked, receipt, blocked=True)).holds
    finally:
        server.close()


async def test_the_keepers_zone_of_that_name_comes_back(tmp_path: Path, upstream: Dnsmasq) -> None:
    server = unbound.start(tmp_path / "unbound", upstream.port)
    try:
        before = server.zones()
        assert "own.example. static" in before
        responder = registry.make("unbound", server.settings())
        asked = order("own.example")
        receipt = await responder.apply(asked, await responder.survey(asked))
        assert "own.example. always_null" in server.zones()
        await responder.revoke(asked, receipt)
        assert server.zones() == before
    finally:
        server.close()
