"""What ties a finding to its story: anchors.

An anchor is a text such as ``d1|peer:evil.example`` (this device and this
destination) or ``d1|recon`` (this device and this technique). Findings that share
an anchor are one story. A *strong* finding may tie two stories together; a *weak*
one (a low alert, a remark) only joins a story that is already there.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.intel import names
from guardian.model.finding import FindingClass, Level
from guardian.triage.families import FAMILY, NAMES_ONLY, ONE_PER_DEVICE, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

OUTSIDE = "outside"
"""The actor of what comes from the internet: thousands of sources are one weather."""

HOUSE = "house"
"""The actor of what nobody in particular does."""

# Addresses that everybody uses say nothing about a cause.
PUBLIC_RESOLVERS = frozenset(
    {
        "1.0.0.1",
        "1.1.1.1",
        "8.8.4.4",
        "8.8.8.8",
        "9.9.9.9",
        "149.112.112.112",
        "208.67.220.220",
        "208.67.222.222",
        "94.140.14.14",
        "94.140.15.15",
        "2606:4700:4700::1001",
        "2606:4700:4700::1111",
        "2001:4860:4860::8844",
        "2001:4860:4860::8888",
        "2620:fe::fe",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What grouping needs of a finding: no facts, no evidence."""

    id: str
    finding_class: FindingClass
    level: int
    detector: str
    key: str
    actor: str
    outside: bool
    peers: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    count: int
    signature_id: int | None = None
    certificate: str | None = None

    @property
    def family(self) -> Family:
        """The kind of story it belongs to."""
        return FAMILY[self.finding_class]


@dataclass(frozen=True, slots=True)
class Anchored:
    """A signal with its anchors: the first names its story if it stands alone."""

    signal: Signal
    anchors: tuple[str, ...]
    strong: bool
    tokens: tuple[str, ...] = field(default=())


class Anchorer:
    """Turn signals into anchors. ``is_home`` says whether an address is inside the house."""

    def __init__(self, is_home: Callable[[str], bool]) -> None:
        self._is_home = is_home
        self._tokens: dict[str, str | None] = {}

    def anchor(self, signal: Signal) -> Anchored:
        """Return the signal with its anchors."""
        weather = signal.outside and signal.family in _WEATHER
        tokens = () if weather else self.tokens(signal)
        strong = _is_strong(signal)
        found = tuple(dict.fromkeys(self._anchors(signal, tokens)))
        return Anchored(signal, found, strong, tokens)

    def tokens(self, signal: Signal) -> tuple[str, ...]:
        """Return what tells the signal's destinations from others: registered names, addresses."""
        found = [token for peer in signal.peers if (token := self.token(peer))]
        if signal.finding_class in NAMES_ONLY:
            by_name = [token for token in found if not is_address(token)]
            found = by_name or found
        return tuple(dict.fromkeys(found))

    def token(self, peer: str) -> str | None:
        """Return the registered part of a name, or a public address; None for the rest."""
        if peer not in self._tokens:
            self._tokens[peer] = self._token(peer)
        return self._tokens[peer]

    def _token(self, peer: str) -> str | None:
        if is_address(peer):
            shared = peer in PUBLIC_RESOLVERS or self._is_home(peer)
            return None if shared else peer
        name = names.normalise(peer)
        return None if name is None else names.registrable(name) or name

    def _anchors(self, signal: Signal, tokens: Sequence[str]) -> list[str]:
        actor, family, kind = signal.actor, signal.family, signal.finding_class
        if signal.outside and family in _WEATHER:
            return [f"{OUTSIDE}|{family}"]
        if family is Family.SENSOR:
            return [f"sensor|{signal.key}"]
        if family in _ONE_STORY:
            return [f"{actor}|{family}"]
        places = self._places(signal, tokens)
        if family is Family.LISTENING or kind in ONE_PER_DEVICE:
            return [f"{actor}|{kind}", *places]
        anchors = [*_each(actor, "peer", tokens), *places]
        if signal.signature_id is not None:
            anchors.append(f"{actor}|sig:{signal.signature_id}")
        if signal.certificate:
            anchors.append(f"{actor}|cert:{signal.certificate[:100]}")
        return anchors or [f"{actor}|{kind}"]

    def _places(self, signal: Signal, tokens: Sequence[str]) -> list[str]:
        """Anchors of exact destinations: what two services of one company do not share."""
        exact = [peer for peer in signal.peers if self.token(peer) in tokens]
        return _each(signal.actor, "at", exact)


_WEATHER = frozenset({Family.RECON, Family.ACCESS, Family.INVENTORY})
_ONE_STORY = frozenset({Family.RECON, Family.CHATTER, Family.BYPASS, Family.SPOOF})

MAX_PLACES = 8
"""Destinations of one finding that tie it to others; more of them are a sweep."""


def _each(actor: str, what: str, values: Sequence[str]) -> list[str]:
    return [f"{actor}|{what}:{value}" for value in values[:MAX_PLACES]]


def _is_strong(signal: Signal) -> bool:
    if signal.family in (Family.CHATTER, Family.INVENTORY):
        return signal.level >= Level.HIGH.rank and signal.family is Family.INVENTORY
    if signal.signature_id is not None:
        return signal.level >= Level.MEDIUM.rank
    return signal.level >= Level.LOW.rank


def is_address(text: str) -> bool:
    """Say whether a peer is an IP address and not a name."""
    try:
        # Ten times as quick as the ipaddress module, for a hundred thousand peers.
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True
