"""What the triage tests share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from house import finding, furnish, write

from guardian import triage
from guardian.store import incidents

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store


@pytest.fixture
def home(memory_store: Store) -> Store:
    """A house with its devices and no findings."""
    furnish(memory_store)
    return memory_store


@pytest.fixture
def beacon(home: Store) -> Incident:
    """A laptop that calls an unknown server every minute."""
    write(
        home,
        finding("c2_beacon", "laptop", "evil-site.net", "185.10.68.22", level="high", calls=147,
                interval_s=60.0, jitter_share=0.018, bytes_up=1_200_000, bytes_down=3_400_000),
    )  # fmt: skip
    triage.run(home, triage.Settings(timezone="UTC"))
    with home.read() as reader:
        return incidents.incidents(reader)[0]


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
