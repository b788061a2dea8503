"""What kind of thing a device is, from what it says of itself, and why.

Each clue is a pattern over one source with a weight; the kind with the greatest sum
wins, and the strongest clue is the reason shown. Host names are chosen by people
and vendors, so no single clue is proof.
"""

# ruff: noqa: E501 - the table of clues is read by its rows

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    "tls_client": "its TLS client looks like",
    "dhcp_params": "its DHCP client asks for options",
    "router": "it",
    "resolver": "it",
}
"""The words before a clue's value in "because …"."""

_NAME_SOURCES = ("dhcp_name", "mdns_name", "ssdp_name", "netbios_name", "client_name", "model")


@dataclass(frozen=True, slots=True)
class _Clue:
    sources: tuple[str, ...]
    pattern: re.Pattern[str]
    kind: str
    weight: int


def _clue(sources: str, pattern: str, kind: str, weight: int) -> _Clue:
    names = _NAME_SOURCES if sources == "name" else tuple(sources.split())
    return _Clue(names, re.compile(pattern, re.IGNORECASE), kind, weight)


_CLUES = (
    _clue("router", r".", "network", 12),
    _clue("virtual", r".", "vm", 9),
    _clue("resolver", r".", "server", 10),
    # Names
    _clue("name", r"iphone|pixel[ -]?\d|galaxy[ -]?(?:s|a|note|z)\d|oneplus|redmi|\bphone|handy", "phone", 8),
    _clue("name", r"ipad|\btab(?:let)?\b|galaxy[ -]?tab|kindle", "tablet", 8),
    _clue("name", r"macbook|laptop|notebook|thinkpad|\bxps\b|latitude|elitebook|desktop-|\bpc\b|imac", "laptop", 7),
    _clue("name", r"web ?os ?tv|bravia|\btv\b|-tv|tv-|\[tv\]|roku|chromecast|fire ?tv|apple ?tv|shield|vizio", "tv", 9),
    _clue("name", r"\becho\b|echo-|alexa|homepod|google[ -]?home|nest[ -]?(?:mini|audio|hub)|sonos|speaker", "speaker", 9),
    _clue("name", r"doorbell|klingel", "doorbell", 10),
    _clue("name", r"cam(?:era)?\b|\bcam[-_]|ipc(?:am)?\b|reolink|hikvision|dahua|wyze|amcrest", "camera", 8),
    _clue("name", r"plug|socket|shelly|tasmota|kasa|\bhs1\d\d\b|\bbulb|wled|meross", "plug", 8),
    _clue("name", r"\bhue\b|bridge|smartthings|home-?assistant|homeassistant|\bhub\b|aqara", "hub", 7),
    _clue("name", r"playstation|\bps[345]\b|xbox|nintendo|switch\b|steam ?deck", "console", 9),
    _clue("name", r"printer|laserjet|officejet|deskjet|epson|brother|canon|hp[0-9a-f]{6}|brw[0-9a-f]{12}", "printer", 9),
    _clue("name", r"vacuum|roomba|fridge|washer|dryer|oven|dishwasher|thermostat|roborock", "appliance", 9),
    _clue("name", r"server|\bnas\b|synology|diskstation|qnap|truenas|pi-?hole|proxmox|\bpve\b|docker|raspberry", "server", 8),
    _clue("name", r"router|gateway|\bap\b|access[ -]?point|switch-\d|unifi|fritz\.?box|openwrt|opnsense|pfsense", "network", 8),
    # What is announced and offered
    _clue("service", r"_ipp\b|_ipps\b|_printer\b|_pdl-datastream|_uscan|_scanner", "printer", 9),
    _clue("service", r"_googlecast|_androidtvremote|_airplay-tv|_webos|_roku|_amzn-wplay|mediarenderer|dial-multiscreen", "tv", 4),
    _clue("service", r"_sonos|_spotify-connect|_raop|_amzn-alexa", "speaker", 4),
    _clue("service", r"_hue\b|_hap\b|_matter|_home-assistant|_homekit", "hub", 4),
    _clue("service", r"_rtsp|_onvif|_axis-video|networkvideotransmitter", "camera", 9),
    _clue("service", r"_apple-mobdev|_companion-link", "phone", 2),
    _clue("service", r"_smb\b|_afpovertcp|_nfs\b|_ssh\b|_workstation", "server", 3),
    _clue("service server", r"internetgatewaydevice|wanipconnection", "network", 6),
    _clue("server", r"webos|tizen|samsung.*tv|bravia|roku", "tv", 8),
    _clue("server", r"sonos", "speaker", 8),
    _clue("server", r"hue|ipbridge", "hub", 6),
    # DHCP clients
    _clue("vendor_class", r"android-dhcp", "phone", 4),
    _clue("vendor_class", r"msft 5", "laptop", 4),
    _clue("vendor_class", r"ps[45]\b|playstation|xbox", "console", 9),
    _clue("vendor_class", r"hewlett|jetdirect|epson|brother|canon", "printer", 8),
    _clue("vendor_class", r"udhcp|busybox", "appliance", 1),
    _clue("vendor_class", r"dhcpcd.*(?:raspbian|debian)|systemd", "server", 2),
    # Programs
    _clue("user_agent", r"iphone|android.*mobile", "phone", 5),
    _clue("user_agent", r"ipad|android(?!.*mobile).*(?:tablet|sm-[tx]\d|kf[a-z]{3,4}\b)", "tablet", 5),
    _clue("user_agent", r"smart-?tv|web0s|tizen.*tv|bravia|googletv|aft[a-z]{1,3}\b|hbbtv", "tv", 8),
    _clue("user_agent", r"windows nt|macintosh|x11; (?:linux|ubuntu)|microsoft-delivery|windows-update", "laptop", 4),
    _clue("user_agent", r"playstation|xbox|nintendo", "console", 8),
    _clue("user_agent", r"debian apt|libdnf|yum/", "server", 2),
    # Makers: only where most of what they make is one kind of thing
    _clue("vendor", r"reolink|hikvision|dahua|amcrest|wyze|arlo|axis communications|ezviz|lorex|vivotek|foscam", "camera", 6),
    _clue("vendor", r"\bring llc", "doorbell", 5),
    _clue("vendor", r"sonos|bose", "speaker", 6),
    _clue("vendor", r"roku|vizio|tcl |hisense|skyworth", "tv", 5),
    _clue("vendor", r"lg electronics(?! ?\(mobile)|lg innotek|samsung electronics", "tv", 1),
    _clue("vendor", r"nintendo|sony interactive", "console", 7),
    _clue("vendor", r"amazon", "speaker", 2),
    _clue("vendor", r"seiko epson|brother industries|canon inc|lexmark|kyocera|xerox|oki electric", "printer", 7),
    _clue("vendor", r"hewlett|hp inc", "printer", 1),
    _clue("vendor", r"philips lighting|signify|smartthings|aqara|lumi united", "hub", 6),
    _clue("vendor", r"espressif|tuya|shelly|allterco|meross|tp-?link.*kasa", "plug", 4),
    _clue("vendor", r"irobot|roborock|miele|bsh |dreame|ecovacs|dyson", "appliance", 6),
    _clue("vendor", r"synology|qnap|raspberry", "server", 4),
    _clue("vendor", r"ubiquiti|mikrotik|netgear|avm |tp-?link|cisco|aruba|zyxel|arris|sagemcom|technicolor|ruckus", "network", 3),
    _clue("vendor", r"apple", "phone", 1),
    _clue("vendor", r"intel corp|dell |lenovo|framework|lcfc|liteon|azurewave|wistron|compal|quanta", "laptop", 2),
    _clue("vendor", r"oneplus|xiaomi|oppo|vivo mobile|motorola mobility|lg electronics \(mobile|fairphone|honor device", "phone", 3),
    # Where only one kind of thing calls
    _clue("domain", r"\.lgtvsdp\.com|\.lgsmartad\.com|samsungacr\.com|samsungcloud\.tv|\.alphonso\.tv|\.samba\.tv|\.lgtvcommon\.com", "tv", 5),
    _clue("domain", r"\.roku\.com", "tv", 3),
    _clue("domain", r"a2z\.com$|avs-alexa|\.amcs-tachyon\.com", "speaker", 4),
    _clue("domain", r"playstation\.net|xboxlive\.com|nintendo\.net", "console", 4),
    _clue("domain", r"wyzecam\.com|reolink\.com|ezviz\.com|hik-connect|\.arlo\.com", "camera", 4),
)  # fmt: skip


