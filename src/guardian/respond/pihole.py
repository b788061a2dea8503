"""Block names in Pi-hole v6: denied domains, for the house or for one device's group.

A block for the house stands in group 0, which clients are in unless the keeper
took them out. A block for one device stands in a group of its own, with the
device's addresses in it. Everything carries the order's mark in its comment;
what the keeper made, of the same spelling or for the same client, stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from guardian.clients.pihole import DEFAULT_GROUP, PiholeClient
from guardian.errors import ConfigError, ResponderError
from guardian.respond.base import Proof
from guardian.respond.verify import Prober, Resolver, beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from guardian.clients.http import Limits
    from guardian.clients.pihole import Domain, ListKind
    from guardian.respond.base import Order
    from guardian.respond.settings import Settings

_OURS = "guardian:"


class Pihole:
    """Block names in Pi-hole v6, for the house or for one device."""

    name: ClassVar[str] = "pihole"
    title: ClassVar[str] = "Pi-hole"
    blocks: ClassVar[str] = "names"
    per_device: ClassVar[bool] = True

    def __init__(
        self,
        settings: Settings,
        *,
        http: httpx.AsyncClient | None = None,
        limits: Limits | None = None,
    ) -> None:
        if not settings.pihole_url:
            msg = "respond.pihole_url is not set"
            raise ConfigError(msg)
        self._client = PiholeClient(
            settings.pihole_url,
            settings.pihole_password or None,
            http=http,
            limits=limits,
            ca_file=_path(settings.pihole_ca_file),
            tls_name=settings.pihole_tls_name or None,
        )
        resolvers = settings.resolvers or beside(settings.pihole_url)
        self._prober = Prober([Resolver.parse(text) for text in resolvers], settings)

    @staticmethod
    def is_set_up(settings: Settings) -> bool:
        """Return whether a Pi-hole is named."""
        return bool(settings.pihole_url)

    @staticmethod
    def covers_subdomains(settings: Settings) -> bool:  # noqa: ARG004 - always: by expression
        """Return True: rules are regular expressions."""
        return True

    async def survey(self, order: Order) -> dict[str, Any]:
        """Return what the resolvers answer now, and how the device is listed."""
        found: dict[str, Any] = {"before": await self._prober.survey(order.target.names)}
        if order.target.device_ips:
            wanted = set(order.target.device_ips)
            found["clients"] = [
                {"client": c.client, "comment": c.comment, "groups": list(c.groups)}
                for c in await self._client.clients()
                if c.client in wanted
            ]
        return found

    async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """Add what is missing of the order's group, clients and rules."""
        group = DEFAULT_GROUP
        if order.target.device_ips:
            group = await self._group(order)
            await self._enlist(order, group)
        for kind, rule in await self._missing(order, group):
            await self._client.add_domains(
                "deny", kind, [rule], comment=_comment(order), groups=[group]
            )
        if not await self.present(order, receipt):
            msg = "Pi-hole accepted the block but does not list it whole"
            raise ResponderError(msg)
        return {**receipt, "group": group}

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the order says it all
        """Return whether the rules, the group and its clients are all listed and enabled."""
        group = DEFAULT_GROUP
        if order.target.device_ips:
            groups = [g for g in await self._client.groups() if g.name == _group_name(order)]
            if not groups or not groups[0].enabled:
                return False
            group = groups[0].id
            listed = {c.client: c.groups for c in await self._client.clients()}
            if not all(group in listed.get(ip, ()) for ip in order.target.device_ips):
                return False
        return not await self._missing(order, group)

    async def prove(
        self,
        order: Order,
        receipt: Mapping[str, Any],
        *,
        blocked: bool,
        shared: frozenset[str] = frozenset(),
    ) -> Proof:
        """Ask the resolvers; for one device read the settings back.

        Pi-hole answers by who asks, so the answer to another device cannot be asked
        from here. The proof then says so, and that nobody else is cut off.
        """
        if order.target.device_ips:
            return await self._prove_device(order, receipt, blocked=blocked, shared=shared)
        mine = [name for name in order.target.names if name not in shared]
        if not blocked:
            return await self._prober.until_free(mine, receipt)
        proof = await self._prober.until_blocked(order.target.names, receipt)
        if not proof.holds and not await self._client.blocking():
            return Proof(
                holds=False, summary="blocking is switched off in Pi-hole", details=proof.details
            )
        return proof

    async def _prove_device(
        self,
        order: Order,
        receipt: Mapping[str, Any],
        *,
        blocked: bool,
        shared: frozenset[str],
    ) -> Proof:
        listed = await self.present(order, receipt)
        who = ", ".join(order.target.device_ips)
        if not blocked:
            summary = f"Pi-hole {'still lists' if listed else 'no longer lists'} a rule for {who}"
            return Proof(holds=not listed, summary=summary)
        if listed and not await self._client.blocking():
            return Proof(holds=False, summary="blocking is switched off in Pi-hole")
        if not listed:
            return Proof(holds=False, summary=f"Pi-hole lists no rule for {who}")
        allowed = await self._allowed(order)
        if allowed is not None:
            return Proof(holds=False, summary=f"an allow rule in Pi-hole wins: {allowed}")
        mine = [name for name in order.target.names if name not in shared]
        others = await self._prober.until_free(mine, receipt)
        summary = (
            f"Pi-hole lists the rule, its group and {who} in it, read back; "
            "its answer to the device itself cannot be asked from here"
        )
        if not others.holds:
            summary = f"others are cut off too: {others.summary}"
        return Proof(holds=others.holds, summary=summary, details=others.details)

    async def revoke(self, order: Order, receipt: Mapping[str, Any]) -> None:  # noqa: ARG002 - the marks say it all
        """Remove the rules that carry the mark, then the device's group."""
        for rule in await self._client.domains("deny"):
            if rule.comment == _comment(order):
                await self._client.delete_domain("deny", _kind(rule), rule.domain)
        groups = [g for g in await self._client.groups() if g.name == _group_name(order)]
        for group in groups:
            await self._dismiss(group.id)
            await self._client.delete_group(group.name)

    async def aclose(self) -> None:
        """Log out."""
        await self._client.aclose()

    async def _group(self, order: Order) -> int:
        name = _group_name(order)
        for attempt in ("look", "made"):
            for group in await self._client.groups():
                if group.name == name:
                    return group.id
            if attempt == "look":
                await self._client.add_group(name, comment=_comment(order))
        msg = f"Pi-hole accepted the group {name} but does not list it"
        raise ResponderError(msg)

    async def _enlist(self, order: Order, group: int) -> None:
        listed = {client.client: client for client in await self._client.clients()}
        for ip in order.target.device_ips:
            client = listed.get(ip)
            if client is None:
                await self._client.add_client(
                    ip, comment=_comment(order), groups=[DEFAULT_GROUP, group]
                )
            elif group not in client.groups:
                await self._client.put_client(
                    ip, comment=client.comment, groups=[*client.groups, group]
                )

    async def _dismiss(self, group: int) -> None:
        for client in await self._client.clients():
            if group not in client.groups:
                continue
            rest = [other for other in client.groups if other != group]
            ours = (client.comment or "").startswith(_OURS)
            if ours and rest in ([], [DEFAULT_GROUP]):
                await self._client.delete_client(client.client)
            else:
                await self._client.put_client(client.client, comment=client.comment, groups=rest)

    async def _allowed(self, order: Order) -> str | None:
        """Return an allow rule that wins over the order's for its device, if there is one."""
        groups = {
            group
            for client in await self._client.clients()
            if client.client in order.target.device_ips
            for group in client.groups
        }
        for rule in await self._client.domains("allow"):
            if rule.enabled and groups & set(rule.groups):
                for name in order.target.names:
                    if rule.domain == name or (rule.kind == "regex" and _finds(rule.domain, name)):
                        return rule.domain
        return None

    async def _missing(self, order: Order, group: int) -> list[tuple[ListKind, str]]:
        """Return the rules that are not in force yet, each spelt so that it is free."""
        rules = await self._client.domains("deny")
        taken: dict[str, Domain] = {rule.domain: rule for rule in rules}
        missing = []
        for name in order.target.names:
            spellings = _spellings(order, name)
            mine = [
                rule
                for _, text in spellings
                if (rule := taken.get(text)) is not None and rule.comment == _comment(order)
            ]
            if any(rule.enabled and group in rule.groups for rule in mine):
                continue
            if mine:  # switched off or moved by hand: made anew, as it was asked for
                await self._client.delete_domain("deny", _kind(mine[0]), mine[0].domain)
                taken.pop(mine[0].domain)
            missing.append(next(s for s in spellings if s[1] not in taken))
        return missing


def _spellings(order: Order, name: str) -> tuple[tuple[ListKind, str], ...]:
    """Return ways to write one rule: the plain one, and one that nothing else uses.

    Pi-hole keeps each spelling once. Where the plain one is the keeper's or another
    order's, a name under ``.invalid``, which nobody asks for, makes a spelling of our own.
    """
    escaped = re.escape(name).replace("\\-", "-")
    own = f"guardian-{order.id}\\.invalid"
    if order.target.subdomains:
        return (
            ("regex", f"(\\.|^){escaped}$"),
            ("regex", f"(\\.|^)({escaped}|{own})$"),
        )
    return (("exact", name), ("regex", f"^({escaped}|{own})$"))


def _finds(expression: str, name: str) -> bool:
    try:
        return re.search(expression, name, re.IGNORECASE) is not None
    except re.error:  # the server's dialect knows more: its answer has to show it
        return False


def _kind(rule: Domain) -> ListKind:
    return "regex" if rule.kind == "regex" else "exact"


def _comment(order: Order) -> str:
    return order.mark


def _group_name(order: Order) -> str:
    return order.mark.replace(":", "-")


def _path(text: str) -> Path | None:
    return Path(text) if text else None
