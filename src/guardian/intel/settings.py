"""What a keeper can set about blocklists: which sources, when they are fetched, who may read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One list: where it is, what it is for and under which licence it comes.

    ``name`` is the file name of what comes out. ``url`` or ``path`` says where it is; a
    path is relative to the file that names it (in the configuration: to the data
    folder). ``format`` is one of hosts, domains, adblock, dnsmasq, unbound, rpz; empty
    means told by its lines. ``allow`` makes every name of it one that no list blocks.
    """

    name: str
    url: str = ""
    path: str = ""
    format: str = ""
    purpose: str = ""
    licence: str = ""
    allow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The ``[lists]`` part of the configuration.

    ``source`` are the keeper's own sources, ``enable`` the names of sources that ship
    with Guardian and are off by default. Lists are fetched and built once a day at
    ``rebuild_at`` (HH:MM of the house's clock; empty: never by itself), up to
    ``jitter_s`` seconds later, so that not every house asks a server at once.
    ``token``, if set, must stand in the address of a list (``?token=``).
    ``max_bytes`` bounds one source, unpacked; ``timeout_s`` the fetching of one.
    """

    source: tuple[Source, ...] = ()
    enable: tuple[str, ...] = ()
    rebuild_at: str = "03:20"
    jitter_s: int = 3600
    token: str = ""
    max_bytes: int = 128 * 1024 * 1024
    timeout_s: float = 120.0
