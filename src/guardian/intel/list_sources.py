"""Where lists come from: Guardian's own out of the catalogue, and those a keeper adds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from guardian.errors import RuleError
from guardian.intel import catalogue
from guardian.intel.catalogue import Action, Grade
from guardian.intel.list_formats import Format  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from pathlib import Path

FILE = "sources.toml"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One list of a keeper: a file, its format, what it is for and under which licence."""

    name: str
    path: str
    format: Format | None = None
    purpose: str
    licence: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: list[Source]


def read(folder: Path) -> list[Source]:
    """Return the keeper's sources of a folder of blocklists.

    Raises:
        RuleError: the file is wrong, or two sources have one name.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        sources = msgspec.toml.decode(path.read_bytes(), type=_File).source
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1 or not name.replace("-", "").replace("_", "").isalnum():
            msg = f"{path}: {name!r} must be one source's only, of letters, digits, - and _"
            raise RuleError(msg)
    return sources


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
            if entry.safe_action is Action.BLOCK and entry.grade is not Grade.SUSPECTED
            for name in (*entry.names.suffix, *entry.names.exact)
        ]
        if names:
            title = msgspec.toml.decode(text, type=catalogue.CatalogueFile).title
            lists[f"guardian-{file.stem}"] = (title, pl.Series("name", names))
    return lists


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
