"""The command that shows an incident's packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.app.session import call
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json
from guardian.errors import InputError

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("number", "time", "src", "dest", "protocol", "length", "info")


def evidence(options: argparse.Namespace) -> int:
    """Print an incident's packets decoded, one packet's layers, or write them as a pcap."""
    path = str(options.out.absolute()) if options.out else None
    found = call(
        config_of(options),
        "evidence",
        incident=options.incident,
        path=path,
        packet=options.packet,
    )
    if options.format == "json":
        write_json(found)
    elif options.packet is not None:
        for layer in found:
            say(layer["layer"])
            for line in layer["fields"]:
                say(f"    {line}")
    elif path is not None:
        say(f"{path}: {found['packets']:,} packets, {found['bytes']:,} bytes")
        _warn(found)
    else:
        _tell(options, found)
    return 0


def _tell(options: argparse.Namespace, found: dict[str, Any]) -> None:
    if not found["packets"]:
        raise InputError(found["note"])
    rows = [row | {"time": clock(row["ts"])} for row in found["rows"]]
    emit(options, rows, _COLUMNS, empty="No packet could be decoded.")
    say(
        f"{found['packets']:,} packets, {found['bytes']:,} bytes. One decoded: guardian evidence "
        f"{options.incident} --packet N; as a file: --out FILE.pcap"
    )
    if found["note"]:
        say(found["note"])
    _warn(found)


def _warn(found: dict[str, Any]) -> None:
    if found["truncated"]:
        say("There are more; a limit on packets, bytes or time ended the search.")
    for problem in found["problems"]:
        say(problem)


def clock(epoch: str) -> str:
    """Return seconds since 1970 as a time of day in UTC with microseconds."""
    whole, _, part = epoch.partition(".")
    seconds = int(whole or 0) % 86_400
    return (
        f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{part[:6].ljust(6, '0')}"
    )
