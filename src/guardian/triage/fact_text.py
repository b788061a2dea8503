"""Write a fact as the one line that people read beside its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.model import words
from guardian.triage.slots import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

# For each kind, pieces that are written when all of their slots have a value.
_PIECES: dict[str, tuple[str, ...]] = {
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
        "; how sure the catalogue is: {grade}",
        "; if blocked, breaks: {breakage}",
    ),
    "rhythm": ("{connections}", ", {interval_s|every}", ", varying by {jitter_pct}"),
    "volume": ("{bytes_up} sent", ", {bytes_down} received", "; usual is {bytes_usual}"),
    "reach": (
        "Tried",
        " {hosts}",
        " {ports}",
        " within {span_s}",
        ", {attempts} to sign in",
        ", by {protocol}",
    ),
    "lookups": ("{queries}", ", {names}", " below {domain}"),
    "bypass": ("It asked {resolver} instead of the house's resolver",),
    "listed": ("On the list {list}", ": {indicator}"),
    "signature": ("{alerts}: {signature}", " ({category})", "; also {others}"),
    "file": ("The file {filename}", ", {bytes_file}"),
    "order": ("First: {first}. Then, after {gap_s}: {then}",),
    "when": ("First at {first_at}", ", last at {last_at}", ", over {duration_s}"),
    "others": ("In the last day {other_devices|words} went there, of {devices} known",),
    "blocked": ("The house asked for these names: {asked}", "; the resolver refused {blocked}"),
    "before": ("{text}",),
    "unknown": ("Not known: {text}",),
}


def sentence(kind: str, values: Mapping[str, object], zone: tzinfo | None) -> str:
    """Return the line of a fact; a piece without its values is left out."""
    line = ""
    for piece in _PIECES[kind]:
        filled = _fill(piece, values, zone)
        if filled is not None:
            line += filled
    line = line.lstrip(",;:. ")
    return f"{words.clean(line[:1].upper() + line[1:], 400)}."


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
