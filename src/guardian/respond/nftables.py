"""Block addresses with nftables, on a host that routes the home's traffic.

Each order is a table of its own, so that it can be taken away whole and touches
nobody else's rules. Its elements carry a timeout: a Guardian that died does not
block for ever. The chain stands before others of its hook, and a drop is final, so
connections that are open already end too. A host that only sees copies on a
mirrored port cannot block anything this way; hence the switch in the settings.
"""

from __future__ import annotations

import ipaddress
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

from guardian.errors import ConfigError, ResponderError
from guardian.respond.base import Proof
from guardian.respond.commands import run
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.respond.base import Order
    from guardian.respond.settings import Settings

_PRIORITY = -10
"""Before the usual filter chains (0), and so before their "established: accept"."""

_FAMILIES = ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr"))


class Nftables:
    """Block addresses for the whole house or one device in this host's packet filter."""

    name: ClassVar[str] = "nftables"
    title: ClassVar[str] = "this host's packet filter"
    blocks: ClassVar[str] = "addresses"
    per_device: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        if not settings.nft_routes:
            msg = "respond.nft_routes is not set: this host does not route the home's traffic"
            raise ConfigError(msg)
        self._command = settings.nft_command
        self._timeout_s = settings.command_timeout_s

    @staticmethod
    def is_set_up(settings: Settings) -> bool:
        """Return whether the keeper says that this host is the router."""
        return settings.nft_routes

    @staticmethod
    def covers_subdomains(settings: Settings) -> bool:  # noqa: ARG004 - there are no names here
        """Return False: it blocks addresses."""
        return False

    async def survey(self, order: Order) -> dict[str, Any]:
        """Return the order's table, which nobody else may have made."""
        return {"table": _table(order)}

    async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """Put the order's table in place, in one transaction of the kernel."""
        await self._nft(_script(order), "-f", "-")
        return dict(receipt)

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the order says it all
        """Return whether the table is there with every element."""
        listed = await self._listed(order)
        wanted = {str(address) for address in _addresses(order)}
        return listed is not None and wanted <= listed

    async def prove(
        self,
        order: Order,
        receipt: Mapping[str, Any],
        *,
        blocked: bool,
        shared: frozenset[str] = frozenset(),  # noqa: ARG002 - each order has a table of its own
    ) -> Proof:
        """Read the kernel's table back; its counters show what it stopped so far."""
        found = await self.present(order, receipt)
        if not blocked:
            summary = f"the table {_table(order)} is {'still there' if found else 'gone'}"
            return Proof(holds=not found, summary=summary)
        if not found:
            return Proof(holds=False, summary=f"the table {_table(order)} is not whole")
        dropped = await self._dropped(order)
        summary = (
            f"the kernel drops packets to and from {', '.join(order.target.addresses)}, read "
            f"back from its table {_table(order)}; {dropped} dropped so far"
        )
        return Proof(holds=True, summary=summary, details={"dropped": dropped})

    async def revoke(self, order: Order, receipt: Mapping[str, Any]) -> None:  # noqa: ARG002 - the order says it all
        """Take the order's table away."""
        if _table(order) in await self._tables():
            await self._nft(f"delete table inet {_table(order)}\n", "-f", "-")

    async def aclose(self) -> None:
        """Nothing is held open."""

    async def _tables(self) -> set[str]:
        found = await self._json("list", "tables", "inet")
        return {each["table"]["name"] for each in found if "table" in each}

    async def _listed(self, order: Order) -> set[str] | None:
        if _table(order) not in await self._tables():
            return None
        listed: set[str] = set()
        for each in await self._json("list", "table", "inet", _table(order)):
            for element in each.get("set", {}).get("elem", ()):
                value = element["elem"]["val"] if isinstance(element, dict) else element
                listed.add(str(value))
        return listed

    async def _dropped(self, order: Order) -> int:
        total = 0
        for each in await self._json("list", "table", "inet", _table(order)):
            for part in each.get("rule", {}).get("expr", ()):
                total += int(part.get("counter", {}).get("packets", 0))
        return total

    async def _json(self, *words: str) -> list[dict[str, Any]]:
        said = await self._nft(None, "-j", *words)
        try:
            found: list[dict[str, Any]] = json.loads(said)["nftables"]
        except (ValueError, KeyError, TypeError) as error:
            msg = f"nft {' '.join(words)}: unexpected answer"
            raise ResponderError(msg) from error
        return found

    async def _nft(self, script: str | None, *words: str) -> str:
        return await run((*self._command, *words), self._timeout_s, stdin=script)


def _table(order: Order) -> str:
    return order.mark.replace(":", "_")


def _addresses(order: Order) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses as such: nft would take other text for a host name to look up.

    Raises:
        ResponderError: one of them is none.
    """
    try:
        return [ipaddress.ip_address(text) for text in order.target.addresses]
    except ValueError as error:
        msg = f"not an address: {error}"
        raise ResponderError(msg) from error


def _script(order: Order) -> str:
    """Return the transaction that makes the order's table, or makes it anew."""
    name = _table(order)
    left_s = max(1, math.ceil((order.ends_at - utc_now()).total_seconds()))
    lines = [f"add table inet {name}", f"delete table inet {name}", f"add table inet {name}"]
    lines.append(
        f"add chain inet {name} forward {{ type filter hook forward priority {_PRIORITY}; }}"
    )
    devices = [ipaddress.ip_address(ip) for ip in order.target.device_ips]
    for version, word, kind in _FAMILIES:
        members = [str(a) for a in _addresses(order) if a.version == version]
        if not members:
            continue
        far = f"blocked{version}"
        lines.append(f"add set inet {name} {far} {{ type {kind}; flags timeout; }}")
        lines += [f"add element inet {name} {far} {{ {m} timeout {left_s}s }}" for m in members]
        own = [str(d) for d in devices if d.version == version]
        if devices and not own:
            continue
        near_from = f"{word} saddr {{ {', '.join(own)} }} " if own else ""
        near_to = f"{word} daddr {{ {', '.join(own)} }} " if own else ""
        lines += [
            f"add rule inet {name} forward {near_from}{word} daddr @{far} counter drop",
            f"add rule inet {name} forward {near_to}{word} saddr @{far} counter drop",
        ]
    return "\n".join(lines) + "\n"
