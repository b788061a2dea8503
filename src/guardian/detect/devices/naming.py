"""Give a device the name, kind, vendor and model that its hints support, and the reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.detect.devices.kinds import KIND_WORDS, because, kind_of
from guardian.intel.vendors import is_randomised, short_vendor, vendor, virtual_platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME_ORDER = ("dhcp_name", "mdns_name", "ssdp_name", "netbios_name", "client_name")
"""Which name is believed first."""

_ROLES = {"own": "Guardian", "router": "Router", "resolver": "DNS server"}
"""What a device is called by what it does, when it gave no name; the first that fits."""

_MEANINGLESS = re.compile(
    r"^(?:localhost|unknown|none|null|\*|-|android-[0-9a-f]{8,}|android|linux|esp[-_]?[0-9a-f]{4,}|"
    r"espressif|wlan0|lwip\d?|udhcp.*|dhcpcd.*|[0-9a-f]{12,}|[0-9a-f]{8}-[0-9a-f-]{20,}|"
    r"(?:\d{1,3}[.-]){3}\d{1,3}.*|.*\.(?:in-addr|ip6)\.arpa)$",
    re.IGNORECASE,
)
_LOCAL_SUFFIX = re.compile(
    r"\.(?:local|lan|home|home\.arpa|internal|localdomain|fritz\.box|intranet)\.?$", re.IGNORECASE
)
_SERVICE_SUFFIX = re.compile(r"\._[a-z0-9-]+\._(?:tcp|udp)(?:\.local)?\.?$", re.IGNORECASE)
# A name such as Annas-iPhone lost its apostrophe on the way into a host name.
_OWNED = re.compile(
    r"([a-z]{2,})s (laptop|macbook|notebook|pc|iphone|phone|ipad|tablet|tv|echo|desktop|watch)\b.*",
    re.IGNORECASE,
)
_ABBREVIATIONS = {
    "tv": "TV",
    "pc": "PC",
    "nas": "NAS",
    "ps5": "PS5",
    "ps4": "PS4",
    "hp": "HP",
    "lg": "LG",
}

NAME_LIMIT = 48
"""Characters of a shown name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is held of a device, with the reason for each part."""

    name: str
    kind: str
    certainty: str | None
    vendor: str | None
    model: str | None
    reasons: Mapping[str, str]


def identify(mac: str | None, ip: str | None, hints: Sequence[tuple[str, str]]) -> Identity:
    """Work out a device's identity from its hardware address and its hints.

    ``hints`` are ``(source, value)``, the newest first within each source.
    """
    reasons: dict[str, str] = {}
    maker = vendor(mac) if mac else None
    platform = virtual_platform(mac) if mac else None
    clues = list(hints)
    if maker:
        clues.append(("vendor", maker))
        reasons["vendor"] = f"because the IEEE registry gives its hardware address to “{maker}”"
    if platform:
        clues.append(("virtual", platform))
    if mac and is_randomised(mac):
        reasons["mac"] = "because its hardware address is made up (locally administered)"
        clues.append(("randomised", "made up"))
    guess = kind_of(clues)
    kind = guess.kind
    if guess.reason:
        reasons["kind"] = guess.reason
    model = next((value for source, value in hints if source == "model"), None)
    if model:
        reasons["model"] = because("model", model)
    name = _said_name(hints, reasons)
    if name is None:
        said = {source for source, _ in hints}
        role = next((word for source, word in _ROLES.items() if source in said), None)
        name = role or _made_name(short_vendor(maker) if maker else None, kind, ip or mac or "")
        reasons["name"] = "because of what it does; it gave no name" if role else _why(kind, maker)
    return Identity(
        name=name,
        kind=kind,
        certainty=guess.certainty,
        vendor=maker,
        model=model,
        reasons=reasons,
    )


def _said_name(hints: Sequence[tuple[str, str]], reasons: dict[str, str]) -> str | None:
    for wanted in NAME_ORDER:
        for source, value in hints:
            if source != wanted:
                continue
            name = plain_name(value)
            if name:
                reasons["name"] = because(source, value)
                return name
    return None


def _made_name(maker: str | None, kind: str, address: str) -> str:
    word = KIND_WORDS.get(kind, kind)
    if maker:
        return f"{maker} {word}"
    return f"Device {address}" if kind == "unknown" else f"{word[0].upper()}{word[1:]}"


def _why(kind: str, maker: str | None) -> str:
    if kind == "unknown" and not maker:
        return "because nothing but its address is known"
    return f"because of its {'vendor' if kind == 'unknown' else 'kind'}; it gave no name"


def plain_name(text: str) -> str | None:
    """Return a host name as a person would write it, or None when it says nothing.

    ``living-room-tv.lan`` becomes ``Living room TV``; a name with spaces is left as it is.
    """
    name = _LOCAL_SUFFIX.sub("", _SERVICE_SUFFIX.sub("", text.strip())).strip(" .\"'")
    if len(name) < 2 or _MEANINGLESS.match(name):
        return None
    if " " not in name:
        words = [word for word in re.split(r"[-_]+", name) if word]
        if len(words) > 1 and all(
            word.isalpha() or word.isdigit() or len(word) < 4 for word in words
        ):
            words = [_ABBREVIATIONS.get(word.lower(), word) for word in words]
            name = " ".join(words)
            owned = _OWNED.fullmatch(name)
            if owned and not owned[1].lower().endswith("s"):
                name = f"{owned[1]}'s{name[owned.end(1) + 1 :]}"
    return (name[0].upper() + name[1:] if name[0].isalpha() and name[1:2].islower() else name)[
        :NAME_LIMIT
    ]
