"""The clues from which a device's type is told: a pattern over one source, with a weight.

Host names are chosen by people and vendors, clouds are shared by products, so no weight
is proof: 6 and more is enough alone, less needs a second clue of another sort. Patterns
over ``domain`` are also used in SQL, so they keep to RE2.
"""

# ruff: noqa: E501 - the table of clues is read by its rows

from __future__ import annotations

import re
from dataclasses import dataclass

NAME_SOURCES = ("dhcp_name", "mdns_name", "ssdp_name", "netbios_name", "client_name", "model")

FAMILIES = {
    **dict.fromkeys(NAME_SOURCES, "name"),
    "service": "offers",
    "server": "offers",
    "vendor_class": "dhcp",
    "dhcp_params": "dhcp",
    "domain_once": "domain",
}
"""Sources that say the same thing twice; of each family only the heaviest clue counts."""


GADGETS = ("tv", "speaker", "camera", "doorbell", "plug", "hub", "console", "printer", "appliance")
"""Types that go to a few places, their maker's, and no more."""


@dataclass(frozen=True, slots=True)
class Clue:
    """What a pattern over some sources speaks for, and how much."""

    sources: tuple[str, ...]
    pattern: re.Pattern[str]
    kind: str
    weight: int


def _clue(sources: str, pattern: str, kind: str, weight: int) -> Clue:
    names = NAME_SOURCES if sources == "name" else tuple(sources.split())
    return Clue(names, re.compile(pattern, re.IGNORECASE), kind, weight)


CLUES = (
    _clue("router", r".", "network", 12),
    _clue("virtual", r".", "vm", 9),
    _clue("own", r".", "server", 20),
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
    _clue("user_agent", r"iphone|android.*mobile", "phone", 6),
    _clue("user_agent", r"ipad|android(?!.*mobile).*(?:tablet|sm-[tx]\d|kf[a-z]{3,4}\b)", "tablet", 6),
    _clue("user_agent", r"smart-?tv|web0s|tizen.*tv|bravia|googletv|aft[a-z]{1,3}\b|hbbtv", "tv", 8),
    _clue("user_agent", r"windows nt|macintosh|x11; (?:linux|ubuntu)|microsoft-delivery|windows-update", "laptop", 4),
    _clue("user_agent", r"playstation|xbox|nintendo", "console", 8),
    _clue("user_agent", r"debian apt|libdnf|yum/", "server", 2),
    # Makers: only where most of what they make is one kind of thing
    _clue("vendor", r"reolink|hikvision|dahua|amcrest|arlo|axis communications|ezviz|lorex|vivotek|foscam", "camera", 7),
    _clue("vendor", r"wyze", "camera", 5),
    _clue("vendor", r"\bring llc", "doorbell", 6),
    _clue("vendor", r"sonos|bose", "speaker", 7),
    _clue("vendor", r"roku|vizio|tcl |hisense|skyworth", "tv", 6),
    _clue("vendor", r"lg electronics(?! ?\(mobile)|lg innotek|samsung electronics", "tv", 1),
    _clue("vendor", r"nintendo|sony interactive", "console", 7),
    _clue("vendor", r"amazon", "speaker", 2),
    _clue("vendor", r"seiko epson|brother industries|canon inc|lexmark|kyocera|xerox|oki electric", "printer", 7),
    _clue("vendor", r"hewlett|hp inc", "printer", 1),
    _clue("vendor", r"philips lighting|signify|smartthings|aqara|lumi united|physical graph|eq-?3", "hub", 6),
    _clue("vendor", r"espressif|tuya|shelly|allterco|meross|tp-?link.*kasa", "plug", 4),
    _clue("vendor", r"irobot|roborock|miele|bsh |dreame|ecovacs|dyson|nest labs|ecobee|netatmo|smarter applications", "appliance", 6),
    _clue("vendor", r"synology|qnap|raspberry", "server", 4),
    _clue("vendor", r"ubiquiti|mikrotik|netgear|avm |tp-?link|cisco|aruba|zyxel|arris|sagemcom|technicolor|ruckus", "network", 3),
    _clue("vendor", r"apple", "phone", 1),
    _clue("vendor", r"intel corp|dell |lenovo|framework|lcfc|liteon|azurewave|wistron|compal|quanta", "laptop", 2),
    _clue("vendor", r"oneplus|xiaomi|oppo|vivo mobile|motorola mobility|lg electronics \(mobile|fairphone|honor device", "phone", 3),
    # An address made up by its own device: phones do so, then tablets and laptops
    _clue("randomised", r".", "phone", 2),
    _clue("randomised", r".", "tablet", 1),
    _clue("randomised", r".", "laptop", 1),
    # Few places: a gadget; people's machines go to hundreds
    *(_clue("narrow", r".", kind, 1) for kind in GADGETS),
    # Where mostly one kind of thing calls
    _clue("domain", r"(^|\.)(lgtvsdp\.com|lgsmartad\.com|lgtvcommon\.com|samsungacr\.com|samsungcloud\.tv|samsungcloudsolution\.(com|net)|samsungotn\.net|alphonso\.tv|samba\.tv|tvinteractive\.tv|vizio\.com|inscape\.tv)$", "tv", 5),
    _clue("domain", r"(^|\.)roku\.com$", "tv", 4),
    _clue("domain", r"avs-alexa|(^|\.)(amcs-tachyon\.com|bob-dispatch-prod[a-z0-9.-]*\.amazon\.com|sonos\.com|bose\.com)$", "speaker", 5),
    _clue("domain", r"(^|\.)a2z\.com$", "speaker", 3),
    _clue("domain", r"(^|\.)(playstation\.net|xboxlive\.com|nintendo\.net)$", "console", 5),
    _clue("domain", r"(^|\.)(wyzecam\.com|reolink\.com|ezvizlife\.com|ezviz\.com|hik-connect\.com|arlo\.com|arloxcld\.com|dropcam\.com|xmeye\.net|secu100\.net|xiaoyi\.com|yitechnology\.com|ajcloud\.net|foscam\.com|amcrestcloud\.com)$", "camera", 5),
    _clue("domain", r"(^|\.)mydlink\.com$", "camera", 3),
    _clue("domain", r"(^|\.)ring\.com$", "doorbell", 3),
    _clue("domain", r"(^|\.)xbcs\.net$", "plug", 5),
    _clue("domain", r"(^|\.)(tplinkra\.com|tplinkcloud\.com|meross\.com)$", "plug", 4),
    _clue("domain", r"(^|\.)(meethue\.com|connect\.smartthings\.com|homesmart\.ikea\.net|ota\.homesmart\.ikea\.com|aqara\.cn|aqara\.com|switch-?bot\.com)$", "hub", 5),
    _clue("domain", r"(^|\.)(nest\.com|ecobee\.com|irobotapi\.com|roborock\.com|smarter\.am|netatmo\.net|home-connect\.com|mielecloud\.com)$", "appliance", 4),
    _clue("domain", r"(^|\.)(hpeprint|hpsmart|epsonconnect)\.com$", "printer", 4),
)  # fmt: skip

TELLING_DOMAINS = "|".join(
    f"({clue.pattern.pattern})" for clue in CLUES if "domain" in clue.sources
)
"""Names that mostly one kind of thing calls; only these are kept as hints."""
