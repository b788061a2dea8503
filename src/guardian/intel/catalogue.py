"""The AI-surveillance catalogue: who a name or address belongs to, what for, how sure that is.

``blocklists/catalogue/*.toml`` holds a file per category; each entry is one service
of one company. An entry says which names it goes by, what is sent, how well that is
proven (``grade``), what breaks when it is blocked (``breakage``) and where that
knowledge comes from (``sources``, keys of ``sources.toml``). Nothing here judges a
home: an entry only says what a name is known for.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from guardian import resources
from guardian.errors import RuleError
from guardian.intel.matcher import Matcher, Patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import polars as pl

FOLDER = "blocklists/catalogue"
SOURCES_FILE = "sources.toml"

PURPOSES = frozenset(
    (  # noqa: SIM905 - one line of words reads better than seventeen of quotes
        "viewing_profile voice_capture video_capture biometric location ad_profile id_sync "
        "telemetry_diag control_required update time_sync ai_inference dns_bypass lan_recon "
        "health_data child_data session_recording"
    ).split()
)
"""What data is taken for. The last three are finer than the design's list: whose data it is."""


class Grade(StrEnum):
    """How well an entry is proven, best first."""

    PAYLOAD_VALIDATED = "payload-validated"
    BEHAVIOUR = "behaviour"
    LIST = "list"
    SUSPECTED = "suspected"


class Breakage(StrEnum):
    """What blocking an entry's names costs."""

    NONE = "none"
    FEATURE = "feature"
    DEVICE = "device"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """The most that Guardian may suggest for an entry: look, try on one device, or block."""

    OBSERVE = "observe"
    TRIAL = "trial"
    BLOCK = "block"


