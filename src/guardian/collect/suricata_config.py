"""Write the configuration that Suricata runs with, so that its log says what Guardian reads.

The template is ``appliance/suricata/suricata.yaml.in``; Suricata's own documentation
(https://docs.suricata.io) explains each key.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian import resources
from guardian.errors import ComponentAbsentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from guardian.collect.settings import Settings

ABSENT = (
    "Suricata is not installed; install it with: apt-get install suricata "
    "(on Debian 12 from bookworm-backports: apt-get install -t bookworm-backports suricata)"
)
HOME_NETS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
)
_VERSION_TIMEOUT_S = 20.0
_EXTRA = {8: ("arp", "ldap", "mdns", "websocket", "pop3", "doh2")}
"""Loggers that came with a major version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The Suricata of this machine."""

    path: str
    major: int
    version: str


def find() -> Program:
    """Return this machine's Suricata.

    Raises:
        ComponentAbsentError: there is none, or it does not start.
    """
    path = shutil.which("suricata") or shutil.which("suricata", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise ComponentAbsentError(ABSENT)
    try:
        answer = subprocess.run(
            [path, "-V"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{path} does not start: {error}"
        raise ComponentAbsentError(msg) from error
    match = re.search(r"version (\d+)\.(\d+\S*)", answer.stdout + answer.stderr)
    if match is None:
        msg = f"{path} -V does not name its version; is it Suricata?"
        raise ComponentAbsentError(msg)
    return Program(path=path, major=int(match[1]), version=f"{match[1]}.{match[2]}")


def write(
    folder: Path,
    program: Program,
    settings: Settings,
    *,
    capture: str = "",
    packets: str = "",
    updated: Path | None = None,
) -> Path:
    """Write configuration and rules for one run into ``folder``; return the configuration.

    ``capture`` is the YAML of a live capture (``af-packet`` …), empty for a replay;
    ``packets`` that of a packet buffer (``pcap-log``); ``updated`` are further signatures.
    """
    rules = write_rules(folder, settings, updated)
    shipped = resources.path("appliance/suricata")
    memory = max(settings.suricata_memory_mb, 64)
    ja4 = program.major >= 8 or program.version.startswith("7.")
    words = {
        "HOME_NET": "[" + ",".join((*HOME_NETS, *settings.home_nets)) + "]",
        "LOG_DIR": str(folder),
        "JA4": ", ja4" if ja4 else "",
        "SAN": ", subjectaltname" if program.major >= 8 else "",
        "JA4_ON": ", ja4-fingerprints: yes" if ja4 else "",
        "EXTRA_TYPES": "".join(f"        - {name}\n" for name in _EXTRA.get(program.major, ())),
        "PCAP_LOG": packets,
        "CAPTURE": capture,
        "UNIX_COMMAND": "yes" if capture else "no",
        "CLASSIFICATION": str(shipped / "classification.config"),
        "REFERENCE": str(shipped / "reference.config"),
        "FLOW_MEMCAP": str(memory // 4),
        "STREAM_MEMCAP": str(memory // 4),
        "REASSEMBLY_MEMCAP": str(memory // 2),
        "RULE_FILE": rules.name,
    }
    text = (shipped / "suricata.yaml.in").read_text(encoding="utf-8")
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    target = folder / "suricata.yaml"
    target.write_text(text, encoding="utf-8")
    return target


def write_rules(folder: Path, settings: Settings, updated: Path | None = None) -> Path:
    """Write Guardian's own and the keeper's signatures into one file, put in place at once."""
    target = folder / "guardian.rules"
    partial = folder / ".guardian.rules.part"
    extra = (*settings.suricata_rules, *([updated] if updated else []))
    partial.write_text(_rules(extra), encoding="utf-8")
    partial.replace(target)
    return target


def _rules(extra: Iterable[Path]) -> str:
    own = sorted(resources.path("rules/suricata").glob("*.rules"))
    parts = [path.read_text(encoding="utf-8", errors="replace") for path in (*own, *extra)]
    return "\n".join(parts) + "\n"
