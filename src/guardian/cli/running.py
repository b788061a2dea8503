"""Commands that run the stages: the demo, the daemon, a replay."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from guardian.app import demo as demonstration
from guardian.app.daemon import Daemon
from guardian.app.replay import replay as replay_inputs
from guardian.app.session import opened
from guardian.app.sources import collectors, sensors
from guardian.cli.common import config_of
from guardian.cli.output import say, write_json
from guardian.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from guardian.config import Config, Sources


def demo(options: argparse.Namespace) -> int:
    """Replay the bundled evening, print its digest, and serve the page."""
    config = dataclasses.replace(config_of(options), listen=options.listen)
    if options.data is None:
        config = dataclasses.replace(config, data=demonstration.data_directory())
    with progress() as step:
        evening = demonstration.prepare(config, progress=step, temporary=options.data is None)
    try:
        for note in evening.notes:
            say(note)
        say(evening.digest.text)
        if not options.no_serve:
            asyncio.run(evening.serve(ready=_ready))
    finally:
        evening.close()
    return 0


def run(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to stop."""
    config = config_of(options)
    config = dataclasses.replace(
        config,
        listen=options.listen or config.listen,
        sources=_sources(config.sources, options),
    )
    for interface in config.sources.interfaces:
        if not Path(f"/sys/class/net/{interface}").exists():
            msg = f"there is no network interface {interface}; see: ip link"
            raise ConfigError(msg)
    with opened(config) as store:
        daemon = Daemon(store, config, collectors(config), sensors=sensors(config))
        asyncio.run(daemon.run(ready=_ready))
    return 0


def replay(options: argparse.Namespace) -> int:
    """Read captures and logs once and judge them."""
    config = config_of(options)
    with opened(config) as store, progress() as step:
        report = replay_inputs(store, config, options.inputs, progress=step)
    if options.format == "json":
        write_json(report.as_dict())
    else:
        _tell(report.as_dict(), config)
    errors = Console(stderr=True, soft_wrap=True)
    for each in report.inputs:
        if each.error:
            errors.print(f"guardian: {each.error}", style="red", markup=False, highlight=False)
    return report.exit_code


def _tell(report: dict, config: Config) -> None:  # type: ignore[type-arg]
    for each in report["inputs"]:
        refused = f", {each['rejected']:,} refused" if each["rejected"] else ""
        say(
            f"{each['path']} ({each['kind'] or 'unknown'}): {each['events']:,} events{refused} "
            f"in {each['seconds']:.1f} s"
        )
    say(
        f"{report['findings']:,} findings, {report['incidents']:,} incidents in "
        f"{report['seconds']:.1f} s. See: guardian incidents --data {config.data}"
    )


def _sources(sources: Sources, options: argparse.Namespace) -> Sources:
    def merged(old: tuple[Path, ...], new: list[Path]) -> tuple[Path, ...]:
        # A socket is named by its prefix and its whole path: unix:/run/guardian/eve.
        whole = (
            each if str(each).startswith("unix") and ":" in str(each) else each.absolute()
            for each in new
        )
        return tuple(dict.fromkeys((*old, *whole)))

    return dataclasses.replace(
        sources,
        eve=merged(sources.eve, options.eve),
        pihole_log=merged(sources.pihole_log, options.pihole_log),
        pihole_db=merged(sources.pihole_db, options.pihole_db),
        files=merged(sources.files, options.read),
        interfaces=tuple(dict.fromkeys((*sources.interfaces, *options.interface))),
    )


def _ready(url: str) -> None:
    Console(stderr=True).print(f"Guardian's page: {url}  (Ctrl-C ends)", highlight=False)


class progress:  # noqa: N801 - used like a function
    """Show what is being done on standard error, with the time it takes."""

    def __init__(self) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    def __enter__(self) -> progress:
        self._bar.start()
        self._task = self._bar.add_task("starting", total=None)
        return self

    def __call__(self, text: str) -> None:
        """Say what is being done now."""
        self._bar.update(self._task, description=text)

    def __exit__(self, *_exception: object) -> None:
        self._bar.stop()
