"""Commands of ``guardian lists``: make, show and explain the blocklists."""

from __future__ import annotations

import contextlib
import getpass
import sys
from typing import TYPE_CHECKING

from guardian import resources
from guardian.app import lists
from guardian.app.session import call
from guardian.cli.common import config_of
from guardian.cli.output import emit, say
from guardian.errors import GuardianError
from guardian.intel import list_show, list_state
from guardian.model import words
from guardian.store.connection import FILE_NAME

if TYPE_CHECKING:
    import argparse

    from guardian.config import Config


def build(options: argparse.Namespace) -> int:
    """Fetch the sources and make the blocklists."""
    config = config_of(options)
    report = lists.build(
        config.data,
        config.lists,
        out=options.out,
        offline=options.offline,
        house=_house(config),
    )
    if options.format == "json":
        emit(options, report)
    else:
        emit(options, report["lists"], ("name", "names", "exceptions", "added", "removed"))
        say(f"in {report['folder']}, {report['seconds']:.1f} s")
    for row in report["sources"]:
        if row["held"]:
            sys.stderr.write(f"held back: {row['name']}: {row['held']}\n")
            if row["held_sha256"]:
                sys.stderr.write(f"  if that is right: guardian lists accept {row['name']}\n")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the lists and their sources."""
    config = config_of(options)
    out = options.out or lists.folder(config.data)
    rows = list_show.show(resources.path("blocklists"), out, config.lists)
    shown = [{**row, "age": _age(row["age_s"])} for row in rows]
    columns = ("name", "kind", "names", "age", "licence", "held")
    emit(options, rows if options.format == "json" else shown, columns)
    return 0


def accept(options: argparse.Namespace) -> int:
    """Believe a source that is held back, and build with it."""
    config = config_of(options)
    out = options.out or lists.folder(config.data)
    known = list_state.accept(out, options.source, actor=f"keeper {getpass.getuser()}")
    lists.build(config.data, config.lists, out=out, offline=True, house=_house(config))
    emit(options, known)
    return 0


def explain(options: argparse.Namespace) -> int:
    """Print what is known of a name."""
    emit(options, call(config_of(options), "lists_explain", domain=options.name))
    return 0


def _house(config: Config) -> list[str]:
    """Return what the house asks for most, where a store can say it."""
    if (config.data / FILE_NAME).exists():
        with contextlib.suppress(GuardianError):
            return list(call(config, "lists_house"))
    return []


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    return words.duration(seconds)
