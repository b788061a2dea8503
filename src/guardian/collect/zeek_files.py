"""Open Zeek's logs: which file is which, what its columns are, and its unread lines.

Zeek writes a log to ``current/``, renames it when it rotates and often compresses
it then. So a log is known by its beginning, up to its first record (which holds a
time and a uid): renamed or compressed, it is still the same log and is read on
from where it was, and a second copy of it is not read again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from guardian.collect import compressed

if TYPE_CHECKING:
    from pathlib import Path

MAX_HEADER_BYTES = 64 << 10
"""A log whose header and first record are longer than this is refused."""

MAX_FIELDS = 512

_NAME = re.compile(r"^(?:open_)?([a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)*)", re.IGNORECASE)
_TELLING = (
    ("conn", frozenset({"conn_state", "history"})),
    ("dns", frozenset({"qtype_name", "rcode_name", "qclass"})),
    ("ssl", frozenset({"server_name", "cipher", "next_protocol"})),
    ("http", frozenset({"method", "uri", "user_agent"})),
    ("x509", frozenset({"certificate.subject", "certificate.serial"})),
    ("files", frozenset({"fuid", "seen_bytes"})),
    ("dhcp", frozenset({"msg_types", "assigned_addr", "requested_addr"})),
)
_KNOWN = frozenset({name for name, _ in _TELLING} | {"ssh", "notice", "quic", "weird"})

_USUAL = _KNOWN | {"capture_loss", "loaded_scripts", "packet_filter", "reporter", "stderr"}
"""Names that Zeek's own folder holds from the beginning, records or not."""


class NotZeekError(Exception):
    """A file is not a Zeek log; the message says what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One Zeek log as its header describes it.

    ``fields`` is empty for a JSON log; ``header_bytes`` are those of a header that does
    not begin with ``#``, and of a byte order mark.
    """

    file: Path
    identity: str
    path: str
    fields: tuple[str, ...] = ()
    header_bytes: int = 0
    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"

    @property
    def is_json(self) -> bool:
        """Tell a log of JSON objects from one of tab-separated columns."""
        return not self.fields

    @property
    def is_open(self) -> bool:
        """Tell a log of snapshots: connections that go on, and will be logged again."""
        return is_open(self.file) or self.path in {"open_conn", "conn_long"}


def is_open(file: Path) -> bool:
    """Tell a log of snapshots by its name."""
    return file.name.lower().startswith(("open_", "conn_long"))


def is_usual(file: Path) -> bool:
    """Tell a file that has the name of one of Zeek's logs."""
    found = _NAME.match(file.name)
    return found is not None and found[1].lower() in _USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A log of Zeek's columns in another dress: a first line of names instead of a header."""

    path: str
    separator: str
    unset: str = ""


def describe(file: Path, *, final: bool, layout: Layout | None = None) -> Log | None:
    """Read a log's header; None when it has no record yet.

    Raises:
        NotZeekError: it is no Zeek log.
        OSError: it cannot be read.
    """
    head = compressed.head(file, MAX_HEADER_BYTES)
    if not head:
        return None
    settings: dict[str, str] = {}
    position = mark = len(compressed.BOM) if head.startswith(compressed.BOM) else 0
    if layout is not None:
        first, newline, _ = head[mark:].partition(b"\n")
        position = mark + len(first) + len(newline)
        settings = {
            "separator": layout.separator,
            "unset_field": layout.unset,
            "path": layout.path,
            "fields": first.decode("utf-8", "replace").strip(),
        }
    while position < len(head):
        end = head.find(b"\n", position)
        whole = end >= 0
        line = head[position : end if whole else len(head)].strip(b"\r")
        if line.strip() and not line.lstrip().startswith(b"#"):
            if not whole and not final and len(head) < MAX_HEADER_BYTES:
                return None
            stop = end + 1 if whole else len(head)
            digest = hashlib.blake2b(head[:stop], digest_size=8).hexdigest()
            log = _log(file, digest, settings, line)
            return replace(log, header_bytes=position if layout else mark)
        _setting(settings, line)
        if not whole:
            break
        position = end + 1
    if len(head) >= MAX_HEADER_BYTES:
        msg = "no record in its first 64 KiB"
        raise NotZeekError(msg)
    if settings or not head.strip():
        return None
    msg = "it has no #fields header and no JSON objects"
    raise NotZeekError(msg)


def _setting(settings: dict[str, str], line: bytes) -> None:
    text = line.strip(b" ").decode("utf-8", "replace").lstrip()
    if not text.startswith("#"):
        return
    if text.startswith("#separator "):
        settings["separator"] = _unescape(text.split(" ", 1)[1].strip())
        return
    key, _, value = text[1:].partition(settings.get("separator") or "\t")
    settings.setdefault(key, value)


def _unescape(text: str) -> str:
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text)


def _log(file: Path, identity: str, settings: dict[str, str], first: bytes) -> Log:
    if first.lstrip().startswith(b"{"):
        return Log(file=file, identity=identity, path=_json_path(file, first))
    separator = settings.get("separator") or "\t"
    fields = settings["fields"].split(separator) if settings.get("fields") else []
    if not fields:
        msg = "it has no #fields header and no JSON objects"
        raise NotZeekError(msg)
    if len(separator) != 1 or not separator.isascii() or separator in '\n\r"':
        msg = f"its separator {separator!r} is not one character"
        raise NotZeekError(msg)
    if len(fields) > MAX_FIELDS or len(set(fields)) != len(fields):
        msg = "its #fields header names a column twice, or too many"
        raise NotZeekError(msg)
    return Log(
        file=file,
        identity=identity,
        path=settings.get("path") or _name(file),
        fields=tuple(fields),
        separator=separator,
        set_separator=settings.get("set_separator") or ",",
        empty=settings.get("empty_field") or "(empty)",
        unset=settings.get("unset_field", "-"),
    )


def _name(file: Path) -> str:
    found = _NAME.match(file.name)
    return found[1].lower() if found else "unknown"


def _json_path(file: Path, first: bytes) -> str:
    try:
        record = msgspec.json.decode(first)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        msg = "its first line is not a JSON object"
        raise NotZeekError(msg) from error
    keys = frozenset(record) if isinstance(record, dict) else frozenset()
    if "ts" not in keys and "_path" not in keys:
        msg = "its first JSON object has no ts"
        raise NotZeekError(msg)
    written = record.get("_path")
    if isinstance(written, str) and written:
        return written
    name = _name(file)
    if name in _KNOWN:
        return name
    for path, telling in _TELLING:
        if len(keys & telling) >= min(2, len(telling)):
            return path
    return name
