"""Write accepted explanations as chat-format JSONL, to fine-tune a model of one's own.

An explanation counts as accepted when a model wrote it, every check passed, and a person
said "right" to its incident. The lines hold slots and meanings as the model saw them, so
no address, name or number of the house is in them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guardian.store import explanations, incidents
from guardian.triage import prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.store import Reader


def training(reader: Reader) -> Iterator[str]:
    """Yield one JSON line for each accepted explanation, oldest incident first."""
    rows = reader.rows(
        "SELECT DISTINCT incident_id FROM feedback AS f "
        "WHERE answer = 'right' AND revoked_at IS NULL AND NOT EXISTS ("
        "  SELECT 1 FROM feedback AS w WHERE w.incident_id = f.incident_id "
        "  AND w.answer = 'wrong' AND w.revoked_at IS NULL) ORDER BY incident_id"
    )
    for row in rows:
        found = incidents.incident(reader, row["incident_id"])
        if found is None or not found.model:
            continue
        request = str(found.model.get("request", ""))
        kept = explanations.answers(reader, request, prompt.version())
        if kept:
            asked = prompt.messages(found)
            told = [*asked, {"role": "assistant", "content": kept[0][0]}]
            yield json.dumps({"messages": told}, ensure_ascii=False)
