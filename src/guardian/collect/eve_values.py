"""Bring the addresses of decoded EVE columns to their normal form, a column at a time."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from guardian.collect import eve_columns
from guardian.intel.addresses import normalise
from guardian.model import secrets

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDS = ("src_ip", "dest_ip")
_WIDE_CHARS = 39
"""The length of an IPv6 address in full, as Suricata writes it."""
_WIDE = re.compile(r'"([0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f:]{29})"')


def normal(table: str, rows: pa.Table) -> pa.Table:
    """Return the rows with addresses in normal form; an end that is none makes them doubtful."""
    for name in _ENDS:
        ends = rows[name].combine_chunks()
        changed = _mapped(ends, normalise)
        if changed is not ends:
            rows = _set(rows, name, changed)
            wrong = pc.and_(changed.is_null(), ends.is_valid())
            rows = _set(rows, "doubtful", pc.or_(rows["doubtful"], wrong))
    for name in eve_columns.ADDRESSES.get(table, ()):
        column = rows[name].combine_chunks()
        rows = _set(rows, name, _in_lists(column) if name == "answers" else _mapped(column, _short))
    if table == eve_columns.RAW and _any(pc.match_substring_regex(rows["raw"], _WIDE.pattern)):
        texts = [_WIDE.sub(_narrowed, text) for text in rows["raw"].to_pylist()]
        rows = _set(rows, "raw", pa.array(texts, pa.string()))
    for name in eve_columns.SECRETS.get(table, ()):
        column = rows[name].combine_chunks()
        if _any(pc.match_substring_regex(column, secrets.SIGNS)):
            rows = _set(rows, name, _mapped(column, _hidden))
    return rows


def _set(rows: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, column)


def _mapped(column: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    """Return the column with each distinct text changed; the same object if none changes."""
    encoded = column.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    changes = [change(word) for word in words]
    if changes == words:
        return column
    return pa.array(changes, pa.string()).take(encoded.indices)


def _in_lists(column: pa.ListArray) -> pa.ListArray:
    """Return lists of texts with the addresses among them in normal form."""
    words = column.values
    if not _any(pc.equal(pc.binary_length(words), _WIDE_CHARS)):
        return column
    return pa.ListArray.from_arrays(column.offsets, _mapped(words, _short), mask=column.is_null())


@functools.lru_cache(maxsize=1 << 16)
def _short(text: str) -> str:
    """Return an address in full in its normal form, any other text as it is."""
    return (len(text) == _WIDE_CHARS and normalise(text)) or text


def _hidden(text: str | None) -> str | None:
    return text and secrets.hide(text)


def _narrowed(match: re.Match[str]) -> str:
    return f'"{_short(match[1])}"'


def _any(found: pa.Array | pa.ChunkedArray) -> bool:
    return bool(pc.any(found).as_py())
