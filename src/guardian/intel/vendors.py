"""Who made a network card, and whether its address is made up.

The vendor comes from the IEEE registry that the netaddr package keeps. An address
whose "locally administered" bit is set was chosen by software: phones do so to be
hard to follow, but virtual machines and containers do so too, with prefixes of
their own, and those must not be mistaken for a phone in disguise.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from netaddr import EUI, AddrFormatError, NotRegisteredError

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")

_VIRTUAL = {
    # Locally administered prefixes that software uses by default.
    "02:42": "Docker",
    "52:54:00": "QEMU/KVM",
    "fe:54:00": "libvirt",
    "0a:00:27": "VirtualBox",
    "02:00:4c:4f:4f:50": "Microsoft loopback",
    "02:15:b2": "Android emulator",
    "56:6f:1a": "oVirt",
    "fa:16:3e": "OpenStack",
    # Registered prefixes of hypervisors (IEEE registry).
    "00:0c:29": "VMware",
    "00:05:69": "VMware",
    "00:1c:14": "VMware",
    "00:50:56": "VMware",
    "08:00:27": "VirtualBox",
    "00:15:5d": "Hyper-V",
    "00:16:3e": "Xen or Incus",
    "00:1c:42": "Parallels",
    "10:66:6a": "Incus",
    "50:6b:8d": "Nutanix",
    "58:9c:fc": "bhyve",
    "bc:24:11": "Proxmox",
}
_LONGEST_FIRST = tuple(sorted(_VIRTUAL.items(), key=lambda item: -len(item[0])))

_LEGAL_FORM = re.compile(
    r"[\s,]+(?:inc|ltd|llc|gmbh|corp|corporation|co|company|limited|incorporated|ab|ag|sa|bv|b\.v|"
    r"s\.a|s\.p\.a|plc|oy|kg|as|a/s|technologies|technology|electronics|international|"
    r"solutions|communications|systems|group)\b\.?",
    re.IGNORECASE,
)


def normal_mac(text: str | None) -> str | None:
    """Return ``aa:bb:cc:dd:ee:ff``, or None when the text is not a unicast hardware address."""
    if not text:
        return None
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac) or mac in {"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"}:
        return None
    return None if int(mac[:2], 16) & 1 else mac


def eui64_mac(ip: str) -> str | None:
    """Return the hardware address that an IPv6 address was made of (RFC 4291, appendix A).

    Such an address ends in the hardware address with ``ff:fe`` in its middle and the
    universal bit turned; others (temporary, stable and opaque, manual) give None.
    """
    try:
        packed = ipaddress.IPv6Address(ip).packed[8:]
    except ValueError:
        return None
    if packed[3:5] != b"\xff\xfe":
        return None
    return normal_mac(bytes((packed[0] ^ 2, *packed[1:3], *packed[5:])).hex(":"))


@lru_cache(maxsize=4096)
def vendor(mac: str) -> str | None:
    """Return the organisation the address is registered to, as the registry spells it."""
    normal = normal_mac(mac)
    if normal is None:
        return None
    try:
        return str(EUI(normal).oui.registration().org).strip() or None
    except (NotRegisteredError, AddrFormatError, IndexError):
        return None


_SPOKEN = (
    ("lg electronics", "LG"),
    ("avm ", "AVM"), ("raspberry pi", "Raspberry Pi"), ("hewlett", "HP"), ("hp inc", "HP"),
    ("seiko epson", "Epson"), ("hon hai", "Foxconn"), ("sony interactive", "Sony"),
    ("tp-link", "TP-Link"), ("ring llc", "Ring"), ("asustek", "Asus"), ("intel corp", "Intel"),
)  # fmt: skip


def short_vendor(name: str) -> str:
    """Return a vendor as people say it: without its legal form, and not in capitals."""
    for start, spoken in _SPOKEN:
        if name.lower().startswith(start):
            return spoken
    short = _LEGAL_FORM.sub("", name).strip(" .,")
    short = short or name
    words = [
        word.capitalize() if word.isupper() and len(word) > 3 else word for word in short.split()
    ]
    return " ".join(words)[:40]


def virtual_platform(mac: str) -> str | None:
    """Return the hypervisor or container runtime whose prefix this is, or None."""
    normal = normal_mac(mac)
    if normal is None:
        return None
    return next((name for prefix, name in _LONGEST_FIRST if normal.startswith(prefix)), None)


def is_randomised(mac: str) -> bool:
    """Say whether a device made this address up (privacy addresses of phones and laptops)."""
    normal = normal_mac(mac)
    if normal is None or not int(normal[:2], 16) & 2:
        return False
    return virtual_platform(normal) is None and vendor(normal) is None
