"""The configuration file: one TOML table a stage, unknown keys refused.

Every key is a field of a stage's ``Settings``, with its unit in its name and its
reason in its docstring; ``guardian config`` prints them all with their values.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from guardian.collect.settings import Settings as CollectSettings
from guardian.collect.text_values import Clock
from guardian.detect.settings import Settings as DetectSettings
from guardian.errors import ConfigError
from guardian.intel.settings import Settings as ListSettings
from guardian.model import words
from guardian.notify.settings import Settings as NotifySettings
from guardian.respond.settings import Settings as RespondSettings
from guardian.store.limits import Limits
from guardian.triage.settings import Settings as TriageSettings
from guardian.web.settings import Settings as WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_PATH = Path("/etc/guardian/guardian.toml")
DEFAULT_DATA = Path("/var/lib/guardian")
ENVIRONMENT = "GUARDIAN_CONFIG"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the daemon reads. Each is a list of paths, or of network interfaces."""

    eve: tuple[Path, ...] = ()
    pihole_log: tuple[Path, ...] = ()
    pihole_db: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration; every part has defaults that work."""

    data: Path = DEFAULT_DATA
    listen: str = "127.0.0.1:8480"
    sources: Sources = field(default_factory=Sources)
    store: Limits = field(default_factory=Limits)
    collect: CollectSettings = field(default_factory=CollectSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
    triage: TriageSettings = field(default_factory=TriageSettings)
    respond: RespondSettings = field(default_factory=RespondSettings)
    web: WebSettings = field(default_factory=WebSettings)
    lists: ListSettings = field(default_factory=ListSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)


def load(path: Path | None = None) -> Config:
    """Read the configuration; without a file, every default.

    ``path`` is the file a person named; else ``GUARDIAN_CONFIG``, else the file in
    ``/etc/guardian`` if there is one.

    Raises:
        ConfigError: a named file is absent, or it says something that cannot be.
    """
    named = path or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    chosen = named or DEFAULT_PATH
    try:
        text = chosen.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if named is None:
            return default()
        msg = f"{chosen}: no such configuration file"
        raise ConfigError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{chosen}: cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(msg) from error
    return parse(text, str(chosen))


def default() -> Config:
    """Return the configuration of a machine without a file."""
    if os.geteuid() == 0:
        return Config()
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Config(data=home / "guardian")


def parse(text: str, name: str) -> Config:
    """Turn TOML text into a configuration; ``name`` is what errors call the file.

    Raises:
        ConfigError: not TOML, an unknown key, or a value of the wrong type.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{name}: not valid TOML: {error}"
        raise ConfigError(msg) from error
    _refuse_unknown(table, Config, name, "")
    try:
        config = msgspec.convert(table, Config, dec_hook=_hook)
    except (msgspec.ValidationError, ValueError) as error:
        msg = f"{name}: {error}"
        raise ConfigError(msg) from error
    _refuse_senseless(config, name)
    return config


def _refuse_senseless(config: Config, name: str) -> None:
    """Refuse what would fail only later, in a loop that nobody watches."""
    asked: tuple[tuple[str, Callable[[str], object], Iterable[str]], ...] = (
        ("collect.home_nets", _network, config.collect.home_nets),
        ("detect.devices.home_networks", _network, config.detect.devices.home_networks),
        ("collect.log_timezone", _log_zone, [config.collect.log_timezone]),
        ("notify.timezone", words.zone, [config.notify.timezone]),
        ("web.timezone", words.zone, [config.web.timezone]),
        ("triage.timezone", words.zone, [config.triage.timezone]),
        ("notify.digest_at", _time_of_day, [config.notify.digest_at]),
        ("lists.rebuild_at", _time_of_day, [config.lists.rebuild_at]),
    )
    for key, check, values in asked:
        for value in values:
            try:
                check(value)
            except (ConfigError, ValueError) as error:
                msg = f"{name}: {key}: {error}"
                raise ConfigError(msg) from error


def _network(text: str) -> object:
    return ipaddress.ip_network(text, strict=False)


def _log_zone(text: str) -> object:
    return Clock(text, datetime.now(UTC))


def _time_of_day(text: str) -> None:
    if text and not re.fullmatch(r"([01]?[0-9]|2[0-3]):[0-5][0-9]", text):
        msg = f"{text!r} is no time of day; write HH:MM, such as 21:30"
        raise ValueError(msg)


def _hook(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    msg = f"expected {kind.__name__}, got {value!r}"
    raise ValueError(msg)


def _refuse_unknown(table: dict[str, Any], kind: type, name: str, prefix: str) -> None:
    hints = typing.get_type_hints(kind)
    known = {each.name for each in dataclasses.fields(kind)}
    for key, value in table.items():
        if key not in known:
            choices = ", ".join(sorted(known))
            msg = f"{name}: unknown key {prefix}{key}; known here: {choices}"
            raise ConfigError(msg)
        for inner in _dataclasses_in(hints[key]):
            tables = value if isinstance(value, list) else [value]
            for each in tables:
                if isinstance(each, dict):
                    _refuse_unknown(each, inner, name, f"{prefix}{key}.")


def _dataclasses_in(hint: object) -> list[type]:
    """Return the dataclasses that a type hint such as ``tuple[Channel, ...]`` holds.

    A mapping's values are left alone: their keys are names that a person chooses.
    """
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    origin = typing.get_origin(hint)
    if origin in (tuple, list, types.UnionType, typing.Union):
        return [found for part in typing.get_args(hint) for found in _dataclasses_in(part)]
    return []
