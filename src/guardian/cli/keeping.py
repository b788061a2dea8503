"""The commands that keep the store: backup and restore, with or without a passphrase."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from guardian.app import rpc
from guardian.app.session import opened
from guardian.cli.common import config_of
from guardian.cli.output import say
from guardian.cli.running import progress
from guardian.errors import InputError, UsageError
from guardian.ops import backup as copies
from guardian.store import bundle
from guardian.store.connection import FILE_NAME
from guardian.store.settle import restoring

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from guardian.config import Config

PASSPHRASE = "GUARDIAN_BACKUP_PASSPHRASE"  # noqa: S105 - the variable's name
LONGEST = 1024
"""A passphrase file with more characters in its first line than this is some other file."""
SHOWN = 10
"""Of files that were left out, so many are named."""


def backup(options: argparse.Namespace) -> int:
    """Write one consistent file, also while the daemon runs."""
    target = options.file.resolve()
    passphrase = _new_passphrase(options)
    config = config_of(options)
    try:
        rpc.ask(config.data, "backup", {"path": str(target), "passphrase": passphrase})
    except (ConnectionError, FileNotFoundError):
        report = _alone(config, target, passphrase)
    else:
        report = _followed(config)
    locked = "" if passphrase is None else ", encrypted"
    say(f"{report['path']}: {report['bytes'] / 1e6:,.1f} MB, {report['rows']:,} rows{locked}")
    _say_left_out(report.get("left_out", ()), "is lost or damaged, and is not in the backup")
    return 0


def _alone(config: Config, target: Path, passphrase: str | None) -> dict[str, Any]:
    if not (config.data / FILE_NAME).exists() and not restoring(config.data):
        msg = f"there is no store in {config.data}; name the data directory with --data DIR"
        raise InputError(msg)
    with opened(config) as store, progress() as step:
        done = copies.backup(
            store,
            target,
            passphrase=passphrase,
            progress=lambda done, whole: step(_share("writing the backup", done, whole)),
        )
    return {"path": done.path, "bytes": done.bytes, "rows": done.rows, "left_out": done.left_out}


def _followed(config: Config) -> dict[str, Any]:
    with progress() as step:
        while True:
            state = rpc.ask(config.data, "backup_state", {})
            if state["report"]:
                found: dict[str, Any] = state["report"]
                return found
            step(_share("the daemon writes the backup", state["done"], state["whole"]))


def restore(options: argparse.Namespace) -> int:
    """Put a backup in place of the store, which is kept beside it."""
    source: Path = options.file
    passphrase = None
    if source.is_file() and bundle.is_encrypted(source):
        passphrase = _passphrase(options) or _asked("Passphrase of the backup: ") or None
    with progress() as step:
        report = copies.restore(
            source,
            config_of(options).data,
            passphrase=passphrase,
            force=options.force,
            progress=lambda done, _whole: step(f"unpacked {done / 1e6:,.0f} MB"),
        )
    say(f"restored {report.rows:,} rows; the former store is {report.kept or 'none'}")
    _say_left_out(report.left_out, "is damaged in the backup, and was left out")
    return 0


def _say_left_out(names: Sequence[str], why: str) -> None:
    for name in names[:SHOWN]:
        say(f"{name} {why}")
    if len(names) > SHOWN:
        say(f"and {len(names) - SHOWN:,} more")


def _share(text: str, done: int, whole: int) -> str:
    return f"{text}: {done / whole:.0%} of {whole / 1e6:,.0f} MB" if whole else text


def _new_passphrase(options: argparse.Namespace) -> str | None:
    """Return the passphrase to encrypt with, or None: asked for twice at a terminal."""
    found = _passphrase(options)
    if found is None and options.encrypt:
        found = _asked("Passphrase for the backup: ")
        if sys.stdin.isatty() and _asked("Again: ") != found:
            msg = "the two are not the same; nothing was written"
            raise UsageError(msg)
    if found is not None and not found.strip():
        msg = "the passphrase is empty; nothing was written"
        raise UsageError(msg)
    return found


def _passphrase(options: argparse.Namespace) -> str | None:
    """Return the passphrase from the file or the variable that a person named, or None."""
    path: Path | None = options.passphrase_file
    if path is None:
        return os.environ.get(PASSPHRASE) or None
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(LONGEST + 2).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: the passphrase cannot be read: {getattr(error, 'strerror', 'not text')}"
        raise UsageError(msg) from error
    if not line or len(line) > LONGEST:
        msg = f"{path}: the first line is no passphrase of 1 to {LONGEST} characters"
        raise UsageError(msg)
    return line


def _asked(prompt: str) -> str:
    """Ask at the terminal; a script gives it on standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\n")
