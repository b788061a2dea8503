"""Names that must never be blocked, and names that belong to too many to be one provider's."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from guardian import resources
from guardian.errors import RuleError
from guardian.intel.names import is_below, parents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str
    below: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()


class _NeverFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: list[_Group]


class _SharedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]


_File = TypeVar("_File", _NeverFile, _SharedFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverBlock:
    """``exact`` and ``below`` map a name to the reason; ``shared`` are the too broad ones."""

    exact: Mapping[str, str]
    below: Mapping[str, str]
    shared: tuple[str, ...]

    def reason(self, name: str) -> str | None:
        """Return why this very name must never be blocked, or None."""
        if name in self.exact:
            return self.exact[name]
        return next((self.below[tail] for tail in parents(name) if tail in self.below), None)

    def covered(self, name: str) -> str | None:
        """Return a name that must stay and that blocking ``name`` with all below it would hit."""
        if self.reason(name):
            return name
        held = (*self.exact, *self.below)
        return next((other for other in held if is_below(other, name)), None)


@functools.cache
def load() -> NeverBlock:
    """Return the shipped lists.

    Raises:
        RuleError: a file is wrong; the message says which.
    """
    never = _read(resources.path("blocklists/never_block.toml"), _NeverFile)
    shared = _read(resources.path("blocklists/shared.toml"), _SharedFile)
    return NeverBlock(
        exact={name: group.reason for group in never.group for name in group.exact},
        below={name: group.reason for group in never.group for name in group.below},
        shared=shared.names,
    )


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error
