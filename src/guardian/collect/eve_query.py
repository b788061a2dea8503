"""The query that decodes EVE lines of one type, and says of each whether it is in doubt."""

from __future__ import annotations

import functools
import json

from guardian.collect.eve_columns import KINDS, RAW, TYPED, selected, structure, time


def _unusual(text: str) -> str:
    """Return SQL that is true for a time whose form or year is not the usual one."""
    return f"strlen({text}) NOT IN (26, 31) OR {text} < '1970' OR {text} >= '2100'"


_ODD_NUMBER = r"[:,\[]\s*-?(NaN|Infinity|nan|inf)|[0-9][eE]\+?[0-9]{3,}\s*[,}\]]"
"""What DuckDB takes for a number and JSON does not have, or no field can hold."""


def _doubts(table: str) -> str:
    """Return SQL that is true for an event that needs a closer look (``eve_check``)."""
    doubts = [
        "j.event_type = '' OR strlen(j.event_type) > 64"
        if table == RAW
        else f"j.event_type <> '{table}'",
        _unusual("j.timestamp"),
        "(j.proto IN ('TCP', 'UDP') AND (j.src_port IS NULL OR j.dest_port IS NULL))",
        "j.flow_id < 0",
    ]
    if table == RAW:
        doubts.append(f"j.event_type IN {tuple(sorted(TYPED))}")
        doubts.append(f"regexp_matches(line, '{_ODD_NUMBER}')")
    if table in ("flow", "dns", "tls", "http", "quic"):
        doubts.append("j.flow_id IS NULL")
    if table == "flow":
        doubts += [_unusual(f'j.flow."{key}"') for key in ("start", "end")]
        doubts += [
            f"coalesce(j.flow.{key}, -1) < 0"
            for key in ("bytes_toserver", "bytes_toclient", "pkts_toserver", "pkts_toclient")
        ]
    # What is NULL here was not asked about: an event without ports has no bad ones.
    return f"coalesce(({' OR '.join(doubts)}), false)"


@functools.cache
def query(table: str, *, guarded: bool = False) -> str:
    """Return the SELECT that decodes one table's lines of ``incoming`` (n, kind, line).

    Besides the table's columns and ``n`` it gives ``seen``, the event's own time;
    ``doubtful``, which asks for a closer look; and ``unfit``: not to be stored at all.
    ``guarded`` gives an unfit row for a line that is not JSON, where else it is an error.
    """
    line = "rtrim(line, chr(10))" if table == RAW else "line"
    event = f"from_json(line, '{json.dumps(structure(table))}')"
    if guarded:
        event = f"CASE WHEN json_valid(line) THEN {event} END"
    names = ", ".join(f'{value} AS "{name}"' for name, value in selected(table).items())
    unfit = "j.event_type IS NULL OR seen IS NULL"
    return (
        f"SELECT n, seen, {unfit} OR {_doubts(table)} AS doubtful, {unfit} AS unfit, {names} "
        f"FROM (SELECT *, {time('j.timestamp')} AS seen FROM ("
        f"SELECT n, {line} AS line, {event} AS j FROM incoming WHERE kind = {KINDS.index(table)}))"
    )
