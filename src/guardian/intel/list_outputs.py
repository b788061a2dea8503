"""Write a list in the formats that resolvers read.

Every format says the same: these names, with everything below them, but not the
exceptions, where the format can say so (``hosts`` and plain domains can say neither).
The files are made of the names alone, in order, so that the same list gives the same
bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.zone
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK = 200_000
"""Names that are written together, so that the text of a large list is never whole in memory."""

RPZ_TTL_S = 300
"""How long a resolver may keep an answer of the zone: a revert shows within five minutes."""


def _hosts(names: pl.Series) -> pl.Series:
    return "0.0.0.0 " + names


def _domains(names: pl.Series) -> pl.Series:
    return names


def _adguard(names: pl.Series) -> pl.Series:
    return "||" + names + "^"


def _dnsmasq(names: pl.Series) -> pl.Series:
    # A domain without a server answers NXDOMAIN, below the name too.
    return "local=/" + names + "/"


def _unbound(names: pl.Series) -> pl.Series:
    return 'local-zone: "' + names + '" always_null'


def _rpz(names: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"own": names + " CNAME .", "below": "*." + names + " CNAME ."})
    return frame.select(pl.concat_list("own", "below").explode()).to_series()


def _adguard_except(names: pl.Series) -> pl.Series:
    return "@@||" + names + "^"


def _dnsmasq_except(names: pl.Series) -> pl.Series:
    return "server=/" + names + "/#"


def _unbound_except(names: pl.Series) -> pl.Series:
    return 'local-zone: "' + names + '" always_transparent'


def _rpz_except(names: pl.Series) -> pl.Series:
    passing = " CNAME rpz-passthru."
    frame = pl.DataFrame({"own": names + passing, "below": "*." + names + passing})
    return frame.select(pl.concat_list("own", "below").explode()).to_series()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One format: the end of the file name, the sign of a comment, how names are written."""

    suffix: str
    sign: str
    block: Callable[[pl.Series], pl.Series]
    spare: Callable[[pl.Series], pl.Series] | None = None


FORMATS: dict[str, Form] = {
    "hosts": Form(suffix="hosts", sign="#", block=_hosts),
    "domains": Form(suffix="domains.txt", sign="#", block=_domains),
    "adguard": Form(suffix="adguard.txt", sign="!", block=_adguard, spare=_adguard_except),
    # Pi-hole reads exceptions from lists of another kind only.
    "pihole": Form(suffix="pihole.txt", sign="#", block=_adguard),
    "dnsmasq": Form(suffix="dnsmasq.conf", sign="#", block=_dnsmasq, spare=_dnsmasq_except),
    "unbound": Form(suffix="unbound.conf", sign="#", block=_unbound, spare=_unbound_except),
    "rpz": Form(suffix="rpz", sign=";", block=_rpz, spare=_rpz_except),
}
"""The formats that a list is written in."""

ALSO_CALLED = {"abp": "adguard", "adblock": "adguard", "txt": "domains", "domains.txt": "domains"}
"""Further names that a format may be asked for by."""


def write(
    folder: Path,
    name: str,
    names: pl.Series,
    *,
    title: str,
    formats: list[str],
    spared: pl.Series | None = None,
) -> None:
    """Write a list's files; each is swapped in whole, so a reader never sees half of one.

    ``spared`` are names below those of the list that stay allowed.
    """
    spared = pl.Series("name", [], dtype=pl.String) if spared is None else spared
    title = " ".join(title.split())  # a line of its own would be a rule
    serial = int(fingerprint(names, spared)[:8], 16)
    for kind in formats:
        form = FORMATS[kind]
        head = [f"{form.sign} {title}", f"{form.sign} list: {name}, names: {names.len()}"]
        if spared.len() and form.spare is None:
            head.append(f"{form.sign} exceptions that this format cannot say: {spared.len()}")
        if kind == "unbound":
            head.append("server:")
        if kind == "rpz":
            head += _zone_head(serial)
        path = folder / f"{name}.{form.suffix}"
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            file.write(("\n".join(head) + "\n").encode())
            if form.spare is not None and spared.len():
                _lines(file, spared, form.spare)
            _lines(file, names, form.block)
        fresh.replace(path)


def _lines(file: BinaryIO, names: pl.Series, line: Callable[[pl.Series], pl.Series]) -> None:
    chunks = (names.slice(start, _CHUNK) for start in range(0, names.len(), _CHUNK))
    file.writelines(line(chunk).str.join("\n").item().encode() + b"\n" for chunk in chunks)


def fingerprint(names: pl.Series, spared: pl.Series) -> str:
    """Return a digest of what a list says."""
    digest = hashlib.sha256()
    for sign, series in (("+", names), ("-", spared)):
        for chunk in range(0, series.len(), _CHUNK):
            digest.update(sign.encode())
            digest.update("\n".join(series.slice(chunk, _CHUNK).to_list()).encode())
    return digest.hexdigest()


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
