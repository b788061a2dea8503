"""Dissect a capture in a process of its own that can do little else.

Run as ``python -I -m guardian.collect.dissect_worker KIND FILE NUMBER`` by ``collect.dissect``.
A stranger chose the bytes of a capture, and dissectors have had flaws: so this process bounds its
memory, processor time, files and output first, gives up root, and only then starts tshark, which
inherits all of it. The answer is one JSON array on standard output.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

MEMORY_BYTES = 2 << 30
"""Address space of each process. tshark 4 maps about 700 MB before it reads a packet."""
CPU_S = 20
FILE_BYTES = 1 << 20
"""No file that it writes may be larger; it needs to write none."""
MAX_FIELDS = 400
MAX_TEXT = 300
_NOBODY = "nobody"
_COLUMNS = ("number", "ts", "src", "dest", "protocol", "length", "info")


def main(kind: str, capture: str, number: int) -> None:
    """Print what is asked for: ``list`` the first ``number`` packets, or the one ``packet``."""
    if kind == "packet":
        import pyshark  # noqa: F401, PLC0415 - half a second; later, its files may not be readable
    confine()
    found = _packet(capture, number) if kind == "packet" else _list(capture, number)
    json.dump(found, sys.stdout)


def confine() -> None:
    """Bound this process and all that it starts, and give up root."""
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    os.umask(0o077)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(_NOBODY)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def _list(capture: str, limit: int) -> list[dict[str, Any]]:
    """Return one line a packet, as Wireshark's list shows it."""
    tshark = shutil.which("tshark") or "tshark"
    command = [tshark, "-r", capture, "-n", "-t", "e", "-c", str(limit), "-T", "psml"]
    found: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if process.stdout is None:
            return found
        try:
            for _, element in ET.iterparse(process.stdout):  # noqa: S314 - tshark's, and confined
                if element.tag == "packet":
                    texts = [(each.text or "")[:MAX_TEXT] for each in element]
                    found.append(dict(zip(_COLUMNS, texts, strict=False)))
                    element.clear()
        except ET.ParseError:  # tshark reached a limit: what came before is good
            process.kill()
    return found


def _packet(capture: str, number: int) -> list[dict[str, Any]]:
    """Return the layers of one packet, each with its fields as Wireshark words them."""
    import pyshark  # noqa: PLC0415

    reader = pyshark.FileCapture(
        capture,
        display_filter=f"frame.number=={number}",
        custom_parameters=["-n", "-c", str(number)],
        keep_packets=False,
    )
    try:
        packet = reader.next()
    except StopIteration:
        return []
    finally:
        reader.close()
    left = MAX_FIELDS
    layers = []
    for layer in packet.layers:
        lines = []
        for each in layer._all_fields.values():
            text = getattr(each, "showname", None) or getattr(each, "show", None)
            if text and left > 0:
                lines.append(str(text)[:MAX_TEXT])
                left -= 1
        layers.append({"layer": str(layer.layer_name)[:40], "fields": lines})
    return layers


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2])), int(sys.argv[3]))
