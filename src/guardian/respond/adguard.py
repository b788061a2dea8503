"""Block names in AdGuard Home: a marked block among the user's own rules.

The server only knows how to replace all rules at once, and checks neither versions nor
rules. So they are read right before each write, only the order's own lines change, and
they are read again afterwards: somebody who wrote at the same moment is noticed.
It answers before its engine has the new rules; hence the proof by asking.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

from guardian.clients.adguard import AdguardClient
from guardian.errors import ConfigError, ResponderError
from guardian.respond.base import Proof
from guardian.respond.verify import Prober, Resolver, beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

    from guardian.clients.http import Limits
    from guardian.respond.base import Order
    from guardian.respond.settings import Settings

_WRITES = 3
"""Tries to get a change in between other writers'."""


class AdguardHome:
    """Block names in AdGuard Home, for the house or for one device."""

    name: ClassVar[str] = "adguard"
    title: ClassVar[str] = "AdGuard Home"
    blocks: ClassVar[str] = "names"
    per_device: ClassVar[bool] = True

    def __init__(
        self,
        settings: Settings,
        *,
        http: httpx.AsyncClient | None = None,
        limits: Limits | None = None,
    ) -> None:
        if not settings.adguard_url:
            msg = "respond.adguard_url is not set"
            raise ConfigError(msg)
        self._settings = settings
        self._client = AdguardClient(
            settings.adguard_url,
            settings.adguard_user or None,
            settings.adguard_password or None,
            http=http,
            limits=limits,
        )
        resolvers = settings.resolvers or beside(settings.adguard_url)
        self._prober = Prober([Resolver.parse(text) for text in resolvers], settings)

    @staticmethod
    def is_set_up(settings: Settings) -> bool:
        """Return whether an AdGuard Home is named."""
        return bool(settings.adguard_url)

    @staticmethod
    def covers_subdomains(settings: Settings) -> bool:  # noqa: ARG004 - always: by its rules
        """Return True: a rule covers all below a name."""
        return True

    async def survey(self, order: Order) -> dict[str, Any]:
        """Return what the resolvers answer now."""
        return {"before": await self._prober.survey(order.target.names)}

    async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """Put the order's block of rules at the end."""
        await self._replace(order, [_begin(order), *_rules(order), _end(order)])
        return dict(receipt)

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the order says it all
        """Return whether the rules hold the whole block."""
        rules = list((await self._client.filtering()).user_rules or ())
        if _begin(order) not in rules or _end(order) not in rules:
            return False
        return rules[rules.index(_begin(order)) + 1 : rules.index(_end(order))] == _rules(order)

    async def prove(
        self,
        order: Order,
        receipt: Mapping[str, Any],
        *,
        blocked: bool,
        shared: frozenset[str] = frozenset(),
    ) -> Proof:
        """Ask the resolvers; for one device ask the server what that device would be told."""
        mine = [name for name in order.target.names if name not in shared]
        if order.target.device_ips:
            names = list(order.target.names) if blocked else mine
            proof = await self._for_device(names, order.target.device_ips, blocked=blocked)
        elif blocked:
            proof = await self._prober.until_blocked(order.target.names, receipt)
        else:
            return await self._prober.until_free(mine, receipt)
        if blocked and not proof.holds and not (await self._client.filtering()).enabled:
            summary = "filtering is switched off in AdGuard Home"
            return Proof(holds=False, summary=summary, details=proof.details)
        return proof

    async def revoke(self, order: Order, receipt: Mapping[str, Any]) -> None:  # noqa: ARG002 - the marks say it all
        """Take the order's block out."""
        await self._replace(order, [])

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _replace(self, order: Order, block: Sequence[str]) -> None:
        for _ in range(_WRITES):
            before = list((await self._client.filtering()).user_rules or ())
            wanted = [*_without(before, order), *block]
            if wanted == before:
                return
            await self._client.set_rules(wanted)
            if list((await self._client.filtering()).user_rules or ()) == wanted:
                return
        msg = "AdGuard Home's rules change under our hands; is something else writing them?"
        raise ResponderError(msg)

    async def _for_device(
        self, names: Sequence[str], ips: Sequence[str], *, blocked: bool
    ) -> Proof:
        deadline = time.monotonic() + self._settings.verify_timeout_s
        while True:
            asked = [
                {"name": name, "client": ip, "reason": found.reason, "blocked": found.blocked}
                for ip in ips
                for name in names
                for found in [await self._client.check_host(name, client=ip)]
            ]
            wrong = [each for each in asked if each["blocked"] is not blocked]
            if not wrong or time.monotonic() >= deadline:
                break
            await asyncio.sleep(self._settings.verify_pause_s)
        if not asked:
            return Proof(holds=True, summary="another block holds the same names")
        shown = (wrong or asked)[0]
        summary = (
            f"AdGuard Home tells {shown['client']} for {shown['name']}: {shown['reason']} "
            "(asked of its own filter)"
        )
        return Proof(holds=not wrong, summary=summary, details={"checked": asked})


def _begin(order: Order) -> str:
    return f"! {order.mark} begin"


def _end(order: Order) -> str:
    return f"! {order.mark} end"


def _rules(order: Order) -> list[str]:
    start = "||" if order.target.subdomains else "|"
    only = "|".join(f"'{ip}'" for ip in order.target.device_ips)
    scope = f"$client={only}" if only else ""
    return [f"{start}{name}^{scope}" for name in order.target.names]


def _without(rules: Sequence[str], order: Order) -> list[str]:
    """Return the rules without the order's block; one without its end ends at a comment."""
    kept: list[str] = []
    inside = False
    for rule in rules:
        if rule == _begin(order):
            inside = True
        elif inside and rule == _end(order):
            inside = False
        elif not inside or rule.startswith(("!", "#")) or not rule:
            inside = False
            kept.append(rule)
    return kept
