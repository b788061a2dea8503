"""Open Zeek's logs: which file is which, what its columns are, and its unread lines.

Zeek writes a log to ``current/``, renames it when it rotates and often compresses
it then. So a log is known by its beginning, up to its first record (which holds a
time and a uid): renamed or compressed, it is still the same log and is read on
from where it was, and a second copy of it is not read again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from guardian.collect import compressed
from guardian.model.batch import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_BYTES = 16 << 20
"""How much is read and turned into columns at once."""

MAX_LINE_BYTES = 1 << 20
"""A longer line is refused: no Zeek record is that long, and memory is bounded."""

MAX_HEADER_BYTES = 64 << 10
"""A log whose header and first record are longer than this is refused."""

MAX_FIELDS = 512

_NAME = re.compile(r"^(?:open_)?([a-z][a-z0-9_]*)", re.IGNORECASE)
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


class NotZeekError(Exception):
    """A file is not a Zeek log; the message says what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One Zeek log as its header describes it. ``fields`` is empty for a JSON log."""

    file: Path
    identity: str
    path: str
    fields: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole lines of a log, and where the next one begins (in plain bytes)."""

    lines: list[bytes]
    start: int
    end: int
    rejects: tuple[Reject, ...] = ()

    def place(self, index: int) -> str:
        """Return where a line of the block begins."""
        return f"byte {self.start + sum(len(line) + 1 for line in self.lines[:index])}"


def is_open(file: Path) -> bool:
    """Tell a log of snapshots by its name."""
    return file.name.lower().startswith(("open_", "conn_long"))


def describe(file: Path, *, final: bool) -> Log | None:
    """Read a log's header; None when it has no record yet.

    Raises:
        NotZeekError: it is no Zeek log.
        OSError: it cannot be read.
    """
    head = compressed.head(file, MAX_HEADER_BYTES)
    if not head:
        return None
    settings: dict[str, str] = {}
    position = 0
    while position < len(head):
        end = head.find(b"\n", position)
        whole = end >= 0
        line = head[position : end if whole else len(head)].strip(b"\r")
        if line.strip() and not line.lstrip().startswith(b"#"):
            if not whole and not final and len(head) < MAX_HEADER_BYTES:
                return None
            stop = end + 1 if whole else len(head)
            digest = hashlib.blake2b(head[:stop], digest_size=8).hexdigest()
            return _log(file, digest, settings, line)
        _setting(settings, line)
        if not whole:
            break
        position = end + 1
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
    key, _, value = text[1:].partition(settings.get("separator", "\t"))
    settings.setdefault(key, value)


def _unescape(text: str) -> str:
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text)


def _log(file: Path, identity: str, settings: dict[str, str], first: bytes) -> Log:
    if first.lstrip().startswith(b"{"):
        return Log(file=file, identity=identity, path=_json_path(file, first))
    separator = settings.get("separator", "\t")
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
        unset=settings.get("unset_field") or "-",
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


def blocks(log: Log, offset: int, *, final: bool, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield the whole lines after ``offset`` (in plain bytes), block by block.

    A last line without its newline is left for later, unless ``final``. A damaged
    compressed log gives what can be read, then a refusal that says where it broke.

    Raises:
        OSError: it cannot be opened.
    """
    with compressed.open_plain(log.file) as stream:
        yield from _blocks(stream, offset, final=final, size=size)


def _blocks(stream: BinaryIO, offset: int, *, final: bool, size: int) -> Iterator[Block]:
    position, rest, skipping = offset, b"", False
    broken: str | None = None
    ended = False
    try:
        stream.seek(offset)
    except compressed.BROKEN_STREAM:
        return
    while not ended:
        data, broken = _fill(stream, size)
        ended = not data or broken is not None
        data = rest + data
        if skipping:
            gone = data.find(b"\n") + 1
            skipping = not gone
            position += gone or len(data)
            data = data[gone or len(data) :]
        cut = len(data) if ended and final else data.rfind(b"\n") + 1
        lines, rest, start = data[:cut], data[cut:], position
        position += cut
        rejects: list[Reject] = []
        if len(rest) > MAX_LINE_BYTES:
            rejects.append(_reject("line too long", position, rest))
            position, rest, skipping = position + len(rest), b"", True
        if broken is not None:
            rejects.append(_reject(broken[:200], position, b""))
        if lines or rejects:
            yield Block(
                lines=lines.removesuffix(b"\n").split(b"\n") if lines else [],
                start=start,
                end=position,
                rejects=tuple(rejects),
            )


def _fill(stream: BinaryIO, size: int) -> tuple[bytes, str | None]:
    """Read a block in small pieces, so that nothing before a damaged place is lost."""
    parts: list[bytes] = []
    missing = size
    piece = getattr(stream, "read1", stream.read)
    try:
        while missing > 0 and (part := piece(min(missing, 1 << 16))):
            parts.append(part)
            missing -= len(part)
    except compressed.BROKEN_STREAM as error:
        return b"".join(parts), f"the file is damaged: {error}"
    return b"".join(parts), None


def _reject(reason: str, position: int, sample: bytes) -> Reject:
    return Reject(reason=reason, place=f"byte {position}", sample=sample[:2000])
