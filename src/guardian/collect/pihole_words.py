"""Pi-hole's numbers and words, and what they are in ours.

The codes are FTL's (https://docs.pi-hole.net/database/query-database/); the same words
are what its API and its log say.
"""

from __future__ import annotations

STATUS = (
    "UNKNOWN", "GRAVITY", "FORWARDED", "CACHE", "REGEX", "DENYLIST", "EXTERNAL_BLOCKED_IP",
    "EXTERNAL_BLOCKED_NULL", "EXTERNAL_BLOCKED_NXRA", "GRAVITY_CNAME", "REGEX_CNAME",
    "DENYLIST_CNAME", "RETRIED", "RETRIED_DNSSEC", "IN_PROGRESS", "DBBUSY", "SPECIAL_DOMAIN",
    "CACHE_STALE", "EXTERNAL_BLOCKED_EDE15",
)  # fmt: skip
"""What became of a query, by FTL's number."""

_OURS = {
    "FORWARDED": "forwarded",
    "RETRIED": "forwarded",
    "RETRIED_DNSSEC": "forwarded",
    "CACHE": "cached",
    "CACHE_STALE": "cached",
    "UNKNOWN": "unknown",
    "IN_PROGRESS": "unknown",
}

STATUSES = {word: _OURS.get(word, "blocked") for word in STATUS}
"""Our status for each of FTL's; what it does not name is blocked (FTL's is_blocked())."""

TYPES = (
    None, "A", "AAAA", "ANY", "SRV", "SOA", "PTR", "TXT", "NAPTR", "MX", "DS", "RRSIG", "DNSKEY",
    "NS", "OTHER", "SVCB", "HTTPS",
)  # fmt: skip
"""Record types by FTL's number; other types are stored as 100 + their own number."""

REPLIES = (
    "UNKNOWN", "NODATA", "NXDOMAIN", "CNAME", "IP", "DOMAIN", "RRNAME", "SERVFAIL", "REFUSED",
    "NOTIMP", "OTHER", "DNSSEC", "NONE", "BLOB",
)  # fmt: skip
"""Kinds of replies by FTL's number."""

RCODES = {
    "NODATA": "NOERROR",
    "CNAME": "NOERROR",
    "IP": "NOERROR",
    "DOMAIN": "NOERROR",
    "RRNAME": "NOERROR",
    "DNSSEC": "NOERROR",
    "BLOB": "NOERROR",
    "NXDOMAIN": "NXDOMAIN",
    "SERVFAIL": "SERVFAIL",
    "REFUSED": "REFUSED",
    "NOTIMP": "NOTIMP",
}
"""The DNS rcode that a kind of reply means; the others tell none."""


def type_name(number: int) -> str | None:
    """Return the record type for FTL's number of it."""
    if 0 <= number < len(TYPES):
        return TYPES[number]
    return f"TYPE{number - 100}" if number > 100 else None


def status_word(number: int) -> str | None:
    """Return FTL's own word for what became of a query; None for a number it does not have."""
    return STATUS[number] if 0 <= number < len(STATUS) else None


def rcode(number: int) -> str | None:
    """Return the DNS rcode that a kind of reply means, where it tells one."""
    return RCODES.get(REPLIES[number]) if 0 <= number < len(REPLIES) else None


KEY = ("ts", "foreign_id", "src_ip", "rrname")
"""What tells a query: FTL gives an id again after a crash, so the id alone does not."""
