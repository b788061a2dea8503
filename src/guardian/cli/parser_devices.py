"""The options of the commands about devices and networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

_FIELDS = ("name", "kind", "owner", "room", "segment", "model", "vendor")


def add_devices(commands: Any) -> None:
    """Add ``guardian device …`` and ``guardian segments``."""
    device = commands.add_parser("device", help="one device: what is held of it, and why")
    parts = device.add_subparsers(metavar="WHAT", required=True)
    show = _command(parts, "show", "show", "everything held of a device, and why", form=True)
    show.add_argument("device", help="its id, name, MAC or an address it holds")
    change = _command(parts, "set", "assign", "say what it is; no evidence changes that", form=True)
    change.add_argument("device")
    for field in _FIELDS:
        text = "the role of its network, for this device" if field == "segment" else None
        change.add_argument(f"--{field}", help=text)
    unlock = _command(parts, "unlock", "unlock", "let evidence rule again", form=True)
    unlock.add_argument("device")
    unlock.add_argument("fields", nargs="+", choices=_FIELDS, metavar="FIELD")
    for name, text in (
        ("merge", "the first is the second, with a new address"),
        ("apart", "the two are two; do not ask again"),
    ):
        pair = _command(parts, name, name, text)
        pair.add_argument("device", help="the newer one")
        pair.add_argument("into", metavar="OLD")
    split = _command(parts, "split", "split", "take a merge back; nothing is lost")
    split.add_argument("device")
    segments = _command(
        commands, "segments", "segments", "the home's networks and what each is for", form=True
    )
    segments.add_argument("segment", nargs="?", help="its CIDR, its name, or 'vlan N'")
    segments.add_argument("--role", help="infrastructure, trusted, iot, guest; '' takes it back")
    segments.add_argument("--name")


def _command(
    commands: Any, name: str, run: str, text: str, *, form: bool = False
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=f"device_records:{run}")
    command.add_argument("--data", type=Path, help="the data directory")
    command.add_argument("--config", type=Path, help="the configuration file")
    command.add_argument("-v", "--verbose", action="store_true", help="say more on standard error")
    if form:
        command.add_argument("--format", choices=("table", "json"), default="table")
    return command
