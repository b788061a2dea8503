"""Write a list in the formats that resolvers read.

Every format says the same: these names, with everything below them where the
format can say so (``hosts`` cannot). The files are made of the names alone, in
order, so that the same list gives the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.zone
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RPZ_TTL_S = 300
"""How long a resolver may keep an answer of the zone: a revert shows within five minutes."""


def _hosts(names: pl.Series) -> pl.Series:
    return "0.0.0.0 " + names


def _domains(names: pl.Series) -> pl.Series:
    return names


def _adguard(names: pl.Series) -> pl.Series:
    return "||" + names + "^"


def _dnsmasq(names: pl.Series) -> pl.Series:
    # An address without an address answers NXDOMAIN, below the name too.
    return "local=/" + names + "/"


def _unbound(names: pl.Series) -> pl.Series:
    return 'local-zone: "' + names + '" always_null'


def _rpz(names: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"own": names + " CNAME .", "below": "*." + names + " CNAME ."})
    return frame.select(pl.concat_list("own", "below").explode()).to_series()


FORMATS: dict[str, tuple[str, str, Callable[[pl.Series], pl.Series]]] = {
    "hosts": ("hosts", "#", _hosts),
    "domains": ("domains.txt", "#", _domains),
    "adguard": ("adguard.txt", "!", _adguard),
    "pihole": ("pihole.txt", "#", _adguard),
    "dnsmasq": ("dnsmasq.conf", "#", _dnsmasq),
    "unbound": ("unbound.conf", "#", _unbound),
    "rpz": ("rpz", ";", _rpz),
}
"""Format → end of the file name, sign of a comment, and how the names are written."""


def write(folder: Path, name: str, names: pl.Series, *, title: str, formats: list[str]) -> None:
    """Write a list's files; each is swapped in whole, so a reader never sees half of one."""
    digest = hashlib.sha256()
    for chunk in range(0, names.len(), 200_000):
        digest.update("\n".join(names.slice(chunk, 200_000).to_list()).encode())
    serial = int(digest.hexdigest()[:8], 16)
    for kind in formats:
        suffix, sign, line = FORMATS[kind]
        head = [f"{sign} {title}", f"{sign} list: {name}, names: {names.len()}"]
        if kind == "unbound":
            head.append("server:")
        if kind == "rpz":
            head += _zone_head(serial)
        path = folder / f"{name}.{suffix}"
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            file.write(("\n".join(head) + "\n").encode())
            for chunk in range(0, names.len(), 200_000):
                part = line(names.slice(chunk, 200_000))
                file.write(part.str.join("\n").item().encode() + b"\n")
        fresh.replace(path)


def _zone_head(serial: int) -> list[str]:
    """Return the SOA and NS of the zone, as dnspython spells them."""
    zone = dns.zone.Zone(dns.name.from_text("guardian.rpz."), relativize=True)
    soa = zone.find_rdataset("@", dns.rdatatype.SOA, create=True)
    name_server = zone.find_rdataset("@", dns.rdatatype.NS, create=True)
    wire = dns.rdataclass.IN
    text = f"localhost. root.localhost. {serial} 3600 600 86400 {RPZ_TTL_S}"
    soa.add(dns.rdata.from_text(wire, dns.rdatatype.SOA, text), RPZ_TTL_S)
    name_server.add(dns.rdata.from_text(wire, dns.rdatatype.NS, "localhost."), RPZ_TTL_S)
    return [f"$TTL {RPZ_TTL_S}", *zone.to_text(relativize=True).strip().splitlines()]
