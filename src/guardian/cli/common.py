"""What every command does first: read the configuration and apply its options."""

from __future__ import annotations

import argparse
import dataclasses
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian import config as configuration
from guardian.errors import UsageError
from guardian.model.finding import FindingClass

if TYPE_CHECKING:
    from guardian.config import Config

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def config_of(options: argparse.Namespace) -> Config:
    """Return the configuration with this command's ``--data`` over it.

    Raises:
        ConfigError: the file says something that cannot be.
    """
    config = configuration.load(options.config)
    if options.data is not None:
        config = dataclasses.replace(config, data=options.data)
    return config


def duration(text: str) -> timedelta:
    """Turn ``90m``, ``24h``, ``7d`` or ``4w`` into a length of time.

    Raises:
        UsageError: it is not of that form.
    """
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if match is None:
        msg = f"{text!r} is not a length of time; write 90m, 24h, 7d or 4w"
        raise UsageError(msg)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def whole(text: str) -> int:
    """Turn digits into a number, for argparse: zero or more, and what the store can hold.

    Raises:
        ArgumentTypeError: it is no such number.
    """
    if re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII) is None:
        msg = f"{text!r} is not a whole number"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def number(text: str) -> int:
    """Turn digits into a number above zero, for argparse.

    Raises:
        ArgumentTypeError: it is no such number.
    """
    if not (found := whole(text)):
        msg = "0 is too few"
        raise argparse.ArgumentTypeError(msg)
    return found


def finding_class(text: str) -> str:
    """Return the name of a finding's class, for argparse.

    Raises:
        ArgumentTypeError: there is no such class; the message names those there are.
    """
    if text not in list(FindingClass):
        msg = f"no class is called {text!r}; there are {', '.join(FindingClass)}"
        raise argparse.ArgumentTypeError(msg)
    return text
