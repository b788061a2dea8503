"""Block names in unbound: local zones, set while it runs and kept in an include file.

What ``unbound-control`` sets is gone at the next reload, so each order's zones also
stand in a file that unbound's configuration includes. A zone of that name that the
keeper had before gets its type back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from guardian.errors import ConfigError, ResponderError
from guardian.respond.commands import run
from guardian.respond.marked_file import block_of, other_lines, replace_block
from guardian.respond.verify import Prober, Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.respond.base import Order, Proof
    from guardian.respond.settings import Settings

_TYPE = "always_null"
"""0.0.0.0 and ``::`` for the name and all below it, nothing for other kinds."""


class Unbound:
    """Block names for the whole house in unbound."""

    name: ClassVar[str] = "unbound"
    title: ClassVar[str] = "unbound"
    blocks: ClassVar[str] = "names"
    per_device: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        if not settings.unbound_include_file:
            msg = "respond.unbound_include_file is not set"
            raise ConfigError(msg)
        self._settings = settings
        self._file = Path(settings.unbound_include_file)
        self._prober = Prober([Resolver.parse(text) for text in settings.resolvers], settings)

    @staticmethod
    def is_set_up(settings: Settings) -> bool:
        """Return whether an include file is named."""
        return bool(settings.unbound_include_file)

    @staticmethod
    def covers_subdomains(settings: Settings) -> bool:  # noqa: ARG004 - always: a zone is a tree
        """Return True: a local zone covers all below it."""
        return True

    async def survey(self, order: Order) -> dict[str, Any]:
        """Return what is answered now, and the types of zones that bear these names already."""
        zones = await self._zones()
        held = self._held(order)
        return {
            "before": await self._prober.survey(order.target.names),
            "zones": {n: zones[n] for n in order.target.names if n in zones and n not in held},
        }

    async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """Write the order's zones into the include file and set them in the running server."""
        replace_block(self._file, order.mark, _lines(order))
        for name in order.target.names:
            await self._control("local_zone", name, _TYPE)
        return dict(receipt)

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the order says it all
        """Return whether file and running server both hold every zone."""
        if block_of(self._file, order.mark) != _lines(order):
            return False
        zones = await self._zones()
        return all(zones.get(name) == _TYPE for name in order.target.names)

    async def prove(
        self,
        order: Order,
        receipt: Mapping[str, Any],
        *,
        blocked: bool,
        shared: frozenset[str] = frozenset(),
    ) -> Proof:
        """Ask the resolvers."""
        if blocked:
            return await self._prober.until_blocked(order.target.names, receipt)
        mine = [name for name in order.target.names if name not in shared]
        return await self._prober.until_free(mine, receipt)

    async def revoke(self, order: Order, receipt: Mapping[str, Any]) -> None:
        """Take the zones away, unless another order holds them, or give them their type back."""
        replace_block(self._file, order.mark, [])
        held = self._held(order)
        zones = await self._zones()
        before: Mapping[str, str] = receipt.get("zones", {})
        for name in order.target.names:
            if name in held or zones.get(name) != _TYPE or before.get(name) == _TYPE:
                continue
            if name in before:
                await self._control("local_zone", name, before[name])
            else:
                await self._control("local_zone_remove", name)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _held(self, order: Order) -> frozenset[str]:
        """Return the names that other orders hold, as the file tells."""
        return frozenset(
            line.split('"')[1]
            for line in other_lines(self._file, order.mark)
            if line.startswith("local-zone:") and line.count('"') == 2
        )

    async def _zones(self) -> dict[str, str]:
        found = {}
        for line in (await self._control("list_local_zones")).splitlines():
            name, _, kind = line.strip().partition(" ")
            found[name.rstrip(".").lower()] = kind
        return found

    async def _control(self, *words: str) -> str:
        command = (*self._settings.unbound_control, *words)
        said = await run(command, self._settings.command_timeout_s)
        if said.startswith("error"):
            msg = f"{' '.join(command)}: {said.strip()[:300]}"
            raise ResponderError(msg)
        return said


def _lines(order: Order) -> list[str]:
    return [f'local-zone: "{name}" {_TYPE}\n' for name in order.target.names]
