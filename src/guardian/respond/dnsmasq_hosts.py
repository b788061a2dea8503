"""Block names in dnsmasq by way of a hosts file that it loads.

dnsmasq reads hosts files again on SIGHUP, and its ``servers-file`` too, but never
its configuration. So a blocked name stands in a hosts file as 0.0.0.0 and ``::``,
which covers exactly that name; where a servers file is set up, ``server=/name/``
there makes everything below it, and its HTTPS records, unknown. Each order is one
marked block of lines; all other lines of the files are left as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from guardian.errors import ComponentAbsentError, ConfigError, ResponderError
from guardian.respond.verify import Prober, Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardian.respond.base import Order, Proof
    from guardian.respond.settings import Settings

_PROCESSES = frozenset({"dnsmasq", "pihole-FTL"})
_MAX_FILE_BYTES = 64 * 1024 * 1024


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
            _replace_block(path, order.mark, lines)
        await self._reload()
        return {**receipt, "files": [str(path) for path in self._wanted(order)]}

    async def present(self, order: Order, receipt: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the order says it all
        """Return whether the files hold the whole block."""
        return all(
            _block(_read(path), order.mark) == lines for path, lines in self._wanted(order).items()
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
            _replace_block(path, order.mark, [])
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
            await _run(self._settings.dnsmasq_reload, self._settings.command_timeout_s)
        elif self._settings.dnsmasq_pid_file:
            _hang_up(Path(self._settings.dnsmasq_pid_file))
        # Neither: the file lies in a hostsdir, which dnsmasq watches itself.


def _read(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            msg = f"{path} is larger than {_MAX_FILE_BYTES} bytes; it is not Guardian's"
            raise ResponderError(msg)
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return []
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise ResponderError(msg) from error
    return text.splitlines(keepends=True)


def _marks(mark: str) -> tuple[str, str]:
    return f"# {mark} begin\n", f"# {mark} end\n"


def _block(lines: list[str], mark: str) -> list[str]:
    """Return the lines between the order's marks (empty when there is no whole block)."""
    begin, end = _marks(mark)
    if begin not in lines or end not in lines:
        return []
    return lines[lines.index(begin) + 1 : lines.index(end)]


def _without(lines: list[str], mark: str) -> list[str]:
    """Return the lines without the order's blocks.

    A block without its end ends at a blank or a mark, so that a torn file does not
    swallow another's lines.
    """
    begin, end = _marks(mark)
    kept: list[str] = []
    inside = False
    for line in lines:
        if line == begin:
            inside = True
        elif inside and line == end:
            inside = False
        elif not inside or line.startswith("#") or not line.strip():
            inside = False
            kept.append(line)
    return kept


def _replace_block(path: Path, mark: str, block: list[str]) -> None:
    before = _read(path)
    kept = _without(before, mark)
    if block:
        if kept and not kept[-1].endswith("\n"):
            kept[-1] += "\n"
        begin, end = _marks(mark)
        kept = [*kept, begin, *block, end]
    if kept != before:
        _write(path, "".join(kept))


def _write(path: Path, text: str) -> None:
    """Put a whole file in place at once, with the rights and owner of the one before."""
    try:
        # A leading dot: dnsmasq passes such files of a hostsdir over.
        handle, name = tempfile.mkstemp(prefix=".guardian-", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _like(temporary, path)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise ResponderError(msg) from error


def _like(temporary: Path, path: Path) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        temporary.chmod(0o644)  # dnsmasq reads it as its own user
        return
    temporary.chmod(stat.S_IMODE(old.st_mode))
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.chown(temporary, old.st_uid, old.st_gid)


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


async def _run(command: tuple[str, ...], timeout_s: float) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        msg = f"cannot run {command[0]}: {error.strerror}"
        raise ComponentAbsentError(msg) from error
    try:
        async with asyncio.timeout(timeout_s):
            _, said = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        msg = f"{command[0]} did not end within {timeout_s:g} s"
        raise ResponderError(msg) from error
    if process.returncode:
        text = said[-300:].decode(errors="replace").strip()
        msg = f"{' '.join(command)} failed ({process.returncode}): {text}"
        raise ResponderError(msg)
