"""Which addresses lie on this side of the router, as SQL conditions."""

from __future__ import annotations

GLOBAL_V6 = "^[23][0-9a-f]{3}:"
"""IPv6 addresses of the global range (2000::/3), which a device at home has beside its own."""


def is_home(column: str, *, configured: bool = False) -> str:
    """Return the SQL condition that a column holds an address of the private ranges.

    RFC 1918, RFC 3927, RFC 6598 (shared address space), RFC 4193 and fe80::/10; with
    ``configured`` also those of the frame ``home_address``.
    """
    private = (
        f"(starts_with({column}, '192.168.') OR starts_with({column}, '10.') OR "
        f"regexp_matches({column}, "
        r"'^(172\.(1[6-9]|2\d|3[01])|169\.254|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.|"
        r"^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):'))"
    )
    return f"({private} OR {column} IN (SELECT ip FROM home_address))" if configured else private
