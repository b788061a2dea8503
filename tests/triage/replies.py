"""Answers that a model might give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardian.model.incident import Incident


def fact_id(incident: Incident, kind: str) -> str:
    """Return the id of the fact of a kind."""
    return next(fact.id for fact in incident.facts if fact.kind == kind)


def good_reply(incident: Incident) -> dict:
    """Return an answer that keeps every rule."""
    rhythm, when, what = (fact_id(incident, kind) for kind in ("rhythm", "when", "what"))
    contact = fact_id(incident, "contact")
    return {
        "title": "{device} keeps calling {whom}",
        "summary": [
            {"text": f"Since {{{when}.first_at}} this device has been calling {{whom}}.",
             "facts": [when, contact]},
            {"text": "The calls are even, which looks like a timer.", "facts": [rhythm]},
        ],
        "explanation": [
            {"text": f"{{device}} has made {{{rhythm}.connections}} to {{peer_1}}.",
             "facts": [rhythm, contact]},
            {"text": f"They come {{{rhythm}.interval_s|every}}, at a steady pace.",
             "facts": [rhythm]},
            {"text": "This is consistent with software that waits for commands.",
             "facts": [what]},
        ],
        "expert": [],
    }  # fmt: skip


def as_text(reply: dict) -> str:
    """Return a reply as a model would send it."""
    return json.dumps(reply)