class Names(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name patterns: whole subtrees, single names, and anchored regular expressions."""

    suffix: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many patterns there are."""
        return len(self.suffix) + len(self.exact) + len(self.regex)


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where knowledge comes from. ``proof`` is the best grade that this source can carry."""

    title: str
    proof: Grade
    licence: str = ""
    url: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One service of one company.

    ``also`` are further finding classes of the same traffic (a log sink that cameras
    and thermostats share). ``ports`` limit ``addresses``: other traffic to them is
    something else. ``ja4`` are TLS client fingerprints seen with it. Both are hints
    for a connection that names nobody; see ``Catalogue.hint``.
    """

    id: str
    company: str
    service: str
    finding_class: str = msgspec.field(name="class")
    also: tuple[str, ...] = ()
    purposes: tuple[str, ...]
    names: Names = Names()
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    ja4: tuple[str, ...] = ()
    sends: str
    grade: Grade
    breakage: Breakage
    breaks: str = ""
    safe_action: Action
    sources: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Every finding class of the entry, the main one first."""
        return (self.finding_class, *self.also)


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One category file: ``defaults`` fill what an entry leaves out."""

    category: str
    title: str
    defaults: dict[str, object] = {}
    entry: list[dict[str, object]]


class Basis(StrEnum):
    """What a hint rests on, where nothing named the server."""

    ADDRESS = "address"
    ENDPOINT = "address and port"
    CLIENT = "client fingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a connection that names nobody is consistent with; never more than possible."""

    entry: Entry
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All entries and a compiled matcher over their names and addresses.

    ``addresses`` speak for themselves, ``endpoints`` only at their port, ``clients``
    are JA4 fingerprints; each leads to the entry's index.
    """

    entries: tuple[Entry, ...]
    sources: Mapping[str, Source]
    digest: str
    matcher: Matcher
    addresses: Mapping[str, int]
    endpoints: Mapping[tuple[str, int], int]
    clients: Mapping[str, int]

    def match(self, name: str) -> Entry | None:
        """Return the most specific entry for a normalised name, or an address at any port."""
        found = self.matcher.match(name)
        if found is not None:
            return self.entries[found.index]
        index = self.addresses.get(name)
        if index is None:
            index = next((i for (ip, _), i in self.endpoints.items() if ip == name), None)
        return None if index is None else self.entries[index]

    def hint(
        self, *, address: str | None = None, port: int | None = None, ja4: str | None = None
    ) -> Hint | None:
        """Return what a connection without any name is consistent with, the surest first.

        A bare address says more than a client's fingerprint, which many programs share.
        """
        places: tuple[tuple[Basis, int | None], ...] = (
            (Basis.ADDRESS, self.addresses.get(address or "")),
            (Basis.ENDPOINT, self.endpoints.get((address or "", port or 0))),
            (Basis.CLIENT, self.clients.get(ja4 or "")),
        )
        for basis, index in places:
            if index is not None:
                return Hint(entry=self.entries[index], basis=basis)
        return None

    def match_many(self, names: Iterable[str]) -> pl.DataFrame:
        """Return the known ones of some raw names: columns ``name, index, pattern``, by name.

        Names are normalised first and come back as they were given.
        """
        return self.matcher.match_many(names, self.addresses)

    def get(self, entry_id: str) -> Entry | None:
        """Return the entry with this id."""
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    @property
    def providers(self) -> int:
        """How many companies' services there are (distinct company and service)."""
        return len({(entry.company, entry.service) for entry in self.entries})

    @property
    def patterns(self) -> int:
        """How many name patterns there are."""
        return sum(entry.names.count for entry in self.entries)


@functools.cache
def load() -> Catalogue:
    """Return the shipped catalogue, compiled once.

    Raises:
        RuleError: a file is wrong; the message says which, and where.
    """
    return read(resources.path(FOLDER))


def read(folder: Path) -> Catalogue:
    """Return the catalogue of a folder, compiled.

    Raises:
        RuleError: a file is wrong, or an id stands twice.
    """
    digest = hashlib.sha256()
    entries: list[Entry] = []
    for file in category_files(folder):
        text = file.read_bytes()
        digest.update(text)
        entries.extend(decode(file, text))
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            msg = f"{folder}: the id {entry.id} stands twice"
            raise RuleError(msg)
        seen.add(entry.id)
    return Catalogue(
        entries=tuple(entries),
        sources=read_sources(folder),
        digest=digest.hexdigest()[:16],
        matcher=Matcher(
            Patterns(index=index, suffix=e.names.suffix, exact=e.names.exact, regex=e.names.regex)
            for index, e in enumerate(entries)
        ),
        addresses={
            ip: index for index, e in enumerate(entries) if not e.ports for ip in e.addresses
        },
        endpoints={
            (ip, port): index
            for index, e in enumerate(entries)
            for ip in e.addresses
            for port in e.ports
        },
        clients={ja4: index for index, e in enumerate(entries) for ja4 in e.ja4},
    )


def category_files(folder: Path) -> list[Path]:
    """Return the category files of a folder in order."""
    return sorted(path for path in folder.glob("*.toml") if path.name != SOURCES_FILE)


def read_sources(folder: Path) -> dict[str, Source]:
    """Return the sources that entries may name.

    Raises:
        RuleError: the file is absent or wrong.
    """
    path = folder / SOURCES_FILE
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Source])
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path}: {error}"
        raise RuleError(msg) from error


def decode(file: Path, text: bytes) -> list[Entry]:
    """Return a category file's entries with the file's defaults filled in.

    Raises:
        RuleError: the message names the file and the entry.
    """
    try:
        raw = msgspec.toml.decode(text, type=CatalogueFile)
    except msgspec.MsgspecError as error:
        msg = f"{file}: {error}"
        raise RuleError(msg) from error
    entries = []
    for item in raw.entry:
        try:
            entries.append(msgspec.convert({**raw.defaults, **item}, type=Entry))
        except msgspec.ValidationError as error:
            msg = f"{file}: entry {item.get('id', '?')}: {error}"
            raise RuleError(msg) from error
    return entries


def lint(folder: Path) -> list[str]:
    """Return what is wrong with a folder's category files; see ``guardian.intel.lint``."""
    from guardian.intel import lint as checks  # noqa: PLC0415 - the checks read this module

    return checks.lint(folder)
