"""Fetch and build the blocklists: for the command line, and at night by the daemon.

The daemon builds in a process of its own, so that the memory of two million names is
given back when it is done and a build never slows the collecting.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from guardian import resources
from guardian.app import nightly
from guardian.clients.lists import FetchLimits, fetch_all
from guardian.errors import ConfigError, GuardianError, InputError
from guardian.intel import list_sources, list_state
from guardian.intel import lists as compiler
from guardian.intel.settings import Settings  # noqa: TC001 - msgspec reads it
from guardian.store import asked
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardian.config import Config
    from guardian.store import Store

log = logging.getLogger(__name__)

FIRST_S = 45.0
"""After the start of a daemon that never built: collecting comes first."""
RETRY_S = 7200.0
"""After this long a source that could not be fetched is tried again."""
CHECK_S = 20.0
BUILD_LIMIT_S = 1800.0
_NICE = 10


class _Work(msgspec.Struct):
    """What the daemon tells the process that builds."""

    data: str
    settings: Settings
    house: list[str]


def folder(data: Path) -> Path:
    """Return where the lists of a data folder are built."""
    return data / "lists"


def build(
    data: Path,
    settings: Settings,
    *,
    out: Path | None = None,
    offline: bool = False,
    house: Iterable[str] = (),
) -> dict[str, Any]:
    """Fetch what changed, build every list, and return what was done.

    ``offline`` uses the copies at hand. ``house`` are the names the house asks for most.

    Raises:
        RuleError: a source or the catalogue is wrong.
        ConfigError: the configuration's sources are.
        InputError: another build is at work, or the folder cannot be written.
    """
    out = out or folder(data)
    shipped = resources.path("blocklists")
    places = list_sources.read(shipped, out, settings)
    with list_state.locked(out):
        downloads = {}
        urls = {place.name: place.source.url for place in places if place.source.url}
        if urls and not offline:
            limits = FetchLimits(max_bytes=settings.max_bytes, timeout_s=settings.timeout_s)
            downloads = asyncio.run(fetch_all(urls, out / list_sources.FETCHED, limits))
        return compiler.build(shipped, out, settings=settings, downloads=downloads, house=house)


def due(config: Config, *, now: datetime, started: datetime) -> bool:
    """Say whether the daemon should build now.

    That is: once after its first start, daily at the time of the settings (later by
    this house's share of the jitter), when a person accepted a source, and some time
    after a source could not be fetched.
    """
    out = folder(config.data)
    state = list_state.read(out)
    if "built_at" not in state:
        return now - started >= timedelta(seconds=FIRST_S)
    built = datetime.fromisoformat(state["built_at"]).astimezone(UTC).replace(tzinfo=None)
    if list_state.waiting(out):
        return True
    failed = any(row.get("url") and not row.get("held_sha256") for row in list_state.held(out))
    if failed and now - built >= timedelta(seconds=RETRY_S):
        return True
    if not config.lists.rebuild_at:
        return False
    late = timedelta(seconds=_share(config) * config.lists.jitter_s)
    try:
        last = nightly.latest_due(config.lists.rebuild_at, config.notify.timezone, now - late)
    except ValueError as error:
        msg = f"lists.rebuild_at = {config.lists.rebuild_at!r}: write HH:MM, such as 03:20"
        raise ConfigError(msg) from error
    return built < last + late


def _share(config: Config) -> float:
    """Return a number from 0 to 1 that stays this house's own."""
    text = f"{os.uname().nodename}|{config.data.absolute()}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


async def build_apart(store: Store, config: Config) -> None:
    """Build in a process of its own.

    Raises:
        InputError: it failed; the message says why.
    """
    work = await asyncio.to_thread(_work, store, config)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "guardian.app.lists",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BUILD_LIMIT_S):
            _, said = await process.communicate(msgspec.json.encode(work))
    except TimeoutError as error:
        msg = f"the blocklists were not built within {BUILD_LIMIT_S:g} s"
        raise InputError(msg) from error
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        msg = f"the blocklists were not built: {lines[-1][:300] if lines else 'no reason given'}"
        raise InputError(msg)
    for row in list_state.held(folder(config.data)):
        log.warning("blocklist source %s is held back: %s", row["name"], row["held"])


def _work(store: Store, config: Config) -> _Work:
    with store.read() as reader:
        names = asked.most_asked(reader, now=utc_now())
    return _Work(data=str(config.data.absolute()), settings=config.lists, house=names)


def main() -> int:
    """Build what standard input says; what went wrong goes to standard error."""
    os.nice(_NICE)
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=_Work)
    try:
        build(Path(work.data), work.settings, house=work.house)
    except GuardianError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
