"""Bring the signatures of others up to date, and never worse than they were.

suricata-update fetches and merges what the keeper enabled; Suricata itself tests the
result with Guardian's configuration; only a set that passes takes the place of the last
good one, in one rename, and a running sensor is told to read it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guardian import resources
from guardian.collect import suricata_config
from guardian.errors import CollectorError, ConfigError, InputError

if TYPE_CHECKING:
    from guardian.collect.settings import Settings

SOURCES = {
    "et-open": "https://rules.emergingthreats.net/open/suricata-%(__version__)s/emerging.rules.tar.gz",
    "abusech-sslbl": "https://sslbl.abuse.ch/blacklist/sslblacklist_tls_cert.tar.gz",
    "abusech-ja3": "https://sslbl.abuse.ch/blacklist/ja3_fingerprints.tar.gz",
    "abusech-urlhaus": "https://urlhaus.abuse.ch/downloads/urlhaus_suricata.tar.gz",
    "abusech-feodo": "https://feodotracker.abuse.ch/downloads/feodotracker.tar.gz",
}
"""Free sources by the name a keeper enables them with (``collect.rule_sources``); licences:
ET Open BSD-3-Clause and GPL-2.0, abuse.ch CC0-1.0, as their pages say."""

FILE_NAME = "suricata.rules"
_FETCH_TIMEOUT_S = 600.0
_TEST_TIMEOUT_S = 600.0
_REFUSED = re.compile(r'msg:\s*"([^"]{0,200})".*?sid:\s*(\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of an update: where the set in force is, and how many rules it has."""

    path: Path
    rules: int


def current(folder: Path) -> Path | None:
    """Return the last good set in the folder of updates, if there is one."""
    path = folder / FILE_NAME
    return path if path.is_file() else None


def update(folder: Path, settings: Settings, *, file: Path | None = None) -> Report:
    """Fetch, merge and test the enabled sources, or one file; then put them in force.

    ``file`` is a ``.rules`` file or an archive of them, for a house without internet.

    Raises:
        ConfigError: no source is enabled, or one that nobody knows.
        InputError: the file is absent, a download failed, or Suricata refused a rule:
            the last good set stays in force.
        ComponentAbsentError: there is no Suricata to test with.
    """
    program = suricata_config.find()
    urls = [_local(file)] if file else _urls(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".update-") as name:
        work = Path(name)
        merged = _merge(work, folder, program, urls)
        _test(work, program, settings, merged)
        text = merged.read_text(encoding="utf-8", errors="replace")
        target = folder / FILE_NAME
        merged.replace(target)
    number = sum(1 for line in text.splitlines() if line.startswith("alert"))
    return Report(path=target, rules=number)


def _urls(settings: Settings) -> list[str]:
    if not settings.rule_sources:
        msg = f"no rule source is enabled; set collect.rule_sources to some of {', '.join(SOURCES)}"
        raise ConfigError(msg)
    unknown = [name for name in settings.rule_sources if name not in SOURCES]
    if unknown:
        msg = f"collect.rule_sources: {unknown[0]!r} is none of {', '.join(SOURCES)}"
        raise ConfigError(msg)
    return [SOURCES[name] for name in settings.rule_sources]


def _local(file: Path) -> str:
    if not file.is_file():
        msg = f"{file}: no such file of rules"
        raise InputError(msg)
    return file.absolute().as_uri()


def _merge(work: Path, folder: Path, program: suricata_config.Program, urls: list[str]) -> Path:
    """Let suricata-update fetch and merge; its cache stays in ``folder`` for offline days."""
    nothing = work / "none"
    nothing.mkdir()
    configuration = work / "update.yaml"
    configuration.write_text(f"dist-rule-directory: {nothing}\n", encoding="utf-8")
    shipped = resources.path("appliance/suricata")
    command = [
        sys.executable,
        "-c",
        "import sys; from suricata.update.main import main; sys.exit(main())",
        "update",
        "--config", str(configuration),
        "--data-dir", str(folder / "cache"),
        "--output", str(work / "out"),
        "--suricata-version", program.version,
        "--disable-conf", str(shipped / "disable.conf"),
        "--modify-conf", str(shipped / "modify.conf"),
        "--no-test", "--no-reload", "--fail",
    ]  # fmt: skip
    for url in urls:
        command += ["--url", url]
    if all(url.startswith("file:") for url in urls):
        command.append("--force")  # a file is read anew; a server is asked every 15 minutes at most
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = "the rules could not be fetched in ten minutes; the last good set stays in force"
        raise InputError(msg) from error
    merged = work / "out" / FILE_NAME
    if answer.returncode != 0 or not merged.is_file() or not merged.stat().st_size:
        said = [line for line in answer.stdout.splitlines() if "<Error>" in line]
        why = said[-1].rpartition("-- ")[2] if said else "suricata-update gave no rules"
        msg = f"the rules could not be fetched: {why[:200]}; the last good set stays in force"
        raise InputError(msg)
    return merged


def _test(work: Path, program: suricata_config.Program, settings: Settings, merged: Path) -> None:
    configuration = suricata_config.write(work, program, settings, updated=merged)
    try:
        answer = subprocess.run(
            [program.path, "-T", "-c", str(configuration), "-l", str(work)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TEST_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = "Suricata could not test the rules in ten minutes; the last good set stays in force"
        raise CollectorError(msg) from error
    if answer.returncode == 0:
        return
    found = _REFUSED.search(answer.stdout + answer.stderr)
    rule = f" (signature {found[2]}: {found[1]})" if found else ""
    msg = f"Suricata refuses the new rules{rule}; the last good set stays in force"
    raise InputError(msg)
