"""Commands that measure: score a labelled corpus, time this machine."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

from rich.console import Console

from guardian.app.replay import replay
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json
from guardian.errors import InputError, UsageError
from guardian.lab import evaluate as evaluation
from guardian.lab import surveillance
from guardian.triage import gold

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from guardian.config import Config
    from guardian.store import Store


def evaluate(options: argparse.Namespace) -> int:
    """Replay each entry of a corpus alone and score what was found."""
    config = config_of(options)
    console = Console(stderr=True)
    if options.triage:
        set_file = options.corpus or gold.GOLD
        emit(options, asyncio.run(gold.evaluate(config.triage, path=set_file)))
        return 0
    if options.scenes:
        return _scenes(options, config)
    if options.corpus is None:
        msg = "name the corpus: guardian eval FOLDER (a folder with a labels.jsonl)"
        raise UsageError(msg)

    def replay_one(path: Path, store: Store) -> None:
        (only,) = replay(store, config, [path]).inputs
        if only.kind is None:
            raise InputError(only.error)

    report = evaluation.evaluate(
        options.corpus, replay_one, only=options.only, progress=console.print
    )
    if options.format == "json":
        write_json(report)
        return 0
    columns = ("file", "malicious", "accepted", "observed", "false_positives", "classes", "seconds")
    emit(options, report["entries"], columns)
    emit(options, report["totals"])
    return 0


def _scenes(options: argparse.Namespace, config: Config) -> int:
    """Play the scenes of known truth as captures; 0 only when everything was told right."""

    def replay_one(path: Path, store: Store) -> None:
        (only,) = replay(store, config, [path]).inputs
        if only.error:
            raise InputError(only.error)

    seeds = range(options.seeds)
    report = surveillance.captures(replay_one, seeds=seeds, folder=options.keep)
    if options.format == "json":
        write_json(report)
    else:
        say(surveillance.as_table(report))
    return 1 if report["errors"] or report["wrong"] else 0


def bench(options: argparse.Namespace) -> int:
    """Measure, and print the figures as JSON."""
    module = importlib.import_module(f"guardian.lab.bench_{options.what}")
    write_json(module.run(size=options.size) if options.size else module.run())
    return 0
