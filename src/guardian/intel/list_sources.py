"""Where lists come from: Guardian's own out of the catalogue, and those a keeper adds."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
import polars as pl

from guardian.errors import ConfigError, RuleError
from guardian.intel import catalogue
from guardian.intel.catalogue import Action, Grade
from guardian.intel.list_formats import Format
from guardian.intel.settings import Source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from guardian.intel.settings import Settings

FILE = "sources.toml"
FETCHED = "fetched"
MAX_NAME = 60
_KEYS = frozenset(field.name for field in dataclasses.fields(Source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source, and the file that it is read from (a copy, where it came by URL)."""

    source: Source
    file: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.source.name

    @property
    def format(self) -> Format | None:
        """Its format, or None when its lines tell."""
        return Format(self.source.format) if self.source.format else None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: list[dict[str, Any]] = []
    offered: list[dict[str, Any]] = []


def read(folder: Path, out: Path, settings: Settings | None = None) -> list[Place]:
    """Return the sources in force: those of a folder, the enabled offers, the keeper's own.

    ``out`` is where lists are built: copies of what came by URL lie below it, and a
    ``sources.toml`` in it holds the keeper's own besides those of the configuration.

    Raises:
        RuleError: the folder's file is wrong, or two sources have one name.
        ConfigError: an offer is enabled that nobody makes, or a keeper's source is wrong.
    """
    path = folder / FILE
    shipped = _decode(path)
    found = [(_source(path, item), folder) for item in shipped.source]
    mine = out / FILE
    found += [(_source(mine, item), out) for item in _decode(mine).source]
    if settings is not None:
        offers = {str(item.get("name")): item for item in shipped.offered}
        for name in settings.enable:
            if name not in offers:
                msg = f"lists.enable: {name!r} is none of {', '.join(sorted(offers)) or 'nothing'}"
                raise ConfigError(msg)
            found.append((_source(path, offers[name]), folder))
        found += [(source, out.parent) for source in settings.source]
    _check([source for source, _ in found])
    return [
        Place(
            source=source,
            file=out / FETCHED / f"{source.name}.list" if source.url else base / source.path,
        )
        for source, base in found
    ]


def offers(folder: Path) -> list[Source]:
    """Return the sources that ship with Guardian and are off until they are enabled."""
    path = folder / FILE
    return [_source(path, item) for item in _decode(path).offered]


def _decode(path: Path) -> _File:
    if not path.exists():
        return _File()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error


def _source(path: Path, item: dict[str, Any]) -> Source:
    unknown = sorted(item.keys() - _KEYS)
    if unknown:
        msg = f"{path}: source {item.get('name', '?')}: unknown key {unknown[0]}"
        raise RuleError(msg)
    try:
        return msgspec.convert(item, type=Source)
    except msgspec.ValidationError as error:
        msg = f"{path}: source {item.get('name', '?')}: {error}"
        raise RuleError(msg) from error


def _check(sources: Iterable[Source]) -> None:
    names: set[str] = set()
    for source in sources:
        name = source.name
        plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if name in names or not plain or len(name) > MAX_NAME or name.startswith("guardian-"):
            msg = (
                f"the source {name!r} must be one only, of letters, digits, - and _, not guardian-…"
            )
            raise RuleError(msg)
        names.add(name)
        if bool(source.url) == bool(source.path):
            msg = f"the source {name} needs a url or a path, and not both"
            raise RuleError(msg)
        if source.format and source.format not in set(Format):
            msg = f"the source {name}: {source.format!r} is none of {', '.join(Format)}"
            raise RuleError(msg)
        if source.url and not _is_web(source.url):
            msg = f"the source {name}: its url is no https:// or http:// address"
            raise RuleError(msg)


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def own(folder: Path) -> dict[str, tuple[str, pl.Series]]:
    """Return Guardian's own lists: name → title and names.

    Only what breaks nothing and is more than a guess is in them; a pattern that no
    list can say (a regular expression) is left to the resolvers that can.
    """
    lists: dict[str, tuple[str, pl.Series]] = {}
    for file in catalogue.category_files(folder / "catalogue"):
        text = file.read_bytes()
        names = [
            name
            for entry in catalogue.decode(file, text)
            if is_blockable(entry)
            for name in (*entry.names.suffix, *entry.names.exact)
        ]
        if names:
            title = msgspec.toml.decode(text, type=catalogue.CatalogueFile).title
            lists[f"guardian-{file.stem}"] = (title, pl.Series("name", names))
    return lists


def is_blockable(entry: catalogue.Entry) -> bool:
    """Say whether Guardian's own lists hold an entry's names."""
    return entry.safe_action is Action.BLOCK and entry.grade is not Grade.SUSPECTED


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(url: str) -> str:
    """Return a URL as it may be printed: without a password or a key in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
