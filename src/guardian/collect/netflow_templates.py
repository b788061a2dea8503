"""What an exporter said about the form of its records, kept over restarts.

NetFlow v9 and IPFIX send templates only now and then, so what was learnt goes into the
bookmark. Options say how a router samples, so that one record stands for many packets, and
when it was started, if its flows count from there. All is bounded in number and size.
RFC 3954 (v9), RFC 7011 and RFC 5477 (IPFIX, sampling).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TypeVar

MAX_TEMPLATES = 2_000
MAX_TEMPLATE_FIELDS = 256

STATE_FIELDS = 5_000
"""So many fields of templates go into a bookmark, the latest: some 60 kB at most. A home's
router has five templates of twenty fields."""

MAX_SAMPLING = 1_000_000
"""One packet in more than this is no sampling but a damaged field."""

MAX_SAMPLERS = 1_000
MAX_EXPORTERS = 1_000
"""Of so many, the latest, it is known when they were started."""

_RATES = (34, 50)  # samplingInterval, samplerRandomInterval (v9 and IPFIX)
_PACKETS_TAKEN, _PACKETS_LEFT = 305, 306  # samplingPacketInterval, samplingPacketSpace
_SAMPLERS = (48, 302)  # samplerId, selectorId
_STARTED = 160  # systemInitTimeMilliseconds

SCOPE = -1
"""The enterprise under which scope fields of v9 options stand: they have numbers of their own."""

Fields = dict[tuple[int, int], bytes]
Exporter = tuple[str, int, int]
"""Address, version, and the part of the router (source id, observation domain)."""
_Key = TypeVar("_Key", bound=tuple[object, ...])


class FlowExportError(Exception):
    """A datagram, or the rest of it, cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """The fields of a record: enterprise (0: none), number, length."""

    fields: tuple[tuple[int, int, int], ...]
    options: bool = False


@dataclass(slots=True)
class Templates:
    """The templates of all exporters; the oldest are forgotten when there are too many."""

    known: dict[tuple[str, int, int, int], Template] = field(default_factory=dict)
    sampling: dict[tuple[str, int, int, int], int] = field(default_factory=dict)
    started: dict[Exporter, int] = field(default_factory=dict)
    changed: bool = False

    def learn(self, exporter: Exporter, body: bytes, *, options: bool) -> None:
        """Take up a set of templates, of flows or of options.

        Raises:
            FlowExportError: it claims more fields than a template has.
        """
        at = 0
        while at + 4 <= len(body):
            number = struct.unpack_from("!H", body, at)[0]
            if number < 256:
                return  # padding
            if options and exporter[1] == 9:
                found, at = _options_of_9(body, at)
            else:
                found, at = _fields_of(body, at, ipfix=exporter[1] == 10, options=options)
            self._keep((*exporter, number), Template(found, options))

    def _keep(self, key: tuple[str, int, int, int], template: Template) -> None:
        if self.known.get(key) == template:
            return
        self.changed = True
        self.known.pop(key, None)
        if template.fields:
            self.known[key] = template
        while len(self.known) > MAX_TEMPLATES:
            del self.known[next(iter(self.known))]

    def note_options(self, exporter: Exporter, fields: Fields) -> None:
        """Learn from a record of options how the exporter samples, and when it was started."""
        rate = _rate(fields)
        if rate is not None:
            self._note(self.sampling, (*exporter, _sampler(fields)), rate, MAX_SAMPLERS)
        started_ms = _value(fields, _STARTED)
        if started_ms:
            self._note(self.started, exporter, started_ms, MAX_EXPORTERS)

    def _note(self, known: dict[_Key, int], key: _Key, value: int, most: int) -> None:
        if known.get(key) != value:
            self.changed = True
            known.pop(key, None)
            known[key] = value
            while len(known) > most:
                del known[next(iter(known))]

    def started_ms(self, exporter: Exporter, fields: Fields) -> int | None:
        """Return when the exporter of a record was started, in ms since 1970, if it says so."""
        return _value(fields, _STARTED) or self.started.get(exporter)

    def rate(self, exporter: Exporter, fields: Fields) -> int:
        """Return how many packets a packet of this record stands for: 1 when none are left out."""
        own = _rate(fields)
        if own is not None:
            return own
        named = self.sampling.get((*exporter, _sampler(fields)))
        return named or self.sampling.get((*exporter, 0), 1)

    def state(self) -> dict[str, object]:
        """Return what a bookmark keeps."""
        room = STATE_FIELDS
        kept: list[list[object]] = []
        for key, template in reversed(self.known.items()):
            room -= len(template.fields)
            if room < 0:
                break
            kept.append([*key, template.options, [list(one) for one in template.fields]])
        self.changed = False
        return {
            "templates": kept[::-1],
            "sampling": [[*key, rate] for key, rate in self.sampling.items()],
            "started": [[*key, moment] for key, moment in self.started.items()],
        }

    def restore(self, state: object) -> None:
        """Take up what a bookmark kept; a form of another version is passed over."""
        if not isinstance(state, dict) or self.known or self.sampling or self.started:
            return
        try:
            for address, version, domain, number, options, fields in state.get("templates", ()):
                key = (str(address), int(version), int(domain), int(number))
                found = tuple((int(one), int(two), int(three)) for one, two, three in fields)
                self.known[key] = Template(found, bool(options))
            for address, version, domain, sampler, rate in state.get("sampling", ()):
                self.sampling[(str(address), int(version), int(domain), int(sampler))] = int(rate)
            for address, version, domain, moment in state.get("started", ()):
                self.started[(str(address), int(version), int(domain))] = int(moment)
        except (TypeError, ValueError):
            self.known.clear()
            self.sampling.clear()
            self.started.clear()


