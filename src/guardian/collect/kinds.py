"""Tell what kind of input a file or folder is, by what is in it.

``SNIFFERS`` is tried from top to bottom, the surest first; a line in it is all that
a new kind costs. A sniffer gets the path and the first plain bytes (compression is
already undone, a folder has none) and says yes or no without raising.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from guardian.collect import compressed, pihole_db, tail_files, text_log, zeek, zeek_files
from guardian.errors import InputError, UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Sniffer = Callable[[Path, bytes], bool]

_CAPTURE_MAGICS = (
    b"\xa1\xb2\xc3\xd4",  # pcap, microseconds, as written by big-endian machines
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",  # pcap, nanoseconds
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\xcd\x34",  # pcap as modified by A. Kuznetsov
    b"\x34\xcd\xb2\xa1",
    b"\x0a\x0d\x0d\x0a",  # pcapng section header
)

_REMEDIES = (
    (b"PK\x03\x04", "a zip archive: unpack it and read what is in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it and read what is in it"),
    (b"Rar!", "a RAR archive: unpack it and read what is in it"),
    (b"\xfd7zXZ\x00", "compressed with xz, which is not read (gzip and zstd are): unxz it first"),
    (b"BZh", "compressed with bzip2, which is not read (gzip and zstd are): bunzip2 it first"),
    (b"\xff\xfe", "UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8 IN > OUT`"),
    (b"\xfe\xff", "UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8 IN > OUT`"),
    (b"snoop\x00\x00\x00", "a snoop capture: convert it with `editcap -F pcapng IN OUT`"),
    (b"GMBU", "a Network Monitor capture: convert it with `editcap -F pcapng IN OUT`"),
    (b"RTSS", "a Network Monitor capture: convert it with `editcap -F pcapng IN OUT`"),
    (b"btsnoop\x00", "a Bluetooth capture: there is no IP in it that Guardian could judge"),
)
"""What files that Guardian does not read begin with, and what to do with them."""


_NAMES = (
    (r"eve.*[.]json", "eve"),
    (r".*[.]leases", "dnsmasq-leases"),
    (r"kea-leases.*[.]csv", "kea-leases"),
    (r"pihole.*[.]log", "pihole-log"),
    (r"dnsmasq.*[.]log", "dnsmasq"),
    (r"unbound.*[.]log", "unbound"),
    (r"querylog[.]json", "adguard"),
    (r"filter.*[.]log", "filterlog"),
)
"""What logs are named where they come from; Zeek's names stand in ``zeek_files``."""


def is_capture(_path: Path, head: bytes) -> bool:
    """Tell a packet capture (pcap or pcapng)."""
    return head.startswith(_CAPTURE_MAGICS)


def is_eve(_path: Path, head: bytes) -> bool:
    """Tell Suricata's EVE log: JSON objects with a timestamp and an event type."""
    for line in head.splitlines()[:50]:
        if line.lstrip().startswith(b"{") and b'"event_type"' in line and b'"timestamp"' in line:
            return True
    return False


SNIFFERS: list[tuple[str, Sniffer]] = [
    ("pcap", is_capture),
    ("eve", is_eve),
    ("pihole-db", pihole_db.is_pihole_db),
    ("zeek", zeek.is_zeek),
    *text_log.sniffers(),  # the formats in parsers/
]


def detect_kind(path: Path) -> str:
    """Return the kind of an input, a key of ``registry.KINDS``.

    Raises:
        InputError: there is nothing there, or it may not be read.
        UnknownFormatError: no sniffer knows it.
    """
    try:
        if path.is_dir():
            os.scandir(path).close()  # raises, where searching it would find nothing
            first = b""
        else:
            first = compressed.head(path).removeprefix(compressed.BOM)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise InputError(msg) from error
    for kind, sniff in SNIFFERS:
        if sniff(path, first):
            return kind
    if path.is_file() and not first:
        msg = f"{path} is empty: there is nothing to read"
        raise UnknownFormatError(msg)
    for magic, remedy in _REMEDIES:
        if first.startswith(magic):
            msg = f"{path} is {remedy}"
            raise UnknownFormatError(msg)
    known = ", ".join(kind for kind, _ in SNIFFERS)
    msg = f"{path}: no collector knows this format (known: {known})"
    raise UnknownFormatError(msg)


def followed_kind(path: Path) -> str:
    """Return the kind of a log that is to be followed, though there may be nothing in it yet.

    Right after a rotation, or before the first lease, a log is empty or not there; then the
    file that it was rotated into tells its kind, or else its usual name.

    Raises:
        InputError: nothing tells it, or it may not be read.
        UnknownFormatError: no sniffer knows it.
    """
    try:
        return detect_kind(path)
    except InputError:
        if not _is_without_content(path):
            raise
        with suppress(OSError):  # its folder may not be there yet either
            for rotated in tail_files.rotated_files(path)[::-1]:
                with suppress(InputError):
                    return detect_kind(rotated)
        if path.suffix == ".log" and zeek_files.is_usual(path):
            return "zeek"
        for name, kind in _NAMES:
            if re.fullmatch(name, path.name):
                return kind
        raise


def _is_without_content(path: Path) -> bool:
    try:
        return not path.exists() or (path.is_file() and not compressed.head(path, 1))
    except OSError:
        return False
