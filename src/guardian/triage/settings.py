"""Settings of triage: how findings become stories, and which models may tell them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - the configuration reads the types

from guardian.model.finding import FindingClass

ROLES = ("deep", "fast", "embed")
"""What an endpoint may be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A machine with a language model."""

    url: str
    """Base address, with its port: ``http://gpu-1:11434``."""
    kind: str = "ollama"
    """``ollama``, ``openai-compatible`` or ``embedded``."""
    model: str = ""
    """The model's name there; empty lets an embedded backend take its own."""
    role: str = "fast"
    """``fast``, ``deep`` or ``embed``: what this endpoint is asked for."""
    name: str = ""
    """What people are shown; empty means the address."""
    quiet_hours: str = ""
    """Local hours in which it is left alone, ``23-07``; empty means never."""
    gpu: str = ""
    """The card it runs on; empty means the machine of the address. A card loads one
    model at a time, also for two endpoints."""
    parallel: int = 1
    """Questions at once: a server answers one at a time unless it is told otherwise."""
    queue: int = 4
    """Most questions that wait for it; with more, the next endpoint is asked."""
    deadline_s: float = 0.0
    """Longest wait for its answer; 0 means the one of all endpoints."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            msg = f"no such role: {self.role}; there are {', '.join(ROLES)}"
            raise ValueError(msg)
        if self.quiet_hours and not re.fullmatch(r"\d{1,2}-\d{1,2}", self.quiet_hours):
            msg = f"quiet_hours = {self.quiet_hours!r}: not of the form 23-07"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """A model outside the house, for named incidents when no model at home answers.

    It is off unless ``enabled`` is true and an address, a model, classes and a budget are
    given. What leaves is redacted, and kept byte for byte: ``guardian overflow list``.
    """

    enabled: bool = False
    """Whether anything may leave at all."""
    url: str = ""
    """Base address of a server with OpenAI's chat interface; ``https`` outside the house."""
    model: str = ""
    """The model's name there."""
    key_file: Path | None = None
    """A file that holds the key of that server, readable by Guardian alone."""
    classes: tuple[str, ...] = ()
    """Leading classes of the incidents that may be asked about, such as ``c2_beacon``."""
    calls_per_month: int = 0
    """Most requests in one calendar month."""
    deadline_s: float = 60.0
    """Longest wait for an answer."""

    def __post_init__(self) -> None:
        strange = sorted(set(self.classes) - {each.value for each in FindingClass})
        if strange:
            msg = f"triage.overflow.classes: no such class: {', '.join(strange)}"
            raise ValueError(msg)

    @property
    def on(self) -> bool:
        """Whether all that is needed was said."""
        said = self.url and self.model and self.classes and self.calls_per_month > 0
        return self.enabled and bool(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Thresholds of grouping and limits of explaining."""

    window_days: int = 30
    """Findings older than this are not grouped again; their incidents stay."""
    quiet_after_h: float = 48.0
    """An open incident with nothing new for so long is quiet: two evenings."""
    download_to_beacon_s: float = 7200.0
    """A call home that begins this soon after a download is its consequence: loaders
    call home within minutes; two hours leave room for a person who opens it later."""
    beacon_to_scan_s: float = 86400.0
    """A scan that begins this soon after a call home is its consequence."""
    house_devices: int = 3
    """So many devices with one dangerous destination are one story of the house."""
    campaign_peers: int = 4
    """So many dangerous destinations of one device within a day are one campaign:
    malware that rotates its servers is one infection, not one for each address."""
    incidents_per_day: int = 40
    """New stories in one day beyond this are folded into one for each kind, so that
    a family never meets more than 50."""
    timezone: str = ""
    """IANA zone in which people are told times; empty means the machine's own."""

    endpoints: tuple[Endpoint, ...] = ()
    """Language models at home that may word explanations; none means templates."""
    overflow: Overflow = field(default_factory=Overflow)
    """A model outside the house; off."""
    deadline_s: float = 60.0
    """Longest wait for the answer of one endpoint, everything included."""
    num_ctx: int = 4096
    """Context window asked of a model, in tokens: a packet takes about 1,500."""
    max_tokens: int = 700
    """Longest answer of a model, in tokens."""
    keep_alive: str = "10m"
    """How long an Ollama server keeps the model loaded after an answer."""
    ask_deadline_s: float = 20.0
    """Longest wait for a model that reads a question; then its words alone decide."""
    calls_per_hour: int = 60
    """Most model calls in one hour."""
    calls_per_night: int = 200
    """Most model calls between 22:00 and 07:00 local time."""
