"""Bring DNS names into one form, and find the part of them that somebody registered.

A name from the network may be upper case, end in a dot, hold raw Unicode or be
no name at all. ``normalise`` gives one spelling (lower case, ASCII, no trailing
dot) or None; everything else here expects that spelling. What somebody
registered is told by the Public Suffix List, its private part included, so that
two customers of one cloud are two names.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import idna
from publicsuffixlist import PublicSuffixList

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME = 253
"""Longest name in its printed form, without the trailing dot (RFC 1035, 2.3.4)."""

CACHE_NAMES = 65_536
"""How many names are remembered: about 10 MB, more than a home asks for in a day."""

# Letters, digits, hyphen and (for service names) underscore; the last label is not a number,
# so that an IPv4 address is no name.
_ASCII = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*"
    r"(?![0-9]+\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)


def normalise(name: str) -> str | None:
    """Return the one spelling of a DNS name, or None when it is no DNS name.

    Lower case, IDNA A-labels, no trailing dot. Underscores pass (``_dns.resolver.arpa``),
    addresses, the root, blanks and control characters do not.
    """
    text = name.strip().rstrip(".").lower()
    if _ASCII.fullmatch(text):
        return text
    if text.isascii() or len(text) > MAX_NAME:
        return None
    try:
        text = idna.encode(text, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None
    return text if _ASCII.fullmatch(text) else None


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@functools.cache
def _icann_suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


@functools.lru_cache(maxsize=CACHE_NAMES)
def registrable(name: str) -> str | None:
    """Return the registered part of a normalised name: ``bbc.co.uk`` of ``www.bbc.co.uk``.

    None for a bare public suffix (``co.uk``), a single label and an address.
    """
    if "." not in name or not _ASCII.fullmatch(name):
        return None
    found: str | None = _suffixes().privatesuffix(name)
    return found


@functools.lru_cache(maxsize=4096)
def public_suffix(name: str) -> str | None:
    """Return the part of a normalised name under which a registry sells names: ``co.uk``.

    The list's private part (one company's customers) does not count here.
    """
    found: str | None = _icann_suffixes().publicsuffix(name)
    return found


def registrable_many(names: Iterable[str | None]) -> dict[str, str | None]:
    """Return the registered part of each distinct name, for a join with a column of names."""
    return {name: registrable(name) for name in set(names) if name is not None}


def is_below(name: str, parent: str) -> bool:
    """Say whether a normalised name is ``parent`` or lies below it."""
    return name == parent or name.endswith("." + parent)


def parents(name: str) -> list[str]:
    """Return the name and everything above it, longest first: ``a.b.c``, ``b.c``, ``c``."""
    labels = name.split(".")
    return [".".join(labels[index:]) for index in range(len(labels))]