def _fields_of(
    body: bytes, at: int, *, ipfix: bool, options: bool
) -> tuple[tuple[tuple[int, int, int], ...], int]:
    """Return the fields of a template, and where the next one begins."""
    count = struct.unpack_from("!H", body, at + 2)[0]
    at += 4
    if options and count:
        at += 2  # how many of them are the scope: they have the same numbers
    if count > MAX_TEMPLATE_FIELDS:
        msg = "a template with too many fields"
        raise FlowExportError(msg)
    found: list[tuple[int, int, int]] = []
    for _ in range(count):
        kind, size = struct.unpack_from("!HH", body, at)
        at += 4
        enterprise = 0
        if ipfix and kind & 0x8000:
            enterprise = struct.unpack_from("!I", body, at)[0]
            at += 4
        found.append((enterprise, kind & 0x7FFF if ipfix else kind, size))
    return tuple(found), at


def _options_of_9(body: bytes, at: int) -> tuple[tuple[tuple[int, int, int], ...], int]:
    scope_bytes, option_bytes = struct.unpack_from("!HH", body, at + 2)
    at += 6
    count = (scope_bytes + option_bytes) // 4
    if count > MAX_TEMPLATE_FIELDS:
        msg = "a template with too many fields"
        raise FlowExportError(msg)
    found: list[tuple[int, int, int]] = []
    for number in range(count):
        kind, size = struct.unpack_from("!HH", body, at)
        at += 4
        found.append((SCOPE if number * 4 < scope_bytes else 0, kind, size))
    return tuple(found), at


def _value(fields: Fields, kind: int) -> int | None:
    raw = fields.get((0, kind))
    return int.from_bytes(raw) if raw and len(raw) <= 8 else None


def _rate(fields: Fields) -> int | None:
    found = next((value for kind in _RATES if (value := _value(fields, kind))), None)
    taken = _value(fields, _PACKETS_TAKEN)
    if found is None and taken:
        found = (taken + (_value(fields, _PACKETS_LEFT) or 0)) // taken
    return found if found is not None and 1 <= found <= MAX_SAMPLING else None


def _sampler(fields: Fields) -> int:
    return next((value for kind in _SAMPLERS if (value := _value(fields, kind))), 0)
