"""Say of an incident who found its words, and why not somebody better; rank its causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.model import words
from guardian.store import explanations, incidents, model_endpoints
from guardian.triage import causes

if TYPE_CHECKING:
    from guardian.model.incident import Claim
    from guardian.store import Reader

_WAITING = {
    "pending": "a model at home will be asked",
    "processing": "a model at home is at work on it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who wrote the words; ``notes`` are what else is to be said of that, in plain words.

    ``sent`` is the number of the request that left the house for it, if one did.
    """

    by: str
    notes: tuple[str, ...]
    sent: int | None
    causes: tuple[Claim, ...]
    ranked_by: str


def origin(reader: Reader, incident_id: int) -> Origin | None:
    """Return where an incident's words come from; None when there is no such incident."""
    found = incidents.incident(reader, incident_id)
    if found is None:
        return None
    ranked, ranked_by = causes.told(found)
    model = found.model or {}
    notes: list[str] = []
    if found.written_by == "template":
        job = explanations.latest_job(reader, incident_id)
        if job is not None and job["state"] in _WAITING:
            notes.append(_WAITING[job["state"]])
        elif job is not None and job["state"] == "failed":
            notes.append("what a model wrote did not pass the checks, or none could write")
    else:
        role = words.clean(str(model.get("role", "")), 20)
        better = [words.clean(str(each), 80) for each in _list(model.get("instead_of"))]
        notes.append(f"the {role} model" if role in ("deep", "fast", "embedded") else "")
        if better:
            notes.append(f"not asked: {'; '.join(better[:4])}")
        digest = words.clean(str(model.get("digest", "")), 80)
        notes.append(f"digest {digest[:12]}" if digest else "")
        # What an answer is kept under, and the packet that its slots were filled from.
        for name, text in (
            ("prompt_version", "prompt"),
            ("request", "request"),
            ("packet", "packet"),
        ):
            value = words.clean(str(model.get(name, "")), 80)
            notes.append(f"{text} {value[:12]}" if value else "")
        changed = model_endpoints.change_of(reader, str(model.get("endpoint", "")), digest)
        if changed:
            notes.append(f"another model is under that name now: {words.clean(changed, 12)}")
    sent = model.get("sent")
    return Origin(
        by="rules and templates" if found.written_by == "template" else found.written_by,
        notes=tuple(note for note in notes if note),
        sent=sent if isinstance(sent, int) else None,
        causes=ranked,
        ranked_by=ranked_by,
    )


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
