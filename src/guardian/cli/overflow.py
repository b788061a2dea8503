"""Commands that show what left the house for a model elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.app.session import call
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json

if TYPE_CHECKING:
    import argparse


def listing(options: argparse.Namespace) -> int:
    """Print what was sent, the newest first."""
    columns = ("id", "sent_at", "incident_id", "url", "model", "bytes", "outcome", "tokens_out")
    rows = call(config_of(options), "overflow_list")
    emit(options, rows, columns, empty="Nothing has left the house.")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the exact bytes of one request, and what stood for what."""
    found = call(config_of(options), "overflow_show", number=options.number)
    if options.format == "json":
        write_json(found)
        return 0
    say(f"Sent at {found['sent_at']} to {found['url']} ({found['model']}): {found['outcome']}")
    say(found["body"])
    say("\nWhat stood for what, kept here:")
    for name, slot in sorted(found["pseudonyms"].items()):
        say(f"  {name}  {slot}")
    return 0
