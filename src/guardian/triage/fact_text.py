"""Write a fact as the one line that people read beside its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.model import words
from guardian.triage.slots import capital, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

# For each kind, pieces that are written when all of their slots have a value; of several ways
# to write a piece, the first that can be.
_PIECES: dict[str, tuple[str | tuple[str, ...], ...]] = {
    "who": (
        "{name}",
        ", {kind}",
        ", by {vendor}",
        ", belongs to {owner}",
        ", in the {room}",
        ", on the network {segment}",
        "; known since {known_since_at}",
    ),
    "what": ("Seen: {classes}", "; {findings} by {detectors}, {events} in all"),
    "contact": (
        "It spoke with {peer_1}",
        ", {peer_2}",
        ", {peer_3}",
        " ({peers} in all)",
        "; address {address}",
    ),
    "service": (
        "{company}",
        ", {service}",
        "; known purpose: {purposes}",
        "; {grade}",
        "; {breakage}",
    ),
    "rhythm": ("{connections}", ", {interval_s|every}", ", varying by {jitter_pct}"),
    "volume": ("{bytes_up} sent", ", {bytes_down} received", "; usual is {bytes_usual}"),
    "reach": (
        (
            "{attempts} to sign in",
            "Tried {ports} on {hosts}",
            "Tried {hosts}",
            "Tried {ports}",
            "Tried others",
        ),
        " within {span_s}",
        ", by {protocol}",
    ),
    "lookups": ("{queries}", ", {names}", " below {domain}"),
    "bypass": ("It asked {resolver} instead of the house's resolver",),
    "listed": ("On the list {list}", ": {indicator}"),
    "signature": ("{alerts}: {signature}", " ({category})", "; also {others}"),
    "file": ("The file {filename}", ", {bytes_file}"),
    "spoof": ("Claimed the address {address}",),
    "order": ("First: {first}. Then, after {gap_s}: {then}",),
    "when": (("At {once_at}", "First at {first_at}, last at {last_at}"), ", over {duration_s}"),
    "others": ("In the last day {other_devices|words} went there, of {devices} known",),
    "blocked": ("The house asked for these names: {asked}", "; the resolver refused {blocked}"),
    "before": ("{text}",),
    "unknown": ("Not known: {text}",),
}


def sentence(kind: str, values: Mapping[str, object], zone: tzinfo | None) -> str:
    """Return the line of a fact; a piece without its values is left out."""
    line = ""
    told = {**values, **_SHORTENED.get(kind, dict)(values)}
    for piece in _PIECES[kind]:
        for way in (piece,) if isinstance(piece, str) else piece:
            filled = _fill(way, told, zone)
            if filled is not None:
                line += filled
                break
    line = line.lstrip(",;:. ")
    return f"{words.clean(capital(line), 400)}."


def _who(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out a kind that the name says already, or that is none."""
    kind, name = str(values.get("kind", "")), str(values.get("name", "")).lower()
    none = kind in {"several", "house", "outside", "unknown"}
    return {"kind": None} if none or kind.replace("_", " ") in name else {}


def _contact(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out what the destinations themselves say already."""
    shown = [values[name] for name in ("peer_1", "peer_2", "peer_3") if name in values]
    return {
        "peers": None if values.get("peers") == len(shown) else values.get("peers"),
        "address": None if values.get("address") in shown else values.get("address"),
    }


_GRADES = {
    "payload": "its messages were read",
    "validated": "its messages were read",
    "behav": "its behaviour was measured",
    "list": "public lists name it",
    "suspect": "it is only suspected",
}
_BREAKAGE = {
    "none": "blocking it breaks nothing that is known",
    "feature": "blocking it may break one feature",
    "device": "blocking it may stop the device from working",
    "unknown": "what blocking it would break is not known",
}


def _service(values: Mapping[str, object]) -> dict[str, object]:
    """Put the catalogue's own words into plain ones."""
    grade, breakage = str(values.get("grade", "")), str(values.get("breakage", ""))
    known = next((text for key, text in _GRADES.items() if grade.startswith(key)), None)
    return {"grade": known, "breakage": _BREAKAGE.get(breakage)}


def _when(values: Mapping[str, object]) -> dict[str, object]:
    """Write one time where the first and the last fall into one minute."""
    first, last, length = (values.get(each) for each in ("first_at", "last_at", "duration_s"))
    once = str(first)[:16] == str(last)[:16]
    whole = isinstance(length, (int, float)) and length >= 1
    return {"once_at": first if once else None, "duration_s": length if whole else None}


_SHORTENED: dict[str, Callable[[Mapping[str, object]], dict[str, object]]] = {
    "who": _who,
    "contact": _contact,
    "service": _service,
    "when": _when,
}


def _fill(piece: str, values: Mapping[str, object], zone: tzinfo | None) -> str | None:
    text = piece
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        name, _, form = text[start + 1 : end].partition("|")
        value = values.get(name)
        if value is None:
            return None
        # Braces of a stranger are no slots.
        written = write(name, value, form=form, zone=zone).replace("{", "(").replace("}", ")")
        text = text[:start] + written + text[end + 1 :]
    return text
