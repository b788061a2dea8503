"""Life lines: what can never be the target of an enforcement, whoever says yes.

Checked when a proposal is made and again right before anything is applied, so
that a proposal from before a configuration change does no harm either.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from publicsuffixlist import PublicSuffixList

from guardian.errors import ProtectedTargetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardian.model.response import Target
    from guardian.respond.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LIFE_LINE_NAMES = frozenset(
    {
        # The tailnet's coordination and relays (docs of Tailscale: firewall ports).
        "controlplane.tailscale.com",
        "login.tailscale.com",
        "derp.tailscale.com",
        # Time: without it certificates stop being valid on devices without a clock.
        "pool.ntp.org",
        "time.apple.com",
        "time.google.com",
        "time.windows.com",
        "time.cloudflare.com",
        # Without these answers phones and laptops leave the Wi-Fi as "no internet".
        "captive.apple.com",
        "connectivitycheck.gstatic.com",
        "connectivity-check.ubuntu.com",
        "detectportal.firefox.com",
        "msftconnecttest.com",
        "msftncsi.com",
        "nmcheck.gnome.org",
        # Security updates of what a home lab runs on.
        "debian.org",
        "archive.ubuntu.com",
        "security.ubuntu.com",
        "download.proxmox.com",
        "enterprise.proxmox.com",
        "update.microsoft.com",
        "windowsupdate.com",
        # Whether a certificate was taken back.
        "ocsp.apple.com",
        "letsencrypt.org",
        "lencr.org",
        # The resolver's own names.
        "pi.hole",
    }
)
"""Names that keep the house running. With everything below; no name above may be blocked."""

_DERP = re.compile(r"derp[0-9]+[a-z]*\.tailscale\.com")

BROAD_NAMES = frozenset(
    {
        "akadns.net", "akamai.net", "akamaiedge.net", "akamaihd.net", "akamaized.net",
        "amazon.com", "amazonaws.com", "apple-dns.net", "apple.com", "azure.com",
        "azureedge.net", "azurefd.net", "azurewebsites.net", "cdn77.org", "cloudapp.net",
        "cloudflare.com", "cloudflare.net", "cloudfront.net", "digitaloceanspaces.com",
        "edgekey.net", "edgesuite.net", "fastly.net", "fastlylb.net", "firebaseio.com",
        "github.com", "githubusercontent.com", "google.com", "googleapis.com",
        "googleusercontent.com", "googlevideo.com", "gstatic.com", "icloud.com",
        "live.com", "llnwd.net", "microsoft.com", "microsoftonline.com", "office.com",
        "office365.com", "raw.githubusercontent.com", "samsung.com", "trafficmanager.net",
        "windows.com", "windows.net", "youtube.com",
    }
)  # fmt: skip
"""Names under which half the internet lives: they may not be blocked whole, only names below."""

_LOCAL_SUFFIXES = (
    "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local",
    "localdomain", "localhost", "onion", "private", "ts.net",
)  # fmt: skip
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeLines:
    """The addresses, networks and names of this house that are out of reach."""

    networks: tuple[Network, ...]
    names: frozenset[str]
    device_ids: frozenset[str]


def life_lines(settings: Settings) -> LifeLines:
    """Gather this house's life lines from the settings and from the host itself."""
    networks: list[Network] = []
    device_ids: set[str] = set()
    for text in (
        *settings.gateways,
        *settings.protected_addresses,
        *settings.keeper_devices,
        *(resolver.partition("#")[0] for resolver in settings.resolvers),
    ):
        network = _network(text)
        if network is None:
            device_ids.add(text)
        else:
            networks.append(network)
    networks += [_host(address) for address in (*_gateways(), *_own(), *_system_resolvers())]
    extra = {normal_name(name) for name in settings.protected_names}
    return LifeLines(
        networks=tuple(networks),
        names=LIFE_LINE_NAMES | {name for name in extra if name},
        device_ids=frozenset(device_ids),
    )


def own_addresses() -> tuple[str, ...]:
    """Return the addresses of this host, loopback left out.

    What is seen coming from them is Guardian's own doing: it asks resolvers for the
    very names that it blocks.
    """
    return tuple(str(address) for address in _own())


def askers_for_others(settings: Settings) -> tuple[str, ...]:
    """Return the addresses whose questions are not their own: resolvers, and Guardian."""
    resolvers = [resolver.partition("#")[0] for resolver in settings.resolvers]
    return (*resolvers, *own_addresses())


def check(target: Target, lines: LifeLines) -> None:
    """Let a target pass, or refuse it.

    Raises:
        ProtectedTargetError: it is, contains or lies within a life line, or is too
            broad to be meant; the message says which and why.
    """
    if not target.names and not target.addresses:
        _refuse("nothing", "an enforcement needs a name or an address")
    for name in target.names:
        _check_name(name, lines, subdomains=target.subdomains)
    for text in target.addresses:
        _check_address(text, lines)
    _check_device(target, lines)


