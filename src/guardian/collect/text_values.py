"""Turn one raw text of a log into the value of a column; None when it is none."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.rcode

from guardian.collect.columns import MAX_TEXT_CHARS, normal_mac
from guardian.errors import ConfigError
from guardian.intel import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_SYSLOG = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(\.\d{1,9})?")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)$")
_PROTOCOLS = {
    "1": "ICMP", "2": "IGMP", "6": "TCP", "17": "UDP", "47": "GRE", "50": "ESP",
    "58": "IPv6-ICMP", "132": "SCTP", "ICMPV6": "IPv6-ICMP", "IPV6-ICMP": "IPv6-ICMP",
}  # fmt: skip
_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
_MAX_INTEGER = 2**62


LAST_YEAR = 2100
LAST_S = 4_102_444_800.0
"""Times from 2100 on (seconds since 1970) are no event times: a clock never set, or harm."""


class Clock:
    """Read the times of a log: with or without a year, in the log's own time zone.

    A time without a year is the last one that is not more than a day after
    ``reference`` (when the log was written last), so that it is right over New Year.
    """

    def __init__(self, zone: str, reference: datetime) -> None:
        self._zone = _zone(zone)
        self.refer(reference)

    def refer(self, reference: datetime) -> None:
        """Take another ``reference``: the log goes on, and its days with it."""
        self._limit = reference.replace(tzinfo=UTC) + timedelta(days=1)
        self._known: tuple[str, datetime | None] = ("", None)

    def read(self, text: str) -> datetime | None:
        """Return a time as naive UTC, or None when it is none."""
        if text == self._known[0]:
            return self._known[1]
        try:
            value = self._read(text.strip())
        except (ValueError, OverflowError):
            value = None
        self._known = (text, value)
        return value

    def _read(self, text: str) -> datetime | None:
        if text.isdecimal():
            return epoch(text)
        found = _SYSLOG.fullmatch(text)
        if found is not None:
            month, day, year, hour, minute, second, fraction = found.groups()
            if month not in _MONTHS:
                return None
            parts = (_MONTHS[month], int(day), int(hour), int(minute), int(second))
            micro = int(float(fraction or 0) * 1_000_000)
            if year is not None:
                return self._utc(datetime(int(year), *parts, micro))  # noqa: DTZ001 - zoned in _utc
            return self._yearless(parts, micro)
        text = text.replace(",", ".", 1).replace("/", "-")
        offset = _OFFSET.search(text)
        if offset and ":" not in offset[0]:
            text = f"{text[: offset.start()]}{offset[1]}{offset[2]}:{offset[3]}"
        # Go and rsyslog write nine digits; six are kept.
        text = re.sub(r"(\.\d{6})\d+", r"\1", text)
        return self._utc(datetime.fromisoformat(text))

    def _yearless(self, parts: tuple[int, int, int, int, int], micro: int) -> datetime | None:
        for back in range(9):  # eight: 29 February may be that far away
            try:
                local = datetime(self._limit.year - back, *parts, micro)  # noqa: DTZ001 - as above
            except ValueError:
                continue
            value = self._utc(local)
            if value.replace(tzinfo=UTC) <= self._limit:
                return value
        return None

    def _utc(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            value = value.astimezone() if self._zone is None else value.replace(tzinfo=self._zone)
        value = value.astimezone(UTC).replace(tzinfo=None)
        if not 1970 <= value.year < LAST_YEAR:
            msg = "no time of an event"
            raise ValueError(msg)
        return value


@functools.cache
def _zone(name: str) -> tzinfo | None:
    if name == "local":
        return None
    if name.upper() == "UTC":
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = f"time zone {name!r} is unknown; use local, UTC, +01:00 or a name like Europe/Berlin"
        raise ConfigError(msg) from error


def text(raw: str) -> str | None:
    """Keep a text, cut at the longest that is kept."""
    return raw[:MAX_TEXT_CHARS] or None


def name(raw: str) -> str | None:
    """Bring a DNS name to lower case without its last dot."""
    return raw.strip().lower().removesuffix(".")[:1024] or None


def known_name(raw: str) -> str | None:
    """Keep a host's name unless it is a placeholder for none."""
    value = raw.strip().removesuffix(".")
    return None if value in {"", "*", "-", "?"} else value[:255]


def quoted(raw: str) -> str:
    """Keep a whole line as a JSON text."""
    return json.dumps(raw[:MAX_TEXT_CHARS])


def integer(raw: str) -> int | None:
    """Read a whole number, decimal or after 0x hexadecimal."""
    try:
        value = int(raw[:32], 16 if raw[:2].lower() == "0x" else 10)
    except ValueError:
        return None
    return value if abs(value) < _MAX_INTEGER else None


def number(raw: str) -> float | None:
    """Read a finite number."""
    try:
        value = float(raw[:64])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def port(raw: str) -> int | None:
    """Read a port number."""
    value = integer(raw)
    return value if value is not None and 0 <= value <= 65_535 else None


def boolean(raw: str) -> bool | None:
    """Read a truth value."""
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        raw.lower()
    )


def epoch(raw: str) -> datetime | None:
    """Read seconds since 1970."""
    value = number(raw)
    if value is None or not 0 <= value < LAST_S:
        return None
    return datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(
        microseconds=round(value * 1_000_000)
    )


def protocol(raw: str) -> str | None:
    """Bring a protocol's name or number to EVE's spelling."""
    upper = raw.strip().upper()
    return _PROTOCOLS.get(upper, upper[:20]) or None


def flags(raw: str) -> int | None:
    """Read TCP flags: words (``SYN ACK``), letters (``SA``), or a number."""
    value = integer(raw)
    if value is None:
        words = raw.upper().split()
        if words and all(word in _FLAGS for word in words):
            value = sum({_FLAGS[word] for word in words})
        else:
            value = sum({_LETTERS.get(letter, 0) for letter in raw.upper()})
    return value & 0xFF


def words(raw: str) -> list[str] | None:
    """Split a text at blanks or commas."""
    return re.split(r"[ ,]+", raw.strip())[:64] if raw.strip() else None


def rrtype(raw: str) -> str | None:
    """Bring a record type to its usual name."""
    known = {"TYPE64": "SVCB", "TYPE65": "HTTPS", "TYPE257": "CAA", "64": "SVCB", "65": "HTTPS"}
    upper = raw.strip().upper()
    return known.get(upper, upper[:20]) or None


def rdata(raw: str) -> dict[str, object] | None:
    """Read a base64 DNS message: its answers and its rcode."""
    try:
        message = dns.message.from_wire(
            base64.b64decode(raw, validate=True), ignore_trailing=True, continue_on_error=True
        )
    except (binascii.Error, ValueError, dns.exception.DNSException):
        return None
    values = [item.to_text()[:512] for rrset in message.answer[:64] for item in rrset][:64]
    return {"answers": values or None, "rcode": dns.rcode.to_text(message.rcode())}


SIMPLE: dict[str, Callable[[str], object]] = {
    "text": text,
    "name": name,
    "address": addresses.normalise,
    "mac": normal_mac,
    "port": port,
    "integer": integer,
    "number": number,
    "milliseconds": number,
    "boolean": boolean,
    "words": words,
    "epoch": epoch,
    "protocol": protocol,
    "flags": flags,
    "rrtype": rrtype,
    "json": quoted,
    "known_name": known_name,
}
"""The kinds of ``parser_spec.Kind`` that need nothing but the text itself."""
