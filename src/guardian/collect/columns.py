"""Bring foreign text columns to the store's normal forms, a column at a time.

What cannot be read becomes NULL; whoever needs the value refuses the row.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import polars as pl

from guardian.intel import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

MAX_TEXT_CHARS = 4096
"""Longer strings are cut: nothing that a log says of one event needs more."""

_LAST_SECOND = 4_102_444_799.0  # 2099: later times are none of an event
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")


def mapped(series: pl.Series, change: Callable[[str], str | None]) -> pl.Series:
    """Apply a function to each distinct text of a column."""
    distinct = [value for value in series.unique().to_list() if value is not None]
    changes = {value: change(value) for value in distinct}
    if all(key == value for key, value in changes.items()):
        return series
    return series.replace_strict(changes, default=None, return_dtype=pl.String)


def address_column(series: pl.Series) -> pl.Series:
    """Bring a column of addresses to normal form; what is no address becomes NULL."""
    return mapped(series, addresses.normalise)


def mac_column(series: pl.Series) -> pl.Series:
    """Bring a column of MAC addresses to lower case with colons."""
    return mapped(series, normal_mac)


def normal_mac(text: str) -> str | None:
    """Return a MAC in lower case with colons, or None when it is none (or all zero)."""
    if not _MAC.fullmatch(text):
        return None
    mac = text.lower().replace("-", ":")
    return None if mac == "00:00:00:00:00:00" else mac


def seconds(column: pl.Expr) -> pl.Expr:
    """Turn text that holds seconds since 1970 into UTC microseconds."""
    value = column.cast(pl.Float64, strict=False)
    inside = value.is_between(0.0, _LAST_SECOND)
    return (
        pl.when(inside)
        .then((value * 1_000_000).round().cast(pl.Int64, strict=False))
        .cast(pl.Datetime("us"))
    )


def port(column: pl.Expr) -> pl.Expr:
    """Turn text into a port number; what is out of range becomes NULL."""
    return column.cast(pl.UInt16, strict=False).cast(pl.Int32)


def count(column: pl.Expr) -> pl.Expr:
    """Turn text into a count that is not negative; anything else becomes NULL."""
    value = column.cast(pl.Int64, strict=False)
    return pl.when(value >= 0).then(value)


def short(column: pl.Expr) -> pl.Expr:
    """Cut a text at the longest that is kept."""
    return column.str.slice(0, MAX_TEXT_CHARS)


def hashed(series: pl.Series) -> pl.Series:
    """Turn texts into 63-bit numbers that are the same on every machine and day."""
    return pl.Series(
        series.name,
        [None if text is None else hash63(text) for text in series.to_list()],
        dtype=pl.Int64,
    )


def hash63(text: str) -> int:
    """Return a 63-bit number for a text."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Hand a frame to the store, with the plain Arrow types that everything reads."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
