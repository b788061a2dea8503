"""Commands about who listens: the ledger, what was switched off, and who is home."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from guardian.app.session import call
from guardian.cli.common import config_of, duration
from guardian.cli.output import emit, say, write_json

if TYPE_CHECKING:
    import argparse


def _ask(options: argparse.Namespace, what: str, **parameters: Any) -> Any:
    return call(config_of(options), what, **parameters)


def privacy(options: argparse.Namespace) -> int:
    """Print who is told what about this house, or with ``--models`` who asks language models."""
    since = duration(options.since).total_seconds()
    if options.models:
        used = ("device", "company", "service", "way", "contacts", "bytes_up", "bytes_down",
                "sessions", "hours", "thing")  # fmt: skip
        rows = _ask(options, "models", since_s=since)
        emit(options, rows, used, empty="Nothing asked a language model.")
        _say_incomplete(options)
        return 0
    if options.habits:
        found = _ask(options, "habits")
        if options.format == "json":
            write_json(found)
            return 0
        shown = ("device", "name", "proto", "period_s", "learned_at")
        emit(options, found["learned"], shown, empty="Nothing was learned yet: it takes a week.")
        for each in found["like"]:
            say(f"{each['name']} may be a “{each['device']}”, {each['reason']}.")
        for each in found["changed"]:
            say(f"{each['device']}: {each['title']}.")
        return 0
    columns = ("device", "company", "country", "class", "contacts", "bytes_up", "night_share",
               "away_share", "trend")  # fmt: skip
    emit(options, _ask(options, "privacy", since_s=since), columns, empty="Nobody listened.")
    _say_incomplete(options)
    return 0


def _say_incomplete(options: argparse.Namespace) -> None:
    """Say below the table, and beside the JSON, that not all is counted yet."""
    if line := _ask(options, "privacy_incomplete"):
        sys.stderr.write(f"{line}\n")


def opt_out(options: argparse.Namespace) -> int:
    """Note what was switched off, and say of each such thing whether it stopped."""
    rows = _ask(
        options,
        "opt_out",
        device=options.device,
        finding_class=options.finding_class,
        day=options.on,
        company=options.company,
        note=options.note,
        withdraw=options.withdraw,
    )
    columns = ("id", "device", "class", "switched_off_at", "answer", "why")
    emit(options, rows, columns, empty="Nothing was noted as switched off.")
    return 0


def away(options: argparse.Namespace) -> int:
    """Note that nobody is home, or that somebody is again."""
    found = _ask(options, "away", back=options.back, since=options.since, until=options.until)
    if options.format == "json":
        write_json(found)
    elif found["away"]:
        say("Noted: nobody is home." + ("" if options.until else " Say: guardian away --back"))
    else:
        say("Noted: somebody is home.")
    return 0
