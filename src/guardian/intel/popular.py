"""Names that half the world uses: a blocklist that suddenly holds one is broken, or hostile.

``blocklists/popular.toml`` is made by hand, of services a home cannot miss; it is no
ranking. What this house itself asks for most is added by the caller.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from guardian import resources
from guardian.errors import RuleError
from guardian.intel import catalogue
from guardian.intel.names import normalise, parents

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "blocklists/popular.toml"
MAX_HOUSE = 200
"""Names of the house that are guarded besides the shipped ones."""


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    what: str
    names: tuple[str, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    origin: str
    licence: str
    group: list[_Group]


@functools.cache
def load() -> frozenset[str]:
    """Return the shipped names.

    Raises:
        RuleError: the file is wrong.
    """
    return read(resources.path(FILE))


def read(path: Path) -> frozenset[str]:
    """Return the names of a file.

    Raises:
        RuleError: it cannot be read, or holds what is no name of a service.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error
    names = [name for group in found.group for name in group.names]
    for name in names:
        if normalise(name) != name or "." not in name:
            msg = f"{path}: {name!r} is no name of a service"
            raise RuleError(msg)
    return frozenset(names)


def of_house(asked: Iterable[str]) -> frozenset[str]:
    """Return what a house asks for most and the catalogue knows nothing of.

    A tracker may be what a house asks for most; that it is then listed is no surprise.
    """
    known = catalogue.load()
    clean = (normalise(name) for name in asked)
    mine = [name for name in clean if name and "." in name and known.match(name) is None]
    return frozenset(mine[:MAX_HOUSE])


def above(names: Iterable[str]) -> dict[str, str]:
    """Return every name that, blocked, takes a popular one with it: name → which one."""
    listed = sorted(names, reverse=True)
    covering = {tail: name for name in listed for tail in parents(name) if "." in tail}
    return covering | {name: name for name in listed}
