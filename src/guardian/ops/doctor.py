"""What ``guardian doctor`` looks at: the programs, the disk and the clock that Guardian needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

VERSION_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: ``ok``, ``missing`` (works without) or ``wrong`` (does not work)."""

    name: str
    state: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    command: tuple[str, ...]
    needed_for: str
    install: str


_PROGRAMS = (
    _Program(
        command=("suricata", "-V"),
        needed_for="captures and the mirrored port",
        install="apt-get install suricata (Debian 12: from bookworm-backports)",
    ),
    _Program(
        command=("tshark", "--version"),
        needed_for="decoded evidence",
        install="apt-get install tshark",
    ),
    _Program(
        command=("dnsmasq", "--version"),
        needed_for="the resolver of the demo",
        install="apt-get install dnsmasq-base",
    ),
    _Program(
        command=("nft", "--version"),
        needed_for="firewall blocks",
        install="apt-get install nftables",
    ),
)


def examine(directory: Path) -> list[Check]:
    """Look at each program and at the data directory."""
    return [*(_program(program) for program in _PROGRAMS), _data(directory)]


def _program(program: _Program) -> Check:
    name = program.command[0]
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        text = f"absent; needed for {program.needed_for}: {program.install}"
        return Check(name=name, state="missing", text=text)
    try:
        answer = subprocess.run(
            [found, *program.command[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name=name, state="wrong", text=f"{found} does not start: {error}")
    lines = (answer.stdout or answer.stderr).strip().splitlines()
    return Check(name=name, state="ok", text=lines[0][:100] if lines else found)


def _data(directory: Path) -> Check:
    home = next((p for p in (directory, *directory.parents) if p.exists()), directory)
    if not os.access(home, os.W_OK):
        return Check(name="data", state="wrong", text=f"{home} cannot be written")
    free = shutil.disk_usage(home).free / 1e9
    return Check(name="data", state="ok", text=f"{directory}, {free:.0f} GB free")
