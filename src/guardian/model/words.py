"""Plain words for what the store holds: the page and the digest speak with them.

Words are calibrated: "likely", "looks like", never "is". A number that could not be
read is a dash, never a zero. Times are stored as UTC and shown in the house's zone.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from guardian.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, tzinfo

DASH = "—"
"""What stands where a number could not be read."""

CLASSES: dict[str, str] = {
    "c2_beacon": "regular calls to one server",
    "malware": "signs of malware",
    "exploit": "an attack attempt",
    "port_scan": "trying many ports",
    "host_scan": "trying many addresses",
    "brute_force": "guessing passwords",
    "dns_tunnel": "data hidden in DNS",
    "dga": "random-looking names",
    "doh_bypass": "going around the house's DNS",
    "dns_bypass": "asking another DNS server",
    "exfiltration": "much data going out",
    "crypto_mining": "mining coins",
    "tor_vpn": "a hidden tunnel",
    "lateral_movement": "reaching for other devices",
    "arp_spoof": "posing as another device",
    "rogue_dhcp": "a second address server",
    "new_device": "a new device",
    "new_destination": "somewhere new",
    "exposed_service": "open to the internet",
    "cleartext_secret": "a password in the clear",
    "threat_intel": "a known bad address",
    "policy_violation": "unusual traffic",
    "acr": "TV viewing",
    "voice_assistant": "voice",
    "camera_cloud": "camera cloud",
    "llm_api": "language model",
    "ai_media_api": "AI pictures and sound",
    "biometric_api": "faces and voices",
    "data_broker": "data broker",
    "ad_tracking": "advertising",
    "os_telemetry": "diagnostics",
    "iot_telemetry": "device reports",
    "lan_recon": "looking around the network",
    "blind_sensor": "a blind spot",
}
"""Finding class to a short noun phrase for a family."""

_MALICIOUS = {
    "c2_beacon": "Likely malware",
    "malware": "Likely malware",
    "dns_tunnel": "Likely a hidden channel",
    "dga": "Likely malware",
    "crypto_mining": "Likely coin mining",
    "exfiltration": "Likely a data leak",
    "threat_intel": "Known bad address",
}
_VERDICTS = {
    "malicious": ("Likely an attack", "danger"),
    "suspicious": ("Looks suspicious", "danger"),
    "surveillance": ("Listening in", "watch"),
    "benign": ("Harmless", "calm"),
    "undetermined": ("Not clear yet", "info"),
}
_NUMBERS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"]


def verdict(name: str, classes: Iterable[str]) -> tuple[str, str]:
    """Return the words for a verdict and their colour's name (danger, watch, calm, info)."""
    words, tone = _VERDICTS.get(name, _VERDICTS["undetermined"])
    if name == "malicious":
        words = next((_MALICIOUS[each] for each in classes if each in _MALICIOUS), words)
    return words, tone


def evidence(confidence: float | None) -> str:
    """Return how strong evidence is, in one word; confidence is 0 to 1, by rules."""
    if confidence is None:
        return DASH
    return "strong" if confidence >= 0.75 else "some" if confidence >= 0.45 else "weak"


def finding_class(name: str) -> str:
    """Return a class in plain words."""
    return CLASSES.get(name, name.replace("_", " "))


def device_kind(name: str) -> str:
    """Return a kind of device as people write it; empty when it is not known."""
    if name == "unknown":
        return ""
    return name.upper() if name in {"tv", "nas", "pc", "vm"} else name.replace("_", " ")


def number(value: float | None) -> str:
    """Return a whole number with separators, or a dash when there is none."""
    return DASH if value is None else f"{value:,.0f}"


def counted(value: int, one: str, many: str) -> str:
    """Return ``1 device`` or ``1,204 devices``."""
    return f"{value:,} {one if value == 1 else many}"


def spelled(value: int) -> str:
    """Return a small number as a capitalised word (``Two``), a large one in digits."""
    return _NUMBERS[value] if 0 <= value < len(_NUMBERS) else f"{value:,}"


def size(value: float | None) -> str:
    """Return a number of bytes with its unit: ``210 KB``, ``1.2 MB``."""
    if value is None:
        return DASH
    if value < 1000:
        return f"{value:.0f} B"
    for unit in ("KB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    raise AssertionError  # the loop always returns


def duration(seconds: float | None) -> str:
    """Return a length of time: ``45 s``, ``24 h``, ``7 days``."""
    if seconds is None:
        return DASH
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds <= 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def clean(text: str | None, limit: int = 200) -> str:
    """Return a stranger's string, shortened and without control or direction characters."""
    if not text:
        return ""
    kept = "".join(
        " " if each in "\t\r\n" else each
        for each in text[: limit * 4]
        if each in "\t\r\n" or unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def zone(name: str) -> tzinfo | None:
    """Return the house's time zone; an empty name means this machine's, which is None.

    Raises:
        ConfigError: no such zone.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = f"timezone: no zone is called {name!r}; use one such as Europe/Berlin"
        raise ConfigError(msg) from error


def local(moment: datetime, where: tzinfo | None) -> datetime:
    """Return a stored UTC time in the house's zone."""
    return moment.replace(tzinfo=UTC).astimezone(where)


def clock(moment: datetime | None, where: tzinfo | None, now: datetime) -> str:
    """Return when something was, as short as it stays clear.

    ``20:14`` today or within twelve hours, ``Fri 20:14`` within six days either way, else
    ``2 Nov``, with its year when that is not this one.
    """
    if moment is None:
        return DASH
    there, here = local(moment, where), local(now, where)
    away_s = abs((now - moment).total_seconds())
    if there.date() == here.date() or away_s < 3600 * 12:
        return f"{there:%H:%M}"
    if away_s < 86400 * 6:
        return f"{there:%a %H:%M}"
    return day(moment, where, now)


def day(moment: datetime | None, where: tzinfo | None, now: datetime) -> str:
    """Return a date as ``2 Nov``, with its year when that is not this one."""
    if moment is None:
        return DASH
    there = local(moment, where)
    year = "" if there.year == local(now, where).year else f" {there.year}"
    return f"{there.day} {there:%b}{year}"


def sentence_list(parts: Iterable[str]) -> str:
    """Return ``a, b and c``."""
    items = list(parts)
    return (
        items[0]
        if len(items) == 1
        else ", ".join(items[:-1]) + " and " + items[-1]
        if items
        else ""
    )