def refusal(target: Target, lines: LifeLines) -> str | None:
    """Return why a target is refused, or None."""
    try:
        check(target, lines)
    except ProtectedTargetError as error:
        return str(error)
    return None


def allowed_names(names: Iterable[str], lines: LifeLines) -> tuple[str, ...]:
    """Return the names that may be blocked, in the given order."""
    found = []
    for name in names:
        try:
            _check_name(name, lines, subdomains=True)
        except ProtectedTargetError:
            continue
        found.append(name)
    return tuple(found)


def normal_name(name: str) -> str | None:
    """Return a host name in lower case without its last dot, or None if it is none."""
    try:
        text = name.strip().rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        text = name.strip().rstrip(".").lower()
    labels = text.split(".")
    if not text or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return text


def _check_name(name: str, lines: LifeLines, *, subdomains: bool) -> None:
    normal = normal_name(name)
    if normal is None or normal != name:
        _refuse(name, "not a host name in its normal form")
    if _network(name) is not None:
        _refuse(name, "an address, not a name")
    if _suffixes().is_public(name):
        _refuse(name, "a whole top-level domain or public suffix")
    if "." not in name or any(name == s or name.endswith(f".{s}") for s in _LOCAL_SUFFIXES):
        _refuse(name, "a name of the home network itself")
    if name in BROAD_NAMES:
        _refuse(name, "too broad: much else lives under it")
    if _DERP.fullmatch(name):
        _refuse(name, "a relay of the tailnet")
    for line in lines.names:
        if name == line or name.endswith(f".{line}"):
            _refuse(name, f"a life line ({line})")
        if subdomains and line.endswith(f".{name}"):
            _refuse(name, f"would take the life line {line} with it")
    if subdomains and name == "tailscale.com":
        _refuse(name, "would take the tailnet's coordination with it")


def _check_address(text: str, lines: LifeLines) -> None:
    network = _network(text)
    if network is None or not text:
        _refuse(text, "not an address")
    wide = 24 if network.version == 4 else 48
    if network.prefixlen < wide:
        _refuse(text, f"too broad: wider than /{wide}")
    if not network.is_global or network.is_multicast:
        _refuse(text, "an address of the home network or a special one")
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        _refuse(text, "not in its normal form")
    for line in lines.networks:
        if line.version == network.version and line.overlaps(network):
            _refuse(text, f"a life line ({line})")


def _check_device(target: Target, lines: LifeLines) -> None:
    if target.device_id is not None and target.device_id in lines.device_ids:
        _refuse(target.device_id, "the keeper's device")
    for text in target.device_ips:
        network = _network(text)
        if network is None or network.num_addresses != 1:
            _refuse(text, "not the address of one device")
        if network.is_loopback or network.is_multicast or network.is_unspecified:
            _refuse(text, "not the address of a device")
        for line in lines.networks:
            if line.version == network.version and line.overlaps(network):
                _refuse(text, f"a life line ({line})")


def _refuse(what: str, why: str) -> NoReturn:
    msg = f"{what[:80]} is never a target: {why}"
    raise ProtectedTargetError(msg)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _host(address: Address) -> Network:
    return ipaddress.ip_network(address)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _gateways() -> list[Address]:
    found: list[Address] = []
    for line in _lines("/proc/net/route")[1:]:
        columns = line.split()
        if len(columns) > 2 and columns[1] == "00000000" and columns[2] != "00000000":
            found.append(ipaddress.IPv4Address(struct.pack("<L", int(columns[2], 16))))
    for line in _lines("/proc/net/ipv6_route"):
        columns = line.split()
        if len(columns) > 4 and columns[0] == "0" * 32 and columns[1] == "00":
            address = ipaddress.IPv6Address(int(columns[4], 16))
            if not address.is_unspecified:
                found.append(address)
    return found


def _own() -> list[Address]:
    found: list[Address] = []
    lines = _lines("/proc/net/fib_trie")
    for place, line in enumerate(lines):
        if "/32 host LOCAL" in line and place:
            text = lines[place - 1].rpartition(" ")[2]
            if socket.inet_aton(text):
                found.append(ipaddress.IPv4Address(text))
    found += [
        ipaddress.IPv6Address(int(line.split()[0], 16))
        for line in _lines("/proc/net/if_inet6")
        if line.split()
    ]
    return [address for address in dict.fromkeys(found) if not address.is_loopback]


def _system_resolvers() -> list[Address]:
    found: list[Address] = []
    for line in _lines("/etc/resolv.conf"):
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            network = _network(words[1].partition("%")[0])
            if network is not None and not network.is_loopback:
                found.append(network.network_address)
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
