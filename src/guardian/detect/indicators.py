"""Load lists of known-bad names, addresses, fingerprints and URLs."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.errors import InputError
from guardian.intel import names
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Reader, Store

MAX_LINE = 2_000
"""Characters of one indicator; a longer line is no indicator."""

HEAD_LINES = 60
"""Lines at the top of a list in which it may say what it is."""

_SAID = re.compile(
    r"\s*[#!;]+\s*(?P<what>licen[cs]e|last[- ](?:updated|modified)|generated(?: at| on)?"
    r"|updated|date)\s*[:=]\s*(?P<value>\S.*)",
    re.IGNORECASE,
)
_STAMP = re.compile(r"\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?")

_HASHES = {
    "ja3": re.compile(r"[0-9a-f]{32}"),
    "ja4": re.compile(r"[tqd][0-9]{2}[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}"),
    "cert_sha1": re.compile(r"(?:[0-9a-f]{2}:?){19}[0-9a-f]{2}"),
}
_IP_PORT = re.compile(r"\[?([0-9a-f.:]+)\]?:([0-9]{1,5})")
_HOSTS = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1"})  # noqa: S104 - what hosts files begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How many indicators a list gave, how many of its lines are none, and what it is."""

    indicators: int
    refused: int
    licence: str | None = None
    made_at: datetime | None = None
    sha256: str = ""


def load(
    store: Store, path: Path, list_name: str | None = None, *, licence: str | None = None
) -> Loaded:
    """Replace a list in the store by what a file says: one indicator a line, ``#`` comments.

    Licence and age are taken from comments in its head (``# Licence: CC0``,
    ``# Last updated: 2026-01-10 04:00``), the age else from the file; ``licence`` wins.

    Plain names and addresses, ``address:port``, CIDR, URLs, JA3 and JA4, certificate
    hashes and hosts-file lines are told apart by their form. What was seen before is
    matched against the new list by the next run.

    Raises:
        InputError: the file cannot be read.
    """
    name = list_name or path.stem
    try:
        raw = path.read_bytes()
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise InputError(msg) from error
    text = raw.decode("utf-8", errors="replace")
    rows: dict[tuple[str, str], str | None] = {}
    refused = 0
    for line in text.splitlines():
        entry, _, info = line.partition("#")
        if not entry.strip():
            continue
        found = parse(entry)
        if found is None:
            refused += 1
        else:
            rows[found] = info.strip()[:200] or None
    said, made_at = _head(text)
    loaded = Loaded(
        indicators=len(rows),
        refused=refused,
        licence=(licence or said or "").strip()[:200] or None,
        made_at=made_at or changed,
        sha256=hashlib.sha256(raw).hexdigest(),
    )
    _replace(store, name, rows, loaded, origin=str(path))
    return loaded


def _head(text: str) -> tuple[str | None, datetime | None]:
    """Return the licence and the age that the comments before the first indicator state."""
    licence: str | None = None
    made_at: datetime | None = None
    for line in text.splitlines()[:HEAD_LINES]:
        match = _SAID.match(line)
        if match is None:
            continue
        if match["what"].lower().startswith("licen"):
            licence = licence or match["value"].strip()
        elif made_at is None:
            stamp = _STAMP.search(match["value"])
            with contextlib.suppress(ValueError):
                made_at = datetime.fromisoformat(stamp[0].replace("/", "-")) if stamp else None
    return licence, made_at


def lists(reader: Reader, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return each list with its licence, age in days, digest and number of entries."""
    moment = now or utc_now()
    return [
        {**row, "age_days": max(0, (moment - row["made_at"]).days) if row["made_at"] else None}
        for row in reader.rows("SELECT * FROM indicator_list ORDER BY list")
    ]


def parse(text: str) -> tuple[str, str] | None:
    """Return kind and normal form of one indicator, or None when it is none."""
    entry = text.strip().lower()
    if not entry or len(entry) > MAX_LINE:
        return None
    words = entry.split()
    if len(words) == 2 and words[0] in _HOSTS:
        entry = words[1]
    elif len(words) > 1:
        return None
    if entry.startswith(("http://", "https://")):
        return "url", entry.split("://", 1)[1].rstrip("/")
    for kind, form in _HASHES.items():
        if form.fullmatch(entry):
            return kind, entry.replace(":", "")
    return _address(entry) or _domain(entry)


def _address(entry: str) -> tuple[str, str] | None:
    try:
        return "ip", str(ipaddress.ip_address(entry))
    except ValueError:
        pass
    if "/" in entry:
        try:
            return "cidr", str(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            pass
    match = _IP_PORT.fullmatch(entry)
    if match and int(match[2]) <= 65535:
        try:
            return "ip_port", f"{ipaddress.ip_address(match[1])}|{int(match[2])}"
        except ValueError:
            return None
    return None


def _domain(entry: str) -> tuple[str, str] | None:
    if "/" in entry:
        host, _, rest = entry.partition("/")
        return ("url", entry.rstrip("/")) if rest and names.normalise(host) else None
    name = names.normalise(entry.removeprefix("*.").removeprefix("||").rstrip("^"))
    return ("domain", name) if name and "." in name else None


def _replace(
    store: Store,
    list_name: str,
    rows: dict[tuple[str, str], str | None],
    loaded: Loaded,
    *,
    origin: str,
) -> None:
    now = utc_now()
    frame = pl.DataFrame(
        [(kind, value, list_name, info) for (kind, value), info in rows.items()],
        schema={"kind": pl.String, "value": pl.String, "list": pl.String, "info": pl.String},
        orient="row",
    )
    with store.transaction() as tx:
        tx.execute("DELETE FROM indicator WHERE list = ?", [list_name])
        with tx.registered("fresh_indicator", frame):
            tx.execute(
                "INSERT INTO indicator SELECT *, $now::TIMESTAMP FROM fresh_indicator",
                {"now": now},
            )
        tx.execute(
            "INSERT OR REPLACE INTO indicator_list VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                list_name, origin, loaded.licence, loaded.made_at, loaded.sha256,
                loaded.indicators, loaded.refused, now,
            ],
        )  # fmt: skip
        # Everything stored is looked at again, with the new list.
        tx.execute("DELETE FROM detector_mark WHERE starts_with(detector, 'intel.')")
