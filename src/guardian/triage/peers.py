"""Say to whom: the destinations of an incident, and one plain word for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.intel import names
from guardian.model import words
from guardian.model.finding import FindingClass
from guardian.triage.anchors import is_address

if TYPE_CHECKING:
    from guardian.triage.load import Case, House


def contact(case: Case, home: House) -> dict[str, object]:
    """Return the destinations: the first three, their number, and ``whom`` in plain words.

    ``whom`` is a company, "another device", "an unknown server": never a stranger's text.
    """
    if not case.peers:
        return {}
    # The leading class's own destinations first, for the sentences are about them.
    own = {peer for row in case.samples if row["class"] == case.lead for peer in row["peers"]}
    ordered = sorted(
        case.peers,
        key=lambda p: (home.is_home(p), p not in own, is_address(p), case.peers.index(p)),
    )
    shown = [home.name(peer) or peer for peer in ordered]
    values: dict[str, object] = {
        "whom": _whom(case, home),
        "peers": case.peers_total,
        "address": next((p for p in case.peers if is_address(p) and not home.is_home(p)), None),
    }
    for place, name in enumerate(dict.fromkeys(shown), start=1):
        if place > 3:
            break
        values[f"peer_{place}"] = words.clean(name, 100) or "a name that cannot be shown"
    return values


def _whom(case: Case, home: House) -> str:
    companies = list(dict.fromkeys(str(hit["company"]) for hit in case.hits))
    if companies:
        return words.sentence_list(companies[:2])
    inside = [peer for peer in case.peers if home.is_home(peer)]
    if len(inside) == len(case.peers):
        if case.peers_total > 1:
            return "other devices in the house"
        return home.name(inside[0]) or "another device in the house"
    listed = any(row["class"] == FindingClass.THREAT_INTEL for row in case.classes)
    servers = _servers(case, home)
    if listed:
        return "a server known to be dangerous" if servers == 1 else "servers known to be dangerous"
    return "an unknown server" if servers == 1 else f"{servers} unknown servers"


def _servers(case: Case, home: House) -> int:
    """Return how many servers there are at least: registered names, for one has many addresses."""
    outside = [peer for peer in case.peers if not home.is_home(peer)]
    named = {names.registrable(peer) or peer for peer in outside if not is_address(peer)}
    return max(1, len(named or outside) + max(0, case.peers_total - len(case.peers)))
