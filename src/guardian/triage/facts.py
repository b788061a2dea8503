"""The fact packet: everything an explanation may rest on, numbered, bounded, canonical.

The same incident gives the same facts in the same order, byte for byte. Strings that
a stranger could have chosen are cleaned and cut before they come in here. Facts are
told in a fixed order of kinds, so that ``F1`` is always who it is about.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from guardian.model import words
from guardian.model.finding import FindingClass
from guardian.model.incident import Fact
from guardian.store.incidents import facts_json
from guardian.triage import peers as destinations
from guardian.triage.fact_text import sentence
from guardian.triage.families import FAMILY, Family
from guardian.triage.load import class_events
from guardian.triage.slots import filled_values
from guardian.triage.stories import story

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo

    from guardian.triage.load import Case, House

Values = dict[str, object]

# Where detectors keep what is told here: the first key that a finding has counts.
_KEYS: dict[str, tuple[str, ...]] = {
    "interval_s": ("interval_s", "period_s", "median_interval_s", "median_gap_s", "gap_s"),
    "jitter": ("jitter_share", "jitter", "jitter_ratio"),
    "connections": ("calls", "connections", "contacts", "flows"),
    "bytes_up": ("bytes_up", "bytes_toserver", "bytes_out", "sent_bytes"),
    "bytes_down": ("bytes_down", "bytes_toclient", "bytes_in", "received_bytes"),
    "bytes_usual": ("bytes_usual", "usual_bytes", "usual_bytes_up", "bytes_up_usual"),
    "hosts": ("hosts", "targets", "addresses", "hosts_tried", "distinct_hosts"),
    "ports": ("ports", "ports_tried", "distinct_ports"),
    "span_s": ("span_s", "duration_s"),
    "attempts": ("attempts", "failures", "failed", "logins", "tries"),
    "names": ("names", "unique_names", "distinct_names", "subdomains", "labels"),
    "queries": ("queries", "lookups", "requests"),
    "answers": ("answers_failed", "nxdomain", "nxdomains"),
    "domain": ("registered", "domain", "zone", "parent", "registrable"),
    "resolver": ("resolver", "server", "resolvers", "service"),
    "protocol": ("protocol", "app_proto", "method", "service_name", "proto"),
    "list": ("list", "lists", "source_list"),
    "indicator": ("indicator", "value", "matched"),
    "signature": ("signature",),
    "category": ("category",),
    "filename": ("filename", "file"),
    "bytes_file": ("size", "file_size", "bytes_file"),
    "port": ("port", "dest_port"),
    "company": ("company",),
    "service": ("service",),
    "purposes": ("purposes", "purpose"),
    "grade": ("grade", "evidence_grade"),
    "breakage": ("breakage",),
    "after_optout": ("after_optout", "opted_out_at"),
    "night": ("night", "at_night", "night_calls"),
    "vendor": ("vendor",),
    "mac": ("mac",),
    "address": ("address",),
    "reason": ("reason", "detail", "what"),
}


def packet(
    case: Case, home: House, zone: tzinfo | None, *, extra: Sequence[tuple[str, Values]] = ()
) -> tuple[Fact, ...]:
    """Return the numbered facts of one incident. ``extra`` come before what is not known."""
    found: list[Fact] = []

    def add(kind: str, values: Mapping[str, object]) -> None:
        kept = filled_values(values)
        if kept:
            line = sentence(kind, kept, zone)
            found.append(Fact(id=f"F{len(found) + 1}", kind=kind, text=line, values=kept))

    for kind, maker in _MAKERS:
        add(kind, maker(case, home))
    for kind, values in extra:
        add(kind, values)
    add("unknown", {"text": story(case.lead or "")["unknown"]})
    return tuple(found)


def packet_hash(facts: Sequence[Fact]) -> str:
    """Return the digest of a packet: the same facts, the same 32 hexadecimal digits."""
    return hashlib.sha256(facts_json(facts).encode()).hexdigest()[:32]


def pick(case: Case, name: str, *classes: FindingClass) -> Any:
    """Return a value of the gravest finding that has one, of these classes if given."""
    wanted = {each.value for each in classes}
    # What the leading class says comes first; the order is stable otherwise.
    for row in sorted(case.samples, key=lambda row: row["class"] != case.lead):
        if wanted and row["class"] not in wanted:
            continue
        for key in _KEYS[name]:
            value = row["facts"].get(key)
            if value not in (None, "", [], {}):
                return value
    return None


def number(value: object) -> float | int | None:
    """Return a JSON value as a number; the length of a list; None for the rest."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    return len(value) if isinstance(value, list) else None


