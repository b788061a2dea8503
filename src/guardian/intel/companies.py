"""Where the companies of the catalogue have their seat, as far as a bundled list says.

It is the seat of who answers for the data, not the place of a server: Guardian asks
nobody about addresses. Who is not listed is unknown.
"""

from __future__ import annotations

import functools

import msgspec

from guardian import resources
from guardian.errors import RuleError

FILE = "blocklists/countries.toml"


class _Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    companies: list[str]
    licence: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    register: dict[str, _Register]
    seat: dict[str, list[str]]
    name: dict[str, str]


@functools.cache
def seats() -> dict[str, str]:
    """Return the seat (ISO 3166 code) by company.

    Raises:
        RuleError: the list is wrong; the message says why.
    """
    return {company: code for code, companies in _load().seat.items() for company in companies}


@functools.cache
def _load() -> _File:
    path = resources.path(FILE)
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error


def country(company: str | None) -> str | None:
    """Return where a company has its seat, or None where that is not known."""
    return seats().get(company) if company else None


@functools.cache
def confirmed() -> dict[str, tuple[str, ...]]:
    """Return the published registers that say the same seat, by company."""
    found: dict[str, tuple[str, ...]] = {}
    for register in _load().register.values():
        for company in register.companies:
            found[company] = (*found.get(company, ()), register.title)
    return found


def seat_source(company: str | None) -> str | None:
    """Return what a company's seat rests on, or None where no seat is known."""
    if country(company) is None or company is None:
        return None
    return "; ".join(confirmed().get(company, (_load().source,)))


def country_name(code: str | None) -> str | None:
    """Return a country in words ("South Korea"), its code where no word is known, or None."""
    return None if code is None else _load().name.get(code, code)
