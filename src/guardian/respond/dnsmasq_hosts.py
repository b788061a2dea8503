"""Block names in dnsmasq by way of a hosts file that it loads.

dnsmasq reads hosts files again on SIGHUP, and its ``servers-file`` too, but never
its configuration. So a blocked name stands in a hosts file as 0.0.0.0 and ``::``,
which covers exactly that name; where a servers file is set up, ``server=/name/``
there makes everything below it, and its HTTPS records, unknown. Each order is one
marked block of lines; all other lines of the files are left as they are.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from guardian.errors import ComponentAbsentError, ConfigError, ResponderError
from guardian.respond.commands import run
from guardian.respond.marked_file import block_of, replace_block
from guardian.respond.verify import Prober, Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.respond.base import Order, Proof
    from guardian.respond.settings import Settings

_PROCESSES = frozenset({"dnsmasq", "pihole-FTL"})


class DnsmasqHosts:
    """Block names for the whole house in files that dnsmasq loads."""

    name: ClassVar[str] = "dnsmasq"
    title: ClassVar[str] = "dnsmasq"
    blocks: ClassVar[str] = "names"
    per_device: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        if not settings.dnsmasq_hosts_file:
            msg = "respond.dnsmasq_hosts_file is not set"
            raise ConfigError(msg)
        self._settings = settings
        self._hosts = Path(settings.dnsmasq_hosts_file)
        self._servers = (
            Path(settings.dnsmasq_servers_file) if settings.dnsmasq_servers_file else None
        )
        self._prober = Prober([Resolver.parse(text) for text in settings.resolvers], settings)

    @staticmethod
    def is_set_up(settings: Settings) -> bool:
        """Return whether a hosts file is named."""
        return bool(settings.dnsmasq_hosts_file)

    @staticmethod
    def covers_subdomains(settings: Settings) -> bool:
        """Return whether a servers file is named, which covers what is below a name."""
        return bool(settings.dnsmasq_servers_file)

    async def survey(self, order: Order) -> dict[str, Any]:
        """Return what the resolvers answer now."""
        return {"before": await self._prober.survey(order.target.names)}

    async def apply(self, order: Order, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """Write the order's block into the files and have dnsmasq read them."""
        for path, lines in self._wanted(order).items():
            replace_block(path, order.mark, lines)
        await self._reload()
        return {**receipt, "files": [str(path) for path in self._wanted(order)]}

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the order says it all
        """Return whether the files hold the whole block."""
        return all(
            block_of(path, order.mark) == lines for path, lines in self._wanted(order).items()
        )

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
        """Take the order's block out of the files and have dnsmasq read them."""
        paths = {self._hosts, *map(Path, receipt.get("files", ()))}
        if self._servers is not None:
            paths.add(self._servers)
        for path in sorted(paths):
            replace_block(path, order.mark, [])
        # Also when nothing was left to remove: a kill may have come between file and signal.
        await self._reload()

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _wanted(self, order: Order) -> dict[Path, list[str]]:
        names = order.target.names
        found = {
            self._hosts: [line for name in names for line in (f"0.0.0.0 {name}\n", f":: {name}\n")]
        }
        if self._servers is not None and order.target.subdomains:
            found[self._servers] = [f"server=/{name}/\n" for name in names]
        return found

    async def _reload(self) -> None:
        if self._settings.dnsmasq_reload:
            await run(self._settings.dnsmasq_reload, self._settings.command_timeout_s)
        elif self._settings.dnsmasq_pid_file:
            _hang_up(Path(self._settings.dnsmasq_pid_file))
        # Neither: the file lies in a hostsdir, which dnsmasq watches itself.


def _hang_up(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text(encoding="ascii").strip())
        process = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        msg = f"dnsmasq is not running ({error.filename} is absent)"
        raise ComponentAbsentError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"cannot read {pid_file}: {error}"
        raise ResponderError(msg) from error
    if process not in _PROCESSES:
        msg = f"{pid_file} names process {pid}, which is {process}, not dnsmasq"
        raise ResponderError(msg)
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        msg = f"cannot signal dnsmasq ({pid}): {error.strerror}"
        raise ResponderError(msg) from error
