"""Commands that measure: score a labelled corpus, time this machine."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING

from rich.console import Console

from guardian.app.replay import replay
from guardian.cli import quality
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json
from guardian.errors import InputError, UsageError
from guardian.lab import evaluate as evaluation
from guardian.lab import gold_corpus, surveillance

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from guardian.config import Config
    from guardian.store import Store


def evaluate(options: argparse.Namespace) -> int:
    """Replay each entry of a corpus alone and score what was found."""
    config = config_of(options)
    console = Console(stderr=True)
    if options.triage:
        return quality.evaluate(options)
    if options.scenes:
        return _scenes(options, config)
    if options.corpus is None:
        msg = "name the corpus: guardian eval FOLDER (a folder with a labels.jsonl)"
        raise UsageError(msg)

    def replay_one(path: Path, store: Store) -> None:
        (only,) = replay(store, config, [path]).inputs
        if only.kind is None:
            raise InputError(only.error)

    if options.gold:
        return _gold(options, replay_one, console)
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


def _gold(
    options: argparse.Namespace, replay_one: Callable[[Path, Store], object], console: Console
) -> int:
    """Write a gold set of the corpus: each entry's story, with its label's verdict."""
    items = gold_corpus.build(options.corpus, replay_one, progress=console.print)
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    options.gold.write_text(text, encoding="utf-8")
    say(f"{options.gold}: {len(items)} incidents")
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
    """Measure, and print the figures: as JSON, unless a table is asked for."""
    module = importlib.import_module(f"guardian.lab.bench_{options.what}")
    names = ("size", "server", "model", "kind", "ask")
    given = {name: getattr(options, name, None) for name in names}
    if options.what == "lists":
        given["names"] = given.pop("size")
    figures = module.run(**{name: value for name, value in given.items() if value is not None})
    if getattr(options, "format", "json") == "table":
        rows = figures.get("kinds", [figures])
        emit(options, rows, [name for name in rows[0] if name in _SHOWN])
    else:
        write_json(figures)
    return 0


_SHOWN = ("kind", "records", "records_per_s", "bare_records_per_s", "ratio", "cpu_us_per_record",
          "bare_cpu_us_per_record", "peak_rss_mb")  # fmt: skip
