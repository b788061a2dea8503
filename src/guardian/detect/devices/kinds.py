"""What type of thing a device is, from what it says of itself, how sure that is, and why.

Clues (``clues``) that say the same thing twice count once. The type with the greatest sum
wins when that is enough; a rival lowers the certainty, and a tie means that nothing is said.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.detect.devices.clues import CLUES, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = (
    "phone", "laptop", "tablet", "tv", "speaker", "camera", "doorbell", "plug", "hub", "console",
    "printer", "appliance", "server", "vm", "network", "unknown",
)  # fmt: skip
"""Every kind, in the words of the page."""

KIND_WORDS = {
    "tv": "TV",
    "vm": "virtual machine",
    "network": "network device",
    "unknown": "device",
    "console": "game console",
    "plug": "smart plug",
    "hub": "smart-home hub",
}
"""How a kind is said where its own word would not do."""

SOURCE_WORDS = {
    "dhcp_name": "its DHCP host name is",
    "mdns_name": "it announces itself (mDNS) as",
    "ssdp_name": "it announces itself (SSDP) as",
    "netbios_name": "its NetBIOS name is",
    "client_name": "the home's resolver knows it as",
    "vendor": "its network card was made by",
    "virtual": "its hardware address is of",
    "vendor_class": "its DHCP client says",
    "model": "it says its model is",
    "service": "it offers",
    "server": "its SSDP server line is",
    "user_agent": "its programs say",
    "domain": "it calls",
    "domain_once": "it called",
    "randomised": "its hardware address is",
    "tls_client": "its TLS client looks like",
    "ja3": "its TLS client looks like",
    "duid": "its DHCPv6 identifier is",
    "dhcp_params": "its DHCP client asks for options",
    "narrow": "it goes to only",
    "router": "it",
    "resolver": "it",
    "own": "Guardian itself",
}
"""The words before a clue's value in "because …"."""

_UNQUOTED = frozenset({"router", "resolver", "randomised", "narrow", "own"})

ENOUGH = 6
"""The least sum for a type. One strong clue has it; a cloud that is called (5) has
not, since people visit clouds too: it needs a second clue of another sort."""

ONCE = 2
"""What a telling name weighs that was called only once, or for less than ten minutes."""

STRONG, STRONG_MARGIN = 12, 6
SOME, SOME_MARGIN = 8, 3
"""Sums, and leads over the next type, from which on the evidence is called strong or some."""

SHOWN = 3
"""Reasons shown for a type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A type, how sure it is (strong, some, weak; None when unknown), and why."""

    kind: str
    certainty: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Sign:
    weight: int
    source: str
    value: str


def kind_of(hints: Iterable[tuple[str, str]]) -> Guess:
    """Return the type that the hints speak for; ``hints`` are (source, value)."""
    signs = _signs(hints)
    sums = {kind: sum(each.weight for each in found) for kind, found in signs.items()}
    if not sums:
        return Guess(kind="unknown")
    first, *others = sorted(sums, key=lambda kind: (-sums[kind], KINDS.index(kind)))
    rival = others[0] if others else None
    lead = sums[first] - (sums[rival] if rival else 0)
    if sums[first] < ENOUGH:
        return Guess(kind="unknown")
    if rival and lead < 1:
        disagree = f"{_said(signs[first][0])}, but {_said(signs[rival][0])}"
        return Guess(kind="unknown", reason=f"because the signs disagree: {disagree}")
    several = len(signs[first]) > 1
    certainty = "weak"
    if sums[first] >= STRONG and lead >= STRONG_MARGIN and several:
        certainty = "strong"
    elif sums[first] >= SOME and lead >= SOME_MARGIN:
        certainty = "some"
    reason = "because " + ", and ".join(_said(each) for each in signs[first][:SHOWN])
    if rival and sums[rival] >= 4 and lead < STRONG_MARGIN:
        reason += f"; though {_said(signs[rival][0])}, as a {KIND_WORDS.get(rival, rival)} might"
    return Guess(kind=first, certainty=certainty, reason=reason)


def _signs(hints: Iterable[tuple[str, str]]) -> dict[str, list[_Sign]]:
    """Return for each type the heaviest clue of each family, the heaviest first."""
    found: dict[tuple[str, str], list[_Sign]] = defaultdict(list)
    for source, value in hints:
        for clue in CLUES:
            once = source == "domain_once" and "domain" in clue.sources
            if (source in clue.sources or once) and clue.pattern.search(value):
                weight = min(clue.weight, ONCE) if once else clue.weight
                family = FAMILIES.get(source, source)
                found[clue.kind, family].append(_Sign(weight, source, value))
    best: dict[str, list[_Sign]] = defaultdict(list)
    for (kind, family), signs in found.items():
        best[kind].append(max(signs, key=lambda each: (each.weight, each.source, each.value)))
        if family == "domain" and len({each.value for each in signs}) > 1:
            # Several telling names of one kind are no chance visit.
            heaviest = max(best[kind].pop().weight, ONCE + 1)
            top = max(signs, key=lambda each: (each.weight, each.value))
            best[kind].append(_Sign(heaviest, top.source, top.value))
    return {
        kind: sorted(signs, key=lambda each: (-each.weight, each.source, each.value))
        for kind, signs in best.items()
    }


def _said(sign: _Sign) -> str:
    return because(sign.source, sign.value).removeprefix("because ")


def because(source: str, value: str) -> str:
    """Return the reason as a sentence's end: "because its DHCP host name is “…”"."""
    words = SOURCE_WORDS.get(source, source)
    quoted = value if source in _UNQUOTED else f"“{value}”"
    return f"because {words} {quoted}"
