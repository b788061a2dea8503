"""Print records for a person, or as JSON on standard output alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def emit(
    options: argparse.Namespace,
    value: Any,
    columns: Sequence[str] = (),
    *,
    empty: str = "nothing",
) -> None:
    """Print ``value``: as JSON, as a table of records, or as a list of its parts."""
    if getattr(options, "format", "table") == "json":
        write_json(value)
    elif isinstance(value, list):
        _table(value, columns, empty)
    else:
        _parts(value)


def write_json(value: Any) -> None:
    """Write indented JSON and nothing else to standard output."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


def say(text: str) -> None:
    """Print a line for a person; whatever the network put in it stays plain text."""
    Console(soft_wrap=True).print(Text(_plain(text)))


def _table(rows: list[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    console = Console()
    if not rows:
        console.print(Text(empty))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in columns))
    console.print(table)


def _parts(value: dict[str, Any]) -> None:
    console = Console(soft_wrap=True)
    for name, part in value.items():
        if isinstance(part, list) and part and isinstance(part[0], dict):
            console.print(Text(f"{name}:", style="bold"))
            for each in part:
                console.print(
                    Text("  " + "  ".join(f"{_plain(k)}={_cell(v)}" for k, v in each.items()))
                )
        else:
            console.print(Text(f"{name}: ", style="bold") + Text(_cell(part)))


def _cell(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, list):
        shown = ", ".join(_cell(each) for each in value[:4])
        return shown + (f" … {len(value)} in all" if len(value) > 4 else "")
    if isinstance(value, dict):
        return ", ".join(f"{_plain(str(key))}={_cell(each)}" for key, each in value.items())
    return _plain(str(value))


def _plain(text: str) -> str:
    """Take the control characters out: a terminal obeys them."""
    return "".join(each if each.isprintable() or each == "\n" else "�" for each in text)