def text(value: object) -> str | None:
    """Return a JSON value as text; the first of a list; None for the rest."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else None


def _who(case: Case, home: House) -> Values:
    if len(case.devices) > 1:
        called = [home.name(each) or each for each in case.devices]
        several = called[:3] if len(called) <= 3 else [*called[:2], f"{len(called) - 2} more"]
        return {"name": words.sentence_list(several), "devices": len(called), "kind": "several"}
    if case.outside or not case.devices:
        outside = "somebody on the internet" if case.outside else "the house"
        return {"name": outside, "kind": "outside" if case.outside else "house"}
    actor = case.devices[0]
    device = home.devices.get(actor) or home.devices.get(home.holders.get(actor, ""))
    if device is None:
        return {"name": f"an unnamed device ({actor})", "kind": "unknown"}
    return {
        "name": words.clean(device["name"], 60) or "an unnamed device",
        "kind": None if device["kind"] == "unknown" else device["kind"],
        "vendor": device["vendor"],
        "model": device["model"],
        "owner": device["owner"],
        "room": device["room"],
        "segment": device["segment"],
        "known_since_at": device["first_seen"].isoformat(timespec="seconds"),
    }


def _what(case: Case, _: House) -> Values:
    return {
        "classes": [
            words.finding_class(row["class"])
            for row in sorted(case.classes, key=lambda row: row["class"] != case.lead)
            if row["class"] not in case.explained
        ],
        "detectors": len(case.detectors),
        "findings": case.findings,
        "events": class_events(case, case.lead) if case.lead else case.events,
    }


def _contact(case: Case, home: House) -> Values:
    return destinations.contact(case, home)


def _service(case: Case, _: House) -> Values:
    hit = case.hits[0] if case.hits else {}
    purposes = hit.get("purposes") or pick(case, "purposes")
    purposes = purposes if isinstance(purposes, list) else [purposes] if purposes else []
    if not hit and not pick(case, "company"):
        return {}
    return {
        "company": hit.get("company") or text(pick(case, "company")),
        "service": hit.get("service") or text(pick(case, "service")),
        "purposes": [str(each).replace("_", " ") for each in purposes],
        "grade": hit.get("grade") or text(pick(case, "grade")),
        "breakage": hit.get("breakage") or text(pick(case, "breakage")),
    }


def _rhythm(case: Case, _: House) -> Values:
    # The beacon detector measures single calls; others may measure look-ups.
    beacon = any(row["class"] == FindingClass.C2_BEACON for row in case.classes)
    source = (FindingClass.C2_BEACON,) if beacon else ()
    interval = number(pick(case, "interval_s", *source))
    if not interval:
        return {}
    jitter = number(pick(case, "jitter", *source))
    return {
        "interval_s": interval,
        "jitter_pct": None if jitter is None else round(jitter * 100, 1),
        "connections": number(pick(case, "connections", *source)) or case.events,
    }


def _volume(case: Case, _: House) -> Values:
    return {
        "bytes_up": number(pick(case, "bytes_up")),
        "bytes_down": number(pick(case, "bytes_down")),
        "bytes_usual": number(pick(case, "bytes_usual")),
    }


def _reach(case: Case, _: House) -> Values:
    reaching = {r["class"] for r in case.classes if FAMILY[FindingClass(r["class"])] in _REACHING}
    # Of an attack attempt the targets are its destinations, nothing that was searched.
    if not reaching - {FindingClass.EXPLOIT}:
        return {}
    return {
        "hosts": max(number(pick(case, "hosts")) or 0, _internal_targets(case)) or None,
        "ports": number(pick(case, "ports")),
        "span_s": number(pick(case, "span_s")),
        "attempts": number(pick(case, "attempts")),
        "protocol": text(pick(case, "protocol")),
    }


_REACHING = (Family.RECON, Family.ACCESS)


def _internal_targets(case: Case) -> int:
    return len({peer for row in case.samples for peer in row["peers"]})


def _lookups(case: Case, _: House) -> Values:
    names = (FindingClass.DNS_TUNNEL, FindingClass.DGA)
    if not any(row["class"] in names for row in case.classes):
        return {}
    return {
        "domain": text(pick(case, "domain", *names)),
        "names": number(pick(case, "names", *names)),
        "queries": number(pick(case, "queries", *names)) or class_events(case, *names),
    }


def _bypass(case: Case, _: House) -> Values:
    ways = (FindingClass.DOH_BYPASS, FindingClass.DNS_BYPASS)
    if not any(row["class"] in ways for row in case.classes):
        return {}
    return {"resolver": text(pick(case, "resolver", *ways)) or next(iter(case.peers), None)}


def _listed(case: Case, _: House) -> Values:
    if not any(row["class"] == FindingClass.THREAT_INTEL for row in case.classes):
        return {}
    intel = FindingClass.THREAT_INTEL
    return {
        "list": text(pick(case, "list", intel)),
        "indicator": text(pick(case, "indicator", intel)),
    }


def _signature(case: Case, _: House) -> Values:
    rows = [row for row in case.samples if row["facts"].get("signature")]
    if not rows:
        return {}
    return {
        "signature": rows[0]["facts"]["signature"],
        "category": rows[0]["facts"].get("category"),
        "alerts": sum(row["count"] for row in rows),
        "others": list(dict.fromkeys(str(r["facts"]["signature"]) for r in rows))[1:4],
    }


def _file(case: Case, _: House) -> Values:
    return {
        "filename": text(pick(case, "filename")),
        "bytes_file": number(pick(case, "bytes_file")) if pick(case, "filename") else None,
    }


def _order(case: Case, _: House) -> Values:
    """What came first, when a download or a call home began the story."""
    rows = sorted(case.classes, key=lambda row: (row["first_seen"], row["class"]))
    if len(rows) < 2 or rows[0]["class"] == rows[1]["class"]:
        return {}
    if FAMILY[FindingClass(rows[0]["class"])] not in (Family.CONTROL, Family.ACCESS):
        return {}
    gap = (rows[1]["first_seen"] - rows[0]["first_seen"]).total_seconds()
    return {
        "first": words.finding_class(rows[0]["class"]),
        "then": words.finding_class(rows[1]["class"]),
        "gap_s": gap,
    }


def _when(case: Case, _: House) -> Values:
    return {
        "first_at": case.first_seen.isoformat(timespec="seconds"),
        "last_at": case.last_seen.isoformat(timespec="seconds"),
        "duration_s": round((case.last_seen - case.first_seen).total_seconds()),
    }


def _others(case: Case, home: House) -> Values:
    local = case.lead is not None and FAMILY[case.lead] in _REACHING
    if case.other_devices is None or len(case.devices) != 1 or local:
        return {}
    return {"other_devices": case.other_devices, "devices": len(home.devices)}


def _blocked(case: Case, _: House) -> Values:
    return {"blocked": case.blocked or None, "asked": case.asked or None}


def _spoof(case: Case, _: House) -> Values:
    if not any(row["class"] == FindingClass.ARP_SPOOF for row in case.classes):
        return {}
    return {"address": text(pick(case, "address", FindingClass.ARP_SPOOF))}


_MAKERS: tuple[tuple[str, Callable[[Case, House], Values]], ...] = (
    ("who", _who),
    ("what", _what),
    ("contact", _contact),
    ("service", _service),
    ("rhythm", _rhythm),
    ("volume", _volume),
    ("reach", _reach),
    ("lookups", _lookups),
    ("bypass", _bypass),
    ("listed", _listed),
    ("signature", _signature),
    ("file", _file),
    ("spoof", _spoof),
    ("order", _order),
    ("when", _when),
    ("others", _others),
    ("blocked", _blocked),
)