def kind_of(hints: Iterable[tuple[str, str]]) -> tuple[str, str | None]:
    """Return the likeliest kind for ``(source, value)`` clues, and the reason for it.

    A source counts once for each kind, by its strongest clue: a hundred user agents
    weigh no more than one.
    """
    best: dict[tuple[str, str], tuple[int, str]] = {}
    for source, value in sorted(set(hints)):
        for clue in _CLUES:
            if source in clue.sources and clue.pattern.search(value):
                known = best.get((clue.kind, source), (0, ""))
                if clue.weight > known[0]:
                    best[clue.kind, source] = (clue.weight, value)
    sums: dict[str, int] = defaultdict(int)
    for (kind, _), (weight, _) in best.items():
        sums[kind] += weight
    if not sums:
        return "unknown", None
    winner = min(sums, key=lambda kind: (-sums[kind], KINDS.index(kind)))
    if sums[winner] < 2:
        return "unknown", None
    clues = [
        (weight, source, value)
        for (kind, source), (weight, value) in best.items()
        if kind == winner
    ]
    _, source, value = max(clues, key=lambda item: (item[0], item[1]))
    return winner, because(source, value)


def because(source: str, value: str) -> str:
    """Return the reason as a sentence's end: "because its DHCP host name is “…”"."""
    words = SOURCE_WORDS.get(source, source)
    quoted = value if source in {"router", "resolver"} else f"“{value}”"
    return f"because {words} {quoted}"
