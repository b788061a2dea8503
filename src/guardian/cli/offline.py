"""Commands that need no daemon: what is known, what is needed, and the keeper's chores."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import sys
from typing import TYPE_CHECKING

import msgspec

from guardian import resources
from guardian.app import rpc
from guardian.app.session import opened
from guardian.app.sources import RULES_FOLDER
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json
from guardian.collect import parser_spec, text_trial
from guardian.collect.rules_update import update as update_rules
from guardian.detect import lint as rule_lint
from guardian.errors import UsageError
from guardian.intel import lint as catalogue_lint
from guardian.ops import doctor as doctoring
from guardian.web import auth

if TYPE_CHECKING:
    import argparse


def rules_lint(_options: argparse.Namespace) -> int:
    """Check every rule file and the catalogue; 2 when one is wrong."""
    errors = [*rule_lint.lint(), *catalogue_lint.lint(resources.path("blocklists/catalogue"))]
    for error in errors:
        say(str(error))
    say(f"{len(errors)} errors" if errors else "Every rule and the catalogue are in order.")
    return UsageError.exit_code if errors else 0


def rules_update(options: argparse.Namespace) -> int:
    """Fetch, test and put in force the signatures of others; a bad set changes nothing."""
    config = config_of(options)
    report = update_rules(config.data / RULES_FOLDER, config.collect, file=options.file)
    say(f"{report.path}: {report.rules:,} signatures passed Suricata's test and are in force")
    with contextlib.suppress(ConnectionError):
        rpc.ask(config.data, "reload_rules", {})
        say("the running sensors read them now")
    return 0


def parsers_test(options: argparse.Namespace) -> int:
    """Try a log format file, or a log file against all formats."""
    zone = config_of(options).collect.log_timezone
    spec = parser_spec.load(options.file) if options.log else None
    trial = text_trial.try_file(options.log or options.file, spec, timezone=zone)
    counts = ", ".join(f"{number:,} {table}" for table, number in trial.rows.items())
    say(f"{options.log or options.file}: {trial.kind}: {counts or 'no'} rows")
    for example in trial.examples:
        say("  " + "  ".join(f"{key}={value}" for key, value in example.items()))
    for reason, number in trial.rejected.items():
        say(f"refused: {number:,} × {reason}")
    for place in trial.places:
        say(f"  {place}")
    return 3 if trial.rejected else 0


def doctor(options: argparse.Namespace) -> int:
    """Check what Guardian needs; 4 when something does not work."""
    checks = doctoring.examine(config_of(options).data)
    rows = [dataclasses.asdict(check) for check in checks]
    emit(options, rows, ("name", "state", "text"))
    return 4 if any(check.state == "wrong" for check in checks) else 0


def password(options: argparse.Namespace) -> int:
    """Set the page's password, typed twice or read from standard input."""
    if sys.stdin.isatty():
        text = getpass.getpass("New password: ")
        if getpass.getpass("Again: ") != text:
            msg = "the two are not the same; nothing was changed"
            raise UsageError(msg)
    else:
        text = sys.stdin.readline().rstrip("\n")
    with opened(config_of(options)) as store:
        auth.set_password(store, text)
    say("The page's password is set; everybody has to log in again.")
    return 0


def show_config(options: argparse.Namespace) -> int:
    """Print the configuration in force, secrets left out, as JSON."""
    values = msgspec.to_builtins(config_of(options), enc_hook=str)
    write_json(_without_secrets(values))
    return 0


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: "(set)" if each and _is_secret(str(key)) else _without_secrets(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    return value


def _is_secret(key: str) -> bool:
    return key == "url" or (
        key != "max_tokens"
        and any(word in key for word in ("password", "secret", "token", "api_key", "urls"))
    )
